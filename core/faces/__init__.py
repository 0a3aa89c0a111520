"""Chapter 5.1, faces: found, aligned, turned into encodings, and compared."""
