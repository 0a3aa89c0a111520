"""Below the maps: the window behind one output, the mathematics with numbers, the code, the downloads."""

import numpy as np
import pandas as pd
import streamlit as st

from core.convolution import tasks
from core.convolution.pooling import PoolingResult
from core.convolution.snippets import pooling_snippets
from pages.parts.code_tabs import code_tabs
from pages.parts.compute import compute
from pages.parts.downloads import download_array, download_picture, download_table
from pages.parts.formula import formula, number
from pages.parts.pixels import Box, Pixel, number_grid, picture
from pages.parts.pooling.controls import CHANNELS, Input, Window
from pages.parts.pooling.layout import Layout, as_picture, encoded, sources_of

LARGEST_WINDOW_SHOWN = 12
MOST_TERMS = 9
MOST_TERMS_OF_THREE = 3  # where three windows stand side by side


def reduction(given: Input, window: Window, result: PoolingResult, layout: Layout) -> None:
    """Draw what was kept of the chosen window of a matrix, and where it came from."""
    output = float(result.output[layout.pixel.row, layout.pixel.column])
    st.latex(_kept(layout.cut(given.values), window, output, MOST_TERMS))
    sources = sources_of(result, layout.pixel)
    if sources:
        st.caption(
            f"It came from row {sources[0].row}, column {sources[0].column} of the input (of equal ones, the "
            "first in reading order). In training, only this place gets the gradient."
        )
    else:
        st.caption("Every value of the window counts the same; in training, all get the same gradient.")


def windows_behind(given: Input, window: Window, result: PoolingResult, layout: Layout) -> None:
    """Draw the chosen window of a large input, one for each channel, and what was kept of it."""
    st.subheader("The window behind one output", anchor=False)
    cut = layout.cut(given.values)
    planes = [cut] if cut.ndim == 2 else [cut[:, :, channel] for channel in range(cut.shape[2])]
    names = [""] if cut.ndim == 2 else list(CHANNELS.values())[1:]
    outputs = np.atleast_1d(result.output[layout.pixel.row, layout.pixel.column]).tolist()
    sources = sources_of(result, layout.pixel) or [None] * len(planes)
    drawn = zip(names, planes, outputs, sources, st.columns(len(planes), gap="medium"), strict=True)
    for name, plane, output, source, column in drawn:
        with column:
            _draw_window(name, plane, source, layout, is_image=given.is_image)
            st.latex(_kept(plane, window, output, MOST_TERMS if len(planes) == 1 else MOST_TERMS_OF_THREE))
    kept = "its maximum (green dot)" if window.mode == "max" else "its average"
    bottom, right = layout.top + window.f - 1, layout.left + window.f - 1
    st.caption(
        f"Rows {layout.top} to {bottom}, columns {layout.left} to {right} of the input: {kept} is kept"
        + (", in each channel for itself." if len(planes) > 1 else ".")
    )


