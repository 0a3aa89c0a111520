"""The stack as a table: kinds and hyperparameters to edit, and beside them what follows from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import streamlit as st

from core.convolution.stack import (
    NOTES_INPUT,
    NOTES_PRINTED,
    NOTES_SCHEMATIC,
    Kind,
    LayerReport,
    StackError,
    StackFormatError,
    StackLayer,
    layer_names,
)
from pages.parts.shapes.address import LARGEST, parse_stack, stack_text

KIND_LABELS: dict[Kind, str] = {
    "conv": "CONV",
    "pool_max": "POOL max",
    "pool_avg": "POOL average",
    "flatten": "Flatten",
    "dense": "FC",
    "softmax": "Softmax",
}
KINDS_BY_LABEL = {label: kind for kind, label in KIND_LABELS.items()}
# What a new layer of a kind starts with.
FIRST: dict[Kind, StackLayer] = {
    "conv": StackLayer("conv", f=3, padding="same", units=16),
    "pool_max": StackLayer("pool_max", f=2, s=2),
    "pool_avg": StackLayer("pool_avg", f=2, s=2),
    "flatten": StackLayer("flatten"),
    "dense": StackLayer("dense", units=64),
    "softmax": StackLayer("softmax", units=10),
}
STACK_KEY = "stack"
VERSION_KEY = "_shapes_version"
ERROR_KEY = "_shapes_error"
LARGEST_WINDOW = 1024
PADDINGS = ("valid", "same", *(str(p) for p in range(1, 11)))
INPUT_ROW = "Input"
COLUMNS = (
    *("Kind", "f", "s", "Padding", "Units"),
    *("Activation shape", "Size", "Parameters", "Notes print", "Multiply-adds", "Sees", "Memory"),
)
SLIDING = ("conv", "pool_max", "pool_avg")


@dataclass(frozen=True)
class Stack:
    """An input shape (H, W, C), the layers on it, and the reports of those that can be built.

    `broken` says which layer cannot follow and why; the reports end before it.
    """

    input_shape: tuple[int, int, int]
    layers: tuple[StackLayer, ...]
    reports: tuple[LayerReport, ...]
    broken: StackError | None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all layers, also of those that cannot be built."""
        return layer_names(self.layers)

    @property
    def is_notes_schematic(self) -> bool:
        """Whether this is the network whose numbers the notes print."""
        return self.input_shape == NOTES_INPUT and self.layers == NOTES_SCHEMATIC


def set_stack(layers: Sequence[StackLayer]) -> None:
    """Put a stack into the address; the table starts from it anew."""
    st.session_state[STACK_KEY] = stack_text(layers)
    st.session_state[VERSION_KEY] = st.session_state.get(VERSION_KEY, 0) + 1


def of_kind(kind: Kind, before: StackLayer) -> StackLayer:
    """A layer of another kind that keeps what it can of the one before.

    >>> of_kind("pool_avg", StackLayer("pool_max", f=3, s=2))
    StackLayer(kind='pool_avg', f=3, s=2, padding='valid', units=0)
    """
    first = FIRST[kind]
    if kind in SLIDING and before.kind in SLIDING:
        padding = before.padding if kind == "conv" or before.padding in ("valid", "same") else "valid"
        first = replace(first, f=before.f, s=before.s, padding=padding)
    if first.units and before.units:
        first = replace(first, units=before.units)
    return first


def edited(layer: StackLayer, name: str, changes: Mapping[str, Any]) -> StackLayer:
    """A layer after its row was edited.

    Raises:
        ValueError: in one sentence, why a cell cannot hold what was typed.
    """
    for column, value in changes.items():
        if column == "Kind":
            if value not in KINDS_BY_LABEL:
                raise ValueError(f"{name} needs a kind: choose one of {', '.join(KINDS_BY_LABEL)}.")
            layer = of_kind(KINDS_BY_LABEL[value], layer)
        elif column in ("f", "s"):
            if layer.kind not in SLIDING:
                raise ValueError(f"{name} has no {column}: only convolution and pooling slide a window.")
            layer = replace(layer, **{column: _whole(value, f"{column} of {name}", LARGEST_WINDOW)})
        elif column == "Padding":
            layer = _padded(layer, name, str(value))
        elif column == "Units":
            if not FIRST[layer.kind].units:
                raise ValueError(f"{name} has no filters or units of its own: it keeps the number of channels.")
            layer = replace(layer, units=_whole(value, f"The filters or units of {name}", LARGEST))
    return layer


