"""The chapter's door: what pages ask of the workers; plain arguments in, frozen dataclasses back.

Keras and TensorFlow are imported inside the functions. A network is named by its name in the catalogue or in
`keras.applications`, or given as the bytes of a `.keras` file; `input_shape` is (H, W, channels), the network's own if
None, and `options` are choices among the options of a catalogue entry. Every error that a person can act on is a
ValueError of one sentence. `report` is filled in by the engine in a job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from core.architectures import catalog
from core.architectures.activations import LayerActivations
from core.architectures.catalog_types import CatalogEntry, OptionValue
from core.architectures.gradient_flow import GradientFlow, GradientFlowSettings
from core.architectures.one_by_one import BottleneckCost, OneByOneEquivalence
from core.architectures.residual_blocks import ZeroedBlock
from core.architectures.side_outputs import SideOutputGradients
from core.architectures.summary import ModelSummary
from core.runtime.report import Report

MAX_COMPARED = 4


@dataclass(frozen=True)
class ComparedNetwork:
    """One of several networks side by side: its totals, and its entry if it is of the catalogue."""

    label: str
    entry: CatalogEntry | None
    summary: ModelSummary


@dataclass(frozen=True)
class ExportedModel:
    """A network as a file: its bytes, a name for it, and which weights are in it."""

    content: bytes
    file_name: str
    weights: str


def summarise(
    network: str | bytes,
    input_shape: tuple[int, int, int] | None = None,
    options: Mapping[str, OptionValue] | None = None,
) -> ModelSummary:
    """Summarises a network layer by layer without allocating its weights."""
    from core.architectures.networks import open_shapes
    from core.architectures.summary import summarise_model

    opened = open_shapes(network, input_shape, options)
    return summarise_model(opened.model, opened.label)


def compare(networks: Sequence[tuple[str | bytes, Mapping[str, OptionValue]]]) -> tuple[ComparedNetwork, ...]:
    """Summarises two to four networks, each given with its options, at their own input sizes.

    Raises:
        ValueError: If there are not two to four, or one cannot be opened.
    """
    if not 2 <= len(networks) <= MAX_COMPARED:
        raise ValueError(f"Two to {MAX_COMPARED} networks are compared; got {len(networks)}.")
    compared = []
    for network, options in networks:
        summary = summarise(network, None, options or None)
        entry = None if isinstance(network, bytes) else catalog.CATALOG.get(network)
        compared.append(ComparedNetwork(summary.name, entry, summary))
    return tuple(compared)


def layer_activations(
    network: str | bytes,
    layer: str,
    pixels: npt.NDArray[np.uint8],
    input_shape: tuple[int, int, int] | None = None,
    options: Mapping[str, OptionValue] | None = None,
    weights: Literal["random", "imagenet"] = "random",
    seed: int = 0,
) -> LayerActivations:
    """Shows a picture, RGB uint8 (H, W, 3) of any size, to a network and gives a layer's maps.

    Of a random start only the weights on the way to the layer are made.
    """
    from core.architectures.activations import layer_maps, prepare_image, preprocessing_of
    from core.architectures.networks import fixed_input_shape, open_runnable

    opened = open_runnable(network, input_shape, options, weights, seed, up_to=layer)
    shape = fixed_input_shape(opened.model)
    resized, batch = prepare_image(pixels, shape, preprocessing_of(network))
    return LayerActivations(layer, layer_maps(opened.model, layer, batch), resized, opened.label, opened.weights)


def export_model(
    network: str | bytes,
    file_format: Literal["keras", "onnx"],
    input_shape: tuple[int, int, int] | None = None,
    options: Mapping[str, OptionValue] | None = None,
    weights: Literal["random", "imagenet"] = "random",
    seed: int = 0,
) -> ExportedModel:
    """Writes a network with its weights as a `.keras` or ONNX file.

    Raises:
        ValueError: If the network or its weights cannot be had, or the format cannot express it.
    """
    from core.architectures.export import keras_bytes, onnx_bytes
    from core.architectures.networks import open_runnable

    if file_format not in ("keras", "onnx"):
        raise ValueError(f'A network is exported as "keras" or "onnx"; got {file_format!r}.')
    opened = open_runnable(network, input_shape, options, weights, seed)
    content = keras_bytes(opened.model) if file_format == "keras" else onnx_bytes(opened.model)
    return ExportedModel(content, f"{opened.model.name}.{file_format}", opened.weights)


def gradient_flow(settings: GradientFlowSettings, report: Report | None = None) -> GradientFlow:
    """Trains a plain and a residual network side by side; see `core.architectures.gradient_flow`."""
    from core.architectures import gradient_flow as experiment

    return experiment.gradient_flow(settings, report)


def residual_block_summary(
    kind: Literal["basic", "bottleneck"] = "bottleneck",
    width: int = 64,
    input_shape: tuple[int, int, int] = (56, 56, 256),
    strides: int = 1,
    shortcuts: Literal["A", "B", "C"] = "B",
) -> ModelSummary:
    """The layers of an identity block or a convolution block; which of them it is stands in the summary's name."""
    from core.architectures.residual_blocks import block_summary

    return block_summary(kind, width, input_shape, strides, shortcuts)


def zero_block_identity(
    kind: Literal["basic", "bottleneck"] = "bottleneck",
    width: int = 64,
    height: int = 14,
    columns: int = 14,
    seed: int = 0,
) -> ZeroedBlock:
    """Sets a block's convolutions to zero and measures how far it is from the identity."""
    from core.architectures.residual_blocks import zero_block

    return zero_block(kind, width, height, columns, seed)


def inception_module_summary(
    widths: tuple[int, int, int, int, int, int] = (64, 96, 128, 16, 32, 32),
    input_shape: tuple[int, int, int] = (28, 28, 192),
) -> ModelSummary:
    """The branches of one Inception module with their shapes.

    Args:
        widths: Channels of 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5 and pool projection (module 3a by default).
        input_shape: (H, W, C).

    Raises:
        ValueError: If a width or side is under 1.
    """
    from core.architectures.inception import module_summary

    return module_summary(widths, input_shape)


def inception_cost(
    height: int = 28,
    width: int = 28,
    channels: int = 192,
    filters: int = 32,
    size: int = 5,
    reduced: int = 16,
    measure: bool = True,
) -> BottleneckCost:
    """Counts, and if asked to measures, a convolution with and without a 1 x 1 bottleneck.

    Raises:
        ValueError: If a size is under 1, or too large to be measured.
    """
    from core.architectures.one_by_one import count_bottleneck, measure_bottleneck

    cost = count_bottleneck(height, width, channels, filters, size, reduced)
    return measure_bottleneck(cost) if measure else cost


def one_by_one_equivalence(maps: npt.NDArray[np.float32], filters: int, seed: int = 0) -> OneByOneEquivalence:
    """Compares a 1 x 1 convolution with a dense layer at each pixel of maps (H, W, C)."""
    from core.architectures import one_by_one

    return one_by_one.one_by_one_equivalence(maps, filters, seed)


def side_output_gradients(
    repeats: int = 5, weight: float = 0.3, batch_size: int = 32, seed: int = 0, report: Report | None = None
) -> SideOutputGradients:
    """Measures the gradients of a small GoogLeNet with and without side outputs; see `side_outputs`."""
    from core.architectures import side_outputs

    return side_outputs.side_output_gradients(repeats, weight, batch_size, seed, report)
