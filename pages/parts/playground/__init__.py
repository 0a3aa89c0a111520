"""The views of the convolution playground, one module each."""
