"""The catalogue of networks: looking an entry up, choosing its options, building it.

The entries are in `catalog_entries`: a new network is one entry there and one builder. Light: importing
this module imports neither Keras nor TensorFlow; `build` does when it is called.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from core.architectures.catalog_entries import APPLICATIONS, ENTRIES
from core.architectures.catalog_types import (
    CatalogEntry,
    Option,
    OptionValue,
    Paper,
    PublishedCount,
    ReportedError,
)

__all__ = [
    "APPLICATIONS",
    "CATALOG",
    "CatalogEntry",
    "Option",
    "OptionValue",
    "Paper",
    "PublishedCount",
    "ReportedError",
    "UnknownNetworkError",
    "build",
    "check_name",
    "chosen_options",
    "entry",
]

CATALOG: dict[str, CatalogEntry] = {entry.name: entry for entry in ENTRIES}


class UnknownNetworkError(ValueError):
    """A name that is neither in the catalogue nor in `keras.applications`, or an option not offered."""


def entry(name: str) -> CatalogEntry:
    """The entry of a network of the catalogue.

    Raises:
        UnknownNetworkError: If the catalogue has no such network.

    >>> entry("vgg16").published[0].parameters
    138357544
    """
    if name not in CATALOG:
        raise UnknownNetworkError(f"The catalogue has no network {name!r}; it has {', '.join(CATALOG)}.")
    return CATALOG[name]


def check_name(name: str) -> None:
    """Raises UnknownNetworkError if neither the catalogue nor `keras.applications` has the name."""
    if name not in CATALOG and name not in APPLICATIONS:
        known = ", ".join(CATALOG)
        raise UnknownNetworkError(
            f"There is no network {name!r}; there are {known}, and those of keras.applications by name."
        )


def chosen_options(network: CatalogEntry, options: Mapping[str, OptionValue] | None) -> dict[str, OptionValue]:
    """The entry's options with the choices made, defaults where none was.

    Raises:
        UnknownNetworkError: If an option or its value is not offered.

    >>> chosen_options(entry("alexnet"), {"grouped": False})
    {'grouped': False}
    """
    chosen = {option.name: option.default for option in network.options}
    offered = {option.name: [value for value, _ in option.choices] for option in network.options}
    for name, value in (options or {}).items():
        if name not in offered:
            names = ", ".join(offered) or "none"
            raise UnknownNetworkError(f"{network.label} has no option {name!r}; its options: {names}.")
        if value not in offered[name]:
            values = ", ".join(map(str, offered[name]))
            raise UnknownNetworkError(f"{network.label} offers {values} for {name!r}; got {value!r}.")
        chosen[name] = value
    return chosen


def build(
    name: str,
    input_shape: tuple[int, int, int] | None = None,
    options: Mapping[str, OptionValue] | None = None,
    seed: int = 0,
) -> Any:
    """Builds a network of the catalogue, or of `keras.applications` by its name there, with random weights.

    Args:
        name: A name of `CATALOG` or `APPLICATIONS`.
        input_shape: (H, W, channels); the paper's, or Keras' default, if None.
        options: Choices among the entry's options.
        seed: Seed of the random start.

    Returns:
        A Keras model.

    Raises:
        UnknownNetworkError: If the name or an option is not known.
        ValueError: If the network cannot be built for an input of this size.
    """
    if name in APPLICATIONS:
        if options:
            raise UnknownNetworkError(f"{name} of keras.applications has no options here.")
        return _build_application(name, input_shape, seed)
    check_name(name)
    network = CATALOG[name]
    arguments = {**network.arguments, **chosen_options(network, options)}
    shape = tuple(input_shape or network.input_shape)
    _check_size(network.label, shape, network.smallest_side_px)
    module, _, function = network.builder.partition(":")
    builder = getattr(importlib.import_module(module), function)
    return builder(input_shape=shape, classes=network.classes, seed=seed, **arguments)


def _build_application(name: str, input_shape: tuple[int, int, int] | None, seed: int) -> Any:
    """A network of `keras.applications` with random weights."""
    import keras

    # Its initialisers take no seed and draw from Keras' global one.
    keras.utils.set_random_seed(seed)
    if input_shape is None and name.startswith("MobileNetV3"):
        input_shape = (224, 224, 3)  # Keras leaves the size of these open
    try:
        return getattr(keras.applications, name)(weights=None, input_shape=input_shape)
    except ValueError as error:
        shape = "x".join(map(str, input_shape or ()))
        reason = " ".join(str(error).split())
        raise ValueError(f"{name} cannot be built for an input of {shape}: {reason}") from error


def _check_size(label: str, shape: tuple[int, ...], smallest_px: int) -> None:
    """Raises ValueError unless shape is (H, W, channels) with sides that the network can work on."""
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"An input shape is height x width x channels; got {shape}.")
    if min(shape[:2]) < smallest_px:
        raise ValueError(
            f"{label} needs an image of at least {smallest_px} x {smallest_px} pixels; got {shape[0]} x {shape[1]}."
        )
