"""The views of the style transfer page."""
