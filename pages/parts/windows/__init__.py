"""The views of the page on sliding windows."""
