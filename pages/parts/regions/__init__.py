"""The views of the page on region proposals."""
