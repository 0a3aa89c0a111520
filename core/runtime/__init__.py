"""What every chapter stands on: pictures in and out, samples, the compute engine, its jobs and settings."""
