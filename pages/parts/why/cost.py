"""A convolution layer against the fully connected layer of the same shapes."""

import pandas as pd
import streamlit as st

from core.convolution.equivalence import LayerCost, convolution_cost, fully_connected_cost
from core.convolution.geometry import FilterTooLarge, Padding
from core.convolution.settings import ConvolutionSettings
from pages.parts.code_tabs import code_tabs
from pages.parts.downloads import download_table
from pages.parts.figures import bar_chart, show
from pages.parts.formula import formula, number
from pages.parts.why.numbers import count_text, memory_text, ratio_text

QUANTITIES = ("parameters", "connections", "multiply-adds")


@st.fragment
def view() -> None:
    """Draw the view."""
    controls, result = st.columns([1.05, 2.8], gap="medium")
    with controls:
        shape, f, filters, settings = _controls()
    try:
        convolution = convolution_cost(shape, f, filters, settings)
    except FilterTooLarge as error:
        result.error(str(error), icon=":material/error:")
        return
    dense = fully_connected_cost(shape, convolution.output_shape)
    with result:
        _draw(convolution, dense)
    _explain(convolution, dense)
    st.subheader("Mathematics", anchor=False)
    _mathematics(convolution, dense, f)
    table = _table(convolution, dense)
    st.dataframe(table, hide_index=True, key="cost_table")
    download_table(table, name="cost", key="cost_csv")
    st.subheader("The same as code", anchor=False)
    code_tabs(cost_snippets(shape, f, filters, settings), key="cost_code")


def _controls() -> tuple[tuple[int, int, int], int, int, ConvolutionSettings]:
    left, right = st.columns(2)
    n = left.number_input(
        "Image n (px)",
        1,
        4096,
        32,
        key="cost_n",
        bind="query-params",
        help="Height and width of the input. A convolution keeps its parameters when the image grows.",
    )
    channels = right.number_input(
        "Channels $n_C$",
        1,
        2048,
        3,
        key="cost_nc",
        bind="query-params",
        help="Of the input: 3 for colour.",
    )
    left, right = st.columns(2)
    f = left.number_input(
        "Filter f",
        1,
        31,
        5,
        key="cost_f",
        bind="query-params",
        help="Each output looks at f x f pixels of the input.",
    )
    filters = right.number_input(
        "Filters $n'_C$",
        1,
        2048,
        8,
        key="cost_filters",
        bind="query-params",
        help="Each makes one output map.",
    )
    left, right = st.columns(2)
    stride = left.number_input(
        "Stride s", 1, 16, 1, key="cost_s", bind="query-params", help="2 quarters the number of outputs."
    )
    padding: Padding = right.selectbox(
        "Padding p",
        ["valid", "same"],
        key="cost_p",
        bind="query-params",
        help="valid: the output shrinks by f - 1. same: it keeps the size (at stride 1).",
    )
    return (int(n), int(n), int(channels)), int(f), int(filters), ConvolutionSettings(int(stride), padding)


def _shape_text(shape: tuple[int, int, int]) -> str:
    return " × ".join(f"{size:,}" for size in shape)


def _draw(convolution: LayerCost, dense: LayerCost) -> None:
    st.markdown(f"**{_shape_text(convolution.input_shape)}** → **{_shape_text(convolution.output_shape)}**")
    chart = bar_chart(
        {
            "convolution": (QUANTITIES, _quantities(convolution)),
            "fully connected": (QUANTITIES, _quantities(dense)),
        },
        y_title="how many (logarithmic)",
        log_y=True,
        height_px=330,
    )
    chart.update_yaxes(dtick=1)
    chart.update_traces(textposition="outside", cliponaxis=False)
    show(chart, key="cost_bars")


def _quantities(cost: LayerCost) -> list[int]:
    return [cost.parameters, cost.connections, cost.multiply_adds]


def _explain(convolution: LayerCost, dense: LayerCost) -> None:
    left, right = st.columns(2, gap="medium")
    left.info(
        "**Sparsity of connections.** Each output depends on a few inputs only: "
        f"{count_text(convolution.connections)} connections instead of {count_text(dense.connections)}, "
        f"{100 * convolution.density:.3g} %.",
        icon=":material/grain:",
    )
    right.info(
        f"**Parameter sharing.** These {count_text(convolution.connections)} connections use the same "
        f"{count_text(convolution.weights)} weights over and over, at every place of the image: "
        f"{ratio_text(dense.parameters, convolution.parameters)} times fewer parameters in all.",
        icon=":material/content_copy:",
    )


