"""What came of a run: the map as it moved, curves, distances and error rates, one triplet or pair by hand."""

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from core.faces.one_to_many import false_match_chance
from core.faces.similarity_types import PAIR_WAYS, SimilarityResult, WayResult
from core.faces.verification import PairDistances
from pages.parts.downloads import download_array, download_json
from pages.parts.figures import LINE_COLOURS, MARKERS, line_chart, show
from pages.parts.formula import formula
from pages.parts.similarity.by_hand import by_hand

CHARTS = {"learning": "Learning", "distances": "Distances", "rates": "FAR and FRR", "roc": "ROC", "many": "1 : K"}
BINS = 40
MOST_SINGLE_LABELS = 12


def draw(result: SimilarityResult, margin: float) -> None:
    """Draw everything of a finished run, or of an untrained look."""
    names = [way.way for way in result.ways]
    name = names[0]
    if len(names) > 1:
        name = st.segmented_control(
            "Shown", names, default=names[-1], required=True, key="similarity_shown", bind="query-params"
        )
    way = result.way(name or names[0])
    left, right = st.columns([1, 1.25], gap="medium")
    with left:
        _map(result, way)
    with right:
        _numbers(way)
        _charts(result, way)
    by_hand(result, way, margin)


def _map(result: SimilarityResult, way: WayResult) -> None:
    looks = [int(step) for step in way.look_steps]
    step = looks[-1]
    if len(looks) > 1:
        step = st.select_slider(
            "The map at step", looks, looks[-1], key=f"similarity_frame_{way.way}", help="Move it to see them gather."
        )
    flat = way.frames[looks.index(step or looks[-1])]
    figure = go.Figure()
    classes = np.unique(result.labels)
    for index, label in enumerate(classes):
        rows = result.labels == label
        unseen = bool(result.is_unseen[rows][0])
        figure.add_trace(
            go.Scatter(
                x=flat[rows, 0],
                y=flat[rows, 1],
                mode="markers",
                name=result.class_names[int(label)] + (" (unseen)" if unseen else ""),
                marker={
                    "color": LINE_COLOURS[index % len(LINE_COLOURS)],
                    "symbol": "x" if unseen else MARKERS[(index // len(LINE_COLOURS)) % 4],
                    "size": 7,
                },
                hovertemplate="%{fullData.name}<extra></extra>",
            )
        )
    figure.update_xaxes(visible=False, range=[-1.1, 1.1])
    figure.update_yaxes(visible=False, range=[-1.1, 1.1], scaleanchor="x")
    figure.update_layout(
        height=390,
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        showlegend=len(classes) <= MOST_SINGLE_LABELS,
        legend={"orientation": "h", "y": -0.02},
    )
    show(figure, key="similarity_map")
    st.caption(
        "The encodings of pictures that were never trained on, in the plane in which they spread most. "
        "Crosses: persons or digits that training never met."
    )


def _numbers(way: WayResult) -> None:
    known, new, active = st.columns(3)
    known.metric(
        "Known classes",
        f"{100 * way.accuracy_held_out[-1]:.1f} %",
        help="New pictures of classes that were trained on: right answers on pairs, same or different, half of each; "
        "the threshold was chosen on training pairs.",
    )
    new.metric(
        "Unseen classes",
        f"{100 * way.accuracy_unseen[-1]:.1f} %",
        help="The same for pairs of classes that training never met: what one-shot recognition needs.",
    )
    if len(way.active_share):
        label = "Misjudged pairs" if way.way in PAIR_WAYS else "Active at the end"
        active.metric(
            label,
            f"{100 * float(way.active_share[-20:].mean()):.0f} %",
            help="The share of triplets (or pairs) of the last batches that still cost something: the others teach "
            "nothing.",
        )


def _charts(result: SimilarityResult, way: WayResult) -> None:
    offered = list(CHARTS) if len(way.loss) else [name for name in CHARTS if name != "learning"]
    chart = st.segmented_control(
        "Chart",
        offered,
        format_func=CHARTS.__getitem__,
        default=offered[0],
        required=True,
        key=f"similarity_chart_{len(offered)}",
        label_visibility="collapsed",
    )
    if chart == "learning":
        _learning(result)
    else:
        _errors(result, way, chart or offered[0])
    with st.container(horizontal=True):
        download_array(way.encodings, name=f"encodings_{way.way}", key="similarity_npy", label="Encodings (.npy)")
        download_json(_record(result), name="similarity_run", key="similarity_json")


def _learning(result: SimilarityResult) -> None:
    measure = st.segmented_control(
        "Curve",
        ["unseen", "held out", "active", "loss"],
        default="unseen",
        required=True,
        key="similarity_curve",
        label_visibility="collapsed",
    )
    series = {}
    for way in result.ways:
        if measure in ("unseen", "held out"):
            values = way.accuracy_unseen if measure == "unseen" else way.accuracy_held_out
            series[way.way] = (way.look_steps, 100 * values)
        else:
            values = way.active_share if measure == "active" else way.loss
            window = max(1, len(values) // 60)
            smooth = np.convolve(values, np.ones(window) / window, mode="valid")
            series[way.way] = (np.arange(len(smooth)) + window, (100 if measure == "active" else 1) * smooth)
    titles = {"unseen": "% right, unseen", "held out": "% right, held out", "active": "% active", "loss": "loss"}
    show(
        line_chart(series, x_title="step", y_title=titles[measure or "unseen"], height_px=250),
        key="similarity_learning",
    )


def _errors(result: SimilarityResult, way: WayResult, chart: str) -> None:
    pairs = way.unseen
    lowest = float(min(pairs.same.min(), pairs.different.min()))
    highest = float(max(pairs.same.max(), pairs.different.max()))
    pad = 0.02 * (highest - lowest) + 1e-6
    lowest, highest = lowest - pad, highest + pad
    start = float(np.clip(way.threshold, lowest, highest))
    tau = st.slider(
        "Threshold τ",
        lowest,
        highest,
        start,
        (highest - lowest) / 200,
        format="%.2f",
        key=f"similarity_tau_{way.way}_{len(way.loss)}",
        help="“Same” if the distance is at most τ. It starts where training pairs are told apart best."
        + (" For the binary ways the distance is minus the logit, so 0 is “as likely as not”." if _binary(way) else ""),
    )
    rates = pairs.at(tau)
    if chart == "distances":
        show(_histogram(pairs, lowest, highest, tau), key="similarity_histogram")
    elif chart == "rates":
        thresholds = np.linspace(lowest, highest, 200)
        accepts, rejects = pairs.curve(thresholds)
        figure = line_chart(
            {"FAR": (thresholds, 100 * accepts), "FRR": (thresholds, 100 * rejects)},
            x_title="threshold τ",
            y_title="% of pairs",
            markers=False,
            height_px=215,
        )
        figure.add_vline(x=tau, line={"color": LINE_COLOURS[3], "width": 2}, annotation_text="τ")
        show(figure, key="similarity_rates")
    elif chart == "roc":
        curves = {each.way: each.unseen.curve(_span(each.unseen)) for each in result.ways}
        figure = line_chart(
            {name: (100 * accepts, 100 * (1 - rejects)) for name, (accepts, rejects) in curves.items()},
            x_title="FAR, %",
            y_title="1 − FRR, %",
            markers=False,
            height_px=215,
        )
        figure.add_trace(
            go.Scatter(
                x=[100 * rates.false_accept],
                y=[100 * (1 - rates.false_reject)],
                name="τ",
                mode="markers",
                marker={"symbol": "diamond", "size": 11, "color": LINE_COLOURS[3]},
            )
        )
        show(figure, key="similarity_roc")
    else:
        _one_to_many(rates.false_accept)
    st.caption(
        f"At τ = {tau:.2f}, on {len(pairs.same):,} same and {len(pairs.different):,} different pairs of classes never "
        f"seen: **FAR {100 * rates.false_accept:.1f} %**, **FRR {100 * rates.false_reject:.1f} %**, right "
        f"{100 * rates.accuracy:.1f} %."
    )


def _binary(way: WayResult) -> bool:
    return way.way in PAIR_WAYS


def _span(pairs: PairDistances) -> np.ndarray:
    both = np.concatenate([pairs.same, pairs.different])
    return np.linspace(both.min() - 1e-6, both.max() + 1e-6, 600)


def _histogram(pairs: PairDistances, lowest: float, highest: float, tau: float) -> go.Figure:
    edges = np.linspace(lowest, highest, BINS + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    figure = line_chart(
        {
            name: (middles, 100 * np.histogram(values, edges)[0] / max(1, len(values)))
            for name, values in (("same", pairs.same), ("different", pairs.different))
        },
        x_title="distance",
        y_title="% of pairs",
        markers=False,
        height_px=215,
    )
    figure.update_traces(fill="tozeroy")
    figure.data[1].line.dash = "dash"
    figure.add_vline(x=tau, line={"color": LINE_COLOURS[3], "width": 2}, annotation_text="τ")
    return figure


def _one_to_many(false_accept: float) -> None:
    counts = np.unique(np.logspace(0, 6, 80).round().astype(int))
    chances = {"measured FAR": (counts, 100 * false_match_chance(false_accept, counts))}
    for rate in (1e-3, 1e-5):
        chances[f"FAR {100 * rate:g} %"] = (counts, 100 * false_match_chance(rate, counts))
    show(
        line_chart(
            chances,
            x_title="K, persons in the database",
            y_title="% of strangers taken for someone",
            log_x=True,
            markers=False,
            height_px=215,
        ),
        key="similarity_many",
    )
    st.caption("1 − (1 − FAR)^K: what is good enough to verify one person is far from enough to recognize one of many.")


def _record(result: SimilarityResult) -> dict[str, object]:
    return {
        "pictures": result.data,
        "trained_on": result.trained_on,
        "ways": [
            {
                "way": way.way,
                "look_steps": way.look_steps.tolist(),
                "accuracy_held_out": np.round(way.accuracy_held_out, 4).tolist(),
                "accuracy_unseen": np.round(way.accuracy_unseen, 4).tolist(),
                "threshold": way.threshold,
                "loss": np.round(way.loss, 5).tolist(),
                "active_share": np.round(way.active_share, 4).tolist(),
            }
            for way in result.ways
        ],
    }


def idea() -> None:
    """Draw the mathematics of all ways and the code."""
    with st.expander("The losses of the notes, and the code", icon=":material/functions:"):
        left, right = st.columns(2, gap="medium")
        with left:
            formula(
                r"E(A, P, N) = \max\left(\|f(A) - f(P)\|^2 - \|f(A) - f(N)\|^2 + \alpha,\; 0\right)",
                r"J = \frac{1}{m}\sum_{i=1}^m E(A_i, P_i, N_i)",
                explanation="The notes sum; dividing by m changes nothing but the learning rate. Random N: any other "
                "class. Hard: the nearest. Semi-hard: farther than P, but within the margin.",
            )
            formula(
                r"L = \overline{d_{ij}^2}\big|_{\text{same}} + "
                r"\overline{\max(\alpha - d_{ij}, 0)^2}\big|_{\text{different}}",
                explanation="Contrastive (Hadsell et al. 2006).",
            )
            formula(
                r"\hat y = \sigma\Big(\sum_k w_k\,|f(x_i)_k - f(x_j)_k| + b\Big)",
                r"\hat y = \sigma\Big(\sum_k w_k\,\frac{(f(x_i)_k - f(x_j)_k)^2}{f(x_i)_k + f(x_j)_k} + b\Big)",
                explanation="The binary ways (Taigman et al. 2014); encodings are positive here, so that the sum below "
                "is never zero.",
            )
        with right:
            st.code(
                "d = squared_distances(f(batch))                  # (B, B)\n"
                "same = labels[:, None] == labels[None, :]\n"
                "pairs = same & ~eye(B)                           # all (A, P)\n"
                "hard = min(where(~same, d, inf), axis=1)         # (A,)\n"
                "farther = ~same[:, None, :] & (d[:, None, :] > d[:, :, None])\n"
                "semi_hard = min(where(farther, d[:, None, :], inf), axis=2)\n"
                "loss = mean(maximum(d - semi_hard + alpha, 0)[pairs])",
                language="python",
            )
            st.markdown(
                "The same encoder reads both pictures (*Siamese*): after training one picture of a new person is "
                "enough to recognize them (*one-shot*), because only the distance is asked for."
            )
