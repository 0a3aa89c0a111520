"""The views of the YOLO page, one module a view and its parts."""
