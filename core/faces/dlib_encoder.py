"""Running dlib's face network: aligned crops of 150 x 150 to encodings, in one compiled function.

The weights lie in the package `face-recognition-models`, which is found without importing it. TensorFlow and Keras are
imported when the network is first needed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.faces.types import Floats, Pixels
from core.runtime import weights

WEIGHTS = "dlib_face"
BATCH = 32


@lru_cache(maxsize=2)
def _network(path: Path) -> Callable[[Floats], Floats]:
    import tensorflow as tf

    from core.faces.dlib_network import INPUT_PX, build_dlib_network, load_dlib_weights

    model = build_dlib_network()
    load_dlib_weights(model, path)
    signature = [tf.TensorSpec((None, INPUT_PX, INPUT_PX, 3), tf.float32)]
    run = tf.function(lambda batch: model(batch, training=False), input_signature=signature)
    return lambda batch: np.asarray(run(batch), np.float32)


def encode_aligned(crops: Pixels, path: Path | None = None) -> Floats:
    """Dlib's own encodings (N, 128) of crops (N, 150, 150, 3) RGB.

    Raises:
        WeightsError: If the package is not installed or its file is another one.
        DlibFormatError: If the file at `path` is no such network.
    """
    run = _network(path or weights.require(WEIGHTS))
    parts = [run(crops[start : start + BATCH].astype(np.float32)) for start in range(0, len(crops), BATCH)]
    return np.concatenate(parts) if parts else np.zeros((0, 128), np.float32)
