"""What each type of layer costs and how far it sees: multiply-adds and receptive fields by class.

Multiply-adds are the products of convolutions and dense layers for one image; adding biases, activations,
pooling and normalisation are not counted, as papers do. A type without a rule gives no number but a reason.

Light: it looks at class names and attributes and imports neither Keras nor TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from core.architectures.receptive_field import (
    NoCommonFieldError,
    ReceptiveField,
    collapse,
    merge,
    pixel_field,
    same_padding_before,
    slide,
)

Shape = tuple[int | None, ...]

NORMALISATIONS = {
    "BatchNormalization",
    "LayerNormalization",
    "RMSNormalization",
    "LocalResponseNormalization",
    "Normalization",
    "UnitNormalization",
    "LayerScale",
}
_POINTWISE = NORMALISATIONS | {
    *("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "ScaledTanh", "Rescaling", "ActivityRegularization"),
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout", "Identity"),
    *("GaussianNoise", "GaussianDropout", "StochasticDepth", "Masking"),
    # Operations of keras.ops as they stand in a graph.
    *(
        "Relu",
        "Relu6",
        "Sigmoid",
        "HardSigmoid",
        "Silu",
        "HardSilu",
        "Gelu",
        "Tanh",
        "Exp",
        "Log",
        "Negative",
    ),
    *("Square", "Sqrt", "Absolute", "Clip", "Cast", "LeakyRelu", "Elu", "Selu", "Softplus", "Softsign"),
}
_MERGES = {
    *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Divide", "TrueDivide", "Power"),
    "CustomScaleLayer",  # x + scale * y, of keras.applications' InceptionResNetV2
}
_CONVOLUTIONS = {"Conv1D", "Conv2D", "Conv3D"}
_DEPTHWISE = {"DepthwiseConv1D", "DepthwiseConv2D"}
_SEPARABLE = {"SeparableConv1D", "SeparableConv2D"}
_TRANSPOSED = {"Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"}
_POOLINGS = {f"{kind}Pooling{n}D" for kind in ("Max", "Average") for n in (1, 2, 3)}
_GLOBAL_POOLINGS = {f"Global{kind}Pooling{n}D" for kind in ("Max", "Average") for n in (1, 2, 3)}
_PADDINGS = {f"ZeroPadding{n}D" for n in (1, 2, 3)}
_CROPPINGS = {f"Cropping{n}D" for n in (1, 2, 3)}
_UPSAMPLINGS = {f"UpSampling{n}D" for n in (1, 2, 3)}
_FREE = (
    _POINTWISE
    | _MERGES
    | _POOLINGS
    | _GLOBAL_POOLINGS
    | _PADDINGS
    | _CROPPINGS
    | _UPSAMPLINGS
    | {"InputLayer", "Concatenate", "Flatten", "Reshape", "Permute", "RepeatVector", "Softmax"}
    | {"GroupNormalization", "TrainableSubsampling", "PaddedShortcut", "Squeeze", "ExpandDims", "GetItem"}
)


class NoRuleError(ValueError):
    """There is no rule for a layer of this type or with these settings; the message says why."""


def multiply_adds(layer: Any, input_shapes: Sequence[Shape], output_shape: Shape) -> int:
    """The multiply-adds of one application of a layer to one image.

    Shapes have no batch axis.

    Raises:
        NoRuleError: If there is no rule for the layer's type, or a side of the shapes is not known.
    """
    kind = type(layer).__name__
    if kind in _FREE:
        return 0
    if None in output_shape or any(None in shape for shape in input_shapes):
        raise NoRuleError("a side of the input is not fixed")
    if kind in _CONVOLUTIONS | _DEPTHWISE | _SEPARABLE | _TRANSPOSED:
        return _convolution_products(layer, kind, input_shapes[0], output_shape)
    outputs = math.prod(side for side in output_shape if side is not None)
    features = input_shapes[0][-1] or 0 if input_shapes else 0
    if kind == "Dense":
        return outputs * features
    if kind == "EuclideanRBF":
        return outputs * features
    if kind == "ConnectionTableConv2D":
        return outputs // len(layer.connections) * int(layer.kernel_size) ** 2 * int(layer.pairs)
    raise NoRuleError(f"layers of type {kind} are not counted")


def receptive_field(
    layer: Any, inbound: Sequence[ReceptiveField], input_shapes: Sequence[Shape], output_shape: Shape
) -> ReceptiveField:
    """The receptive field of a layer's units, from the fields of the layers that feed it.

    Raises:
        NoRuleError: If there is no rule for the layer's type or settings.
    """
    kind = type(layer).__name__
    if kind == "InputLayer":
        if len(output_shape) < 2:
            raise NoRuleError("the input has no rows and columns")
        return pixel_field(len(output_shape) - 1)
    if not inbound:
        raise NoRuleError(f"{kind} has no input")
    field, shape = inbound[0], input_shapes[0]
    units = shape[: len(field.size)]
    if getattr(layer, "data_format", "channels_last") == "channels_first":
        raise NoRuleError("channels come before rows and columns")
    spatial = len(shape) == len(field.size) + 1
    if kind in _POINTWISE | {"Softmax", "Concatenate"}:
        _check_last_axis(layer, kind, shape)
    if kind in _POINTWISE | {"Softmax", "Dense", "EuclideanRBF"}:
        return field
    if kind in _MERGES | {"Concatenate"}:
        return _merged(inbound, input_shapes)
    if kind in _GLOBAL_POOLINGS | {"GroupNormalization", "Flatten"}:
        return collapse(field, _known(units)) if spatial else field
    if kind == "Reshape":
        if field.stride == (0,) * len(field.stride):
            return field
        if math.prod(_known(units)) == 1:
            return collapse(field, _known(units))
        raise NoRuleError("a reshaped map has no rows and columns to follow")
    if not spatial:
        raise NoRuleError(f"{kind} is applied to something without rows and columns")
    return _slid(layer, kind, field, units)


def _slid(layer: Any, kind: str, field: ReceptiveField, units: Sequence[int | None]) -> ReceptiveField:
    """The field after a layer that slides a window, pads or crops."""
    axes = len(field.size)
    one, none = (1,) * axes, (0,) * axes
    if kind in _CONVOLUTIONS | _DEPTHWISE | _SEPARABLE | _POOLINGS:
        pooling = kind in _POOLINGS
        kernel = _per_axis(layer.pool_size if pooling else layer.kernel_size, axes)
        strides = _per_axis(layer.strides, axes)
        dilation = one if pooling else _per_axis(layer.dilation_rate, axes)
        return slide(field, kernel, strides, dilation, _before(layer.padding, units, kernel, strides, dilation))
    if kind == "ConnectionTableConv2D":
        return slide(field, (layer.kernel_size,) * axes, one, one, none)
    if kind == "TrainableSubsampling":
        return slide(field, (layer.size,) * axes, (layer.size,) * axes, one, none)
    if kind == "PaddedShortcut":
        return slide(field, one, (layer.stride,) * axes, one, none)
    if kind in _PADDINGS:
        return slide(field, one, one, one, _sides_before(layer.padding, axes))
    if kind in _CROPPINGS:
        return slide(field, one, one, one, [-side for side in _sides_before(layer.cropping, axes)])
    if kind in _UPSAMPLINGS | _TRANSPOSED:
        raise NoRuleError("after upsampling the field differs from unit to unit")
    raise NoRuleError(f"layers of type {kind} have no rule")


def _convolution_products(layer: Any, kind: str, input_shape: Shape, output_shape: Shape) -> int:
    """Products of a convolution: positions times the kernel's size times the pairs of channels."""
    first = layer.data_format == "channels_first"
    inputs, outputs = _split(input_shape, first), _split(output_shape, first)
    window = math.prod(int(side) for side in layer.kernel_size)
    positions = math.prod(outputs[0])
    if kind in _TRANSPOSED:
        # Each input value is spread over a window of each output map.
        return math.prod(inputs[0]) * window * inputs[1] * outputs[1]
    if kind in _CONVOLUTIONS:
        return positions * window * (inputs[1] // int(layer.groups)) * outputs[1]
    depthwise = positions * window * inputs[1] * int(layer.depth_multiplier)
    if kind in _DEPTHWISE:
        return depthwise
    return depthwise + positions * inputs[1] * int(layer.depth_multiplier) * outputs[1]


def _split(shape: Shape, channels_first: bool) -> tuple[tuple[int, ...], int]:
    """The sides of a map, and its channels."""
    known = _known(shape)
    return (known[1:], known[0]) if channels_first else (known[:-1], known[-1])


def _merged(inbound: Sequence[ReceptiveField], input_shapes: Sequence[Shape]) -> ReceptiveField:
    """The common field of branches of which the largest map decides the units."""
    largest = max(input_shapes, key=lambda shape: math.prod(side or 1 for side in shape[:-1]))
    units = largest[: len(inbound[0].size)]
    if len({field.stride for field in inbound}) > 1:
        units = _known(units)
    try:
        return merge(inbound, [side or 0 for side in units])
    except NoCommonFieldError as error:
        raise NoRuleError(str(error)) from error


def _before(
    padding: str,
    units: Sequence[int | None],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
) -> list[int]:
    """The units of padding before the first, per axis."""
    if padding == "valid":
        return [0] * len(kernel)
    if padding == "causal":
        return [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    known = _known(units)
    return [same_padding_before(n, k, s, d) for n, k, s, d in zip(known, kernel, strides, dilation, strict=True)]


def _sides_before(sides: Any, axes: int) -> list[int]:
    """The first of (before, after) of each axis; Keras gives one-dimensional layers a flat pair."""
    pairs = [sides] if axes == 1 and not isinstance(sides[0], (tuple, list)) else sides
    return [int(pair[0]) for pair in pairs]


def _check_last_axis(layer: Any, kind: str, shape: Shape) -> None:
    """Raises NoRuleError if a layer that joins values along an axis joins rows or columns."""
    axis = getattr(layer, "axis", -1)
    for one in axis if isinstance(axis, (tuple, list)) else [axis]:
        if one is not None and one not in (-1, len(shape)):
            raise NoRuleError(f"{kind} works along axis {one}, which is not the channels")


def _per_axis(value: Any, axes: int) -> tuple[int, ...]:
    """One value an axis, from a number or a sequence."""
    return (int(value),) * axes if isinstance(value, int) else tuple(int(one) for one in value)


def _known(sides: Sequence[int | None]) -> tuple[int, ...]:
    """The sides, all known.

    Raises:
        NoRuleError: If one is not.
    """
    known = tuple(side for side in sides if side is not None)
    if len(known) < len(sides):
        raise NoRuleError("a side of the input is not fixed")
    return known
