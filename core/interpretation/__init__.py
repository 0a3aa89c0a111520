"""What a network learns: patches and images that excite its units, and where in a picture it looks."""
