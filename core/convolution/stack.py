"""A network as a stack of layers: shape, size, parameters, work and receptive field of each (notes, 1.7).

The stack is data, the report is arithmetic: nothing is built. Shapes are (H, W, C) for volumes and (n,) for
numbers in a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from core.convolution.geometry import FilterTooLarge, axis_padding, output_size, receptive_field
from core.convolution.stack_layers import KINDS, Kind, StackError, StackLayer, layer_names
from core.convolution.stack_presets import (
    NOTES_INPUT,
    NOTES_PRINTED,
    NOTES_SCHEMATIC,
    PRESETS,
    PrintedCount,
    StackPreset,
)
from core.convolution.stack_text import StackFormatError, from_json, keras_code, to_json

__all__ = [
    "KINDS",
    "NOTES_INPUT",
    "NOTES_PRINTED",
    "NOTES_SCHEMATIC",
    "PRESETS",
    "Kind",
    "LayerReport",
    "PrintedCount",
    "StackError",
    "StackFormatError",
    "StackLayer",
    "StackPreset",
    "describe_stack",
    "from_json",
    "keras_code",
    "layer_names",
    "to_json",
]

Shape = tuple[int, ...]

BYTES_PER_NUMBER = 4  # float32


@dataclass(frozen=True)
class LayerReport:
    """What a layer makes of its input and what it costs, for one image.

    Attributes:
        name: as in the notes, such as CONV1, POOL1, FC3, Softmax.
        kind: kind of the layer.
        shape: activation shape, (H, W, C) or (n,).
        size: activation size, numbers in it.
        weights: numbers to learn without the biases.
        biases: one for each filter or unit.
        multiply_adds: products for one image.
        receptive_field: (rows, columns) of the input that one number sees; padding can make it larger than
            the input.
    """

    name: str
    kind: Kind
    shape: Shape
    size: int
    weights: int
    biases: int
    multiply_adds: int
    receptive_field: tuple[int, int]

    @property
    def parameters(self) -> int:
        """All numbers to learn."""
        return self.weights + self.biases

    @property
    def activation_bytes(self) -> int:
        """Memory of the activation as float32."""
        return BYTES_PER_NUMBER * self.size


def describe_stack(input_shape: tuple[int, int, int], layers: Sequence[StackLayer]) -> tuple[LayerReport, ...]:
    """Return the report of every layer, in order, for an input (H, W, C).

    A fully connected layer on a volume flattens it by itself.

    >>> [report.parameters for report in describe_stack((32, 32, 3), NOTES_SCHEMATIC)]
    [608, 0, 3216, 0, 48120, 10164, 850]

    Raises:
        StackError: in one sentence, which layer cannot follow and why.
    """
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise StackError(f"The input must be (H, W, C), each at least 1, received {input_shape}.", None)
    shape: Shape = input_shape
    seen: list[tuple[int, ...]] = []
    field = (1, 1)
    reports = []
    for index, (layer, name) in enumerate(zip(layers, layer_names(layers), strict=True)):
        place = f"Layer {index + 1} ({name})"
        _check_layer(layer, shape, place, index)
        weights = biases = multiply_adds = 0
        if layer.kind in ("conv", "pool_max", "pool_avg"):
            before, _ = axis_padding(shape[0], layer.f, padding=layer.padding, stride=layer.s)
            seen.append((layer.f, layer.s, 1, before))
            size = receptive_field(seen)[-1].size
            field = (size, size)
            height, width = _slid(layer, shape, place, index)
            channels = layer.units if layer.kind == "conv" else shape[2]
            if layer.kind == "conv":
                weights, biases = layer.f**2 * shape[2] * layer.units, layer.units
                multiply_adds = height * width * weights
            shape = (height, width, channels)
        elif layer.kind == "flatten":
            shape = (prod(shape),)
        else:
            weights, biases = prod(shape) * layer.units, layer.units
            multiply_adds = weights
            field = input_shape[:2]
            shape = (layer.units,)
        reports.append(LayerReport(name, layer.kind, shape, prod(shape), weights, biases, multiply_adds, field))
    return tuple(reports)


def _check_layer(layer: StackLayer, shape: Shape, place: str, index: int) -> None:
    if layer.kind not in KINDS:
        raise StackError(f"{place}: there is no kind of layer called {layer.kind!r}.", index)
    if layer.kind in ("conv", "dense", "softmax") and layer.units < 1:
        raise StackError(f"{place} needs at least one filter or unit, received {layer.units}.", index)
    if layer.kind not in ("conv", "pool_max", "pool_avg"):
        return
    if len(shape) == 1:
        what = "A convolution" if layer.kind == "conv" else "Pooling"
        raise StackError(
            f"{place}: {what.lower()} needs a volume (H, W, C), but the layer before it gives {shape[0]} "
            "numbers in a row, without height and width.",
            index,
        )
    if layer.f < 1 or layer.s < 1:
        raise StackError(f"{place}: f and s must be at least 1, received {layer.f} and {layer.s}.", index)
    if layer.padding not in ("valid", "same") and (isinstance(layer.padding, str) or layer.padding < 0):
        raise StackError(f"{place}: the padding must be valid, same or 0 and more, received {layer.padding!r}.", index)
    if layer.kind != "conv" and layer.padding not in ("valid", "same", 0):
        raise StackError(f"{place}: pooling takes valid or same, not a padding of {layer.padding}.", index)


def _slid(layer: StackLayer, shape: Shape, place: str, index: int) -> tuple[int, int]:
    """Return (H', W') of a convolution or pooling layer, or say that its filter does not fit."""
    try:
        height, width = (output_size(n, layer.f, padding=layer.padding, stride=layer.s) for n in shape[:2])
    except FilterTooLarge:
        what = "filter" if layer.kind == "conv" else "window"
        padded = [n + sum(axis_padding(n, layer.f, padding=layer.padding, stride=layer.s)) for n in shape[:2]]
        with_padding = " with its padding" if padded != list(shape[:2]) else ""
        raise StackError(
            f"{place}: the {layer.f} x {layer.f} {what} is larger than its input, which is {padded[0]} x "
            f"{padded[1]}{with_padding}.",
            index,
        ) from None
    return height, width
