"""What sets the stack: examples, the size of the input, the stack as text, the place of one layer."""

import streamlit as st

from core.convolution.stack import (
    NOTES_INPUT,
    NOTES_SCHEMATIC,
    PRESETS,
    StackError,
    StackFormatError,
    StackLayer,
    describe_stack,
    layer_names,
)
from pages.parts.address import set_controls
from pages.parts.shapes.address import parse_stack, stack_text
from pages.parts.shapes.table import FIRST, KIND_LABELS, KINDS_BY_LABEL, STACK_KEY, Stack, set_stack

EXAMPLES = {preset.label: preset for preset in PRESETS.values()}
EXAMPLE_KEY = "shapes_example"
ADD_KEY = "shapes_add"
LAYER_KEY = "stack_layer"
SIZE_KEYS = ("stack_h", "stack_w", "stack_c")
LARGEST_SIDE = 20_000
LARGEST_DEPTH = 10_000
MAX_LAYERS = 64


def stack_controls() -> Stack:
    """Draw examples, input size and the stack's text; return the stack with its reports."""
    examples, height, width, channels, text = st.columns([1.15, 0.8, 0.8, 0.8, 2.4], vertical_alignment="bottom")
    examples.menu_button(
        "Examples",
        list(EXAMPLES),
        key=EXAMPLE_KEY,
        on_click=_load_example,
        icon=":material/category:",
        width="stretch",
        help="Networks to begin with. The first is the schematic network of the notes.",
    )
    input_shape = (
        int(
            height.number_input(
                "Height n_H",
                1,
                LARGEST_SIDE,
                NOTES_INPUT[0],
                key=SIZE_KEYS[0],
                bind="query-params",
                help="Rows of the input image. A larger one makes FC layers larger, but no CONV layer.",
            )
        ),
        int(
            width.number_input(
                "Width n_W",
                1,
                LARGEST_SIDE,
                NOTES_INPUT[1],
                key=SIZE_KEYS[1],
                bind="query-params",
                help="Columns of the input image.",
            )
        ),
        int(
            channels.number_input(
                "Channels n_C",
                1,
                LARGEST_DEPTH,
                NOTES_INPUT[2],
                key=SIZE_KEYS[2],
                bind="query-params",
                help="3 for a colour picture, 1 for a grey one. Every filter has as many layers.",
            )
        ),
    )
    written = text.text_input(
        "The stack in short",
        stack_text(NOTES_SCHEMATIC),
        key=STACK_KEY,
        bind="query-params",
        help="The table below as text, as it stands in this page's address: conv-f-s-padding-filters, "
        "max-f-s, avg-f-s, flatten, fc-units, softmax-units, parted by _. Paste one to load it.",
    )
    try:
        layers = parse_stack(written)
    except StackFormatError as error:
        st.error(f"{error} Shown is the schematic network of the notes.", icon=":material/error:")
        layers = NOTES_SCHEMATIC
    return described(input_shape, layers)


def described(input_shape: tuple[int, int, int], layers: tuple[StackLayer, ...]) -> Stack:
    """A stack with the reports of its layers, up to the first that cannot follow."""
    try:
        return Stack(input_shape, layers, describe_stack(input_shape, layers), None)
    except StackError as error:
        sound = layers[: error.layer_index or 0]
        return Stack(input_shape, layers, describe_stack(input_shape, sound), error)


def _load_example() -> None:
    preset = EXAMPLES[st.session_state[EXAMPLE_KEY]]
    set_controls(dict(zip(SIZE_KEYS, preset.input_shape, strict=True)))
    set_stack(preset.layers)


def layer_controls(stack: Stack) -> int:
    """Draw the choice of a layer and the buttons that change its place; return its index."""
    chosen, buttons = st.columns([1, 3.4], vertical_alignment="bottom")
    name = chosen.selectbox(
        "Layer",
        stack.names,
        key=LAYER_KEY,
        bind="query-params",
        help="The layer whose formula is shown below, and that the buttons move, copy or remove.",
    )
    index = stack.names.index(name) if name in stack.names else 0
    layers = list(stack.layers)
    full = len(layers) >= MAX_LAYERS
    with buttons.container(horizontal=True, gap="small"):
        _button("Up", ":material/arrow_upward:", _moved(layers, index, -1), index - 1, disabled=index == 0)
        last = index == len(layers) - 1
        _button("Down", ":material/arrow_downward:", _moved(layers, index, 1), index + 1, disabled=last)
        copied = [*layers[: index + 1], *layers[index:]]
        _button("Copy", ":material/content_copy:", copied, index + 1, disabled=full)
        rest = layers[:index] + layers[index + 1 :]
        _button("Remove", ":material/delete:", rest, max(index - 1, 0), disabled=not rest)
        st.menu_button(
            "Add below",
            list(KIND_LABELS.values()),
            key=ADD_KEY,
            on_click=_add_below,
            args=(layers, index),
            icon=":material/add:",
            disabled=full,
            help=f"A stack has at most {MAX_LAYERS} layers." if full else f"A new layer after {name}.",
        )
    return index


def _button(label: str, icon: str, layers: list[StackLayer], chosen: int, *, disabled: bool) -> None:
    st.button(
        label,
        icon=icon,
        key=f"shapes_{label.lower()}",
        on_click=_change,
        args=(layers, chosen),
        disabled=disabled,
    )


def _change(layers: list[StackLayer], chosen: int) -> None:
    set_stack(layers)
    st.session_state[LAYER_KEY] = layer_names(layers)[chosen]


def _moved(layers: list[StackLayer], index: int, step: int) -> list[StackLayer]:
    rest, to = layers[:index] + layers[index + 1 :], max(index + step, 0)
    return [*rest[:to], layers[index], *rest[to:]]


def _add_below(layers: list[StackLayer], index: int) -> None:
    new = FIRST[KINDS_BY_LABEL[st.session_state[ADD_KEY]]]
    _change([*layers[: index + 1], new, *layers[index + 1 :]], index + 1)
