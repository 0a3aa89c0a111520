"""The convolution layer of the volumes view: what a person chooses of it, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import streamlit as st

from core.convolution.filters import FILTERS, filter_kernel, parse_kernel, resized
from core.convolution.settings import ConvolutionSettings
from core.convolution.volume import Activation, PartialProducts, convolve_volume, partial_products
from core.runtime.images import content_hash, fit_within
from pages.parts.image_input import ChosenImage
from pages.parts.playground.controls import CUSTOM

CHANNELS = ("Red", "Green", "Blue")
SLICE_KEYS = ("slice_r", "slice_g", "slice_b")
MATRIX_KEYS = ("wr", "wg", "wb")
ZEROS = "zeros"
CENTRE, MINUS_CENTRE = "0 0 0; 0 1 0; 0 0 0", "0 0 0; 0 -1 0; 0 0 0"
EXAMPLES: Mapping[str, Mapping[str, str]] = {
    "All channels": dict.fromkeys(SLICE_KEYS, "sobel_vertical"),
    "Red only": {"slice_r": "sobel_vertical", "slice_g": ZEROS, "slice_b": ZEROS},
    "Red − green": {
        "slice_r": CUSTOM,
        "slice_g": CUSTOM,
        "slice_b": ZEROS,
        "wr": CENTRE,
        "wg": MINUS_CENTRE,
    },
}
ACTIVATIONS: Mapping[str, tuple[str, str]] = {
    "linear": ("none", r"g(z) = z"),
    "relu": ("ReLU", r"g(z) = \max(0, z)"),
    "sigmoid": ("sigmoid", r"g(z) = \frac{1}{1 + e^{-z}}"),
    "tanh": ("tanh", r"g(z) = \tanh z"),
}
BANK = ["vertical", "horizontal", "laplacian", "sharpen", "gaussian"]
# Maps are shown small: a megapixel of each would be computed only to be scaled down.
LARGEST_SIDE_PX = 480


@dataclass(frozen=True)
class Layer:
    """The layer in numbers: volume (H, W, 3), filters (f, f, 3, K), bias (K,), and how they are applied."""

    volume: np.ndarray
    filters: np.ndarray
    bias: np.ndarray
    settings: ConvolutionSettings
    activation: Activation
    fingerprint: str


@st.cache_resource(max_entries=8, show_spinner=False)
def scaled_input(sha256: str, _pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture at the size of this view, and the volume that enters the layer: its pixels from 0 to 1."""
    pixels = fit_within(_pixels, LARGEST_SIDE_PX)
    return pixels, pixels.astype(np.float32) / 255


@st.cache_resource(max_entries=8, show_spinner=False)
def partial_products_of(fingerprint: str, _layer: Layer) -> PartialProducts:
    """The partial products of the layer's first filter."""
    return partial_products(_layer.volume, _layer.filters[..., 0], float(_layer.bias[0]), settings=_layer.settings)


@st.cache_resource(max_entries=8, show_spinner=False)
def maps_of(fingerprint: str, _layer: Layer) -> np.ndarray:
    """The layer's activation (H', W', K)."""
    return convolve_volume(_layer.volume, _layer.filters, _layer.bias, _layer.settings, _layer.activation)


def example_buttons() -> None:
    """Draw the buttons that set all three slices at once."""
    with st.container(horizontal=True, gap="small"):
        for name, values in EXAMPLES.items():
            st.button(name, key=f"volume_{name}", on_click=st.session_state.update, args=(values,), type="tertiary")


def slice_controls(f: int) -> list[np.ndarray]:
    """Draw the choice of each channel's slice and return the three, (f, f) each."""
    choices, texts = st.container(), st.popover("Own slices as text", icon=":material/edit_note:")
    with texts:
        # They stand there whichever slices are chosen, so that the address keeps them.
        matrices = [_own_matrix(channel) for channel in range(len(CHANNELS))]
    with choices:
        return [_slice(channel, matrix, f) for channel, matrix in enumerate(matrices)]


