"""The drawing of a padded image with the positions that a filter visits on it."""

import numpy as np
import plotly.graph_objects as go

from core.convolution.windows import IMAGE, NEVER_READ, PADDING, WindowPositions, pixel_kinds

# Half transparent, so that both themes' backgrounds shine through.
COLOURS = {
    PADDING: "rgba(148,163,184,0.28)",
    IMAGE: "rgba(99,102,241,0.42)",
    NEVER_READ: "rgba(239,68,68,0.55)",
}
NAMES = {PADDING: "padding", IMAGE: "image", NEVER_READ: "never read"}
WINDOW_COLOUR = "#f59e0b"
LARGEST_DRAWN = 32


def drawn_range(positions: WindowPositions, window: int) -> tuple[int, int]:
    """The padded pixels that are drawn along an axis: of a large image those around a window."""
    middle = positions.starts[window] + positions.covered // 2
    first = min(max(0, middle - LARGEST_DRAWN // 2), max(0, positions.padded - LARGEST_DRAWN))
    return first, min(positions.padded, first + LARGEST_DRAWN)


def window_figure(positions: WindowPositions, row: int, column: int, *, height_px: int = 340) -> go.Figure:
    """Draw the padded image, a dot in the middle of each window, and the window (row, column) with its taps.

    The dots carry their output row and column as `customdata`, for picking.
    """
    rows, columns = drawn_range(positions, row), drawn_range(positions, column)
    kinds = pixel_kinds(positions)[slice(*rows), slice(*columns)]
    present = [kind for kind in NAMES if np.any(kinds == kind)]
    figure = go.Figure()
    for kind in present:
        figure.add_trace(
            go.Heatmap(
                x=np.arange(*columns) - positions.before,
                y=np.arange(*rows) - positions.before,
                z=np.where(kinds == kind, 1.0, np.nan),
                colorscale=[[0, COLOURS[kind]], [1, COLOURS[kind]]],
                showscale=False,
                xgap=1.5,
                ygap=1.5,
                name=NAMES[kind],
                hovertemplate=f"{NAMES[kind]}, row %{{y}}, column %{{x}}<extra></extra>",
            )
        )
        # A heat map has no entry in the legend: a square of its colour stands for it.
        figure.add_trace(
            go.Scatter(
                x=[None],
                y=[None],
                mode="markers",
                marker={"symbol": "square", "size": 11, "color": COLOURS[kind]},
                name=NAMES[kind],
            )
        )
    _add_windows(figure, positions, rows, columns)
    _add_chosen(figure, positions, row, column)
    axes = {"showgrid": False, "zeroline": False, "constrain": "domain", "nticks": 12, "fixedrange": True}
    left, right, top, bottom = (edge - positions.before - 0.5 for edge in (*columns, *rows))
    figure.update_xaxes(**axes, range=[left - 0.1, right + 0.1], side="top")
    figure.update_yaxes(**axes, range=[bottom + 0.1, top - 0.1], scaleanchor="x")
    figure.update_layout(
        height=height_px,
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        legend={
            "orientation": "h",
            "y": -0.01,
            "yanchor": "top",
            "x": 0.5,
            "xanchor": "center",
            "itemclick": False,
        },
        hovermode="closest",
        clickmode="event+select",
        dragmode=False,
    )
    return figure


def _add_windows(
    figure: go.Figure, positions: WindowPositions, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    seen_rows, seen_columns = _seen(positions, rows), _seen(positions, columns)
    crowded = max(len(seen_rows), len(seen_columns)) > 14
    figure.add_trace(
        go.Scatter(
            x=[x for _ in seen_rows for _, x in seen_columns],
            y=[y for _, y in seen_rows for _ in seen_columns],
            customdata=[[i, j] for i, _ in seen_rows for j, _ in seen_columns],
            mode="markers",
            marker={
                "symbol": "circle",
                "size": 5 if crowded else 9,
                "color": "#4338ca",
                "line": {"width": 0.5 if crowded else 1, "color": "#ffffff"},
            },
            unselected={"marker": {"opacity": 1}},
            showlegend=False,
            hovertemplate="output row %{customdata[0]}, column %{customdata[1]}<extra></extra>",
        )
    )


def _seen(positions: WindowPositions, drawn: tuple[int, int]) -> list[tuple[int, float]]:
    """The windows whose middle is drawn: which, and where it lies in image pixels."""
    middles = [start + (positions.covered - 1) / 2 for start in positions.starts]
    return [(index, middle - positions.before) for index, middle in enumerate(middles) if drawn[0] <= middle < drawn[1]]


def _add_chosen(figure: go.Figure, positions: WindowPositions, row: int, column: int) -> None:
    rows, columns = ([tap - positions.before for tap in positions.taps(index)] for index in (row, column))
    figure.add_trace(
        go.Scatter(
            x=[x for _ in rows for x in columns],
            y=[y for y in rows for _ in columns],
            mode="markers",
            marker={
                "symbol": "x-thin",
                "size": 8 if positions.padded <= LARGEST_DRAWN // 2 else 4,
                "line": {"width": 1.5, "color": WINDOW_COLOUR},
            },
            showlegend=False,
            hoverinfo="skip",
        )
    )
    top, left = (positions.starts[index] - positions.before - 0.5 for index in (row, column))
    figure.add_shape(
        type="rect",
        x0=left,
        x1=left + positions.covered,
        y0=top,
        y1=top + positions.covered,
        line={"color": WINDOW_COLOUR, "width": 3},
    )
