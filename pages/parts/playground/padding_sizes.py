"""What padding does to sizes: the formulas, valid beside same, a network of many layers, and the code."""

import numpy as np
import pandas as pd
import streamlit as st

from core.convolution import tasks
from core.convolution.geometry import (
    FilterTooLarge,
    Padding,
    covered_size,
    participation_map,
    same_padding,
    shrinkage,
)
from core.convolution.settings import ConvolutionSettings
from core.convolution.snippets import convolution_snippets
from core.convolution.windows import WindowPositions, window_positions
from pages.parts.code_tabs import code_tabs
from pages.parts.compute import compute
from pages.parts.downloads import download_table
from pages.parts.figures import line_chart, show
from pages.parts.formula import formula, output_size_formula


def draw_mathematics(n: int, f: int, settings: ConvolutionSettings, positions: WindowPositions) -> None:
    """Draw the size formulas with the numbers put in, and valid and same padding side by side."""
    st.subheader("Mathematics", anchor=False)
    symbolic, numbers = output_size_formula(
        n=n,
        before=positions.before,
        after=positions.after,
        f=f,
        stride=settings.stride,
        dilation=settings.dilation,
        result=len(positions.starts),
    )
    half = same_padding(covered_size(f, settings.dilation))
    left, right = st.columns([1, 1.2], gap="medium")
    with left:
        formula(
            symbolic,
            numbers,
            explanation="The same for the width. ⌊ ⌋ rounds down: the filter must be fully contained.",
        )
        reach, letter = (covered_size(f, settings.dilation), r"d(f-1)+1") if settings.dilation > 1 else (f, "f")
        formula(
            rf"p_{{same}} = \frac{{{letter} - 1}}{{2}}",
            rf"p_{{same}} = \frac{{{reach} - 1}}{{2}} = {half:g}",
            explanation="Same padding at stride 1."
            + (" An even filter has no whole p: frameworks put the odd pixel at the end." if half % 1 else ""),
        )
    with right:
        table = _comparison_table(n, f, settings)
        st.dataframe(table, hide_index=True, key="padding_table")
        download_table(table, name="padding", key="padding_csv")
        st.markdown(
            "- **Valid**: n × n image ∗ f × f filter → (n − f + 1) × (n − f + 1) output.\n"
            "- **Same**: pad so that the output is as large as the input."
        )


def _comparison_table(n: int, f: int, settings: ConvolutionSettings) -> pd.DataFrame:
    choices: dict[str, Padding] = {"valid": "valid", "same": "same"}
    if isinstance(settings.padding, int):
        choices[f"p = {settings.padding}"] = settings.padding
    lines = []
    for name, padding in choices.items():
        line: dict[str, str | int | None] = {"Padding": name}
        try:
            positions = window_positions(n, f, padding=padding, stride=settings.stride, dilation=settings.dilation)
        except FilterTooLarge:
            lines.append({**line, "Before, after": "–", "Output": "filter does not fit"})
            continue
        counts = participation_map(n, n, f, settings.stride, padding, settings.dilation)
        size = len(positions.starts)
        line |= {
            "Before, after": f"{positions.before}, {positions.after}",
            "Output": f"{size} × {size}",
            "Left over": positions.left_over,
            "Corner takes part in": int(counts[0, 0]),
            "Centre takes part in": int(counts[n // 2, n // 2]),
        }
        lines.append(line)
    return pd.DataFrame(lines)


def draw_shrinkage(f: int) -> None:
    """Draw how the size goes on through a network of filters f, with its own controls."""
    st.subheader("Layer after layer", anchor=False)
    controls, chart = st.columns([1.05, 2.8], gap="medium")
    with controls:
        size = st.number_input(
            "Input of the network (px)",
            1,
            1024,
            32,
            key="n0",
            bind="query-params",
            help="Height and width of the picture that enters the first layer.",
        )
        layers = st.slider(
            "Layers L",
            1,
            100,
            20,
            key="L",
            bind="query-params",
            help="Convolutions of stride 1, one after another. Deep networks have tens to hundreds.",
        )
    valid = shrinkage(int(size), f, layers)
    same = shrinkage(int(size), f, layers, "same")
    with controls:
        last = len(valid) - 1
        if last < layers:
            st.warning(
                f"With valid padding only **{last}** of {layers} layers of f = {f} fit: "
                f"{valid[-1]} × {valid[-1]} is too small for another.",
                icon=":material/warning:",
            )
        else:
            st.caption(
                f"After {layers} layers: {valid[-1]} × {valid[-1]} with valid, "
                f"{same[-1]} × {same[-1]} with same padding."
            )
    with chart:
        show(
            line_chart(
                {"same": (np.arange(len(same)), same), "valid": (np.arange(len(valid)), valid)},
                x_title="layer",
                y_title="height = width (px)",
                height_px=260,
            ),
            key="shrinkage",
        )
    table = pd.DataFrame(
        {
            "Layer": range(layers + 1),
            "Valid": pd.array([*valid, *[None] * (layers + 1 - len(valid))], dtype="Int64"),
            "Same": same,
        }
    )
    with controls:
        download_table(table, name="shrinkage", key="shrinkage_csv", label="Sizes (CSV)")
    st.info(
        "Use **same** padding for CONV layers and let **pooling** layers shrink height and width. Then the "
        "depth of the network is free to choose, and the border of the image keeps its say.",
        icon=":material/lightbulb:",
    )


def draw_code(n: int, f: int, settings: ConvolutionSettings) -> None:
    """Draw the windows as code, and its comparison."""
    st.subheader("The same as code", anchor=False)
    st.caption(
        f"With an image of {n} × {n} ones and a filter of {f} × {f} ones, each output is the number of real "
        "pixels under its window."
    )
    code_tabs(
        convolution_snippets(settings, (f, f), (n, n)),
        key="padding_code",
        inputs=f"image = np.ones(({n}, {n}))\nkernel = np.ones(({f}, {f}))\n",
        fingerprint=f"{n} {f} {settings}",
        compare=lambda: compute(
            tasks.compare_implementations,
            np.ones((n, n), np.float32),
            np.ones((f, f)),
            settings.stride,
            settings.padding,
            "zero",
            settings.dilation,
        ),
    )
