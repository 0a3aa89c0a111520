"""How large the input of an image gets, and what joining it to a fully connected layer costs."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import streamlit as st

from core.convolution.equivalence import convolution_cost, fully_connected_cost
from core.convolution.settings import ConvolutionSettings
from pages.parts.code_tabs import code_tabs
from pages.parts.downloads import download_table
from pages.parts.figures import line_chart, show
from pages.parts.formula import formula, number
from pages.parts.why.numbers import count_text, memory_text, ratio_text

EXAMPLES: Mapping[str, Mapping[str, int]] = {
    "28 × 28": {"height": 28, "width": 28, "channels": 1, "units": 1000},
    "64 × 64": {"height": 64, "width": 64, "channels": 3, "units": 1000},
    "1000 × 1000": {"height": 1000, "width": 1000, "channels": 3, "units": 1000},
    "12 Mpx": {"height": 3000, "width": 4000, "channels": 3, "units": 1000},
}
SIDES_PX = (16, 28, 32, 64, 128, 224, 256, 416, 512, 640, 1000, 1024, 2048, 4000)
CONVOLUTION_F = 3
TRAINED_COPIES = 4  # the weights, their gradients, and the two moments of Adam


@st.fragment
def view() -> None:
    """Draw the view."""
    controls, result = st.columns([1.05, 2.8], gap="medium")
    with controls:
        shape, units = _controls()
    dense = fully_connected_cost(shape, units)
    filters = convolution_cost(shape, CONVOLUTION_F, units, ConvolutionSettings(padding="same"))
    with result:
        first, second, third = st.columns(3)
        first.metric("Input values", count_text(int(np.prod(shape))), border=True)
        second.metric("Weights of the layer", count_text(dense.weights), border=True)
        third.metric("Memory (float32)", memory_text(dense.parameter_bytes), border=True)
        table = _table(shape[2], units)
        chart = line_chart(
            {
                f"fully connected, {units:,} units": (table["Side (px)"], table["Fully connected weights"]),
                f"convolution, {units:,} filters of 3 x 3": (
                    table["Side (px)"],
                    table["Convolution weights"],
                ),
                "your image": ([math.sqrt(shape[0] * shape[1])], [dense.weights]),
            },
            x_title=f"side of a square image with {shape[2]} channel{'s' if shape[2] > 1 else ''} (px)",
            y_title="weights",
            log_x=True,
            log_y=True,
            height_px=290,
        )
        chart.update_traces(selector={"name": "your image"}, marker={"size": 14})
        chart.update_xaxes(tickvals=[16, 32, 64, 128, 256, 512, 1024, 2048, 4096])
        show(chart, key="weights_by_side")
    st.info(
        f"**{memory_text(dense.parameter_bytes)}** for one layer, and about "
        f"**{memory_text(TRAINED_COPIES * dense.parameter_bytes)}** while Adam trains it (weights, "
        "gradients, two "
        f"moments). And {count_text(dense.weights)} free numbers learn some thousand photographs by heart: "
        "they "
        f"overfit. A convolution of {units:,} filters of 3 x 3 has **{count_text(filters.weights)}** "
        "weights at any "
        f"image size: {ratio_text(dense.weights, filters.weights)} times fewer here.",
        icon=":material/memory:",
    )
    _mathematics(shape, units, dense.weights)
    _code(shape, units)
    whole = st.column_config.NumberColumn(format="localized")
    counts = ("Side (px)", "Input values", "Fully connected weights", "Convolution weights")
    st.dataframe(table, hide_index=True, key="sizes_table", height=240, column_config=dict.fromkeys(counts, whole))
    download_table(table, name="input_sizes", key="sizes_csv")


def _controls() -> tuple[tuple[int, int, int], int]:
    left, right = st.columns(2)
    height = left.number_input(
        "Height $n_H$",
        1,
        20_000,
        1000,
        key="height",
        bind="query-params",
        help="In pixels. Twice the height and width make four times the weights.",
    )
    width = right.number_input("Width $n_W$", 1, 20_000, 1000, key="width", bind="query-params", help="In pixels.")
    third, fourth = st.columns(2)
    channels = third.number_input(
        "Channels $n_C$",
        1,
        512,
        3,
        key="channels",
        bind="query-params",
        help="1 for grey, 3 for red, green and blue.",
    )
    units = fourth.number_input(
        "Hidden units",
        1,
        100_000,
        1000,
        key="units",
        bind="query-params",
        help="Each unit of a fully connected layer has a weight for every input value.",
    )
    with st.container(horizontal=True, gap="xsmall"):
        for name, values in EXAMPLES.items():
            st.button(name, key=f"input_{name}", on_click=st.session_state.update, args=(values,), type="tertiary")
    return (int(height), int(width), int(channels)), int(units)


def _table(channels: int, units: int) -> pd.DataFrame:
    lines = []
    for side in SIDES_PX:
        shape = (side, side, channels)
        dense = fully_connected_cost(shape, units)
        convolution = convolution_cost(shape, CONVOLUTION_F, units, ConvolutionSettings(padding="same"))
        lines.append(
            {
                "Side (px)": side,
                "Input values": int(np.prod(shape)),
                "Fully connected weights": dense.weights,
                "Fully connected memory": memory_text(dense.parameter_bytes),
                "Convolution weights": convolution.weights,
            }
        )
    return pd.DataFrame(lines)


def _mathematics(shape: tuple[int, int, int], units: int, weights: int) -> None:
    st.subheader("Mathematics", anchor=False)
    height, width, channels = (number(size) for size in shape)
    formula(
        r"\text{weights} = n_H \cdot n_W \cdot n_C \cdot \text{units}",
        rf"\text{{weights}} = {height} \cdot {width} \cdot {channels} \cdot {number(units)} = "
        f"{number(weights)}",
        rf"\text{{memory}} = 4\,\text{{B}} \cdot {number(weights)} = \text{{{memory_text(4 * weights)}}}",
        explanation="A float32 number takes 4 bytes. The biases, one for each unit, are left out.",
    )


def _code(shape: tuple[int, int, int], units: int) -> None:
    st.subheader("The same as code", anchor=False)
    code_tabs(input_size_snippets(shape, units), key="input_size_code")


def input_size_snippets(shape: tuple[int, int, int], units: int) -> dict[str, str]:
    """Programs that count the weights without allocating them; each leaves its answer in `result`."""
    return {
        "NumPy": f"import numpy as np\n\nshape, units = {shape}, {units}\n"
        "result = np.prod(shape, dtype=np.int64) * units\nprint(result, 4 * result, 'bytes')\n",
        "TensorFlow": f"import tensorflow as tf\n\nshape, units = {shape}, {units}\n"
        "result = tf.reduce_prod(tf.constant([*shape, units], tf.int64)).numpy()\n"
        "print(result, 4 * result, 'bytes')\n",
        "Keras": "import keras\n\n"
        f"inputs = keras.Input({shape})\n"
        "flat = keras.layers.Flatten()(inputs)  # its shape is known, nothing is allocated\n"
        f"result = flat.shape[1] * {units}\nprint(result, 4 * result, 'bytes')\n",
    }
