"""What a shift of the image does to the output of a convolution, and to that of a fully connected layer."""

import numpy as np
import streamlit as st

from core.convolution import tasks
from core.convolution.display import clipped_to_rgb, signed_to_rgb
from core.convolution.equivalence import TranslationResult, translation_equivariance
from core.convolution.operation import luminance
from core.convolution.settings import ConvolutionSettings
from core.convolution.snippets import convolution_snippets
from core.runtime.images import content_hash, display_jpeg, fit_within
from pages.parts.code_tabs import code_tabs
from pages.parts.compute import compute
from pages.parts.downloads import download_array, download_picture
from pages.parts.formula import formula, number
from pages.parts.image_input import image_input
from pages.parts.pixels import Box, picture
from pages.parts.playground.controls import ChosenFilter, filter_controls, kernel_editor

LARGEST_SIDE_PX = 256
LARGEST_SHIFT_PX = 30
# Rounding of float32 sums is far below, a real difference far above.
SAME = 1e-4


@st.cache_resource(max_entries=8, show_spinner=False)
def _grey(sha256: str, _pixels: np.ndarray) -> np.ndarray:
    return luminance(fit_within(_pixels, LARGEST_SIDE_PX))


@st.cache_resource(max_entries=16, show_spinner=False)
def _shifted(
    fingerprint: str,
    seed: int,
    shift_px: tuple[int, int],
    _grey: np.ndarray,
    _kernel: np.ndarray,
    _settings: ConvolutionSettings,
) -> TranslationResult:
    return translation_equivariance(_grey, _kernel, _settings, shift_px, seed=seed)


@st.fragment
def view() -> None:
    """Draw the view."""
    controls, results = st.columns([1.05, 2.8], gap="medium")
    with controls:
        image = image_input(default="astronaut")
        chosen = filter_controls()
        shift_px, settings, seed = _shift_controls()
    grey = _grey(image.sha256, image.pixels)
    fingerprint = f"{image.sha256} {content_hash(chosen.kernel)} {settings}"
    try:
        result = _shifted(fingerprint, seed, shift_px, grey, chosen.kernel, settings)
    except ValueError as error:
        results.error(str(error), icon=":material/error:")
        return
    with results:
        _draw(result, image.name)
    _explain(result, settings)
    mathematics, editor = st.columns([2, 1], gap="medium")
    with mathematics:
        st.subheader("Mathematics", anchor=False)
        _mathematics(result, settings)
    with editor:
        st.markdown("**The filter**")
        kernel_editor(chosen)
    _code(result, chosen, settings, fingerprint)
    with st.container(horizontal=True):
        shifted = clipped_to_rgb(result.images[1])
        download_picture(shifted, name="shifted", key="shifted_png", label="Shifted image")
        for name, label, values in zip(
            ("map", "map_of_shifted"), ("Map", "Map of the shifted image"), result.maps, strict=True
        ):
            file_name = f"{image.name}_{name}"
            download_picture(signed_to_rgb(values), name=file_name, key=f"{name}_png", label=label)
            download_array(values, name=file_name, key=f"{name}_npy", label=f"{label} (.npy)")


def _shift_controls() -> tuple[tuple[int, int], ConvolutionSettings, int]:
    right = st.slider(
        "Shift to the right dx (px)",
        -LARGEST_SHIFT_PX,
        LARGEST_SHIFT_PX,
        12,
        key="dx",
        bind="query-params",
        help="How far the image moves. What moves in at the other side is taken from the photograph.",
    )
    down = st.slider(
        "Shift down dy (px)",
        -LARGEST_SHIFT_PX,
        LARGEST_SHIFT_PX,
        6,
        key="dy",
        bind="query-params",
        help="A negative shift moves up.",
    )
    first, second = st.columns(2)
    stride = first.number_input(
        "Stride s",
        1,
        8,
        1,
        key="shift_s",
        bind="query-params",
        help="With a stride the map moves by whole steps only: a shift by less changes its values.",
    )
    padding = second.selectbox(
        "Padding p",
        ["valid", "same"],
        key="shift_p",
        bind="query-params",
        help="Padding does not move with the image: with same padding the rim of the map differs.",
    )
    seed = st.number_input(
        "Seed of the random weights",
        0,
        999,
        0,
        key="shift_seed",
        bind="query-params",
        help="Other weights for the fully connected layer: no choice makes its output move with the image.",
    )
    return (int(down), int(right)), ConvolutionSettings(int(stride), padding), int(seed)


