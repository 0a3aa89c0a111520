"""The view of a zeroed block: all weights at zero, a residual block is the identity and a plain one is nothing."""

import streamlit as st

from core.architectures import tasks
from pages.parts.code_tabs import code_tabs
from pages.parts.formula import formula
from pages.parts.kept_calls import kept_call

KINDS = {"basic": "Basic: 3 × 3, 3 × 3", "bottleneck": "Bottleneck: 1 × 1, 3 × 3, 1 × 1"}
EXPANSION = {"basic": 1, "bottleneck": 4}


@st.fragment
def view() -> None:
    """Draw the view."""
    controls, result = st.columns([1.05, 2.8], gap="medium")
    with controls:
        kind, width, side, seed = _controls()
    with result:
        zeroed = kept_call(tasks.zero_block_identity, kind, width, side, side, seed)
        if zeroed is None:
            return
        st.markdown(
            f"All {len(zeroed.zeroed_layers)} convolutions of a block on maps of "
            f"**{' × '.join(str(size) for size in zeroed.shape)}** are set to zero, and random numbers go in."
        )
        residual, plain, negative = st.columns(3)
        residual.metric(
            "Residual block: largest |output − input|",
            f"{zeroed.residual_difference:.3g}",
            help="For an input that comes out of a ReLU, as between two blocks.",
        )
        plain.metric("Plain block: largest |output|", f"{zeroed.plain_output:.3g}")
        negative.metric(
            "Residual, input with negative values",
            f"{zeroed.negative_difference:.3g}",
            help="The block's last ReLU takes negative values away: there it is not the identity.",
        )
        if zeroed.residual_difference == 0:
            st.success(
                "The residual block with zero weights is exactly the identity: two more layers cannot make the "
                "network worse. The plain block with zero weights lets nothing through.",
                icon=":material/check_circle:",
            )
    st.subheader("Mathematics", anchor=False)
    formula(
        r"a^{[l+2]} = g(z^{[l+2]} + a^{[l]}) = g(W^{[l+2]} a^{[l+1]} + b^{[l+2]} + a^{[l]})",
        r"W^{[l+2]} = 0,\; b^{[l+2]} = 0: \quad a^{[l+2]} = g(a^{[l]}) = a^{[l]}",
        explanation="g is ReLU, and a[l] came out of a ReLU, so g leaves it as it is. A plain block would have to "
        "learn weights that copy their input; a residual block has only to make them small.",
    )
    st.subheader("The same as code", anchor=False)
    code_tabs(zeroed_snippets(side, width * EXPANSION[kind]), key="zero_code")


def _controls() -> tuple[str, int, int, int]:
    kind = st.selectbox(
        "Block",
        list(KINDS),
        format_func=KINDS.__getitem__,
        key="zero_kind",
        bind="query-params",
        help="Basic blocks make ResNet-18 and 34, bottlenecks ResNet-50 and deeper.",
    )
    width = st.select_slider(
        "Width",
        [8, 16, 32, 64, 128],
        64,
        key="zero_width",
        bind="query-params",
        help="Channels of the inner convolutions; a bottleneck puts out four times as many.",
    )
    side = st.slider("Map (px)", 2, 56, 14, key="zero_side", bind="query-params", help="Height and width of the maps.")
    seed = st.number_input("Seed", 0, 10_000, 0, key="zero_seed", bind="query-params", help="Of the random input.")
    return kind, int(width), int(side), int(seed)


def zeroed_snippets(side: int, channels: int) -> dict[str, str]:
    """Programs of a zeroed block of two convolutions; `result` is the largest difference from its input."""
    shape = f"(1, {side}, {side}, {channels})"
    return {
        "NumPy": "import numpy as np\n\n"
        f"a = np.maximum(np.random.randn{shape}, 0)\n"
        "z2 = np.zeros_like(a)  # what two convolutions with zero weights put out\n"
        "block = np.maximum(z2 + a, 0)\n"
        "result = np.abs(block - a).max()\nprint(result)\n",
        "TensorFlow": "import tensorflow as tf\n\n"
        f"a = tf.nn.relu(tf.random.normal({shape}))\n"
        f"w = tf.zeros((3, 3, {channels}, {channels}))\n"
        'a1 = tf.nn.relu(tf.nn.conv2d(a, w, 1, "SAME"))\n'
        'block = tf.nn.relu(tf.nn.conv2d(a1, w, 1, "SAME") + a)\n'
        "result = float(tf.reduce_max(tf.abs(block - a)))\nprint(result)\n",
        "Keras": "import keras\n\n"
        f"a = keras.ops.relu(keras.random.normal({shape}))\n"
        f'first = keras.layers.Conv2D({channels}, 3, padding="same", activation="relu", kernel_initializer="zeros")\n'
        f'second = keras.layers.Conv2D({channels}, 3, padding="same", kernel_initializer="zeros")\n'
        "block = keras.ops.relu(second(first(a)) + a)\n"
        "result = float(keras.ops.max(keras.ops.abs(block - a)))\nprint(result)\n",
    }