def _mathematics(convolution: LayerCost, dense: LayerCost, f: int) -> None:
    _, _, channels = convolution.input_shape
    height, width, filters = convolution.output_shape
    left, right = st.columns(2, gap="medium")
    with left:
        formula(
            r"\text{conv} = (f^2\, n_C + 1)\, n'_C",
            rf"\text{{conv}} = ({f}^2 \cdot {number(channels)} + 1) \cdot {number(filters)} "
            rf"= {number(convolution.parameters)}",
            explanation="Parameters: f x f x n_C weights and one bias for each filter.",
        )
    with right:
        inputs, outputs = dense.weights // dense.biases, dense.biases
        formula(
            r"\text{full} = (n_H n_W n_C + 1)\, n'_H n'_W n'_C",
            rf"\text{{full}} = ({number(inputs)} + 1) \cdot {number(outputs)} = {number(dense.parameters)}",
            explanation="Parameters: each output has a weight for every input value, and a bias.",
        )
    formula(
        r"\text{products} = n'_H\, n'_W\, n'_C \cdot f^2\, n_C",
        rf"\text{{products}} = {number(height)} \cdot {number(width)} \cdot {number(filters)} "
        rf"\cdot {f}^2 \cdot {number(channels)} = {number(convolution.multiply_adds)}",
        explanation="Multiply-adds of the convolution; the fully connected layer has one for each weight. "
        "Products with padding are counted here, but are no connections.",
    )


def _table(convolution: LayerCost, dense: LayerCost) -> pd.DataFrame:
    names = ("Parameters", "Connections", "Multiply-adds")
    texts = [
        (name, f"{one:,}", f"{other:,}", ratio_text(other, one) + " ×")
        for name, one, other in zip(names, _quantities(convolution), _quantities(dense), strict=True)
    ]
    texts.append(
        (
            "Memory of the parameters",
            memory_text(convolution.parameter_bytes),
            memory_text(dense.parameter_bytes),
            ratio_text(dense.parameter_bytes, convolution.parameter_bytes) + " ×",
        )
    )
    return pd.DataFrame(texts, columns=["", "Convolution", "Fully connected", "Fully connected takes"])


def cost_snippets(shape: tuple[int, int, int], f: int, filters: int, settings: ConvolutionSettings) -> dict[str, str]:
    """Programs that count the parameters of both layers; `result` is (convolution, fully connected)."""
    padding = str(settings.padding).upper()
    options = f'strides={settings.stride}, padding="{settings.padding}"'
    return {
        "NumPy": f"import numpy as np\n\nshape, f, filters, s = {shape}, {f}, {filters}, {settings.stride}\n"
        + (
            "height, width = -(-shape[0] // s), -(-shape[1] // s)\n"
            if settings.padding == "same"
            else "height, width = (shape[0] - f) // s + 1, (shape[1] - f) // s + 1\n"
        )
        + "outputs = height * width * filters\n"
        "result = ((f * f * shape[2] + 1) * filters, (int(np.prod(shape)) + 1) * outputs)\nprint(result)\n",
        "TensorFlow": "import tensorflow as tf\n\n"
        f"image = tf.TensorSpec((1, *{shape}))\nweights = tf.TensorSpec(({f}, {f}, {shape[2]}, {filters}))\n"
        "convolve = tf.function(\n"
        f'    lambda x, w: tf.nn.conv2d(x, w, strides={settings.stride}, padding="{padding}")\n)\n'
        "output = convolve.get_concrete_function(image, weights).structured_outputs.shape\n"
        "result = (\n"
        f"    weights.shape.num_elements() + {filters},\n"
        "    (image.shape.num_elements() + 1) * output.num_elements(),\n)\nprint(result)\n",
        "Keras": "import math\n\nimport keras\n\n"
        f"layer = keras.layers.Conv2D({filters}, {f}, {options})\nlayer.build((None, *{shape}))\n"
        f"output = layer.compute_output_shape((1, *{shape}))\n"
        f"result = (layer.count_params(), (math.prod({shape}) + 1) * math.prod(output))\nprint(result)\n",
    }
