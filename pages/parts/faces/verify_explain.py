"""Below the verdict: the mathematics with its numbers, the code, the downloads."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.faces.alignment import angle_deg_of, scale_of, similarity_transform
from core.faces.encoders import template_of
from core.faces.snippets import compare_distances, distance_snippets
from core.faces.types import EncodedFace
from core.runtime.images import encode_png
from pages.parts.code_tabs import code_tabs
from pages.parts.compute import compute
from pages.parts.downloads import download_bytes, download_json
from pages.parts.faces.drawing import marked_faces
from pages.parts.formula import formula

if TYPE_CHECKING:
    from pages.parts.faces.verify import Side

TERMS = 2


def mathematics(first: EncodedFace, second: EncodedFace, d: float, threshold: float) -> None:
    """Draw distance and verdict, and the alignment of the first face, with the numbers put in."""
    left, right = st.columns([1.25, 1], gap="medium")
    with left:
        a, b = first.encoding, second.encoding
        terms = " + ".join(
            rf"({x:.3f} - {_bracketed(y)})^2" for x, y in zip(a[:TERMS].tolist(), b[:TERMS].tolist(), strict=True)
        )
        sign, verdict = (r"\leq", "same") if d <= threshold else (">", "different")
        formula(
            r"d(\text{img1}, \text{img2}) = \lVert f(\text{img1}) - f(\text{img2}) \rVert",
            rf"&= \sqrt{{\textstyle\sum_{{k=1}}^{{{len(a)}}} (f_k - f'_k)^2}}",
            rf"&= \sqrt{{{terms} + \dots}}",
            rf"&= {d:.4f} {sign} \tau = {threshold:.2f} \;\Rightarrow\; \text{{{verdict}}}",
            explanation=f"f is the encoding, {len(a)} numbers; f' that of the second face. Their lengths are "
            f"{np.linalg.norm(a):.3f} and {np.linalg.norm(b):.3f}. The notes train with the square of d, which "
            "orders pairs in the same way.",
        )
    with right:
        transform = similarity_transform(first.face.points, template_of(first.encoder))
        (m00, m01, shift_x), (m10, m11, shift_y) = transform.tolist()
        formula(
            r"&\min_{s, R, t} \; \textstyle\sum_{i=1}^{5} \lVert y_i - (s R x_i + t) \rVert^2",
            rf"&s = {scale_of(transform):.3f},\quad \theta = {angle_deg_of(transform):.1f}^\circ,\quad "
            rf"t = ({shift_x:.1f}, {shift_y:.1f})",
            rf"&\begin{{pmatrix}} x' \\ y' \end{{pmatrix}} = \begin{{pmatrix}} {m00:.3f} & {m01:.3f} \\ {m10:.3f} & "
            rf"{m11:.3f} \end{{pmatrix}} \begin{{pmatrix}} x \\ y \end{{pmatrix}} + \begin{{pmatrix}} {shift_x:.1f} \\ "
            rf"{shift_y:.1f} \end{{pmatrix}}",
            explanation="Alignment of the first face (Umeyama 1991): scale s, rotation R and shift t take the five "
            "points x_i as near as possible to the places y_i that the encoder was trained with.",
        )


def _bracketed(value: float) -> str:
    return f"({value:.3f})" if value < 0 else f"{value:.3f}"


def code(first: EncodedFace, second: EncodedFace, threshold: float) -> None:
    """Draw the distance as programs on these two encodings, and compare what they find."""
    inputs = "\n".join(
        f"{name} = np.array({np.round(encoded.encoding.astype(float), 4).tolist()}, np.float32)"
        for name, encoded in (("f1", first), ("f2", second))
    )
    code_tabs(
        distance_snippets(threshold),
        key="face_code",
        inputs=inputs,
        fingerprint=f"{first.encoding.tobytes().hex()[:64]} {second.encoding.tobytes().hex()[:64]} {threshold}",
        compare=lambda: compute(compare_distances, first.encoding, second.encoding, threshold),
    )


def downloads(first: Side, second: Side, d: float, threshold: float) -> None:
    """Draw the buttons: encodings, the comparison, the marked pictures side by side, the aligned crops."""
    one, other = first.face, second.face
    if one is None or other is None:
        return

    def encodings() -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, first=one.encoding, second=other.encoding)
        return buffer.getvalue()

    def crops() -> bytes:
        return encode_png(np.concatenate([one.aligned, other.aligned], axis=1))

    with st.container(horizontal=True):
        download_bytes(
            encodings,
            file_name="encodings.npz",
            key="face_npz",
            label="Encodings (.npz)",
            mime="application/octet-stream",
        )
        download_json(
            {
                "encoder": one.encoder,
                "distance": d,
                "threshold": threshold,
                "same": d <= threshold,
                "first": _facts(one),
                "second": _facts(other),
            },
            name="comparison",
            key="face_json",
            label="Comparison (JSON)",
        )
        download_bytes(
            crops, file_name="aligned_faces.png", key="face_crops", label="Aligned faces (PNG)", mime="image/png"
        )
        for which, side in (("first", first), ("second", second)):
            download_bytes(
                lambda side=side: encode_png(
                    marked_faces(side.pixels, [one.face for one in side.found.faces], side.chosen, sha256=side.sha256)
                ),
                file_name=f"{which}_marked.png",
                key=f"face_marked_{which}",
                label=f"{which.capitalize()} photo, marked (PNG)",
                mime="image/png",
            )


def _facts(encoded: EncodedFace) -> dict[str, object]:
    face = encoded.face
    return {
        "box_xyxy": face.box_xyxy.round(1).tolist(),
        "points": face.points.round(1).tolist(),
        "score": round(face.score, 4),
        "flags": list(face.flags),
        "detector": face.detector,
    }
