"""The cost view: a convolution with and without a 1 x 1 bottleneck before it, counted and measured."""

import pandas as pd
import streamlit as st

from core.architectures.one_by_one import BottleneckCost, count_bottleneck
from pages.parts.address import set_controls
from pages.parts.code_tabs import code_tabs
from pages.parts.downloads import download_table
from pages.parts.figures import bar_chart, show
from pages.parts.formula import formula, number
from pages.parts.inception.numbers import millions, shape_text, times_text
from pages.parts.inception.timing import draw_times

# Name of an example, and the controls it sets: size, channels, filter, filters, bottleneck.
EXAMPLES = {
    "The course's example": (28, 192, 5, 32, 16),
    "Inception 3a, its 3 × 3 branch": (28, 192, 3, 128, 96),
    "Inception 4e, its 5 × 5 branch": (14, 528, 5, 128, 32),
    "Inception 5b, its 3 × 3 branch": (7, 832, 3, 384, 192),
    "A bottleneck that does not pay": (28, 16, 3, 16, 16),
}
KEYS = ("bottleneck_n", "bottleneck_nc", "bottleneck_f", "bottleneck_filters", "bottleneck_b")


@st.fragment
def view() -> None:
    """Draw the view."""
    controls, result = st.columns([1.05, 2.8], gap="medium")
    with controls:
        n, channels, f, filters, bottleneck = _controls()
    cost = count_bottleneck(n, n, channels, filters, f, bottleneck)
    with result:
        measured = _draw(cost)
    _mathematics(cost)
    table = _table(measured)
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        key="bottleneck_table",
        column_config={
            "Multiplications": st.column_config.NumberColumn(format="localized"),
            "Weights": st.column_config.NumberColumn(format="localized"),
            "Time (ms)": st.column_config.NumberColumn(format="%.3g"),
        },
    )
    download_table(table, name="bottleneck_cost", key="bottleneck_csv")
    st.subheader("The same as code", anchor=False)
    code_tabs(cost_snippets(n, channels, f, filters, bottleneck), key="bottleneck_code")


def _controls() -> tuple[int, int, int, int, int]:
    left, right = st.columns(2)
    n = left.number_input(
        "Map n (px)",
        1,
        224,
        28,
        key="bottleneck_n",
        bind="query-params",
        help="Height and width of the input map. Both ways of computing grow with its square.",
    )
    channels = right.number_input(
        "Channels $n_C$",
        1,
        2048,
        192,
        key="bottleneck_nc",
        bind="query-params",
        help="Of the input. The more there are, the more a bottleneck saves.",
    )
    left, right = st.columns(2)
    f = left.number_input(
        "Filter f",
        1,
        11,
        5,
        key="bottleneck_f",
        bind="query-params",
        help="Each output looks at f x f pixels; large filters are what a bottleneck makes cheap.",
    )
    filters = right.number_input(
        "Filters $n'_C$",
        1,
        2048,
        32,
        key="bottleneck_filters",
        bind="query-params",
        help="Channels of the output, the same with and without the bottleneck.",
    )
    bottleneck = st.number_input(
        "Bottleneck (1 × 1 filters)",
        1,
        2048,
        16,
        key="bottleneck_b",
        bind="query-params",
        help="A 1 x 1 convolution shrinks the channels to this number before the f x f filters see them. "
        "Fewer is cheaper, and lets less through.",
    )
    with st.popover("Examples", icon=":material/list:", width="stretch"):
        for name, values in EXAMPLES.items():
            st.button(
                name,
                key=f"bottleneck_{name}",
                on_click=set_controls,
                args=(dict(zip(KEYS, values, strict=True)),),
                width="stretch",
            )
    return int(n), int(channels), int(f), int(filters), int(bottleneck)


def _draw(cost: BottleneckCost) -> BottleneckCost:
    """Draw the counts and the measured times; returns the cost with the times, if they were measured."""
    reduce, expand = cost.bottleneck
    without, bottlenecked, factor = st.columns(3)
    without.metric("Multiplications without bottleneck", millions(cost.direct_multiply_adds))
    bottlenecked.metric("With bottleneck", millions(cost.bottleneck_multiply_adds))
    factor.metric("Saves a factor of", times_text(cost.counted_ratio, 1))
    counts, times = st.columns([1.25, 1], gap="medium")
    with counts:
        st.markdown(
            f"{shape_text(cost.input_shape)} → {shape_text(expand.output_shape)}, with the bottleneck by way of "
            f"{shape_text(reduce.output_shape)}"
        )
        ways = ["without bottleneck", "with bottleneck"]
        size = f"{expand.size} × {expand.size}"
        chart = bar_chart(
            {
                f"{size} on all channels": (ways, [cost.direct_multiply_adds, 0]),
                "1 × 1": (ways, [0, reduce.multiply_adds]),
                f"{size} on the bottleneck": (ways, [0, expand.multiply_adds]),
            },
            y_title="multiplications",
            height_px=290,
        )
        chart.update_layout(barmode="stack")
        chart.for_each_trace(lambda bar: bar.update(texttemplate=None, text=[_label(y) for y in bar.y]))
        show(chart, key="bottleneck_bars")
    with times:
        measured = draw_times(cost)
    if cost.counted_ratio <= 1:
        st.info(
            "This bottleneck does not pay: the extra 1 × 1 layer costs as much as it saves, or more. It pays "
            "where the bottleneck is much narrower than the input and the filter is larger than 1 × 1.",
            icon=":material/info:",
        )
    return measured


