"""The command `python -m core.architectures.summary NAME [--input 224x224x3] [--json | --csv]`.

NAME is a network of the catalogue, of `keras.applications`, or the path of a `.keras` file. A table goes to
standard output; an error is one sentence on standard error, with exit code 2. Light until a network is built.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from core.architectures import tasks
from core.architectures.catalog import CATALOG, OptionValue, check_name, entry
from core.architectures.loading import check_file
from core.architectures.summary import LayerSummary, ModelSummary


class _OneSentenceParser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Ends with exit code 2."""
        self.exit(2, f"{message[:1].upper()}{message[1:]}.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and gives its exit code."""
    parser = _OneSentenceParser(
        prog="python -m core.architectures.summary",
        description="Summarise a network: shapes, parameters, multiply-adds, receptive fields.",
    )
    known = ", ".join(CATALOG)
    parser.add_argument("name", metavar="NAME", help=f"{known}; a name of keras.applications; FILE.keras")
    parser.add_argument("--input", metavar="HxWxC", help="input shape, for example 224x224x3")
    parser.add_argument("--option", metavar="NAME=VALUE", action="append", default=[], help="grouped=false …")
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="print JSON")
    formats.add_argument("--csv", action="store_true", help="print comma-separated values")
    chosen = parser.parse_args(arguments)
    try:
        summary = _summarise(chosen.name, chosen.input, chosen.option)
    except OSError as error:
        print(f"{chosen.name} cannot be read: {error.strerror}.", file=sys.stderr)
        return 2
    except ValueError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    if chosen.json:
        print(summary.to_json())
    elif chosen.csv:
        print(summary.to_csv(), end="")
    else:
        print(as_text(summary))
    return 0


def parse_input_shape(text: str) -> tuple[int, int, int]:
    """Reads "224x224x3".

    Raises:
        ValueError: If the text is not three positive numbers with an x between.

    >>> parse_input_shape("32x32x1")
    (32, 32, 1)
    """
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise ValueError(f"An input shape is written as 224x224x3 (height, width, channels); got {text!r}.")
    height, width, channels = map(int, parts)
    return height, width, channels


def as_text(summary: ModelSummary) -> str:
    """The summary as a table for a terminal."""
    header = ("layer", "type", "output", "parameters", "multiply-adds", "field", "stride", "offset")
    lines = [header, *(_cells(layer) for layer in summary.layers)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    uncounted = f" (without {', '.join(summary.uncounted_layers)})" if summary.uncounted_layers else ""
    totals = (
        f"{summary.name}: {summary.parameters:,} parameters ({summary.trainable_parameters:,} trainable), "
        f"{summary.multiply_adds:,} multiply-adds{uncounted}, depth {summary.depth}, "
        f"{summary.activation_bytes:,} bytes of activations, {summary.weight_bytes:,} bytes of weights"
    )
    return "\n".join([*(row.rstrip() for row in rows), "", totals])


def _summarise(name: str, input_text: str | None, option_texts: Sequence[str]) -> ModelSummary:
    """The summary of a name or a path."""
    shape = parse_input_shape(input_text) if input_text else None
    network: str | bytes = name
    options: dict[str, OptionValue] = {}
    if name.endswith(".keras"):
        network = Path(name).read_bytes()
        check_file(network)
    else:
        check_name(name)
        options = _options(name, option_texts)
    with _quiet_standard_error():
        return tasks.summarise(network, shape, options)


@contextlib.contextmanager
def _quiet_standard_error() -> Iterator[None]:
    """Keeps what TensorFlow's libraries write while they are loaded out of the way of the one sentence."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _options(name: str, texts: Sequence[str]) -> dict[str, OptionValue]:
    """Reads NAME=VALUE texts into values that the network's entry offers.

    Raises:
        ValueError: If a text is not of that form, or the entry does not offer the value.
    """
    options: dict[str, OptionValue] = {}
    if texts and name not in CATALOG:
        raise ValueError(f"{name} has no options.")
    for text in texts:
        option_name, equals, value_text = text.partition("=")
        offered = [option for option in entry(name).options if option.name == option_name]
        values = [value for option in offered for value, _ in option.choices]
        matching = [value for value in values if str(value).lower() == value_text.lower()]
        if not equals or not matching:
            names = "; ".join(
                f"{option.name}={'|'.join(str(value).lower() for value, _ in option.choices)}"
                for option in entry(name).options
            )
            raise ValueError(f"{text!r} is no option of {name}; it offers {names or 'none'}.")
        options[option_name] = matching[0]
    return options


def _cells(layer: LayerSummary) -> tuple[str, ...]:
    """A layer's cells."""
    field = layer.receptive_field
    shape = "x".join("?" if side is None else str(side) for side in layer.output_shape)
    products = "?" if layer.multiply_adds is None else f"{layer.multiply_adds:,}"
    geometry = (field.size, field.stride, field.offset) if field else ((), (), ())
    return (
        *(layer.name, layer.type, shape, f"{layer.parameters:,}", products),
        *("x".join(map(str, values)) or "?" for values in geometry),
    )
