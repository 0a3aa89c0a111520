"""The views of the Inception page, one file each."""
