"""What a layer answers to an image: all its maps tiled, and one of them large."""

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.architectures import tasks
from core.architectures.activations import LayerActivations, Mosaic, tile_maps
from core.architectures.catalog import APPLICATIONS
from core.architectures.exploration import ExploredNetwork
from core.runtime.images import display_jpeg, encode_png
from pages.parts import figures
from pages.parts.compute import compute
from pages.parts.downloads import download_array, download_picture
from pages.parts.explorer.choice import Choice
from pages.parts.explorer.layers import choose_layer, file_stem, shape_text
from pages.parts.image_input import ChosenImage, image_input
from pages.parts.pixels import Box, Pixel, picture

CHANNEL_KEY = "channel"
WEIGHTS = {"random": "random start", "imagenet": "ImageNet, fetched"}
# Smaller networks answer without being asked to.
RUN_AT_ONCE_MB = 30
RUN_TIMEOUT_S = 180.0
_ASKED = "_explorer_asked"


def view(choice: Choice, network: ExploredNetwork) -> None:
    """Draw the controls and, once asked for, the maps."""
    controls, maps_place, large_place = st.columns([0.9, 1.5, 1.3], gap="medium")
    with controls:
        image = image_input(default="chelsea")
        layer = choose_layer(network.summary, f"layers_{choice.key}")
        weights = weights_control(choice)
        asked_for = (choice.key, weights)
        megabytes = network.summary.weight_bytes / 10**6
        at_once = megabytes <= RUN_AT_ONCE_MB and weights != "imagenet"
        if not at_once and st.session_state.get(_ASKED) != asked_for:
            if not st.button(
                "Run the network", icon=":material/play_arrow:", type="primary", width="stretch", key="run_network"
            ):
                st.caption(
                    f"Until then nothing of its {megabytes:,.0f} MB of weights is allocated; then a worker does."
                )
                with maps_place:
                    _preview(image, network)
                return
            st.session_state[_ASKED] = asked_for
            st.rerun()
    with maps_place:
        answer = _answer(choice, layer, image, weights)
    if answer is None:
        return
    with controls:
        st.caption(
            f":material/psychology: Answered by **{answer.network}** with **{answer.weights}**."
            + (
                " Untrained filters are random; edges and blobs come through all the same."
                if "random" in answer.weights
                else ""
            )
        )
        picture(
            display_jpeg(np.broadcast_to(answer.input_pixels, (*answer.input_pixels.shape[:2], 3)).copy()),
            rows=answer.input_pixels.shape[0],
            columns=answer.input_pixels.shape[1],
            key="network_input",
            alt="The picture as the network sees it",
            max_height_px=150,
        )
        st.caption(f"As the network sees it: {shape_text(answer.input_pixels.shape)}.")
    _draw(answer, choice, maps_place, large_place)


def weights_control(choice: Choice) -> str:
    """Draw the choice of weights, where there is one."""
    if choice.file is not None:
        return "file"
    offered = list(WEIGHTS) if choice.name in APPLICATIONS else ["random"]
    chosen = st.selectbox(
        "Weights",
        offered,
        format_func=WEIGHTS.__getitem__,
        key="weights",
        bind="query-params",
        help="Random: as before training, with a fixed seed. ImageNet: the weights of keras.applications, fetched once "
        "from their official address where a network is there. Networks of the catalogue have no trained weights here.",
    )
    return chosen or "random"


def _preview(image: ChosenImage, network: ExploredNetwork) -> None:
    st.markdown(f"**Image** · to be resized to {shape_text(network.summary.input_shape[:2])}")
    rows, columns = image.pixels.shape[:2]
    picture(
        display_jpeg(image.pixels), rows=rows, columns=columns, key="activation_image", alt=f"The image, {image.name}"
    )


def _answer(choice: Choice, layer: str, image: ChosenImage, weights: str) -> LayerActivations | None:
    try:
        return _cached_answer(choice.key, layer, image.sha256, weights, choice, image.pixels)
    except _NoAnswer:
        return None


