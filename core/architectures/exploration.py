"""A network opened to be looked at: its summary, and the shape of every weight, so that counts can be followed.

A layer's parameters are the sum over its weights of the product of each one's sides: 3 · 3 · 64 · 128 for a
kernel, 128 for its bias. Light: Keras is imported where a network is opened.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.architectures.catalog_types import CatalogEntry, OptionValue, PublishedCount
from core.architectures.summary import LayerSummary, ModelSummary


@dataclass(frozen=True)
class WeightShape:
    """One weight of a layer: its name there, its sides, and whether training changes it."""

    name: str
    shape: tuple[int, ...]
    trainable: bool

    @property
    def size(self) -> int:
        """How many numbers it holds.

        >>> WeightShape("kernel", (3, 3, 64, 128), True).size
        73728
        """
        return math.prod(self.shape)


@dataclass(frozen=True)
class ExploredNetwork:
    """A network's summary, and the weights of its layers by the layers' names in it.

    Layers without weights are not listed, nor are those that share the weights of a layer further up.
    """

    summary: ModelSummary
    weights: Mapping[str, tuple[WeightShape, ...]]


def explore(
    network: str | bytes,
    input_shape: tuple[int, int, int] | None = None,
    options: Mapping[str, OptionValue] | None = None,
) -> ExploredNetwork:
    """Opens a network without allocating its weights and lists its layers and their weights.

    Args:
        network: A name of the catalogue or of `keras.applications`, or the bytes of a `.keras` file.
        input_shape: (H, W, channels); the network's own if None.
        options: Choices among the options of a catalogue entry.

    Raises:
        ValueError: If the network cannot be opened, in one sentence.
    """
    from core.architectures.networks import open_shapes
    from core.architectures.summary import summarise_model

    opened = open_shapes(network, input_shape, options)
    return ExploredNetwork(summarise_model(opened.model, opened.label), weight_shapes(opened.model))


def code(
    network: str | bytes,
    input_shape: tuple[int, int, int] | None = None,
    options: Mapping[str, OptionValue] | None = None,
) -> str:
    """A network as a program in Keras, a line a layer; the arguments are those of `explore`.

    Raises:
        ValueError: If the network cannot be opened or has no short program, in one sentence.
    """
    from core.architectures.keras_code import keras_code
    from core.architectures.networks import open_shapes

    return keras_code(open_shapes(network, input_shape, options).model)


def weight_shapes(model: Any) -> dict[str, tuple[WeightShape, ...]]:
    """The weights of every layer of a Functional or Sequential Keras model.

    Raises:
        UnreadableModelError: If the model's layers cannot be listed.
    """
    from core.architectures.graph import read_graph

    listed: dict[str, tuple[WeightShape, ...]] = {}
    for node in read_graph(model):
        variables = getattr(node.layer, "weights", [])
        if node.first_use and variables:
            trainable = {id(variable) for variable in node.layer.trainable_weights}
            listed[node.name] = tuple(
                WeightShape(v.name, tuple(int(side) for side in v.shape), id(v) in trainable) for v in variables
            )
    return listed


def multiply_add_factors(
    layer: LayerSummary, inputs: Sequence[LayerSummary], weights: Sequence[WeightShape]
) -> tuple[int, ...] | None:
    """A layer's multiply-adds as a product of sides, or None where they are no single product.

    A convolution uses its kernel once at each place of its output, a dense layer once at each place of its
    input but the last axis.

    Args:
        layer: The layer.
        inputs: The layers that feed it.
        weights: Its weights; the first is the kernel.
    """
    if not layer.multiply_adds or not weights or None in layer.output_shape:
        return None
    kernel = weights[0].shape
    outer = layer.output_shape[:-1]
    for places in (outer, *(one.output_shape[:-1] for one in inputs)):
        factors = tuple(int(side) for side in places if side is not None) + kernel
        if math.prod(factors) == layer.multiply_adds:
            return factors
    return None


def published_count(network: CatalogEntry, options: Mapping[str, OptionValue]) -> PublishedCount | None:
    """The published count that holds for these options, or None if none does.

    >>> from core.architectures.catalog import entry
    >>> published_count(entry("alexnet"), {"grouped": False}).parameters
    62378344
    """
    defaults = {option.name: option.default for option in network.options}
    for known in network.published:
        if {**defaults, **known.options} == {**defaults, **options}:
            return known
    return None
