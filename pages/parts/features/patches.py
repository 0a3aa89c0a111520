"""Top patches: the nine places in photographs that most excite each channel of a layer."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from core.interpretation import tasks
from core.interpretation.mosaics import PatchWall, patch_block, patch_wall
from core.interpretation.photographs import PhotographsError, read_photographs
from core.interpretation.types import LayerField, SubjectInfo, TopPatches
from core.runtime.images import display_jpeg
from pages.parts.address import set_control
from pages.parts.downloads import download_picture, download_table
from pages.parts.features.choice import (
    AT_ONCE_MULTIPLY_ADDS,
    Chosen,
    answered_by,
    ask,
    field_caption,
    layer_control,
    network_control,
)
from pages.parts.formula import formula, number
from pages.parts.job_view import job_view, start_job
from pages.parts.pixels import Box, Pixel, picture

JOB = "patch_search"
CHANNEL = "patch_channel"
SHOWN_UNITS = 8
WALL_COLUMNS = 4
PATCH_PX = 56


def view() -> None:
    """Draw the controls, the wall of patches and the chosen unit."""
    above = st.container()
    controls, wall_place, unit_place = st.columns([0.9, 1.75, 1.1], gap="medium")
    with controls:
        chosen = network_control(above)
        if chosen is None:
            return
        info = chosen.info
        layer = layer_control(info)
        pages = -(-layer.channels // SHOWN_UNITS)
        page = 1
        if pages > 1:
            page = st.slider(
                "Channels",
                1,
                pages,
                1,
                key=f"patch_page_{info.name}_{layer.name}",
                help=f"Eight of the layer's {layer.channels} channels are shown at a time.",
            )
        first = (page - 1) * SHOWN_UNITS
        channels = tuple(range(first, min(first + SHOWN_UNITS, layer.channels)))
        as_job = _photographs_control(chosen, layer, channels)
        answered_by(info)
    if as_job:
        with wall_place:
            job = job_view(JOB, draw_result=lambda found, job: _draw(info, found, wall_place, unit_place, job.title))
            if job is None:
                st.caption("The patches appear here once the photographs were searched.")
        return
    with wall_place:
        found = ask(chosen, tasks.top_patches, layer.name, channels)
    if found is not None:
        _draw(info, found, wall_place, unit_place)


def _photographs_control(chosen: Chosen, layer: LayerField, channels: tuple[int, ...]) -> bool:
    """Draw where the photographs come from; True where the search is a job, to be started by a button."""
    source = st.segmented_control(
        "Photographs",
        ["bundled", "own"],
        format_func={"bundled": "Bundled", "own": "My own"}.__getitem__,
        default="bundled",
        required=True,
        key="patch_source",
        bind="query-params",
        help="Bundled: the photographs that the Python packages carry. My own: pictures, or a zip of them; the more, "
        "the better the nine stand for what a unit likes.",
    )
    if source != "own":
        if chosen.info.multiply_adds <= AT_ONCE_MULTIPLY_ADDS:
            return False
        billions = chosen.info.multiply_adds / 1e9
        st.caption(f"{billions:,.1f} billion multiply-adds a picture: the search takes a while, as a job.")
        if st.button(
            "Search the photographs", icon=":material/search:", type="primary", key="patch_bundled", width="stretch"
        ):
            _search(chosen, layer, channels, None, "the bundled photographs")
        return True
    files = st.file_uploader(
        "Pictures or a zip",
        type=["jpg", "jpeg", "png", "webp", "bmp", "gif", "zip"],
        accept_multiple_files=True,
        key="patch_files",
        label_visibility="collapsed",
    )
    if st.button(
        "Search my photographs",
        icon=":material/search:",
        type="primary",
        key="patch_start",
        width="stretch",
        disabled=not files,
    ):
        try:
            read = read_photographs([(file.name, file.getvalue()) for file in files])
        except PhotographsError as error:
            st.error(str(error), icon=":material/broken_image:")
            return True
        for note in read.notes:
            st.caption(f":material/info: {note}")
        _search(chosen, layer, channels, read.photographs, f"{len(read.photographs)} photographs")
    elif not files:
        st.caption("Choose pictures or a zip of pictures; nothing leaves this machine.")
    return True


def _search(
    chosen: Chosen,
    layer: LayerField,
    channels: tuple[int, ...],
    photographs: Sequence[np.ndarray] | None,
    where: str,
) -> None:
    """Start the search as a job."""
    start_job(
        JOB,
        tasks.top_patches,
        chosen.subject,
        layer.name,
        channels,
        photographs,
        title=f"What excites {layer.name} of {chosen.info.label}, in {where}",
    )


@st.cache_resource(max_entries=16, show_spinner=False)
def _wall(key: str, _found: TopPatches) -> tuple[PatchWall, bytes]:
    wall = patch_wall(_found, WALL_COLUMNS, PATCH_PX, background=236)
    return wall, display_jpeg(wall.pixels)


def _draw(info: SubjectInfo, found: TopPatches, wall_place, unit_place, title: str = "") -> None:  # noqa: ANN001
    shown = [unit.channel for unit in found.units]
    digest = hashlib.sha256()
    for unit in found.units:
        for patch in unit.patches:
            digest.update(patch.pixels.tobytes())
    key = digest.hexdigest()
    wall, encoded = _wall(f"{info.name}:{found.layer.name}:{key}", found)
    if st.session_state.get(CHANNEL) not in shown:
        st.session_state[CHANNEL] = shown[0]
    with unit_place:
        channel = st.selectbox(
            "Channel",
            shown,
            key=CHANNEL,
            help="Or click a block of nine patches.",
            format_func=lambda n: f"Channel {n}",
        )
        index = shown.index(channel) if channel in shown else 0
        _draw_unit(info, found, index)
    with wall_place:
        st.markdown(f"**Channels {shown[0]} to {shown[-1]}**, the nine strongest patches of each")
        if title:
            st.caption(title)
        top, left = wall.origin(index)
        picture(
            encoded,
            rows=wall.pixels.shape[0],
            columns=wall.pixels.shape[1],
            key="patch_wall",
            alt=f"Blocks of nine patches for channels {shown[0]} to {shown[-1]} of {found.layer.name}",
            boxes=[Box(top, left, wall.unit_px, wall.unit_px, "selected")],
            selected=Pixel(top, left),
            on_pick=lambda pixel: _pick(wall, shown, pixel),
            max_height_px=440,
        )
        st.caption(
            field_caption(found.layer)
            + f" Searched: {found.photographs} photographs in {found.views} squares of {info.side_px} px."
        )
        with st.container(horizontal=True):
            download_picture(wall.pixels, name=f"{info.name}_{found.layer.name}_patches", key="wall_png", label="Wall")
            download_table(_table(found), name=f"{info.name}_{found.layer.name}_patches", key="patches_csv")
    _mathematics(found, index)


def _pick(wall: PatchWall, shown: list[int], pixel: Pixel) -> None:
    unit = wall.unit_at(pixel.row, pixel.column)
    if unit is not None:
        set_control(CHANNEL, shown[unit])


def _draw_unit(info: SubjectInfo, found: TopPatches, index: int) -> None:
    unit = found.units[index]
    if not unit.patches:
        st.info(
            f"Nothing in these photographs excites channel {unit.channel}: its activation is nowhere over 0.",
            icon=":material/visibility_off:",
        )
        return
    values = " · ".join(f"{patch.value:.3g}" for patch in unit.patches)
    st.image(
        display_jpeg(patch_block(unit, 120)),
        width="stretch",
        alt=f"The strongest patches of channel {unit.channel}, row by row; their activations are {values}",
    )
    best = unit.patches[0]
    st.caption(
        f"Activations, row by row: {values}.  \n"
        f"Strongest: photograph {best.source + 1}, unit ({best.row}, {best.column}); its field starts at pixel "
        f"({best.box_xyxy[1]}, {best.box_xyxy[0]}) of the square. Grey is padding beyond the picture's edge."
    )


def _table(found: TopPatches) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "channel": unit.channel,
                "rank": rank,
                "activation": patch.value,
                "photograph": patch.source + 1,
                "square": patch.view + 1,
                "row": patch.row,
                "column": patch.column,
                "x1": patch.box_xyxy[0],
                "y1": patch.box_xyxy[1],
                "x2": patch.box_xyxy[2],
                "y2": patch.box_xyxy[3],
            }
            for unit in found.units
            for rank, patch in enumerate(unit.patches, 1)
        ],
        columns=["channel", "rank", "activation", "photograph", "square", "row", "column", "x1", "y1", "x2", "y2"],
    )


def _mathematics(found: TopPatches, index: int) -> None:
    unit = found.units[index]
    layer = found.layer
    with st.expander("The receptive field in numbers", icon=":material/functions:"):
        if unit.patches:
            best = unit.patches[0]
            top = layer.offset_px + layer.stride_px * best.row
            formula(
                r"\text{rows} = \left[\,o + s\,i,\; o + s\,i + r\,\right)",
                rf"\text{{rows}} = \left[\,{number(layer.offset_px)} + {layer.stride_px}\cdot{best.row},\;"
                rf" {number(top)} + {layer.size_px}\,\right) = [{top}, {top + layer.size_px})",
                explanation=f"r = {layer.size_px} px is the size of the field of {layer.name}, s = {layer.stride_px} "
                f"px the distance between neighbours, o = {layer.offset_px} px where the first one starts (before "
                "the picture, in its padding, if negative); i is the unit's row. Columns alike.",
            )
        st.markdown(
            "1. Run the network over every photograph and keep the maps of the layer.\n"
            "2. In each channel find the places that no neighbour exceeds.\n"
            "3. Take the nine largest over all photographs; of fields that overlap, only the stronger counts.\n"
            "4. Cut out exactly what the unit sees there."
        )
        st.code(
            "reader = keras.Model(model.inputs, model.get_layer(name).output)\n"
            "maps = reader(photographs)                      # (N, rows, columns, channels)\n"
            "channel = np.asarray(maps)[..., k]\n"
            "n, i, j = np.unravel_index(np.argmax(channel), channel.shape)\n"
            f"top, left = {layer.offset_px} + {layer.stride_px} * i, {layer.offset_px} + {layer.stride_px} * j\n"
            f"patch = photographs[n, max(top, 0):top + {layer.size_px}, max(left, 0):left + {layer.size_px}]",
            language="python",
        )
