"""Gram matrices as pictures: what the style cost compares."""

import numpy as np
import streamlit as st

from core.runtime.engine import EngineError
from core.runtime.images import encode_png
from core.style import tasks
from core.style.settings import STYLE_LAYERS, GramPicture
from core.style.tasks import gram_image
from pages.parts.compute import engine
from pages.parts.downloads import download_array
from pages.parts.formula import formula, number
from pages.parts.style.fast import fast_result
from pages.parts.style.pictures import Pictures, picture_controls, thumbnails

SIDE_PX = 260


@st.cache_resource(max_entries=12, show_spinner="Computing Gram matrices in a worker…")
def _grams(fingerprint: str, layer: str, _pictures: Pictures, _made: np.ndarray | None) -> GramPicture:
    pictures = _pictures.content.pixels, _pictures.styles[0].pixels
    return engine().call(tasks.gram_matrices, *pictures, _made, "embedded", (layer,), timeout_s=120.0)[0]


def view() -> None:
    """Draw the view."""
    controls, results = st.columns([1.15, 3.2], gap="medium")
    with controls:
        pictures = picture_controls()
        layer = st.selectbox("Layer", STYLE_LAYERS, index=1, key="style_gram_layer", bind="query-params")
        thumbnails(pictures)
    with results:
        made = fast_result(pictures)
        try:
            gram = _grams(pictures.fingerprint, layer, pictures, None if made is None else made.image)
        except EngineError as error:
            st.error(str(error), icon=":material/error:")
            return
        _draw(gram, pictures.styles[0].name)


def _draw(gram: GramPicture, style_name: str) -> None:
    limit = float(max(gram.content.max(), gram.style.max()))
    shown = [("Content", gram.content), ("Style", gram.style)]
    if gram.generated is not None:
        shown.append(("Generated at once", gram.generated))
    channels = gram.style.shape[0]
    for column, (label, values) in zip(st.columns(3, gap="small"), shown, strict=False):
        column.image(
            encode_png(gram_image(values, limit, SIDE_PX)),
            caption=f"{label}: {channels} × {channels}",
            width="stretch",
            alt=f"Gram matrix of the {label.lower()} picture in {gram.layer}",
        )
    st.caption(
        "Row k, column k': how often channels k and k' answer at the same place, per position; bright is often. The "
        "diagonal is how much each channel answers at all. One scale for all pictures, by square roots."
    )
    to_content = _cost(gram.content, gram.style)
    lines = [rf"J_{{style}}^{{(l)}}(S, C) = {number(to_content)}"]
    if gram.generated is not None:
        lines.append(rf"J_{{style}}^{{(l)}}(S, G) = {number(_cost(gram.generated, gram.style))}")
    formula(
        r"J_{style}^{(l)}(S, G) = \frac{1}{(2\, n_C)^2} \sum_{k} \sum_{k'} \left( \frac{G_{kk'}(S)}{n_H n_W} - "
        r"\frac{G_{kk'}(G)}{n_H n_W} \right)^2",
        *lines,
        explanation="The notes' formula with the Gram matrices divided by the number of positions. The style cost of "
        "the content itself (first) is what a transfer has to bring down.",
    )
    with st.container(horizontal=True):
        download_array(gram.style, name=f"gram_{style_name}_{gram.layer}", key="style_gram_npy", label="Style's (.npy)")
        download_array(
            gram.content, name=f"gram_content_{gram.layer}", key="style_gram_c_npy", label="Content's (.npy)"
        )


def _cost(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.sum((first - second) ** 2) / (2 * len(first)) ** 2)
