"""The module view: the four branches of an Inception module with their shapes, parameters and cost."""

import pandas as pd
import streamlit as st

from core.architectures.diagram import FILLS
from core.architectures.googlenet_table import GOOGLENET_MODULES, InceptionWidths
from core.convolution.equivalence import LayerCost, convolution_cost
from core.convolution.settings import ConvolutionSettings
from pages.parts.address import set_controls
from pages.parts.code_tabs import code_tabs
from pages.parts.downloads import download_table
from pages.parts.formula import formula, number
from pages.parts.inception.numbers import millions, shape_text

SAME = ConvolutionSettings(padding="same")
# What comes into each module of GoogLeNet: side in pixels and channels.
MODULE_INPUTS = {
    "3a": (28, 192),
    "3b": (28, 256),
    "4a": (14, 480),
    "4b": (14, 512),
    "4c": (14, 512),
    "4d": (14, 512),
    "4e": (14, 528),
    "5a": (7, 832),
    "5b": (7, 832),
}
# Address, label, help, in the order of the widths.
WIDTHS = (
    ("module_w1", "1 × 1", "The branch that looks at one pixel only."),
    ("module_r3", "1 × 1 before 3 × 3", "The bottleneck of the 3 x 3 branch."),
    ("module_w3", "3 × 3", "Output channels of the 3 x 3 branch."),
    (
        "module_r5",
        "1 × 1 before 5 × 5",
        "The bottleneck of the 5 x 5 branch, which would be the dearest without it.",
    ),
    ("module_w5", "5 × 5", "Output channels of the 5 x 5 branch."),
    ("module_wp", "1 × 1 after pooling", "Pooling keeps all channels; this convolution shrinks them."),
)
Layers = dict[str, LayerCost]


@st.fragment
def view() -> None:
    """Draw the view."""
    controls, result = st.columns([1.05, 2.8], gap="medium")
    with controls:
        n, channels, widths = _controls()
    layers = module_layers(n, channels, widths)
    parameters = sum(cost.parameters for cost in layers.values())
    products = sum(cost.multiply_adds for cost in layers.values())
    with result:
        st.markdown(
            f"**{n} × {n} × {channels}** → **{n} × {n} × {widths.output:,}** · {parameters:,} parameters · "
            f"{millions(products)} multiplications"
        )
        st.graphviz_chart(
            module_dot(n, channels, widths, layers), width="stretch", alt="The four branches of the module"
        )
        _table(layers)
    st.subheader("Mathematics", anchor=False)
    _mathematics(n, channels, widths, layers)
    st.subheader("The same as code", anchor=False)
    code_tabs(module_snippets(n, channels, widths), key="module_code")


def _controls() -> tuple[int, int, InceptionWidths]:
    left, right = st.columns(2)
    n = left.number_input(
        "Map n (px)",
        1,
        224,
        28,
        key="module_mn",
        bind="query-params",
        help="Height and width; the module keeps them.",
    )
    channels = right.number_input(
        "Channels $n_C$",
        1,
        2048,
        192,
        key="module_mc",
        bind="query-params",
        help="Of the input; all branches see them all.",
    )
    st.caption("Output channels of each convolution")
    default = GOOGLENET_MODULES["3a"]
    defaults = (
        default.one,
        default.three_reduce,
        default.three,
        default.five_reduce,
        default.five,
        default.pool_projection,
    )
    columns = st.columns(2)
    values = [
        columns[index % 2].number_input(label, 1, 1024, value, key=key, bind="query-params", help=help_text)
        for index, ((key, label, help_text), value) in enumerate(zip(WIDTHS, defaults, strict=True))
    ]
    with st.popover("Modules of GoogLeNet", icon=":material/list:", width="stretch"):
        for name, widths in GOOGLENET_MODULES.items():
            st.button(
                f"Inception {name}",
                key=f"module_{name}",
                on_click=set_controls,
                args=(_as_controls(name, widths),),
                width="stretch",
            )
    return int(n), int(channels), InceptionWidths(*(int(value) for value in values))


def _as_controls(name: str, widths: InceptionWidths) -> dict[str, int]:
    side, channels = MODULE_INPUTS[name]
    return {
        "module_mn": side,
        "module_mc": channels,
        "module_w1": widths.one,
        "module_r3": widths.three_reduce,
        "module_w3": widths.three,
        "module_r5": widths.five_reduce,
        "module_w5": widths.five,
        "module_wp": widths.pool_projection,
    }


def module_layers(n: int, channels: int, widths: InceptionWidths) -> Layers:
    """The module's six convolutions by name."""
    given = (n, n, channels)
    return {
        "1 × 1": convolution_cost(given, 1, widths.one, SAME),
        "1 × 1 before 3 × 3": convolution_cost(given, 1, widths.three_reduce, SAME),
        "3 × 3": convolution_cost((n, n, widths.three_reduce), 3, widths.three, SAME),
        "1 × 1 before 5 × 5": convolution_cost(given, 1, widths.five_reduce, SAME),
        "5 × 5": convolution_cost((n, n, widths.five_reduce), 5, widths.five, SAME),
        "1 × 1 after pooling": convolution_cost(given, 1, widths.pool_projection, SAME),
    }


