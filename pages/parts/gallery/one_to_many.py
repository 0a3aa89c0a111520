"""Verification against recognition: what one false accept rate means for a database of K persons."""

import numpy as np
import pandas as pd
import streamlit as st

from core.faces.encoders import Measured, describe, measured
from core.faces.gallery import Gallery
from core.faces.one_to_many import OneToMany, false_match_chance, one_to_many, threshold_for, upper_limit
from pages.parts.downloads import download_table
from pages.parts.faces.choices import encoder_choice
from pages.parts.faces.rates import percent
from pages.parts.figures import LINE_COLOURS, line_chart, show
from pages.parts.formula import formula, number

COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 100_000, 1_000_000)
CHANCES = (0.001, 0.01, 0.05, 0.1, 0.5)
OWN = "own"


def view(gallery: Gallery) -> None:
    """Draw the view: K, tau and the allowed chance on the left, what follows on the right."""
    controls, results = st.columns([1.05, 3.0], gap="medium")
    with controls:
        count, allowed = _database_controls(gallery)
        encoder, threshold, known = _encoder_controls()
        rate, errors, trials = _rate(known, threshold)
    answer = one_to_many(rate, count, allowed)
    with results:
        _metrics(answer, allowed, known, errors, trials)
        _chart(answer, allowed, errors, trials)
        _sentences(answer, allowed, known, threshold)
    with st.expander("The same as a formula", icon=":material/function:", key="gallery_many_formula"):
        _mathematics(answer, allowed)
    table = _table(rate)
    download_table(table, name="one_to_many", key="gallery_many_table", label="Chance for every K (CSV)")


def _database_controls(gallery: Gallery) -> tuple[int, float]:
    enrolled = gallery.count()
    count = st.select_slider(
        "Persons in the database, K",
        COUNTS,
        1_000,
        format_func=lambda value: f"{value:,}",
        key="gallery_many_k",
        bind="query-params",
        help=f"Every one of them is compared with the face. In your gallery there are {enrolled:,}.",
    )
    allowed = st.select_slider(
        "Allowed chance of a false match",
        CHANCES,
        0.01,
        format_func=lambda value: f"{100 * value:g} %",
        key="gallery_many_allowed",
        bind="query-params",
        help="How often a stranger may be taken for one of the K persons.",
    )
    return int(count), float(allowed)


def _encoder_controls() -> tuple[str, float, Measured | None]:
    encoder = encoder_choice("gallery_many_encoder")
    known = measured(encoder)
    default = round(describe(encoder).threshold, 2)
    threshold = st.slider(
        "Threshold τ",
        0.05,
        1.6,
        default,
        0.01,
        key=f"gallery_many_tau_{encoder}",
        bind="query-params",
        disabled=known is None,
        help="A lower τ accepts fewer strangers, and rejects more of those who are enrolled.",
    )
    return encoder, float(threshold), known


def _rate(known: Measured | None, threshold: float) -> tuple[float, int, int]:
    """The false accept rate, and from how many errors in how many pairs; a typed one where none was measured."""
    if known is not None:
        rates = known.pairs.at(threshold)
        trials = len(known.pairs.different)
        return rates.false_accept, round(rates.false_accept * trials), trials
    typed = st.number_input(
        "FAR, % of pairs of different persons",
        0.0,
        100.0,
        0.1,
        0.01,
        format="%.3f",
        key="gallery_many_far",
        bind="query-params",
        help="No measurement of this encoder is here, so the rate is yours to set.",
    )
    return float(typed) / 100, 0, 0


def _metrics(answer: OneToMany, allowed: float, known: Measured | None, errors: int, trials: int) -> None:
    first, second, third = st.columns(3)
    first.metric(
        "1:1, a stranger is accepted (FAR)",
        percent(answer.false_accept, trials or 10_000),
        help=f"{errors:,} of {trials:,} pairs of different persons." if trials else "As you set it.",
    )
    second.metric(
        f"1:{answer.comparisons:,}, a stranger is matched",
        f"{100 * answer.false_match:.3g} %",
        help="1 − (1 − FAR)^K, as if the comparisons erred independently of each other.",
    )
    third.metric(
        f"FAR needed for {100 * allowed:g} %",
        f"{100 * answer.needed_false_accept:.2g} %",
        help="The false accept rate at which a stranger among K persons is falsely matched with the allowed chance.",
    )


