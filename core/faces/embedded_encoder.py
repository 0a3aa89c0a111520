"""The embedded encoder's weights: float16 numbers by the name of their layer, and the network that they fill.

A file `.npz` holds an array for every weight, named `layer/number`. Keras is imported when the network is needed.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.faces.types import Floats, Pixels

if TYPE_CHECKING:
    import keras

BATCH = 64


def pack(model: keras.Model) -> bytes:
    """The weights of a network as the bytes of an `.npz` file of float16."""
    arrays = {
        f"{layer.name}/{number}": value.astype(np.float16)
        for layer in model.layers
        for number, value in enumerate(layer.get_weights())
        # The dropout's seed is no weight.
        if np.issubdtype(value.dtype, np.floating)
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def unpack(model: keras.Model, path: Path) -> None:
    """Fill a network with the weights of a file that `pack` made.

    Raises:
        ValueError: If the file has not the weights of this network.
    """
    with np.load(path, allow_pickle=False) as stored:
        for layer in model.layers:
            count = len(layer.weights)
            names = [f"{layer.name}/{number}" for number in range(count)]
            missing = [name for name in names if name not in stored.files]
            if missing:
                raise ValueError(f"{path.name} has no weights {missing[0]!r}: it belongs to another network")
            layer.set_weights([stored[name].astype(np.float32) for name in names])


def load_encoder(path: Path) -> Callable[[Pixels], Floats]:
    """The embedded encoder as a function from crops (N, 64, 64, 3) uint8 to encodings (N, 128) of length one."""
    import tensorflow as tf

    from core.faces.network import INPUT_PX, build_encoder

    model = build_encoder()
    unpack(model, path)
    signature = [tf.TensorSpec((None, INPUT_PX, INPUT_PX, 3), tf.float32)]
    run = tf.function(lambda batch: model(batch, training=False), input_signature=signature)

    def encode(crops: Pixels) -> Floats:
        parts = [
            np.asarray(run(crops[start : start + BATCH].astype(np.float32)), np.float32)
            for start in range(0, len(crops), BATCH)
        ]
        return np.concatenate(parts)

    return encode
