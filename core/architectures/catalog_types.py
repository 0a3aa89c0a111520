"""What an entry of the catalogue is made of: the paper, its errors, the options, the known counts.

Light: imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OptionValue = bool | int | str


@dataclass(frozen=True)
class Paper:
    """The publication a network comes from."""

    year: int
    authors: str
    title: str
    url: str


@dataclass(frozen=True)
class Option:
    """A choice that a builder offers: its argument, the values with a label each, the default, and help."""

    name: str
    label: str
    choices: tuple[tuple[OptionValue, str], ...]
    default: OptionValue
    help: str


@dataclass(frozen=True)
class ReportedError:
    """An error in percent, with what was measured and under which conditions, as printed in the paper."""

    percent: float
    measure: str
    conditions: str


@dataclass(frozen=True)
class PublishedCount:
    """A count of parameters that is known for given options, and where it is from."""

    options: Mapping[str, OptionValue]
    parameters: int
    trainable: int
    source: str


@dataclass(frozen=True)
class CatalogEntry:
    """One network: what it is, what its paper says, and how it is built.

    `depth` counts the layers with weights on the longest path, as papers do (normalisation does not count).
    `parameters_in_words` is what the paper or the course says. `builder` is "module:function"; `arguments`
    are passed to it always, `options` by choice.
    """

    name: str
    label: str
    paper: Paper
    errors: tuple[ReportedError, ...]
    depth: int
    input_shape: tuple[int, int, int]
    classes: int
    parameters_in_words: str
    builder: str
    arguments: Mapping[str, Any]
    options: tuple[Option, ...] = ()
    published: tuple[PublishedCount, ...] = ()
    smallest_side_px: int = 32
    note: str = ""