def _own_matrix(channel: int) -> str:
    return st.text_input(
        f"{CHANNELS[channel]}: rows parted by ;",
        CENTRE,
        key=MATRIX_KEYS[channel],
        bind="query-params",
        on_change=st.session_state.update,
        args=({SLICE_KEYS[channel]: CUSTOM},),
        help="Numbers parted by spaces, rows by semicolons; cropped or surrounded by zeros to f x f. "
        "Or type into the grid.",
    )


def _slice(channel: int, own: str, f: int) -> np.ndarray:
    name = st.selectbox(
        f"{CHANNELS[channel]} slice",
        [*FILTERS, ZEROS, CUSTOM],
        index=list(FILTERS).index("sobel_vertical"),
        format_func=lambda key: {ZEROS: "Zeros (ignore it)", CUSTOM: "Your own"}.get(key) or FILTERS[key].label,
        key=SLICE_KEYS[channel],
        bind="query-params",
        help=f"What the filter looks for in the {CHANNELS[channel].lower()} channel. "
        "The three slices are one filter: their products are added.",
    )
    if name == ZEROS:
        return np.zeros((f, f))
    if name != CUSTOM:
        return resized(filter_kernel(name, f), f)
    try:
        return resized(parse_kernel(own), f)
    except ValueError as error:
        st.error(str(error), icon=":material/error:")
        return np.zeros((f, f))


def layer_controls() -> tuple[int, float, Activation, ConvolutionSettings]:
    """Draw bias, activation, size, stride and padding and return them, the size first."""
    first, second = st.columns(2)
    bias = first.number_input(
        "Bias b",
        -100.0,
        100.0,
        0.0,
        0.1,
        key="b",
        bind="query-params",
        help="One number added to every pixel of the map. Negative: only strong answers pass ReLU.",
    )
    activation = second.selectbox(
        "Activation g",
        list(ACTIVATIONS),
        index=1,
        format_func=lambda name: ACTIVATIONS[name][0],
        key="g",
        bind="query-params",
        help="Applied to each number of the sum. ReLU sets what is negative to 0.",
    )
    with st.popover("Size, stride, padding", icon=":material/tune:", width="stretch"):
        f = st.selectbox(
            "Filter f",
            [1, 3, 5, 7],
            index=1,
            key="vf",
            bind="query-params",
            help="Each slice is f x f. Fixed filters of 3 x 3 are surrounded by zeros.",
        )
        stride = st.number_input(
            "Stride s",
            1,
            8,
            1,
            key="vs",
            bind="query-params",
            help="2 halves the height and width of the maps: a quarter of the numbers.",
        )
        padding = st.selectbox(
            "Padding p",
            ["valid", "same"],
            key="vp",
            bind="query-params",
            help="valid cuts f - 1 pixels off the height and width, same keeps them (at stride 1).",
        )
    return int(f), float(bias), activation, ConvolutionSettings(stride=int(stride), padding=padding)


def bank_control() -> list[str]:
    """Draw the choice of the layer's other filters and return their names."""
    st.subheader("Many filters at once", anchor=False)
    return st.multiselect(
        "Filters beside the one above",
        list(FILTERS),
        default=BANK,
        format_func=lambda name: FILTERS[name].label,
        max_selections=15,
        key="bank",
        bind="query-params",
        help="Each filter makes one map, and the maps are stacked: the next layer sees them as its channels. "
        "These have the same slice in each channel, and the bias and activation from above.",
    )


def chosen_layer(
    chosen: ChosenImage,
    slices: list[np.ndarray],
    bank: list[str],
    bias: float,
    activation: Activation,
    settings: ConvolutionSettings,
) -> Layer:
    """The layer of the filter with these slices and of the other filters, on the chosen picture."""
    _, volume = scaled_input(chosen.sha256, chosen.pixels)
    f = slices[0].shape[0]
    flat = [resized(filter_kernel(name, f), f) for name in bank]
    filters = np.stack(
        [np.stack(slices, axis=-1), *(np.stack([kernel] * len(CHANNELS), axis=-1) for kernel in flat)],
        axis=-1,
    )  # (f, f, 3, K)
    biases = np.full(filters.shape[3], bias)
    fingerprint = f"{chosen.sha256} {content_hash(filters)} {bias} {activation} {settings}"
    return Layer(volume, filters, biases, settings, activation, fingerprint)
