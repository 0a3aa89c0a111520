"""Objects in the sample pictures, boxed by hand by this project: something to count recall on at first sight.

Boxes xyxy in pixels of the sample as `core.runtime.samples` gives it.
"""

from __future__ import annotations

KNOWN_OBJECTS: dict[str, dict[str, tuple[int, int, int, int]]] = {
    "astronaut": {
        "person": (22, 15, 370, 512),
        "shuttle": (358, 0, 474, 286),
        "helmet": (280, 345, 500, 512),
    },
    "chelsea": {
        "cat": (0, 0, 372, 300),
        "left eye": (135, 85, 213, 150),
        "right eye": (295, 110, 347, 165),
        "nose": (225, 228, 295, 268),
    },
    "motorcycle": {
        "motorcycle": (103, 75, 683, 451),
        "front wheel": (508, 285, 683, 451),
        "rear wheel": (122, 215, 287, 402),
    },
    "street": {
        "left house": (0, 154, 140, 400),
        "middle house": (170, 128, 310, 400),
        "right house": (341, 154, 482, 400),
        "left tree": (109, 234, 198, 411),
        "middle tree": (280, 250, 369, 425),
        "right tree": (450, 234, 512, 411),
        "sun": (386, 43, 464, 121),
    },
}
