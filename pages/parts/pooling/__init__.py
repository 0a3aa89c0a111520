"""The views of the pooling page, one module each."""
