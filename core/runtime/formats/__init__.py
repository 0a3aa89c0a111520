"""Readers of the picture formats that the workbench accepts: JPEG, PNG, WebP, BMP and GIF.

Each module reads the header of one format by its specification and checks the size announced there before a
library in C decodes anything. Of JPEG, PNG and GIF only the coded picture reaches that library: colour
profiles, comments and previews are left out, so nothing hidden in them can do harm. Every reader returns a
`Raster`.
"""
