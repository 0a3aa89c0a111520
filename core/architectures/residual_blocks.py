"""Residual blocks on their own: their layers and shapes, and that a block of zeros is the identity.

Source: He et al., 2015, "Deep residual learning for image recognition", section 3.1 and figures 2 and 5.
Arrays are maps (H, W, C) float32. Light: Keras is imported where a block is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.architectures.summary import ModelSummary, summarise_model

KINDS = ("basic", "bottleneck")


@dataclass(frozen=True)
class ZeroedBlock:
    """What a block whose convolutions are all zero makes of its input.

    `residual_difference` is the largest |output - input| of the block with its shortcut, for an input that
    comes out of a ReLU, and so is nowhere negative; `plain_output` is the largest |output| of the same
    layers without it; `negative_difference` is the residual block's difference for an input with negative
    values, which its last ReLU takes away.
    """

    kind: str
    shape: tuple[int, int, int]
    zeroed_layers: tuple[str, ...]
    residual_difference: float
    plain_output: float
    negative_difference: float


def block_summary(
    kind: str = "bottleneck",
    width: int = 64,
    input_shape: tuple[int, int, int] = (56, 56, 256),
    strides: int = 1,
    shortcuts: str = "B",
) -> ModelSummary:
    """The layers of one block with their shapes.

    It is the identity block, or the convolution block where strides or channels change the shape.

    Args:
        kind: "basic" or "bottleneck".
        width: Channels of the inner convolutions; a bottleneck puts out four times as many.
        input_shape: (H, W, C).
        strides: 1 or 2.
        shortcuts: "A", "B" or "C".

    Raises:
        ValueError: If there is no such kind, or a size is out of range.
    """
    _check(kind, width, input_shape)
    if strides not in (1, 2):
        raise ValueError(f"A block's stride is 1 or 2; got {strides}.")
    if shortcuts not in ("A", "B", "C"):
        raise ValueError(f'The shortcut options are "A", "B" and "C"; got {shortcuts!r}.')
    channels = width * (4 if kind == "bottleneck" else 1)
    if shortcuts == "A" and channels < input_shape[2]:
        raise ValueError(
            f"Shortcut A adds channels of zeros and cannot take {input_shape[2]} channels down to {channels}."
        )
    identity = strides == 1 and channels == input_shape[2] and shortcuts != "C"
    from core.architectures.building import build_without_weights

    model = build_without_weights(lambda: _block(kind, width, input_shape, strides, shortcuts, 0))
    return summarise_model(model, "identity block" if identity else "convolution block")


def zero_block(
    kind: str = "bottleneck", width: int = 64, height: int = 14, columns: int = 14, seed: int = 0
) -> ZeroedBlock:
    """Sets all convolutions of an identity block to zero and compares its output with its input.

    Args:
        kind: "basic" or "bottleneck".
        width: Channels of the inner convolutions.
        height: Rows of the maps.
        columns: Columns of the maps.
        seed: Seed of the random input.

    Raises:
        ValueError: If there is no such kind, or a size is out of range.
    """
    shape = (height, columns, width * (4 if kind == "bottleneck" else 1))
    _check(kind, width, shape)
    signed = np.random.default_rng(seed).standard_normal((1, *shape), np.float32)
    positive = np.maximum(signed, 0.0)
    residual, plain = (_block(kind, width, shape, 1, shortcuts, seed) for shortcuts in ("B", None))
    zeroed = [_zero(model) for model in (residual, plain)]
    return ZeroedBlock(
        kind,
        shape,
        zeroed[0],
        _largest(residual(positive, training=False) - positive),
        _largest(plain(positive, training=False)),
        _largest(residual(signed, training=False) - signed),
    )


def _block(kind: str, width: int, shape: tuple[int, int, int], strides: int, shortcuts: str | None, seed: int) -> Any:
    """A model of one block."""
    import keras

    from core.architectures.building import LayerMaker
    from core.architectures.resnet import residual_block

    net = LayerMaker(seed, "float32", "he_normal", use_bias=False, epsilon=1e-5)
    inputs = keras.Input(shape, name="input")
    return keras.Model(inputs, residual_block(net, inputs, width, "block", kind, strides, shortcuts))


def _zero(model: Any) -> tuple[str, ...]:
    """Sets the kernels of the convolutions to zero and gives their names."""
    convolutions = [layer for layer in model.layers if type(layer).__name__ == "Conv2D"]
    for layer in convolutions:
        layer.set_weights([np.zeros_like(weights) for weights in layer.get_weights()])
    return tuple(layer.name for layer in convolutions)


def _largest(values: Any) -> float:
    """The largest absolute value."""
    array: npt.NDArray[np.float32] = np.asarray(values, np.float32)
    return float(np.abs(array).max())


def _check(kind: str, width: int, shape: tuple[int, int, int]) -> None:
    """Raises ValueError unless the block can be built."""
    if kind not in KINDS:
        raise ValueError(f'A block is "basic" or "bottleneck"; got {kind!r}.')
    if width < 1 or len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"Widths and sides are at least 1; got a width of {width} and maps of {shape}.")
    if shape[0] * shape[1] * shape[2] > 50 * 10**6:
        raise ValueError(f"Maps of up to 50 million values are tried; {shape} are more.")
