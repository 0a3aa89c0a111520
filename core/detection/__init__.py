"""Chapter 4a, detection: boxes, non-max suppression, anchors, a YOLO network and its training."""
