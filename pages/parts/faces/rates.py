"""How sure: what a threshold makes of measured pairs, as sentences and as charts with this pair marked."""

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from core.faces.encoders import Measured
from pages.parts.figures import LINE_COLOURS, line_chart, show

CHARTS = {"distances": "Distances", "rates": "FAR and FRR", "roc": "ROC"}
SAME, DIFFERENT = "one person", "different persons"
BINS = 48
POINTS = 200
HEIGHT_PX = 236


def percent(share: float, of: int) -> str:
    """A share in percent, with as many digits as so many pairs can tell; "under" the smallest one for none.

    >>> percent(0.0123, 3000), percent(0.0, 3000)
    ('1.23 %', 'under 0.03 %')
    """
    return f"{100 * share:.2f} %" if share > 0 else f"under {100 / max(1, of):.2f} %"


def sure_sentences(known: Measured, threshold: float, distance: float | None) -> str:
    """Error rates at the threshold, and where this pair's distance stands among the measured ones."""
    rates, pairs = known.pairs.at(threshold), known.pairs
    lines = [
        f"**FAR {percent(rates.false_accept, len(pairs.different))}** of different persons' pairs taken for one.",
        f"**FRR {percent(rates.false_reject, len(pairs.same))}** of one person's pairs taken for two.",
    ]
    if distance is not None:
        here = pairs.at(distance)
        lines.append(
            f"As near as this pair, or nearer, are {percent(1 - here.false_reject, len(pairs.same))} of one person's "
            f"pairs and {percent(here.false_accept, len(pairs.different))} of different persons'."
        )
    return "  \n".join(lines)


def rates_chart(known: Measured, threshold: float, distance: float | None, largest: float) -> None:
    """Draw one of three charts of the measured pairs, the threshold and this pair marked."""
    chosen = st.segmented_control(
        "Chart",
        list(CHARTS),
        format_func=CHARTS.__getitem__,
        default="distances",
        required=True,
        key="face_chart",
        bind="query-params",
        label_visibility="collapsed",
    )
    chart = chosen or "distances"
    if chart == "distances":
        figure = _distances(known, largest)
        _mark(figure, threshold, distance)
    elif chart == "rates":
        figure = _rates(known, largest)
        _mark(figure, threshold, distance)
    else:
        figure = _roc(known, threshold, largest)
    show(figure, key=f"face_chart_{chart}")


def _distances(known: Measured, largest: float) -> go.Figure:
    edges = np.linspace(0, largest, BINS + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    series = {
        name: (middles, 100 * np.histogram(values, edges)[0] / max(1, len(values)))
        for name, values in ((SAME, known.pairs.same), (DIFFERENT, known.pairs.different))
    }
    figure = line_chart(series, x_title="distance d", y_title="% of pairs", markers=False, height_px=HEIGHT_PX)
    figure.update_traces(fill="tozeroy", line_shape="spline")
    figure.data[1].line.dash = "dash"
    return figure


def _rates(known: Measured, largest: float) -> go.Figure:
    thresholds = np.linspace(0, largest, POINTS)
    accepts, rejects = known.pairs.curve(thresholds)
    figure = line_chart(
        {"FAR": (thresholds, 100 * accepts), "FRR": (thresholds, 100 * rejects)},
        x_title="threshold tau",
        y_title="% of pairs",
        markers=False,
        height_px=HEIGHT_PX,
    )
    figure.data[1].line.dash = "dash"
    return figure


def _roc(known: Measured, threshold: float, largest: float) -> go.Figure:
    thresholds = np.linspace(0, largest, 4 * POINTS)
    accepts, rejects = known.pairs.curve(thresholds)
    here = known.pairs.at(threshold)
    figure = line_chart(
        {"all thresholds": (100 * accepts, 100 * (1 - rejects))},
        x_title="FAR, % of pairs of different persons",
        y_title="1 - FRR, % of one person's",
        markers=False,
        height_px=HEIGHT_PX,
    )
    figure.add_trace(
        go.Scatter(
            x=[100 * here.false_accept],
            y=[100 * (1 - here.false_reject)],
            name=f"tau = {threshold:.2f}",
            mode="markers",
            marker={"symbol": "diamond", "size": 12, "color": LINE_COLOURS[1]},
        )
    )
    figure.update_layout(showlegend=True)
    return figure


def _mark(figure: go.Figure, threshold: float, distance: float | None) -> None:
    figure.add_vline(
        x=threshold, line={"color": LINE_COLOURS[3], "width": 2}, annotation_text="τ", annotation_position="top"
    )
    if distance is not None:
        figure.add_vline(
            x=distance,
            line={"color": LINE_COLOURS[2], "width": 2, "dash": "dot"},
            annotation_text="this pair",
            annotation_position="bottom right" if distance < threshold else "bottom left",
        )
