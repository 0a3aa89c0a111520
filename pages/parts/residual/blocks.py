"""The blocks view: an identity block and a convolution block of a residual network with their real shapes."""

import pandas as pd
import streamlit as st

from core.architectures import tasks
from core.architectures.summary import ModelSummary
from pages.parts.code_tabs import code_tabs
from pages.parts.downloads import download_table
from pages.parts.formula import formula
from pages.parts.kept_calls import kept_call
from pages.parts.residual.drawing import BlockPart, block_dot, block_parts, shape_text

NETWORKS = {"resnet18": "ResNet-18", "resnet34": "ResNet-34", "resnet50": "ResNet-50"}
STAGES = ("conv2", "conv3", "conv4", "conv5")
SHORTCUTS = {
    "B": "B: project where shapes change",
    "A": "A: pad with zeros",
    "C": "C: project everywhere",
}


@st.fragment
def view() -> None:
    """Draw the view."""
    controls, result = st.columns([1.05, 2.8], gap="medium")
    with controls:
        network, side, stage, shortcuts = _controls()
    with result:
        summary = kept_call(tasks.summarise, network, (side, side, 3), {"shortcuts": shortcuts})
        if summary is None:
            return
        first, second = (_parts(summary, f"{stage}_block{number}") for number in (1, 2))
        left, right = st.columns(2, gap="medium")
        with left:
            _draw_block(first, f"{stage}_block1")
        with right:
            _draw_block(second, f"{stage}_block2")
    st.subheader("Mathematics", anchor=False)
    _mathematics(first, second)
    table = pd.concat([_table(first, f"{stage}_block1"), _table(second, f"{stage}_block2")])
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        key="blocks_table",
        column_config={
            name: st.column_config.NumberColumn(format="localized") for name in ("Parameters", "Multiply-adds")
        },
    )
    download_table(table, name=f"{network}_{stage}_blocks", key="blocks_csv")
    st.subheader("The same as code", anchor=False)
    channels = first[-1].output_shape[-1]
    code_tabs(block_snippets(second[0].output_shape, int(channels or 1)), key="blocks_code")


def _controls() -> tuple[str, int, str, str]:
    network = st.selectbox(
        "Network",
        list(NETWORKS),
        format_func=NETWORKS.__getitem__,
        key="block_network",
        bind="query-params",
        help="ResNet-18 and 34 have two 3 x 3 convolutions in a block; ResNet-50 has 1 x 1, 3 x 3, 1 x 1.",
    )
    side = st.number_input(
        "Image (px)",
        32,
        512,
        224,
        key="block_side",
        bind="query-params",
        help="Height and width of the network's input.",
    )
    stage = st.segmented_control(
        "Stage",
        STAGES,
        default="conv3",
        required=True,
        key="block_stage",
        bind="query-params",
        help="From conv3 on, the first block of a stage halves height and width and doubles the channels.",
    )
    shortcuts = st.selectbox(
        "Shortcuts",
        list(SHORTCUTS),
        format_func=SHORTCUTS.__getitem__,
        key="block_shortcuts",
        bind="query-params",
        help="What stands on the shortcut where the input has another shape than the output: a 1 x 1 convolution w_s, "
        "or a subsampling padded with zeros, which has no parameters.",
    )
    return network, int(side), stage or "conv3", shortcuts


def _parts(summary: ModelSummary, block: str) -> list[BlockPart]:
    return block_parts([layer for layer in summary.layers if layer.block == block], summary)


def _is_identity(parts: list[BlockPart]) -> bool:
    return not any(part.on_shortcut for part in parts)


def _draw_block(parts: list[BlockPart], name: str) -> None:
    kind = "identity block" if _is_identity(parts) else "convolution block"
    st.markdown(f"**{kind.capitalize()}** · {name} · {sum(part.parameters for part in parts):,} parameters")
    st.graphviz_chart(block_dot(parts), width="content", alt=f"The {kind} {name}")


def _mathematics(first: list[BlockPart], second: list[BlockPart]) -> None:
    for column, parts in zip(st.columns(2, gap="medium"), (first, second), strict=True):
        before, after = shape_text(parts[0].output_shape), shape_text(parts[-1].output_shape)
        with column:
            if _is_identity(parts):
                formula(
                    r"a^{[l+2]} = g(z^{[l+2]} + a^{[l]})",
                    explanation=f"Identity block: a[l] and z[l+2] are both {after}, so they can be added as they are.",
                )
            else:
                formula(
                    r"a^{[l+2]} = g(z^{[l+2]} + w_s\, a^{[l]})",
                    explanation=f"Convolution block: a[l] is {before}, z[l+2] is {after}; w_s makes the one fit the "
                    "other.",
                )


def _table(parts: list[BlockPart], name: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "Block": name,
                "Part": part.label,
                "Where": "shortcut" if part.on_shortcut else "main path",
                "Output": shape_text(part.output_shape),
                "Parameters": part.parameters,
                "Multiply-adds": part.multiply_adds,
            }
            for part in parts
        ]
    )


def block_snippets(shape: tuple[int | None, ...], channels: int) -> dict[str, str]:
    """Programs of an identity block for a map of this shape (H, W, C); `result` has the same shape."""
    size = tuple(int(side or 1) for side in shape)
    return {
        "Keras": "import keras\n\n"
        f"x = keras.Input({size})\n"
        f'y = keras.layers.Conv2D({channels}, 3, padding="same", use_bias=False)(x)\n'
        "y = keras.layers.ReLU()(keras.layers.BatchNormalization()(y))\n"
        f'y = keras.layers.Conv2D({channels}, 3, padding="same", use_bias=False)(y)\n'
        "y = keras.layers.BatchNormalization()(y)\n"
        "output = keras.layers.ReLU()(keras.layers.Add()([x, y]))\n"
        "block = keras.Model(x, output)\n"
        f"result = block(keras.random.normal((1, *{size})))\n"
        "print(tuple(result.shape), block.count_params())\n",
        "TensorFlow": "import tensorflow as tf\n\n"
        f"a = tf.nn.relu(tf.random.normal((1, *{size})))\n"
        f"w1 = tf.random.normal((3, 3, {size[-1]}, {channels}), stddev=0.05)\n"
        f"w2 = tf.random.normal((3, 3, {channels}, {channels}), stddev=0.05)\n"
        'a1 = tf.nn.relu(tf.nn.conv2d(a, w1, 1, "SAME"))\n'
        'z2 = tf.nn.conv2d(a1, w2, 1, "SAME")\n'
        "result = tf.nn.relu(z2 + a)\nprint(tuple(result.shape))\n",
    }
