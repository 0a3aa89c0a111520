"""Figures in one palette: Plotly charts that follow the theme, and signed maps with zero in the middle.

Nothing tells by colour alone: lines carry names and markers of different shape, maps carry a scale.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from core.convolution.display import DIVERGING_COLOURS

# Readable on white and on dark blue alike, and told apart by people who see no red or no green.
LINE_COLOURS = ("#6366f1", "#f59e0b", "#14b8a6", "#ec4899", "#3b82f6", "#84cc16", "#a855f7", "#ef4444")
MARKERS = ("circle", "square", "diamond", "cross", "triangle-up", "x", "star", "hexagon")
DASHES = ("solid", "dash", "dot", "dashdot")
DIVERGING = [
    [index / (len(DIVERGING_COLOURS) - 1), f"rgb({red},{green},{blue})"]
    for index, (red, green, blue) in enumerate(DIVERGING_COLOURS)
]
SEQUENTIAL = "Viridis"
PLOTLY_CONFIG: dict[str, Any] = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}


def _layout(figure: go.Figure, *, height_px: int, x_title: str, y_title: str, title: str) -> go.Figure:
    figure.update_layout(
        height=height_px,
        margin={"l": 8, "r": 8, "t": 34 if title else 10, "b": 8},
        title={"text": title, "font": {"size": 14}} if title else None,
        xaxis_title=x_title or None,
        yaxis_title=y_title or None,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        hovermode="closest",
    )
    return figure


def line_chart(
    series: Mapping[str, tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]],
    *,
    x_title: str,
    y_title: str,
    title: str = "",
    log_y: bool = False,
    log_x: bool = False,
    markers: bool | None = None,
    height_px: int = 300,
) -> go.Figure:
    """Lines by name, each (x, y); markers where there are few points."""
    figure = go.Figure()
    for index, (name, (x, y)) in enumerate(series.items()):
        with_markers = len(x) <= 40 if markers is None else markers
        figure.add_trace(
            go.Scatter(
                x=np.asarray(x),
                y=np.asarray(y),
                name=name,
                mode="lines+markers" if with_markers else "lines",
                line={
                    "color": LINE_COLOURS[index % len(LINE_COLOURS)],
                    "width": 2,
                    "dash": DASHES[(index // len(LINE_COLOURS)) % len(DASHES)],
                },
                marker={"symbol": MARKERS[index % len(MARKERS)], "size": 7},
            )
        )
    if log_y:
        figure.update_yaxes(type="log")
    if log_x:
        figure.update_xaxes(type="log")
    figure.update_layout(showlegend=len(series) > 1)
    return _layout(figure, height_px=height_px, x_title=x_title, y_title=y_title, title=title)


def bar_chart(
    series: Mapping[str, tuple[Sequence[str], Sequence[float] | np.ndarray]],
    *,
    y_title: str,
    x_title: str = "",
    title: str = "",
    log_y: bool = False,
    height_px: int = 300,
) -> go.Figure:
    """Grouped bars by name, each (categories, heights), with their numbers printed on them."""
    figure = go.Figure()
    patterns = ("", "/", ".", "x", "-")
    for index, (name, (categories, heights)) in enumerate(series.items()):
        figure.add_trace(
            go.Bar(
                x=list(categories),
                y=np.asarray(heights),
                name=name,
                texttemplate="%{y:.4~s}",
                textposition="auto",
                marker={
                    "color": LINE_COLOURS[index % len(LINE_COLOURS)],
                    "pattern": {"shape": patterns[index % len(patterns)]},
                },
            )
        )
    if log_y:
        figure.update_yaxes(type="log")
    figure.update_layout(showlegend=len(series) > 1, barmode="group")
    return _layout(figure, height_px=height_px, x_title=x_title, y_title=y_title, title=title)


def signed_heatmap(
    values: np.ndarray, *, title: str = "", limit: float | None = None, height_px: int = 320, unit: str = ""
) -> go.Figure:
    """A small map (rows, columns) in the diverging palette, zero in the middle."""
    reach = float(np.max(np.abs(values), initial=0.0)) if limit is None else limit
    figure = go.Figure(
        go.Heatmap(
            z=np.asarray(values),
            zmin=-(reach or 1.0),
            zmax=reach or 1.0,
            colorscale=DIVERGING,
            colorbar={"title": unit or None, "thickness": 12},
            hovertemplate="row %{y}, column %{x}: %{z:.4g}<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", scaleanchor="x", constrain="domain")
    figure.update_xaxes(constrain="domain")
    return _layout(figure, height_px=height_px, x_title="column", y_title="row", title=title)


def sequential_heatmap(
    values: np.ndarray,
    *,
    title: str = "",
    height_px: int = 320,
    unit: str = "",
    x_title: str = "column",
    y_title: str = "row",
) -> go.Figure:
    """A small map (rows, columns) of numbers that are never negative."""
    figure = go.Figure(
        go.Heatmap(
            z=np.asarray(values),
            colorscale=SEQUENTIAL,
            colorbar={"title": unit or None, "thickness": 12},
            hovertemplate="row %{y}, column %{x}: %{z:.4g}<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", scaleanchor="x", constrain="domain")
    figure.update_xaxes(constrain="domain")
    return _layout(figure, height_px=height_px, x_title=x_title, y_title=y_title, title=title)


def show(figure: go.Figure, *, key: str) -> None:
    """Draw a figure over the full width; its toolbar downloads it as a picture."""
    config = {**PLOTLY_CONFIG, "toImageButtonOptions": {"format": "png", "scale": 2, "filename": key}}
    st.plotly_chart(figure, key=key, width="stretch", config=config)