def module_dot(n: int, channels: int, widths: InceptionWidths, layers: Layers) -> str:
    """The module as Graphviz DOT: from left to right, one branch below the other."""

    def node(name: str, title: str, shape: tuple[int, ...], kind: str, parameters: int = 0) -> str:
        extra = f"\\n{parameters:,} parameters" if parameters else ""
        return f'  {name} [label="{title}\\n{shape_text(shape)}{extra}", fillcolor="{FILLS[kind]}"];'

    def convolution(name: str, key: str, title: str) -> str:
        cost = layers[key]
        return node(name, title, cost.output_shape, "convolution", cost.parameters)

    return "\n".join(
        [
            "digraph module {",
            '  graph [rankdir=LR, bgcolor="transparent", nodesep=0.18, ranksep=0.4];',
            '  node [shape=box, style="filled,rounded", color="#808a99", fontname="Helvetica", fontsize=12, '
            'margin="0.12,0.06"];',
            '  edge [color="#808a99", arrowsize=0.7];',
            node("input", "input", (n, n, channels), "input"),
            convolution("one", "1 × 1", "1 × 1 conv"),
            convolution("reduce3", "1 × 1 before 3 × 3", "1 × 1 conv"),
            convolution("three", "3 × 3", "3 × 3 conv"),
            convolution("reduce5", "1 × 1 before 5 × 5", "1 × 1 conv"),
            convolution("five", "5 × 5", "5 × 5 conv"),
            node("pool", "3 × 3 max pool, s = 1", (n, n, channels), "pool"),
            convolution("project", "1 × 1 after pooling", "1 × 1 conv"),
            node("join", "concatenate", (n, n, widths.output), "join"),
            "  input -> one -> join; input -> reduce3 -> three -> join; input -> reduce5 -> five -> join;",
            "  input -> pool -> project -> join;",
            "}",
        ]
    )


def _table(layers: Layers) -> None:
    table = pd.DataFrame(
        [
            {
                "Convolution": name,
                "Input": shape_text(cost.input_shape),
                "Output": shape_text(cost.output_shape),
                "Parameters": cost.parameters,
                "Multiplications": cost.multiply_adds,
            }
            for name, cost in layers.items()
        ]
    )
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        key="module_table",
        column_config={
            name: st.column_config.NumberColumn(format="localized") for name in ("Parameters", "Multiplications")
        },
    )
    download_table(table, name="inception_module", key="module_csv")


def _mathematics(n: int, channels: int, widths: InceptionWidths, layers: Layers) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        formula(
            r"n'_C = n_1 + n_3 + n_5 + n_{pool}",
            rf"n'_C = {widths.one} + {widths.three} + {widths.five} + {widths.pool_projection} "
            rf"= {widths.output}",
            explanation="Same padding keeps height and width, so the branches' channels can be put one after another.",
        )
    with right:
        five = layers["5 × 5"]
        wide = convolution_cost((n, n, channels), 5, widths.five, SAME)
        formula(
            r"\text{parameters}_{5 \times 5} = (5^2\, r_5 + 1)\, n_5",
            rf"\text{{parameters}}_{{5 \times 5}} = (25 \cdot {widths.five_reduce} + 1) \cdot {widths.five} "
            rf"= {number(five.parameters)}",
            explanation=f"r₅ = {widths.five_reduce} channels of the bottleneck; without it there would be "
            f"(25 · {channels} + 1) · {widths.five} = {wide.parameters:,}.",
        )


def module_snippets(n: int, channels: int, widths: InceptionWidths) -> dict[str, str]:
    """Programs that build the module and apply it to random numbers; `result` is its output."""
    w = widths
    return {
        "Keras": "import keras\n\n"
        "conv = keras.layers.Conv2D\n"
        f"x = keras.Input(({n}, {n}, {channels}))\n"
        f'one = conv({w.one}, 1, activation="relu")(x)\n'
        f'three = conv({w.three_reduce}, 1, activation="relu")(x)\n'
        f'three = conv({w.three}, 3, padding="same", activation="relu")(three)\n'
        f'five = conv({w.five_reduce}, 1, activation="relu")(x)\n'
        f'five = conv({w.five}, 5, padding="same", activation="relu")(five)\n'
        'pool = keras.layers.MaxPooling2D(3, strides=1, padding="same")(x)\n'
        f'pool = conv({w.pool_projection}, 1, activation="relu")(pool)\n'
        "output = keras.layers.Concatenate()([one, three, five, pool])\n"
        "module = keras.Model(x, output)\n"
        f"result = module(keras.random.normal((1, {n}, {n}, {channels})))\n"
        "print(tuple(result.shape), module.count_params())\n",
        "TensorFlow": "import tensorflow as tf\n\n\n"
        "def conv(x, filters, size):\n"
        '    """A convolution with random weights, same padding and ReLU."""\n'
        "    weights = tf.random.normal((size, size, x.shape[-1], filters), stddev=0.05)\n"
        '    return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, weights, 1, "SAME"), tf.zeros(filters)))\n\n\n'
        f"x = tf.random.normal((1, {n}, {n}, {channels}))\n"
        f"one = conv(x, {w.one}, 1)\n"
        f"three = conv(conv(x, {w.three_reduce}, 1), {w.three}, 3)\n"
        f"five = conv(conv(x, {w.five_reduce}, 1), {w.five}, 5)\n"
        f'pool = conv(tf.nn.max_pool2d(x, 3, 1, "SAME"), {w.pool_projection}, 1)\n'
        "result = tf.concat([one, three, five, pool], axis=-1)\nprint(tuple(result.shape))\n",
    }
