"""Charts of accuracies with error bars over seeds, and the table beside them."""

from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from core.training.experiments.measurements import Measurement, Summary, summarise
from pages.parts.figures import LINE_COLOURS, MARKERS

# Bands of dots beside the mean would hide it where bars are narrow: single runs are small and pale.
PALE = 0.35


def error_chart(
    measurements: Sequence[Measurement],
    labels: Mapping[str, str],
    *,
    x_title: str,
    log_x: bool = False,
    ticks: Sequence[float] | None = None,
    dashed: Sequence[str] = (),
    height_px: int = 330,
) -> go.Figure:
    """Mean accuracy of each method of `labels` over x, in %, bars of one standard deviation, single runs as dots.

    Args:
        measurements: Those of other methods are left out.
        labels: Names of the methods for people; their order decides colours and markers.
        x_title: Of the axis.
        log_x: Whether the axis is logarithmic.
        ticks: Where the axis bears numbers.
        dashed: Methods whose lines are dashed.
        height_px: Of the chart.
    """
    figure = go.Figure()
    summaries = summarise(one for one in measurements if one.method in labels)
    for index, (method, label) in enumerate(labels.items()):
        points = [one for one in summaries if one.method == method]
        if not points:
            continue
        colour, marker = LINE_COLOURS[index % len(LINE_COLOURS)], MARKERS[index % len(MARKERS)]
        single = [(one.x, 100 * value) for one in points if one.count > 1 for value in one.values]
        if single:
            figure.add_trace(
                go.Scatter(
                    x=[x for x, _ in single],
                    y=[y for _, y in single],
                    mode="markers",
                    marker={"color": colour, "size": 4, "opacity": PALE},
                    showlegend=False,
                    hovertemplate=f"{label}, one seed: %{{y:.1f}} %<extra></extra>",
                )
            )
        figure.add_trace(
            go.Scatter(
                x=[one.x for one in points],
                y=[100 * one.mean for one in points],
                error_y={"type": "data", "array": [100 * one.deviation for one in points], "thickness": 1.5},
                name=label,
                mode="lines+markers",
                line={"color": colour, "width": 2, "dash": "dash" if method in dashed else "solid"},
                marker={"symbol": marker, "size": 8, "color": colour},
                customdata=[[100 * one.deviation, one.count] for one in points],
                hovertemplate=f"{label}: %{{y:.1f}} ± %{{customdata[0]:.1f}} %, %{{customdata[1]}} seeds"
                "<extra></extra>",
            )
        )
    if log_x:
        figure.update_xaxes(type="log")
    if ticks:
        figure.update_xaxes(tickvals=list(ticks), ticktext=[f"{value:,g}" for value in ticks])
    figure.update_layout(
        height=height_px,
        margin={"l": 8, "r": 8, "t": 10, "b": 8},
        xaxis_title=x_title,
        yaxis_title="test pictures right (%)",
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        hovermode="closest",
    )
    return figure


def wide_table(measurements: Sequence[Measurement], labels: Mapping[str, str], x_name: str) -> pd.DataFrame:
    """A row for each x, a column for each method: mean ± deviation in %."""
    summaries = [one for one in summarise(measurements) if one.method in labels]
    rows = []
    for x in sorted({one.x for one in summaries}):
        here = {one.method: one for one in summaries if one.x == x}
        rows.append({x_name: f"{x:,g}", **{label: percent(here.get(name)) for name, label in labels.items()}})
    return pd.DataFrame(rows)


def percent(summary: Summary | None) -> str:
    """Mean and deviation of accuracies in %, and nothing where there is none."""
    if summary is None:
        return ""
    deviation = f" ± {100 * summary.deviation:.1f}" if summary.count > 1 else ""
    return f"{100 * summary.mean:.1f}{deviation}"


def long_table(measurements: Sequence[Measurement], x_name: str) -> pd.DataFrame:
    """A row for each measurement."""
    return pd.DataFrame(
        [{"method": one.method, x_name: one.x, "seed": one.seed, "accuracy": one.value} for one in measurements]
    )
