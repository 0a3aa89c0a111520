"""What belongs to a layer of many filters: the stack of maps, the notation with its sizes, and the code."""

import numpy as np
import pandas as pd
import streamlit as st

from core.convolution import tasks
from core.convolution.display import signed_to_rgb
from core.convolution.filters import FILTERS
from core.convolution.notation import NotationEntry, layer_notation
from core.convolution.settings import ConvolutionSettings, padding_amounts
from core.convolution.snippets import volume_snippets
from core.convolution.volume import PartialProducts
from core.runtime.images import display_jpeg
from pages.parts.code_tabs import code_tabs
from pages.parts.compute import compute
from pages.parts.downloads import download_array, download_picture, download_table
from pages.parts.formula import formula
from pages.parts.image_input import ChosenImage
from pages.parts.playground.volume_layer import ACTIVATIONS, Layer

MAP_WIDTH_PX = 146


def draw_stack(chosen: ChosenImage, layer: Layer, bank: list[str], parts: PartialProducts, maps: np.ndarray) -> None:
    """Draw the maps of all filters, and their sizes as a formula."""
    height, width, channels = layer.volume.shape
    f, count = layer.filters.shape[0], layer.filters.shape[3]
    plain = layer.settings == ConvolutionSettings()
    rows, columns = ("n_H - f + 1", "n_W - f + 1") if plain else ("n'_H", "n'_W")
    if plain:
        rows, columns = f"({rows})", f"({columns})"
    formula(
        r"&n_H \times n_W \times n_C \;*\; f \times f \times n_C",
        rf"&\quad\rightarrow\; {rows} \times {columns} \times n'_C",
        rf"&{height} \times {width} \times {channels} \;*\; {f} \times {f} \times {channels}",
        rf"&\quad\rightarrow\; {maps.shape[0]} \times {maps.shape[1]} \times {count}",
        explanation=f"One filter makes one map; {count} filters make {count}: the channels of the next layer's input.",
    )
    names = ["The filter above", *(FILTERS[name].label for name in bank)]
    with st.container(horizontal=True, gap="small"):
        for index, name in enumerate(names):
            shown = signed_to_rgb(maps[..., index])
            st.image(display_jpeg(shown), width=MAP_WIDTH_PX, caption=f"{index + 1}. {name}")
    with st.container(horizontal=True):
        download_picture(
            signed_to_rgb(maps[..., 0]),
            name=f"{chosen.name}_activation",
            key="activation_png",
            label="Activation of filter 1",
        )
        download_array(
            parts.channels, name=f"{chosen.name}_products", key="products_npy", label="Products by channel (.npy)"
        )
        download_array(maps, name=f"{chosen.name}_maps", key="maps_npy", label="All maps (.npy)")
        download_array(layer.filters, name="filters", key="filters_npy", label="Filters (.npy)")


def draw_notation(layer: Layer) -> None:
    """Draw the table of the notation with the sizes of this layer."""
    st.subheader("Notation", anchor=False)
    table, words = st.columns([2.2, 1], gap="medium")
    with words:
        batch = st.number_input(
            "Batch size m",
            1,
            4096,
            32,
            key="m",
            bind="query-params",
            help="How many images are computed at once: A holds the activations of them all.",
        )
        f = layer.filters.shape[0]
        before, after = padding_amounts(layer.volume.shape[0], f, layer.settings)
        padding = f"{before}" if before == after else f"{before} before, {after} after"
        st.markdown(
            f"Filter size $f^{{(l)}} = {f}$  \nPadding $p^{{(l)}}$ = {padding}  \n"
            f"Stride $s^{{(l)}} = {layer.settings.stride}$"
        )
        formula(r"z = W * a^{(l-1)} + b, \quad a^{(l)} = g(z)", ACTIVATIONS[layer.activation][1])
    entries = layer_notation(layer.volume.shape, layer.filters.shape, layer.settings, int(batch))
    with table:
        st.markdown(_notation_table(entries))
        download_table(
            pd.DataFrame(
                [
                    {"Name": entry.what, "Shape": " x ".join(map(str, entry.shape)), "Numbers": entry.count}
                    for entry in entries
                ]
            ),
            name="notation",
            key="notation_csv",
        )


def _notation_table(entries: tuple[NotationEntry, ...]) -> str:
    lines = ["| | Notation | Your sizes | Numbers |", "|---|---|---|---:|"]
    lines += [
        f"| {entry.what} | ${entry.symbol}$ | {' × '.join(map(str, entry.shape))} | {entry.count:,} |"
        for entry in entries
    ]
    return "\n".join(lines)


def draw_code(chosen: ChosenImage, layer: Layer) -> None:
    """Draw the layer as code, and its comparison."""
    st.subheader("The same as code", anchor=False)
    activation = ACTIVATIONS[layer.activation][0].lower()
    code_tabs(
        volume_snippets(layer.settings, layer.filters.shape, layer.volume.shape, activation),
        key="volume_code",
        inputs="from PIL import Image\n"
        'volume = np.asarray(Image.open("photo.jpg").convert("RGB"), np.float32) / 255\n'
        'filters = np.load("filters.npy")  # the download above\n'
        f"bias = np.full({layer.bias.size}, {float(layer.bias[0])})\n",
        fingerprint=layer.fingerprint,
        compare=lambda: compute(
            tasks.compare_volume,
            layer.volume,
            layer.filters,
            layer.bias,
            layer.settings.stride,
            layer.settings.padding,
            "zero",
            1,
            False,
            activation,
        ),
    )
