"""Feature maps: everything that a layer answers to a picture, tiled, and one map large."""

import streamlit as st

from core.architectures.activations import Mosaic, tile_maps
from core.interpretation import tasks
from core.runtime.images import display_jpeg, encode_png
from pages.parts import figures
from pages.parts.address import set_control
from pages.parts.downloads import download_array, download_picture
from pages.parts.features.choice import answered_by, ask, field_caption, layer_control, network_control
from pages.parts.image_input import image_input
from pages.parts.pixels import Box, Pixel, picture

CHANNEL = "map_channel"


def view() -> None:
    """Draw the controls, all maps, and the chosen one."""
    above = st.container()
    controls, maps_place, large_place = st.columns([0.9, 1.5, 1.3], gap="medium")
    with controls:
        chosen = network_control(above)
        if chosen is None:
            return
        info = chosen.info
        image = image_input(default="chelsea")
        layer = layer_control(info, default=3)
    with maps_place:
        answer = ask(chosen, tasks.feature_maps, layer.name, image.pixels)
    if answer is None:
        return
    seen, maps = answer
    with controls:
        st.image(display_jpeg(seen), width=150, alt="The picture as the network sees it")
        answered_by(info)
    mosaic = tile_maps(maps, largest_side_px=900)
    with large_place:
        channel = int(
            st.number_input(
                "Channel",
                0,
                None,
                0,
                key=CHANNEL,
                bind="query-params",
                help=f"0 to {mosaic.shown - 1}; or click a map.",
            )
        )
        channel = min(channel, mosaic.shown - 1)
        values = maps[:, :, channel]
        draw = figures.signed_heatmap if values.min() < 0 else figures.sequential_heatmap
        title = f"Channel {channel}: from {values.min():.3g} to {values.max():.3g}"
        figures.show(draw(values, title=title, height_px=360), key="map_large")
        st.caption("Drag to zoom, double-click to zoom out; hover to read a value.")
    with maps_place:
        top, left = mosaic.origin(channel)
        picture(
            encode_png(mosaic.pixels),
            rows=mosaic.pixels.shape[0],
            columns=mosaic.pixels.shape[1],
            key="map_mosaic",
            alt=f"The {mosaic.channels} maps of {layer.name} side by side; map {channel} is framed",
            boxes=[Box(top, left, mosaic.tile_height, mosaic.tile_width, "selected")],
            selected=Pixel(top, left),
            on_pick=lambda pixel: _pick(mosaic, pixel),
            max_height_px=470,
        )
        st.caption(field_caption(layer) + " Black is a map's smallest value, white its largest.")
        with st.container(horizontal=True):
            name = f"{info.name}_{layer.name}"
            download_picture(mosaic.pixels, name=name, key="map_png", label="All maps")
            download_array(maps, name=name, key="map_npy")


def _pick(mosaic: Mosaic, pixel: Pixel) -> None:
    row = pixel.row // (mosaic.tile_height + mosaic.gap_px)
    column = pixel.column // (mosaic.tile_width + mosaic.gap_px)
    channel = row * mosaic.columns + column
    if channel < mosaic.shown:
        set_control(CHANNEL, channel)
