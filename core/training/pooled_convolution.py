"""A convolution and the max-pooling behind it in one piece: the same function, in a form that CPUs compute faster.

Each pooled pixel is the largest of four neighbours, and each neighbour is the product of one kernel with a window
that is moved by a pixel. So one convolution of stride 2 with the kernel in its four places inside a kernel that is
one larger, (f + 1, f + 1, C, 4 n), gives the four neighbours side by side as channels, where their maximum is cheap.
Bias and activation do not change which of them is largest: they follow the maximum, on a quarter of the numbers.

The multiplications are (1 + 1/f)^2 as many. It pays where the picture has few channels: a plain convolution of one to
eight channels leaves the registers of a CPU mostly empty, and four times as many outputs fill them.

Equal neighbours: the first of them has the gradient, as in max-pooling. Where rounding parts neighbours that are
equal in exact arithmetic (a blank background) another may have it, with the same gradient of the kernel.

Arrays: x (N, H, W, C), kernel (f, f, C, n). Imports Keras.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras

MOST_CHANNELS = 8  # of the input: what one AVX register holds


def pooled_convolution(x: Any, kernel: Any, bias: Any | None, activation: Any, padding: str) -> Any:
    """Max-pooling 2 x 2 of a convolution of stride 1, followed by bias and an activation that never falls.

    Args:
        x: (N, H, W, C).
        kernel: (f, f, C, n).
        bias: (n,), or None.
        activation: A function such as ReLU.
        padding: "valid" or "same".

    Returns:
        (N, H', W', n), half of the convolution's height and width; an odd last row or column is left out.
    """
    ops = keras.ops
    if padding == "same":
        around = [((f - 1) // 2, f // 2) for f in kernel.shape[:2]]
        x = ops.pad(x, [(0, 0), *around, (0, 0)])  # (N, H + f - 1, W + f - 1, C)
    places = [ops.pad(kernel, [(i, 1 - i), (j, 1 - j), (0, 0), (0, 0)]) for i in (0, 1) for j in (0, 1)]
    neighbours = ops.conv(x, ops.concatenate(places, axis=3), strides=2, padding="valid")  # (N, H', W', 4 n)
    first, second, third, fourth = ops.split(neighbours, 4, axis=3)
    largest = ops.maximum(ops.maximum(first, second), ops.maximum(third, fourth))  # (N, H', W', n)
    return activation(largest if bias is None else largest + bias)


def pooled_pairs(model: keras.Model) -> tuple[tuple[keras.layers.Conv2D, keras.layers.MaxPooling2D], ...]:
    """The convolutions of few channels whose only follower is a max-pooling 2 x 2: those that can be one piece."""
    # A model inside a model has layers that stand in two graphs: it is left as it is.
    if any(isinstance(layer, keras.Model) for layer in model.layers):
        return ()
    followers: dict[int, list[keras.layers.Layer]] = {}
    for layer in model.layers:
        for tensor in keras.tree.flatten(layer.input):
            followers.setdefault(id(tensor), []).append(layer)
    outputs = {id(tensor) for tensor in model.outputs}
    pairs = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D) and _is_plain(layer) and id(layer.output) not in outputs:
            after = followers.get(id(layer.output), [])
            if len(after) == 1 and isinstance(after[0], keras.layers.MaxPooling2D) and _halves(after[0]):
                pairs.append((layer, after[0]))
    return tuple(pairs)


def _is_plain(layer: keras.layers.Conv2D) -> bool:
    """Whether it is a convolution of stride 1 of few channels, with an activation that keeps the order of numbers."""
    return (
        type(layer) is keras.layers.Conv2D
        and layer.strides == (1, 1)
        and layer.dilation_rate == (1, 1)
        and layer.groups == 1
        and layer.padding in ("valid", "same")
        and layer.data_format == "channels_last"
        and layer.activation in (keras.activations.relu, keras.activations.linear)
        and layer.input.shape[-1] <= MOST_CHANNELS
    )


def _halves(layer: keras.layers.MaxPooling2D) -> bool:
    sizes = layer.pool_size, layer.strides
    return sizes == ((2, 2), (2, 2)) and layer.padding == "valid" and layer.data_format == "channels_last"


@contextmanager
def pooled_convolutions(model: keras.Model) -> Iterator[None]:
    """While this is open, a call of the model computes its `pooled_pairs` in one piece; the model stays as it is.

    To be opened around the tracing of a graph, by the only thread that uses the model.
    """
    with ExitStack() as undo:
        for convolution, pooling in pooled_pairs(model):
            undo.enter_context(_called_as(convolution, _piece(convolution)))
            undo.enter_context(_called_as(pooling, lambda inputs: inputs))
        yield


def _piece(layer: keras.layers.Conv2D) -> Any:
    def call(inputs: Any) -> Any:
        bias = layer.bias if layer.use_bias else None
        return pooled_convolution(inputs, layer.kernel, bias, layer.activation, layer.padding)

    return call


@contextmanager
def _called_as(layer: keras.layers.Layer, call: Any) -> Iterator[None]:
    layer.call = call
    try:
        yield
    finally:
        del layer.call  # the class's own again
