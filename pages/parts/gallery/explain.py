"""Recognition as formulas with the chosen face's numbers, and as code that runs on this gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from core.faces.encoders import describe, measured
from core.faces.gallery import Gallery
from core.faces.gallery_photo import encoder_key
from core.faces.gallery_search import search_of
from core.faces.gallery_snippets import MOST_ROWS, compare_recognition, recognition_snippets
from core.faces.one_to_many import one_to_many
from pages.parts.code_tabs import code_tabs
from pages.parts.compute import compute
from pages.parts.downloads import download_array, download_picture, download_table
from pages.parts.formula import formula, number
from pages.parts.gallery.access import plain
from pages.parts.gallery.picture import recognized_picture

if TYPE_CHECKING:
    from pages.parts.gallery.recognize import Recognition

SHOWN_TERMS = 3


def explanations(gallery: Gallery, result: Recognition, chosen: int) -> None:
    """Draw formula, code and downloads below the result."""
    if result.found.faces:
        # Filled when opened: typesetting what nobody sees would slow every slider of the page.
        as_formula = st.expander(
            "The same as a formula", icon=":material/function:", key="gallery_formula", on_change="rerun"
        )
        if as_formula.open:
            with as_formula:
                _mathematics(gallery, result, chosen)
        as_code = st.expander("The same as code", icon=":material/code:", key="gallery_code", on_change="rerun")
        if as_code.open:
            with as_code:
                _code(gallery, result, chosen)
    with st.container(horizontal=True):
        download_picture(recognized_picture(result, chosen), name="faces", key="gallery_save_picture", jpeg=True)
        if result.found.faces:
            download_table(_rows(result), name="faces", key="gallery_save_table")
            download_array(
                np.stack([face.encoding for face in result.found.faces]),
                name="encodings",
                key="gallery_save_encodings",
                label="Encodings (.npy)",
            )


def _mathematics(gallery: Gallery, result: Recognition, chosen: int) -> None:
    dimensions = describe(result.encoder).dimensions
    st.markdown(
        "**Verification** (1:1) asks whether a photo shows the person that it is said to show. **Recognition** (1:K) "
        "asks which of K persons it shows, or none: K comparisons, each of which can err. **One-shot learning** is "
        "what makes this work with one photo each: no network is trained on the K persons; the encoder has learned "
        "from other people what makes two photos alike."
    )
    best = result.matches[chosen][0] if result.matches[chosen] else None
    if best is None:
        formula(
            r"\hat{k} &= \arg\min_{k = 1 \dots K} d(\text{img}, \text{img}_k), \quad K = 0",
            explanation="Nobody is enrolled, so there is nothing to be near to: not recognized.",
        )
        return
    formula(
        r"d(\text{img}, \text{img}_k) = \lVert f(\text{img}) - f(\text{img}_k) \rVert = "
        r"\sqrt{\textstyle\sum_i (f(\text{img})_i - f(\text{img}_k)_i)^2}",
        *_terms(gallery, result, chosen, best.photo_id, best.distance),
        explanation=f"f is {describe(result.encoder).title}, {dimensions} numbers a face; img is face {chosen + 1}, "
        f"img_k the nearest photo, of {plain(best.name[:60])}.",
    )
    count = gallery.count(encoder_key(result.encoder))
    sign, verdict = (
        (r"\le", r"\text{recognized}") if best.distance <= result.threshold else (">", r"\text{not recognized}")
    )
    formula(
        rf"\min_{{k = 1 \dots {count}}} d(\text{{img}}, \text{{img}}_k) &= {best.distance:.3f} {sign} "
        rf"\tau = {result.threshold:.2f} \;\Rightarrow\; {verdict}"
    )
    known = measured(result.encoder)
    if known is not None:
        rate = known.pairs.at(result.threshold).false_accept
        chance = one_to_many(rate, count)
        formula(
            r"P(\text{a stranger is taken for somebody}) = 1 - (1 - \text{FAR})^K",
            rf"= 1 - (1 - {number(rate)})^{{{count}}} = {number(chance.false_match)}",
            explanation=f"FAR at this τ as measured on {known.pairs_of}; K is the number of persons enrolled. "
            "See the view 1:1 and 1:K.",
        )


def _terms(gallery: Gallery, result: Recognition, chosen: int, photo_id: int, distance: float) -> list[str]:
    stored = search_of(gallery, encoder_key(result.encoder)).encoding_of(photo_id)
    if stored is None:
        return []
    mine = result.found.faces[chosen].encoding
    terms = " + ".join(
        rf"({number(round(float(a), 3))} - {number(round(float(b), 3))})^2"
        for a, b in zip(mine[:SHOWN_TERMS], stored[:SHOWN_TERMS], strict=True)
    )
    return [rf"= \sqrt{{{terms} + \dots}} = {distance:.4f}"]


def _code(gallery: Gallery, result: Recognition, chosen: int) -> None:
    index = search_of(gallery, encoder_key(result.encoder)).index
    query = result.found.faces[chosen].encoding
    rows = index.rows() if index is not None else np.zeros((0, len(query)), np.float32)
    shown = len(rows)
    if not shown:
        st.caption("The programs run on the gallery's encodings once somebody is enrolled.")
    snippets = recognition_snippets(max(1, min(5, shown)), result.threshold)
    code_tabs(
        snippets,
        key="gallery_programs",
        compare=(lambda: compute(compare_recognition, rows[:MOST_ROWS], query, 5, result.threshold)) if shown else None,
        fingerprint=f"{result.image.sha256} {result.encoder} {result.threshold} {chosen} {shown} {gallery.changes()}",
        inputs=f'database = np.load("database.npy")  # ({shown}, {len(query)}), an encoding a row\n'
        f'query = np.load("encodings.npy")[{chosen}]  # ({len(query)},)',
    )
    if shown:
        download_array(
            rows[:MOST_ROWS],
            name="database",
            key="gallery_save_database",
            label="The gallery's encodings (database.npy)",
        )


def _rows(result: Recognition) -> pd.DataFrame:
    rows = []
    for index, (face, matches) in enumerate(zip(result.found.faces, result.matches, strict=True)):
        match = result.recognized(index)
        left, top, right, bottom = face.face.box_xyxy.tolist()
        rows.append(
            {
                "face": index + 1,
                "who": match.name if match else "not recognized",
                "nearest": matches[0].name if matches else "",
                "distance": matches[0].distance if matches else None,
                "tau": result.threshold,
                "encoder": encoder_key(result.encoder),
                "left_px": left,
                "top_px": top,
                "right_px": right,
                "bottom_px": bottom,
                "score": face.face.score,
            }
        )
    return pd.DataFrame(rows)
