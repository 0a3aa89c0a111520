"""The view of data against hand-engineering: HOG and a linear SVM, raw pixels, and a network, over the labels."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from core.runtime.images import display_jpeg
from core.training import experiment_tasks as tasks
from core.training.experiments.measurements import Measurement, differences
from core.training.experiments.settings import CNN, HOG_SVM, PIXEL_SVM, ExperimentResult, HogSettings
from core.training.experiments.snippets import hog_snippets
from pages.parts.advice.charts import error_chart
from pages.parts.advice.controls import (
    counted,
    data_control,
    data_label,
    network_control,
    seeds_control,
    steps_control,
    times_over,
)
from pages.parts.advice.experiment import LOOK_TIMEOUT_S, Experiment, draw_experiment, draw_numbers, gain, start_button
from pages.parts.code_tabs import code_tabs
from pages.parts.compute import compute
from pages.parts.figures import show
from pages.parts.formula import formula, number
from pages.parts.kept_calls import kept_call

LABELS = {HOG_SVM: "HOG + linear SVM", CNN: "network", PIXEL_SVM: "grey pixels + linear SVM"}
TILE_PX = 96
PIXELS_HELP = "The picture's brightness on a grid of 16 x 16."
PAPER = (
    ":material/article: [Dalal & Triggs 2005, Histograms of oriented gradients for human detection]"
    "(https://doi.org/10.1109/CVPR.2005.177)"
)


def view() -> None:
    """Draw the view."""
    controls, result = st.columns([1.05, 2.8], gap="medium")
    with controls:
        settings = _controls()
        start_button(
            EXPERIMENT,
            settings,
            f"Data or hand-engineering, {data_label(settings.data).lower()}, {counted(settings.seeds, 'seed')}",
        )
    with result:
        found = draw_experiment(EXPERIMENT, lambda: _before(settings))
    if found is not None:
        draw_numbers(EXPERIMENT, found)
    _advice(settings, found)


def _controls() -> HogSettings:
    plain = HogSettings()
    data = data_control("hog", plain.data)
    network = network_control("hog", plain.network)
    seeds = seeds_control("hog", plain.seeds)
    with st.popover("HOG and the SVM", icon=":material/explore:", width="stretch"):
        orientations = st.slider(
            "Orientations",
            4,
            18,
            plain.orientations,
            key="hog_orientations",
            bind="query-params",
            help="Bins of the histogram of gradient directions over 180 degrees.",
        )
        cell = st.select_slider(
            "Cell (px)",
            [4, 6, 8, 12, 16],
            plain.cell_px,
            key="hog_cell",
            bind="query-params",
            help="One histogram is made of each cell of so many pixels squared.",
        )
        block = st.slider(
            "Block (cells)",
            1,
            3,
            plain.block_cells,
            key="hog_block",
            bind="query-params",
            help="Histograms are normalised together in blocks of so many cells squared.",
        )
        svm_c = st.select_slider(
            "C of the SVM",
            [0.01, 0.1, 1.0, 10.0, 100.0],
            plain.svm_c,
            key="hog_c",
            bind="query-params",
            help="Large: every training picture must be right. Small: a wide margin.",
        )
    with st.popover("Steps", icon=":material/tune:", width="stretch"):
        steps = steps_control("hog", plain.steps, [100, 300, 600, 1200, 2400])
    return HogSettings(
        data=data,
        network=network,
        steps=steps,
        seeds=seeds,
        orientations=int(orientations),
        cell_px=int(cell),
        block_cells=int(block),
        svm_c=float(svm_c),
    )


def _chart(measurements: Sequence[Measurement], *, key: str) -> None:
    ticks = sorted({one.x for one in measurements})
    show(error_chart(measurements, LABELS, x_title="labelled pictures", log_x=True, ticks=ticks), key=key)


def _verdict(measurements: Sequence[Measurement]) -> str:
    gaps = differences(measurements, HOG_SVM, CNN)
    if not gaps:
        return ""
    said = f"HOG against the network with {gaps[0].x:,g} labels: {gain(gaps[0])}"
    return said + (f"; with {gaps[-1].x:,g}: {gain(gaps[-1])}." if len(gaps) > 1 else ".")


EXPERIMENT = Experiment("advice_hog", tasks.hog, LABELS, "labelled_pictures", _chart, _verdict)


def _before(settings: HogSettings) -> None:
    look = kept_call(tasks.hog_look, settings, timeout_s=LOOK_TIMEOUT_S)
    if look is None:
        return
    st.markdown(
        f"**A first look**, measured now: a linear SVM on a tenth of the labels ({look.labels:,} pictures), "
        f"{look.test:,} test pictures."
    )
    left, right, note = st.columns([1, 1, 1.6], vertical_alignment="center")
    left.metric(f"{look.features:,} HOG features", f"{100 * look.hog:.1f} %")
    right.metric(f"{look.pixel_count:,} grey pixels", f"{100 * look.pixels:.1f} %", help=PIXELS_HELP)
    note.caption("The same SVM, the same pictures: the difference is what people knew about gradients.")
    tiles = [np.concatenate([_tile(image), _tile(drawn)]) for image, drawn in zip(look.images, look.drawn, strict=True)]
    shown = np.concatenate(tiles, axis=1)
    st.image(
        display_jpeg(shown),
        width=shown.shape[1],
        caption="Pictures, and their histograms of oriented gradients: a star of lines in each cell.",
    )
    st.markdown(
        f"**Measure** adds a network, and goes from 10 % to 100 % of the labels, {times_over(settings.seeds)}, as "
        "a job."
    )


def _tile(picture: np.ndarray) -> np.ndarray:
    three = picture[..., None] if picture.ndim == 2 else picture
    rgb = np.repeat(three, 3, axis=2) if three.shape[2] == 1 else three
    factor = max(1, round(TILE_PX / rgb.shape[0]))
    return np.pad(np.repeat(np.repeat(rgb, factor, 0), factor, 1), ((2, 2), (2, 2), (0, 0)), constant_values=255)


def _advice(settings: HogSettings, result: ExperimentResult | None) -> None:
    st.subheader("What the notes advise, with your numbers", anchor=False)
    look = kept_call(tasks.hog_look, settings, timeout_s=LOOK_TIMEOUT_S)
    words, mathematics = st.columns(2, gap="medium")
    with words:
        st.markdown(
            "**There are two sources of knowledge: labelled data, and what people put in by hand** (features, network "
            "architecture, other components). With little data, hand-engineering is the best way to a good result; "
            "the more labels there are, the less of it is needed, and the simpler the approach can be. HOG was for "
            "years the best there was for finding people in photographs."
        )
        if result is not None:
            gaps = differences(result.measurements, HOG_SVM, CNN)
            st.markdown(
                f"Here HOG is {100 * gaps[0].mean:+.1f} points ahead of the network with {gaps[0].x:,g} labels, and "
                f"**{100 * gaps[-1].mean:+.1f}** with {gaps[-1].x:,g}."
            )
    with mathematics:
        if look is None:
            return
        side = look.side_px
        cells = side // settings.cell_px
        blocks = cells - settings.block_cells + 1
        formula(
            r"d = (n_{\text{cells}} - b + 1)^2 \cdot b^2 \cdot o, \qquad \hat y = \arg\max_c\; w_c^\top v + b_c",
            rf"d = ({cells} - {settings.block_cells} + 1)^2 \cdot {settings.block_cells}^2 \cdot "
            rf"{settings.orientations} = {number(blocks**2 * settings.block_cells**2 * settings.orientations)}",
            explanation=f"Pictures of {side} px have {cells} × {cells} cells of {settings.cell_px} px; b cells squared "
            f"make a block, o orientations a histogram; v are all of them. The SVM learns {look.features:,} weights a "
            "class.",
        )
    st.caption(PAPER)
    st.subheader("The same as code", anchor=False)
    code_tabs(
        hog_snippets(settings),
        key="hog_code",
        compare=lambda: compute(tasks.compare_hog, settings),
        fingerprint=f"{settings}",
        hint="Runs the code above with this page's settings, on the digits that it names.",
    )
