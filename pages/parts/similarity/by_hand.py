"""One triplet, or one pair, by hand: three pictures, their distances, and what the loss makes of them."""

import numpy as np
import streamlit as st

from core.faces.similarity_types import PAIR_WAYS, SimilarityResult, WayResult, pair_terms, triplet_numbers
from core.runtime.images import display_jpeg
from pages.parts.formula import formula, number

SHOWN_PX = 96


def by_hand(result: SimilarityResult, way: WayResult, margin: float) -> None:
    """Draw the choice of an anchor, a positive and a negative, and their numbers."""
    st.subheader("One triplet by hand", anchor=False)
    present = [int(label) for label in np.unique(result.labels) if (result.labels == label).sum() >= 2]
    if len(present) < 2:
        return
    pictures, numbers = st.columns([1, 1.5], gap="medium")
    with pictures:
        one, other = st.columns(2)
        anchor_class = one.selectbox(
            "Anchor and positive",
            present,
            format_func=lambda label: result.class_names[label],
            key=f"hand_anchor_{result.data}",
        )
        negative_class = other.selectbox(
            "Negative",
            present,
            index=1,
            format_func=lambda label: result.class_names[label],
            key=f"hand_negative_{result.data}",
        )
        members = np.flatnonzero(result.labels == anchor_class)
        others = np.flatnonzero(result.labels == negative_class)
        chosen = (members[0], members[1], others[-1])
        with st.container(horizontal=True):
            for title, row in zip(("Anchor A", "Positive P", "Negative N"), chosen, strict=True):
                st.image(
                    display_jpeg(_shown(result.pictures[row])),
                    width=SHOWN_PX,
                    alt=f"{title}: {result.class_names[int(result.labels[row])]}",
                    caption=title,
                )
    anchor, positive, negative = (way.encodings[row] for row in chosen)
    with numbers:
        if way.way in PAIR_WAYS:
            _pairs(way, anchor, positive, negative)
        else:
            _triplet(anchor, positive, negative, margin, same=anchor_class == negative_class)


def _shown(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)).repeat(3, axis=0).repeat(3, axis=1))


def _triplet(anchor: np.ndarray, positive: np.ndarray, negative: np.ndarray, margin: float, *, same: bool) -> None:
    values = triplet_numbers(anchor, positive, negative, margin)
    formula(
        r"E(A, P, N) = \max\left(d(A, P) - d(A, N) + \alpha,\; 0\right)",
        rf"E(A, P, N) = \max\left({number(round(values.positive, 3))} - {number(round(values.negative, 3))} + "
        rf"{number(margin)},\; 0\right) = {number(round(values.loss, 3))}",
        explanation="d are squared distances of the encodings shown on the map.",
    )
    if same:
        st.caption(":material/info: Anchor and negative are of one class here: no triplet that training would draw.")
    sentence = {
        "easy": "**Easy**: the negative is farther than the positive by more than the margin. It teaches nothing.",
        "semi-hard": "**Semi-hard**: the negative is farther than the positive, but not by the margin.",
        "hard": "**Hard**: the negative is nearer than the positive.",
    }
    st.markdown(sentence[values.kind])


def _pairs(way: WayResult, anchor: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> None:
    chi_square = way.way == "chi-square"
    term = r"\frac{(f_i - f_j)_k^2}{(f_i + f_j)_k}" if chi_square else r"|f_i - f_j|_k"
    lines = []
    for name, other in (("A, P", positive), ("A, N", negative)):
        weighted = float(pair_terms(anchor, other, way.way) @ way.weights.astype(np.float64))
        logit = weighted + way.bias
        chance = 1 / (1 + np.exp(-logit))
        lines.append(
            rf"\hat y({name}) = \sigma\left({number(round(weighted, 3))} + {number(round(way.bias, 3))}\right) = "
            rf"{number(round(float(chance), 3))}"
        )
    formula(
        rf"\hat y = \sigma\Big(\sum_k w_k {term} + b\Big)",
        *lines,
        explanation=f"{len(way.weights)} weights, learned with the encoder; over one half says “the same”.",
    )
