"""The views of the page on localization and landmarks."""
