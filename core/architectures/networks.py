"""Opening a network by name or from a `.keras` file, with or without weights, at a chosen input size.

Importing this module imports Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from core.architectures import catalog, loading
from core.architectures.building import build_without_weights
from core.architectures.catalog import APPLICATIONS, CATALOG, OptionValue
from core.architectures.graph import read_graph


class NoFixedInputError(ValueError):
    """A network that leaves the size of its input open, and none was given."""


class WeightsUnavailableError(ValueError):
    """Trained weights were asked for and could not be had."""


@dataclass(frozen=True)
class OpenedNetwork:
    """A Keras model, its label, and which weights it holds ("" where none are allocated)."""

    model: Any
    label: str
    weights: str


def open_shapes(
    network: str | bytes,
    input_shape: tuple[int, int, int] | None = None,
    options: Mapping[str, OptionValue] | None = None,
) -> OpenedNetwork:
    """Opens a network without allocating its weights: for shapes and counts, not to be run.

    Args:
        network: A name of the catalogue or of `keras.applications`, or the bytes of a `.keras` file.
        input_shape: (H, W, channels); the network's own if None.
        options: Choices among the options of a catalogue entry.

    Raises:
        ValueError: If the network cannot be opened, in one sentence.
    """
    if isinstance(network, bytes):
        model = loading.model_without_weights(loading.check_file(network))
        sized = build_without_weights(lambda: _with_input(model, input_shape, copy_weights=False))
        return OpenedNetwork(sized, model.name, "")
    model = build_without_weights(lambda: catalog.build(network, input_shape, options))
    return OpenedNetwork(model, _label(network), "")


def open_runnable(
    network: str | bytes,
    input_shape: tuple[int, int, int] | None = None,
    options: Mapping[str, OptionValue] | None = None,
    weights: str = "random",
    seed: int = 0,
    up_to: str | None = None,
) -> OpenedNetwork:
    """Opens a network with its weights, to be run or exported.

    Args:
        network: A name of the catalogue or of `keras.applications`, or the bytes of a `.keras` file.
        input_shape: (H, W, channels); the network's own if None.
        options: Choices among the options of a catalogue entry.
        weights: "random", or "imagenet" to fetch those of `keras.applications`. A file has its own.
        seed: Seed of a random start.
        up_to: A layer whose output becomes that of the model; of a random start only the weights on the way
            to it are made (VGG-16 without its dense layers takes 59 MB instead of 553).

    Raises:
        WeightsUnavailableError: If there are no such weights or they cannot be fetched.
        ValueError: If the network cannot be opened, in one sentence.
    """
    if isinstance(network, bytes):
        model = loading.model_with_weights(loading.check_file(network))
        model = _with_input(model, input_shape, copy_weights=True)
        return OpenedNetwork(cut_model(model, up_to), model.name, "weights of the file")
    if weights == "imagenet":
        return OpenedNetwork(
            cut_model(_fetched(network, input_shape), up_to), _label(network), "fetched ImageNet weights"
        )
    if weights != "random":
        raise WeightsUnavailableError(f'Weights are "random" or "imagenet"; got {weights!r}.')
    source = f"random initialisation, seed {seed}"
    if up_to is None:
        return OpenedNetwork(catalog.build(network, input_shape, options, seed), _label(network), source)
    whole = build_without_weights(lambda: catalog.build(network, input_shape, options, seed))
    keras.utils.set_random_seed(seed)  # for initialisers that carry no seed of their own
    return OpenedNetwork(keras.models.clone_model(cut_model(whole, up_to)), _label(network), source)


def fixed_input_shape(model: Any) -> tuple[int, ...]:
    """The shape of the model's one input, without the batch axis.

    Raises:
        NoFixedInputError: If the model leaves a side open.
        ValueError: If it has several inputs.
    """
    if len(model.inputs) != 1:
        raise ValueError(f"The model {model.name!r} has {len(model.inputs)} inputs; one image is expected.")
    shape = tuple(model.inputs[0].shape[1:])
    if None in shape:
        written = "x".join("?" if side is None else str(side) for side in shape)
        raise NoFixedInputError(
            f"The model {model.name!r} has no fixed input size ({written}): choose one, such as 224x224x3."
        )
    return shape


def cut_model(model: Any, up_to: str | None) -> Any:
    """The model up to a layer, over the same weights, or the model itself if None.

    Raises:
        ValueError: If there is no such layer.
    """
    if up_to is None:
        return model
    found = next((node for node in read_graph(model) if node.name == up_to), None)
    if found is None or found.parent or not found.first_use:
        raise ValueError(f"The network {model.name!r} has no layer {up_to!r} of its own to look at.")
    inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    return keras.Model(inputs, found.layer.output, name=model.name)


def _with_input(model: Any, input_shape: tuple[int, int, int] | None, copy_weights: bool) -> Any:
    """The model itself if its input has this size, or its layers built anew at this size.

    Raises:
        ValueError: If the size is open and none is given, or the model cannot take it.
    """
    try:
        inputs = model.inputs
    except (ValueError, AttributeError) as error:  # a Sequential model that was never built
        raise NoFixedInputError(
            f"The model {model.name!r} has no fixed input size: it was saved before it was built."
        ) from error
    if input_shape is None or [tuple(tensor.shape[1:]) for tensor in inputs] == [tuple(input_shape)]:
        fixed_input_shape(model)
        return model
    try:
        resized = keras.models.clone_model(model, input_tensors=keras.Input(input_shape, name="image"))
        if copy_weights:
            resized.set_weights(model.get_weights())
    except (ValueError, TypeError) as error:
        shape = "x".join(map(str, input_shape))
        raise ValueError(
            f"The model {model.name!r} cannot take an input of {shape}: {loading.first_sentence(error)}"
        ) from error
    return resized


def _fetched(network: str, input_shape: tuple[int, int, int] | None) -> Any:
    """A network of `keras.applications` with its ImageNet weights."""
    if network not in APPLICATIONS:
        raise WeightsUnavailableError(
            f"There are no trained weights for {_label(network)} here: those of ImageNet belong to the "
            "networks of keras.applications."
        )
    try:
        return getattr(keras.applications, network)(weights="imagenet", input_shape=input_shape)
    except Exception as error:  # Keras raises a bare Exception when it cannot fetch a file
        raise WeightsUnavailableError(
            f"The ImageNet weights of {network} cannot be had now: {loading.first_sentence(error)}"
        ) from error


def _label(network: str) -> str:
    """The label of a name."""
    return CATALOG[network].label if network in CATALOG else network
