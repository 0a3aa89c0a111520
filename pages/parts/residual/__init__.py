"""The views of the page on residual networks, one file each."""