def _label(count: float) -> str:
    return millions(count) if count else ""


def _mathematics(cost: BottleneckCost) -> None:
    st.subheader("Mathematics", anchor=False)
    reduce, expand = cost.bottleneck
    height, width, channels = cost.input_shape
    f, filters, bottleneck = expand.size, expand.filters, reduce.filters
    place = rf"{height} \cdot {width}"
    left, right = st.columns(2, gap="medium")
    with left:
        formula(
            r"\text{without} = n_H\, n_W\, n'_C \cdot f^2\, n_C",
            rf"\text{{without}} = {place} \cdot {filters} \cdot {f}^2 \cdot {channels}",
            rf"\phantom{{\text{{without}}}} = {number(cost.direct_multiply_adds)}",
            explanation="n_H × n_W outputs (same padding) for each of n'_C filters, each the sum of f² n_C products.",
        )
    with right:
        formula(
            r"\text{with} = n_H\, n_W\, b \cdot n_C + n_H\, n_W\, n'_C \cdot f^2\, b",
            rf"\text{{with}} = {place} \cdot {bottleneck} \cdot {channels} "
            rf"+ {place} \cdot {filters} \cdot {f}^2 \cdot {bottleneck}",
            rf"\phantom{{\text{{with}}}} = {number(reduce.multiply_adds)} + {number(expand.multiply_adds)} "
            rf"= {number(cost.bottleneck_multiply_adds)}",
            explanation="b is the bottleneck's channels: first its 1 × 1 filters, "
            "then the f × f filters on b channels.",
        )


def _table(cost: BottleneckCost) -> pd.DataFrame:
    layers = {
        "Without bottleneck": (cost.input_shape, *cost.direct),
        "Bottleneck, 1 × 1": (cost.input_shape, cost.bottleneck[0]),
        "After the bottleneck, f × f": (cost.bottleneck[0].output_shape, cost.bottleneck[1]),
    }
    rows = [
        {
            "Layer": name,
            "Input": shape_text(shape),
            "Output": shape_text(layer.output_shape),
            "Multiplications": layer.multiply_adds,
            "Weights": layer.weights,
        }
        for name, (shape, layer) in layers.items()
    ]
    if cost.direct_ms is not None:
        for row, time_ms in zip(rows, (cost.direct_ms, None, cost.bottleneck_ms), strict=True):
            row["Time (ms)"] = time_ms  # that of both layers of the bottleneck stands at the second
    return pd.DataFrame(rows)


def cost_snippets(n: int, channels: int, f: int, filters: int, bottleneck: int) -> dict[str, str]:
    """Programs that count both ways; `result` is (without, with) in NumPy, both models' outputs elsewhere."""
    return {
        "NumPy": "import numpy as np\n\n"
        f"n, channels, f, filters, bottleneck = {n}, {channels}, {f}, {filters}, {bottleneck}\n"
        "without = np.prod([n, n, filters, f, f, channels])\n"
        "shrink = np.prod([n, n, bottleneck, channels])\n"
        "expand = np.prod([n, n, filters, f, f, bottleneck])\n"
        "result = (int(without), int(shrink + expand))\nprint(result)\n",
        "TensorFlow": "import tensorflow as tf\n\n"
        f"x = tf.random.normal((1, {n}, {n}, {channels}))\n"
        f"direct = tf.random.normal(({f}, {f}, {channels}, {filters}))\n"
        f"shrink = tf.random.normal((1, 1, {channels}, {bottleneck}))\n"
        f"expand = tf.random.normal(({f}, {f}, {bottleneck}, {filters}))\n"
        'without = tf.nn.conv2d(x, direct, 1, "SAME")\n'
        'narrow = tf.nn.relu(tf.nn.conv2d(x, shrink, 1, "SAME"))\n'
        'result = (without, tf.nn.conv2d(narrow, expand, 1, "SAME"))\n'
        "print([tuple(y.shape) for y in result])\n",
        "Keras": "import keras\n\n"
        f"x = keras.random.normal((1, {n}, {n}, {channels}))\n"
        f'direct = keras.layers.Conv2D({filters}, {f}, padding="same")\n'
        "bottleneck = keras.Sequential(\n    [\n"
        f'        keras.layers.Conv2D({bottleneck}, 1, activation="relu"),\n'
        f'        keras.layers.Conv2D({filters}, {f}, padding="same"),\n    ]\n)\n'
        "result = (direct(x), bottleneck(x))\n"
        "print([tuple(y.shape) for y in result], direct.count_params(), bottleneck.count_params())\n",
    }
