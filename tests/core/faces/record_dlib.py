"""Records what dlib itself makes of seeded crops: the reference of the Keras network.

    python tests/core/faces/record_dlib.py MODEL.dat OUT.npz

Runs where dlib is installed (`pip install dlib`, which compiles it); the project itself needs no dlib. The crops are
made of seeded noise, of drawn shapes and of plain cuts of the sample photographs that scikit-image carries, so that
the test makes the very same bytes again.
"""

import sys
from pathlib import Path

import numpy as np

SIDE_PX = 150


def crops() -> dict[str, np.ndarray]:
    """The crops (150, 150, 3) uint8 RGB by name; nothing but NumPy and photographs is used."""
    from skimage import data

    rng = np.random.default_rng(2017)
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX]
    face = np.full((SIDE_PX, SIDE_PX, 3), (200, 160, 130), np.uint8)
    for left, top, wide, high, colour in (
        (47, 46, 9, 6, (40, 30, 30)),
        (100, 46, 9, 6, (40, 30, 30)),
        (74, 77, 6, 14, (170, 120, 100)),
        (74, 105, 24, 6, (150, 40, 50)),
    ):
        face[((x - left) / wide) ** 2 + ((y - top) / high) ** 2 <= 1] = colour
    astronaut, cat, coffee = data.astronaut(), data.chelsea(), data.coffee()
    return {
        "noise": rng.integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8),
        "coarse noise": np.kron(rng.integers(0, 256, (15, 15, 3), np.uint8), np.ones((10, 10, 1), np.uint8)),
        "ramp": np.stack([x * 255 // 149, y * 255 // 149, (x + y) * 255 // 298], axis=2).astype(np.uint8),
        "black": np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8),
        "drawn face": face,
        "astronaut": np.ascontiguousarray(astronaut[45:195, 150:300]),
        "astronaut, closer": np.ascontiguousarray(np.repeat(np.repeat(astronaut[80:155, 187:262], 2, 0), 2, 1)),
        "cat": np.ascontiguousarray(cat[60:210, 140:290]),
        "coffee": np.ascontiguousarray(coffee[100:250, 200:350]),
    }


def main() -> None:
    """Write names and dlib's encodings."""
    import dlib

    network = dlib.face_recognition_model_v1(sys.argv[1])
    made = crops()
    encodings = [np.array(network.compute_face_descriptor(crop), np.float64) for crop in made.values()]
    np.savez(Path(sys.argv[2]), names=np.array(list(made)), encodings=np.stack(encodings).astype(np.float32))


if __name__ == "__main__":
    main()
