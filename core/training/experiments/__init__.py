"""What helps when pictures are few: five measured experiments, each repeated over seeds."""