def _padded(layer: StackLayer, name: str, value: str) -> StackLayer:
    if layer.kind not in SLIDING:
        raise ValueError(f"{name} has no padding: only convolution and pooling slide a window.")
    if value in ("valid", "same"):
        return replace(layer, padding=value)
    if layer.kind != "conv" or not value.isdecimal():
        raise ValueError(f"The padding of {name} is valid or same.")
    return replace(layer, padding=int(value))


def _whole(value: object, what: str, largest: int) -> int:
    if not isinstance(value, int | float) or not 1 <= value <= largest or value != int(value):
        raise ValueError(f"{what} must be a whole number from 1 to {largest:,}; the cell was left as it was.")
    return int(value)


def take_edits(editor_key: str) -> None:
    """Take what was typed into the table into the stack; what cannot be used is undone, with a sentence."""
    edits = st.session_state[editor_key]["edited_rows"]
    # The stack as it is now, not as it was drawn: edits may come faster than the page runs.
    layers = stack_in_address()
    changed, names = list(layers), layer_names(layers)
    for row, changes in edits.items():
        index = int(row) - 1
        try:
            if index < 0:
                raise ValueError("The input's height, width and channels are set in the fields above the table.")
            changed[index] = edited(changed[index], names[index], changes)
        except ValueError as error:
            st.session_state[ERROR_KEY] = str(error)
            set_stack(layers)
            return
    # Only a change of kind rewrites other cells of its row; then the table starts anew to show them.
    if [layer.kind for layer in changed] != [layer.kind for layer in layers]:
        set_stack(changed)
    elif tuple(changed) != layers:
        st.session_state[STACK_KEY] = stack_text(changed)


def stack_in_address() -> tuple[StackLayer, ...]:
    """The layers in the address; the notes' schematic network while it holds nothing that can be read."""
    try:
        return parse_stack(st.session_state[STACK_KEY])
    except (KeyError, StackFormatError):
        return NOTES_SCHEMATIC


def draw_table(stack: Stack) -> None:
    """Draw the table, and what was wrong with the last change of it."""
    editor_key = f"shapes_table_{st.session_state.get(VERSION_KEY, 0)}"
    frame = table_frame(stack)
    computed = [name for name in frame.columns if name not in ("Kind", "f", "s", "Padding", "Units")]
    st.data_editor(
        frame,
        key=editor_key,
        on_change=take_edits,
        args=(editor_key,),
        num_rows="fixed",
        height="content",
        placeholder="",
        # Hidden rather than left out: another set of columns would be another table, without its cursor.
        column_order=[name for name in COLUMNS if name != "Notes print" or stack.is_notes_schematic],
        disabled=["_index", *computed],
        column_config=_columns(frame),
        alt="The stack of layers with the shape, size and parameters of each",
    )
    if message := st.session_state.pop(ERROR_KEY, None):
        st.error(message, icon=":material/error:")