def _chart(answer: OneToMany, allowed: float, errors: int, trials: int) -> None:
    counts = np.unique(np.round(np.logspace(0, 6, 121)))
    series = {"at this FAR": (counts, 100 * false_match_chance(answer.false_accept, counts))}
    if trials:
        limit = upper_limit(errors, trials)
        series["at the largest FAR that the pairs allow (95 %)"] = (counts, 100 * false_match_chance(limit, counts))
    series["FAR a tenth"] = (counts, 100 * false_match_chance(answer.false_accept / 10, counts))
    figure = line_chart(
        series, x_title="persons K", y_title="% of strangers falsely matched", log_x=True, markers=False, height_px=300
    )
    for trace, dash in zip(figure.data, ("solid", "dot", "dash"), strict=False):
        trace.line.dash = dash
    figure.add_vline(x=answer.comparisons, line={"color": LINE_COLOURS[3], "width": 2}, annotation_text="K")
    figure.add_hline(
        y=100 * allowed, line={"color": LINE_COLOURS[4], "dash": "dot"}, annotation_text=f"allowed: {100 * allowed:g} %"
    )
    show(figure, key="gallery_many_chart")


def _sentences(answer: OneToMany, allowed: float, known: Measured | None, threshold: float) -> None:
    lines = []
    if np.isfinite(answer.most_comparisons):
        lines.append(
            f"At this rate a database may hold **{max(0, int(answer.most_comparisons)):,}** persons before a stranger "
            f"is falsely matched with a chance of more than {100 * allowed:g} %."
        )
    if known is not None:
        different = known.pairs.different
        rejected = percent(known.pairs.at(threshold).false_reject, len(known.pairs.same))
        stricter = threshold_for(different, answer.needed_false_accept)
        if stricter is None:
            lines.append(
                f"The rate that {answer.comparisons:,} persons need is under one in {len(different):,} pairs: too few "
                "to tell which τ reaches it."
            )
        elif stricter < threshold:
            then = percent(known.pairs.at(stricter).false_reject, len(known.pairs.same))
            lines.append(
                f"**τ = {stricter:.2f}** reaches the rate that is needed. It rejects {then} of one person's pairs "
                f"(FRR); τ = {threshold:.2f} rejects {rejected}."
            )
        lines.append(
            f"Measured on {known.pairs_of}. Real errors come in lumps (relatives, poor light), so this is a guide."
        )
    st.markdown("  \n".join(lines))
    st.caption(
        "**Verification**, 1:1: an image and a name; is it that person? **Recognition**, 1:K: an image; which of K "
        "persons is it, or none? Each of K comparisons may err, so recognition needs a far lower error rate."
    )


def _mathematics(answer: OneToMany, allowed: float) -> None:
    count = answer.comparisons
    formula(
        r"P(\text{false match}) = 1 - (1 - \text{FAR})^K",
        rf"= 1 - (1 - {number(answer.false_accept)})^{{{number(count)}}} = {number(answer.false_match)}",
        explanation="A stranger is wrongly accepted by each comparison with the chance FAR; that none of K accepts him "
        "has the chance (1 − FAR)^K.",
    )
    formula(
        r"\mathbb{E}[\text{false matches}] = K \cdot \text{FAR}",
        rf"= {number(count)} \cdot {number(answer.false_accept)} = {number(answer.expected_false_matches)}",
    )
    formula(
        r"\text{FAR}_{\text{needed}} = 1 - (1 - p)^{1/K} \approx p / K",
        rf"= 1 - (1 - {number(allowed)})^{{1/{number(count)}}} = {number(answer.needed_false_accept)}",
        explanation="p is the allowed chance of a false match.",
    )


def _table(rate: float) -> pd.DataFrame:
    return pd.DataFrame(
        {"persons": COUNTS, "false_match_chance": false_match_chance(rate, np.array(COUNTS)), "false_accept_rate": rate}
    )