def _draw(result: TranslationResult, name: str) -> None:
    map_limit = float(np.abs(result.maps[0]).max())
    dense = result.fully_connected_maps
    for index, title in enumerate(("Image", "Shifted image")):
        image, convolved, connected = st.columns(3)
        with image:
            st.caption(title)
            _picture(clipped_to_rgb(result.images[index]), key=f"shift_image_{index}", alt=f"{title}: {name}")
        with convolved:
            verdict = "moves along" if result.convolution_change < SAME else "changes"
            change = f"Its map {verdict}: **{_percent(result.convolution_change)}** changed"
            st.caption("Convolution: its map" if index == 0 else change)
            _picture(
                signed_to_rgb(result.maps[index], map_limit),
                key=f"shift_map_{index}",
                alt=f"Convolution of the {title.lower()}",
                boxes=[Box(*result.places[index], "window")],
            )
        with connected:
            if dense is None or result.fully_connected_change is None:
                st.caption("Fully connected: the shift leaves nothing of the 32 x 32 pixels that it sees.")
            else:
                change = f"Its output does not: **{_percent(result.fully_connected_change)}** changed"
                st.caption("Fully connected: its output" if index == 0 else change)
                _picture(
                    signed_to_rgb(dense[index], float(np.abs(dense[0]).max())),
                    key=f"shift_dense_{index}",
                    alt=f"Fully connected layer on the {title.lower()}",
                )


def _percent(change: float) -> str:
    return f"{100 * change:.3g} %"


def _picture(pixels: np.ndarray, *, key: str, alt: str, boxes: list[Box] | None = None) -> None:
    rows, columns = pixels.shape[:2]
    encoded = display_jpeg(pixels)
    picture(encoded, rows=rows, columns=columns, key=key, alt=alt, boxes=boxes or [], max_height_px=176)


def _explain(result: TranslationResult, settings: ConvolutionSettings) -> None:
    if result.convolution_change < SAME:
        text = "The map moves with the image and stays the same: a detector works wherever its object is."
    elif settings.stride > 1 and any(shift % settings.stride for shift in result.shift_px):
        text = (
            f"The shift is no multiple of the stride {settings.stride}, so the windows fall between the "
            "old ones: the "
            "map cannot move by a part of a pixel, and its values change."
        )
    else:
        text = "Only the rim differs: padding does not move with the image."
        if result.interior_change is not None:
            text += f" Without the outputs that see padding the change is {_percent(result.interior_change)}."
    st.info(
        f"**Convolution.** {text} **Fully connected.** Every output has weights of its own for every "
        "pixel: after the "
        "shift the same object meets other weights. (Here 32 x 32 pixels from the middle, a million random "
        "weights.)",
        icon=":material/open_with:",
    )


def _mathematics(result: TranslationResult, settings: ConvolutionSettings) -> None:
    (down, right), (map_down, map_right) = result.shift_px, result.map_shift
    formula(
        r"(T_{dy,dx}\, x) * W = T_{dy/s,\,dx/s}\, (x * W)",
        rf"(T_{{{down},{right}}}\, x) * W = T_{{{map_down},{map_right}}}\, (x * W), \quad s = "
        f"{settings.stride}",
        rf"\frac{{\lVert (T x) * W - T (x * W) \rVert}}{{\lVert T (x * W) \rVert}} = "
        f"{number(result.convolution_change)}",
        explanation="T shifts down and to the right. This is equivariance: the map moves as the image "
        "does. Pooling then "
        "makes the answer nearly invariant.",
    )


def _code(result: TranslationResult, chosen: ChosenFilter, settings: ConvolutionSettings, fingerprint: str) -> None:
    st.subheader("The same as code", anchor=False)
    moved = result.images[1]
    code_tabs(
        convolution_snippets(settings, chosen.kernel.shape, moved.shape),
        key="translation_code",
        inputs="from PIL import Image\n"
        'image = np.asarray(Image.open("shifted.png").convert("L"), np.float32)\n'
        f"kernel = np.array({np.round(chosen.kernel, 6).tolist()})\n",
        fingerprint=f"{fingerprint} {result.shift_px}",
        compare=lambda: compute(tasks.compare_implementations, moved, chosen.kernel, settings.stride, settings.padding),
    )