class _NoAnswer(Exception):
    """The engine gave no answer; raised so that the cache keeps nothing."""


@st.cache_resource(max_entries=12, show_spinner="Running the network in a worker…")
def _cached_answer(
    key: str, layer: str, sha256: str, weights: str, _choice: Choice, _pixels: np.ndarray
) -> LayerActivations:
    answer = compute(
        tasks.layer_activations,
        _choice.network,
        layer,
        _pixels,
        _choice.input_shape,
        dict(_choice.options),
        "random" if weights == "file" else weights,
        timeout_s=RUN_TIMEOUT_S,
    )
    if answer is None:
        raise _NoAnswer
    return answer


def _draw(answer: LayerActivations, choice: Choice, maps_place: DeltaGenerator, large_place: DeltaGenerator) -> None:
    height, width, channels = answer.maps.shape
    shared = bool(st.session_state.get("shared_scale", False))
    mosaic = tile_maps(answer.maps, largest_side_px=900, shared_scale=shared)
    with large_place:
        number, scale = st.columns([1, 1.4], vertical_alignment="bottom")
        written = number.number_input(
            "Channel",
            0,
            None,
            0,
            key=CHANNEL_KEY,
            bind="query-params",
            help=f"0 to {mosaic.shown - 1}; or click a map.",
        )
        channel = min(int(written), mosaic.shown - 1)
        scale.toggle(
            "One scale for all",
            key="shared_scale",
            help="Off: each map has its own black and white. On: black and white mean the same value in all maps.",
        )
        _draw_channel(answer, channel)
    with maps_place:
        st.markdown(
            f"**{answer.layer}** · {channels:,} maps of {height} × {width}"
            + (f", the first {mosaic.shown:,}" if mosaic.shown < channels else "")
        )
        top, left = mosaic.origin(channel)
        picture(
            encode_png(mosaic.pixels),
            rows=mosaic.pixels.shape[0],
            columns=mosaic.pixels.shape[1],
            key="mosaic",
            alt=f"The {channels} maps of {answer.layer} side by side; map {channel} is framed",
            boxes=[Box(top, left, mosaic.tile_height, mosaic.tile_width, "selected")],
            selected=Pixel(top, left),
            on_pick=lambda pixel: _pick(mosaic, pixel),
            max_height_px=520,
        )
        st.caption("Black is a map's smallest value, white its largest. Click a map to see it large.")
        with st.container(horizontal=True):
            name = f"{file_stem(choice)}_{answer.layer.replace('/', '_')}"
            download_picture(mosaic.pixels, name=name, key="mosaic_png", label="All maps")
            download_array(answer.maps, name=name, key="maps_npy")


def _pick(mosaic: Mosaic, pixel: Pixel) -> None:
    row = pixel.row // (mosaic.tile_height + mosaic.gap_px)
    column = pixel.column // (mosaic.tile_width + mosaic.gap_px)
    channel = row * mosaic.columns + column
    if channel < mosaic.shown:
        st.session_state[CHANNEL_KEY] = channel


def _draw_channel(answer: LayerActivations, channel: int) -> None:
    values = answer.maps[:, :, channel]
    title = f"Channel {channel}: from {values.min():.3g} to {values.max():.3g}"
    if values.size == 1:
        st.metric(f"Unit {channel}", f"{values.item():.4g}")
        units = np.arange(answer.maps.shape[2])
        chart = figures.line_chart({"activation": (units, answer.maps[0, 0])}, x_title="unit", y_title="activation")
        figures.show(chart, key="unit_values")
        return
    draw = figures.signed_heatmap if values.min() < 0 else figures.sequential_heatmap
    figures.show(draw(values, title=title, height_px=340), key="channel_map")
    st.caption("Drag to zoom, double-click to zoom out; hover to read a value.")
