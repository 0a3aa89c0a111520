"""The nearest enrolled persons of the chosen face, with their photos and distances on a line with tau."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from core.faces.gallery import Gallery
from core.faces.gallery_photo import face_thumbnail
from core.faces.gallery_types import NotThere, Photo
from core.runtime.images import decode_image, display_jpeg
from pages.parts.figures import LINE_COLOURS, show
from pages.parts.gallery.access import plain

if TYPE_CHECKING:
    from pages.parts.gallery.recognize import Recognition

THUMBNAIL_PX, SHOWN_PX = 112, 96


def thumbnail_of(photo: Photo) -> np.ndarray:
    """The face of an enrolled photo, upright in a square (S, S, 3)."""
    return face_thumbnail(decode_image(photo.jpeg).pixels, photo.points, THUMBNAIL_PX)


def nearest_ones(gallery: Gallery, result: Recognition, chosen: int) -> None:
    """Draw the chosen face beside the nearest persons."""
    matches = result.matches[chosen]
    st.markdown(f"**The nearest of face {chosen + 1}** · {result.method}")
    pictures, line = st.columns([3.2, 2], gap="medium")
    face = result.found.faces[chosen].face
    with pictures.container(horizontal=True):
        own = face_thumbnail(result.image.pixels, face.points, THUMBNAIL_PX)
        st.image(display_jpeg(own), caption=f"Face {chosen + 1}", alt=f"Face {chosen + 1} of it", width=SHOWN_PX)
        for match in matches:
            try:
                photo = gallery.photo(match.photo_id)
            except NotThere:
                continue  # somebody deleted it this moment
            near = match.distance <= result.threshold
            st.image(
                display_jpeg(thumbnail_of(photo)),
                caption=f"{'✓' if near else '✗'} {match.distance:.3f} · {plain(match.name[:28])}",
                alt=f"{match.name} at a distance of {match.distance:.3f}",
                width=SHOWN_PX,
            )
    if len(matches) > 1:
        with line:
            _line(result, chosen)


def _line(result: Recognition, chosen: int) -> None:
    matches = result.matches[chosen]
    figure = go.Figure(
        go.Bar(
            x=[match.distance for match in matches],
            # Plotly reads names as markup: the places stand for them.
            y=[f"no. {place}" for place in range(1, len(matches) + 1)],
            orientation="h",
            texttemplate="%{x:.3f}",
            marker={
                "color": [LINE_COLOURS[2 if match.distance <= result.threshold else 1] for match in matches],
                "pattern": {"shape": ["" if match.distance <= result.threshold else "/" for match in matches]},
            },
        )
    )
    figure.add_vline(x=result.threshold, line={"color": LINE_COLOURS[3], "width": 2}, annotation_text="τ")
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(
        height=92 + 30 * len(matches),
        margin={"l": 8, "r": 8, "t": 24, "b": 8},
        xaxis_title="distance",
        showlegend=False,
    )
    show(figure, key="gallery_nearest")