def _draw_window(name: str, plane: np.ndarray, source: Pixel | None, layout: Layout, *, is_image: bool) -> None:
    side = layout.rows.f
    inside = None if source is None else layout.in_window(source)
    if name:
        st.caption(name)
    if side > LARGEST_WINDOW_SHOWN:
        picture(
            encoded(plane, is_image=is_image),
            rows=side,
            columns=side,
            key=f"pooling_window_picture_{name}",
            alt=f"{name} window, {side} by {side}".strip(),
            boxes=[] if inside is None else [Box(inside.row, inside.column, 1, 1, "source")],
            max_height_px=200,
        )
        return
    number_grid(
        plane,
        key=f"pooling_window_grid_{name}",
        label=f"{name} window, {side} by {side}".strip(),
        colours="intensity" if is_image else "signed",
        sources=[] if inside is None else [inside],
        cell_px=max(20, min(44, 220 // side)),
    )


def _kept(plane: np.ndarray, window: Window, output: float, most: int) -> str:
    terms = [number(value) for value in plane.ravel()[:most].tolist()]
    if plane.size > most:
        terms.append(r"\dots")
    if window.mode == "max":
        inside = r",\,".join(terms)
        return rf"\max({inside}) = {number(output, 5)}"
    return rf"\tfrac{{1}}{{{plane.size}}} ({' + '.join(terms)}) = {number(output, 5)}"


def mathematics(given: Input, window: Window, layout: Layout) -> None:
    """Draw what pooling computes, and the size formula with the user's numbers, right and without its + 1."""
    st.subheader("Mathematics", anchor=False)
    reduce = {
        "max": r"\max_{0 \le u, v < f}",
        "average": r"\frac{1}{f^2} \sum_{u=0}^{f-1} \sum_{v=0}^{f-1}",
    }[window.mode]
    left, right = st.columns(2, gap="medium")
    with left:
        formula(
            rf"a_{{i,j,c}} = {reduce}\; x_{{\,i s + u,\; j s + v,\; c}}",
            explanation="x input, a output; f window, s stride; i row, j column, c channel. Each channel is "
            "pooled for itself, usually without padding. Nothing is learned: 0 parameters.",
        )
    with right:
        lines = [
            rf"n'_{axis} = \left\lfloor \frac{{{p.n} - {window.f}}}{{{window.s}}} + 1 \right\rfloor "
            rf"= {len(p.starts)}"
            for axis, p in (("H", layout.rows), ("W", layout.columns))
        ]
        height, width = len(layout.rows.starts), len(layout.columns.starts)
        formula(
            r"n' = \left\lfloor \frac{n - f}{s} + 1 \right\rfloor",
            *lines,
            explanation="n_H × n_W × n_C → n'_H × n'_W × n_C: the number of channels stays. Where the + 1 is "
            f"left out in print, the size comes out as {height - 1} × {width - 1}, not {height} × {width}: "
            "(n − f) / s counts the steps from the first window to the last, and forgets the first.",
        )


def code(given: Input, window: Window) -> None:
    """Draw the same as code, and its comparison."""
    st.subheader("The same as code", anchor=False)
    code_tabs(
        pooling_snippets(window.f, window.s, window.mode, given.values.shape),
        key="pooling_code",
        inputs=_input_as_code(given),
        fingerprint=f"{given.fingerprint} {window}",
        compare=lambda: compute(tasks.compare_pooling, given.values, window.f, window.s, window.mode),
    )


def _input_as_code(given: Input) -> str:
    if not given.is_image:
        return f"\nx = np.array({np.round(given.values, 6).tolist()})"
    plane = "" if given.channel is None else f"[:, :, {given.channel}]"
    return f'from PIL import Image\n\nx = np.asarray(Image.open("photo.jpg").convert("RGB")){plane}'


def downloads(given: Input, window: Window, result: PoolingResult) -> None:
    """Draw the buttons: the map as picture and numbers, and where its maxima came from."""
    name = f"{given.name}_{window.mode}_pooled"
    with st.container(horizontal=True):
        download_picture(
            as_picture(result.output, is_image=given.is_image),
            name=name,
            key="pooling_png",
            label="Output picture",
        )
        download_array(result.output, name=name, key="pooling_npy", label="Output numbers (.npy)")
        if result.rows is None or result.columns is None:
            return
        if given.as_numbers:
            download_table(
                _origins(result.output, result.rows, result.columns),
                name=f"{name}_origins",
                key="pooling_csv",
                label="Origins of the maxima (CSV)",
            )
        else:
            download_array(
                np.stack([result.rows, result.columns]),  # (2, H', W'[, C])
                name=f"{name}_origins",
                key="pooling_origins",
                label="Origins of the maxima (.npy)",
            )


def _origins(output: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> pd.DataFrame:
    """One line for each output (H', W'): where it stands, its value, and where that came from."""
    return pd.DataFrame(
        {
            "output_row": np.indices(output.shape)[0].ravel(),
            "output_column": np.indices(output.shape)[1].ravel(),
            "maximum": output.ravel(),
            "input_row": rows.ravel(),
            "input_column": columns.ravel(),
        }
    )
