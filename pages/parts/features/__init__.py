"""The views of the page on what a network learns."""
