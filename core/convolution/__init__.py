"""Chapter 1: the convolution operation, its sizes, pooling, and what makes it worth having."""
