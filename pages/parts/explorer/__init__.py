"""The parts of the architecture explorer."""
