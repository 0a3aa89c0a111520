"""The view of 1 x 1 convolutions: one dense layer for every pixel, shown equal on the user's image."""

import numpy as np
import pandas as pd
import streamlit as st

from core.architectures import tasks
from core.architectures.one_by_one import OneByOneEquivalence
from core.convolution.display import signed_to_rgb
from core.runtime.images import display_jpeg, fit_within
from pages.parts.code_tabs import code_tabs
from pages.parts.downloads import download_array, download_table
from pages.parts.formula import formula, number
from pages.parts.image_input import image_input
from pages.parts.inception.numbers import shape_text
from pages.parts.kept_calls import kept_call
from pages.parts.pixels import picture

SIDE_PX = 160
MAPS_IN_A_ROW = 4


@st.fragment
def view() -> None:
    """Draw the view."""
    controls, result = st.columns([1.05, 2.8], gap="medium")
    with controls:
        chosen = image_input(default="coffee")
        count, seed = _controls()
    volume = fit_within(chosen.pixels, SIDE_PX).astype(np.float32) / 255  # (H, W, 3)
    with result:
        shown = kept_call(tasks.one_by_one_equivalence, volume, count, seed)
        if shown is None:
            return
        _draw_maps(volume, shown)
        _draw_difference(shown)
    st.subheader("Mathematics", anchor=False)
    _mathematics(volume, shown)
    weights = _weights(shown)
    st.dataframe(weights, hide_index=True, height="content", key="one_weights")
    with st.container(horizontal=True):
        download_table(weights, name="one_by_one_weights", key="one_csv", label="Weights (CSV)")
        download_array(shown.maps, name="one_by_one_maps", key="one_npy", label="Maps (.npy)")
    st.subheader("The same as code", anchor=False)
    code_tabs(one_by_one_snippets(volume.shape, count), key="one_code")


def _controls() -> tuple[int, int]:
    count = st.slider(
        "Filters $n'_C$",
        1,
        8,
        4,
        key="one_filters",
        bind="query-params",
        help="Each filter is one number per input channel. Fewer filters than channels shrink the volume, more "
        "widen it; height and width stay.",
    )
    seed = st.number_input(
        "Seed of the weights", 0, 10_000, 0, key="one_seed", bind="query-params", help="Draws other random weights."
    )
    return int(count), int(seed)


def _draw_maps(volume: np.ndarray, shown: OneByOneEquivalence) -> None:
    maps = shown.maps
    rows, columns = maps.shape[:2]
    st.markdown(
        f"**{shape_text(volume.shape)}** → **{shape_text(maps.shape)}**: each map mixes the channels of a pixel in "
        "its own way"
    )
    for start in range(0, maps.shape[2], MAPS_IN_A_ROW):
        for offset, column in enumerate(st.columns(MAPS_IN_A_ROW)):
            index = start + offset
            if index < maps.shape[2]:
                with column:
                    picture(
                        display_jpeg(signed_to_rgb(maps[:, :, index])),
                        rows=rows,
                        columns=columns,
                        key=f"one_map_{index}",
                        alt=f"Map {index + 1}",
                        max_height_px=150,
                    )
                    st.caption(f"Map {index + 1}")


def _draw_difference(shown: OneByOneEquivalence) -> None:
    st.success(
        "With the same weights a 1 × 1 convolution, a dense layer, and a matrix product at each pixel give the same "
        f"maps. Largest difference from the product: convolution **{shown.convolution_difference:.1e}**, dense layer "
        f"**{shown.dense_difference:.1e}**.",
        icon=":material/check_circle:",
    )


def _mathematics(volume: np.ndarray, shown: OneByOneEquivalence) -> None:
    row, column = volume.shape[0] // 2, volume.shape[1] // 2
    pixel, weights = volume[row, column], shown.kernel[:, 0]
    terms = " + ".join(
        rf"{number(float(weight))}\cdot{number(float(value))}" for weight, value in zip(weights, pixel, strict=True)
    )
    formula(
        r"z_{i,j,k} = b_k + \sum_{c} W_{1,1,c,k}\; x_{i,j,c}",
        rf"z_{{{row},{column},1}} = {number(float(shown.bias[0]))} + {terms} "
        rf"= {number(float(shown.maps[row, column, 0]))}",
        explanation="Nothing but the channels c of the pixel (i, j) itself goes in: a dense layer from n_C to n'_C "
        "numbers, with the same weights at every pixel. The numbers are those of the middle pixel and the first map.",
    )
    inputs, outputs = shown.kernel.shape
    formula(
        r"\text{parameters} = (n_C + 1)\, n'_C",
        rf"\text{{parameters}} = ({inputs} + 1) \cdot {outputs} = {shown.kernel.size + shown.bias.size}",
    )


def _weights(shown: OneByOneEquivalence) -> pd.DataFrame:
    table = pd.DataFrame(shown.kernel.T, columns=["red", "green", "blue"])  # (K, C)
    table.insert(0, "map", [f"{index + 1}" for index in range(len(shown.bias))])
    table["bias"] = shown.bias
    return table


def one_by_one_snippets(shape: tuple[int, ...], count: int) -> dict[str, str]:
    """Programs that compute both and print the largest difference, which is their `result`."""
    height, width, channels = shape
    return {
        "NumPy": "import numpy as np\n\n"
        f"x = np.random.rand({height}, {width}, {channels})\n"
        f"W, b = np.random.randn({channels}, {count}), np.random.randn({count})\n"
        f"convolved = np.zeros(({height}, {width}, {count}))\n"
        f"for c in range({channels}):  # a 1 x 1 filter adds up scaled channels\n"
        "    convolved += x[:, :, c, None] * W[c]\n"
        "convolved += b\n"
        f"pixels = x.reshape(-1, {channels})  # (H * W, C): one row a pixel\n"
        f"dense = (pixels @ W + b).reshape({height}, {width}, {count})\n"
        "result = np.abs(convolved - dense).max()\nprint(result)\n",
        "TensorFlow": "import tensorflow as tf\n\n"
        f"x = tf.random.uniform((1, {height}, {width}, {channels}))\n"
        f"W, b = tf.random.normal(({channels}, {count})), tf.random.normal(({count},))\n"
        'convolved = tf.nn.conv2d(x, W[None, None], 1, "VALID") + b\n'
        "dense = tf.tensordot(x, W, axes=1) + b\n"
        "result = float(tf.reduce_max(tf.abs(convolved - dense)))\nprint(result)\n",
        "Keras": "import keras\n\n"
        f"x = keras.random.uniform((1, {height}, {width}, {channels}))\n"
        f"convolution = keras.layers.Conv2D({count}, 1)\n"
        f"dense = keras.layers.Dense({count})  # works on the last axis: per pixel\n"
        "convolved = convolution(x)\n"
        "dense.build(x.shape)\n"
        "kernel, bias = convolution.get_weights()\n"
        "dense.set_weights([kernel[0, 0], bias])\n"
        "result = float(keras.ops.max(keras.ops.abs(convolved - dense(x))))\nprint(result)\n",
    }