def table_frame(stack: Stack) -> pd.DataFrame:
    """The table's rows: the input, then every layer; what cannot be built has no numbers."""
    height, width, channels = stack.input_shape
    size = height * width * channels
    rows: list[dict[str, Any]] = [
        {"Activation shape": shape_text(stack.input_shape), "Size": count_text(size), "Parameters": "0"}
    ]
    printed = {entry.layer: entry.printed for entry in NOTES_PRINTED}
    for index, (layer, name) in enumerate(zip(stack.layers, stack.names, strict=True)):
        row: dict[str, Any] = {"Kind": KIND_LABELS[layer.kind]}
        if layer.kind in SLIDING:
            row |= {"f": layer.f, "s": layer.s, "Padding": str(layer.padding)}
        if FIRST[layer.kind].units:
            row |= {"Units": layer.units}
        if index < len(stack.reports):
            row |= _numbers(stack.reports[index])
        elif stack.broken is not None and stack.broken.layer_index == index:
            row |= {"Activation shape": "✗ cannot follow"}
        if stack.is_notes_schematic:
            row |= {"Notes print": count_text(printed.get(name, 0))}
        rows.append(row)
    if stack.is_notes_schematic:
        rows[0] |= {"Notes print": "0"}
    frame = pd.DataFrame(rows, columns=list(COLUMNS), index=pd.Index([INPUT_ROW, *stack.names], name="Layer"))
    return frame.astype({"f": "Int64", "s": "Int64", "Units": "Int64"})


def _numbers(report: LayerReport) -> dict[str, str]:
    rows, columns = report.receptive_field
    return {
        "Activation shape": shape_text(report.shape),
        "Size": count_text(report.size),
        "Parameters": count_text(report.parameters),
        "Multiply-adds": count_text(report.multiply_adds),
        "Sees": f"{rows} × {columns}",
        "Memory": bytes_text(report.activation_bytes),
    }


def shape_text(shape: tuple[int, ...]) -> str:
    """An activation shape as the notes print it, a row of n numbers as (n, 1).

    >>> shape_text((28, 28, 8)), shape_text((120,))
    ('(28, 28, 8)', '(120, 1)')
    """
    return str((*shape, 1)) if len(shape) == 1 else str(shape)


def count_text(count: int) -> str:
    """A count with its thousands parted; very large ones as a power of ten.

    >>> count_text(48120), count_text(3 * 10**17)
    ('48,120', '3e+17')
    """
    return f"{count:,}" if count < 10**13 else f"{count:.3g}"


def bytes_text(count: int) -> str:
    """A number of bytes as people read it.

    >>> bytes_text(600), bytes_text(25_088), bytes_text(12_000_000_000)
    ('600 B', '25.1 kB', '12 GB')
    """
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB", "EB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"


def _columns(frame: pd.DataFrame) -> dict[str, Any]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    own = [padding for padding in frame["Padding"].dropna().unique() if padding not in PADDINGS]

    def computed(label: str, width: int, help_text: str) -> Any:
        return text(label, width=width, alignment="right", help=help_text)

    return {
        "Kind": st.column_config.SelectboxColumn(
            "Kind",
            options=list(KIND_LABELS.values()),
            width=104,
            help="What the layer does. Double-click to change.",
        ),
        "f": number("f", min_value=1, max_value=LARGEST_WINDOW, step=1, width=48, help="Side of the filter or window."),
        "s": number("s", min_value=1, max_value=LARGEST_WINDOW, step=1, width=48, help="Stride: 2 halves the size."),
        "Padding": st.column_config.SelectboxColumn(
            "p",
            options=[*PADDINGS, *own],
            width=58,
            help="valid: none. same: keeps the size at stride 1. A number: that many pixels on every side.",
        ),
        "Units": number(
            "n_C",
            min_value=1,
            max_value=LARGEST,
            step=1,
            width=64,
            help="Filters of a CONV, units of an FC or softmax.",
        ),
        "Activation shape": text("Activation shape", width=112, help="What the layer puts out for one image."),
        "Size": computed("Size", 68, "Numbers in the activation."),
        "Parameters": computed("Parameters", 84, "Weights and biases to learn."),
        "Notes print": computed("Notes print", 84, "The number in the notes; the reasons are given below."),
        "Multiply-adds": computed("Multiply-adds", 96, "Products that are summed up, for one image."),
        "Sees": computed("Sees (px)", 72, "Receptive field: the part of the input that one number depends on."),
        "Memory": computed("Memory", 68, "The activation of one image in float32."),
    }
