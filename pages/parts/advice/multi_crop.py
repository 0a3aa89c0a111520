"""The view of multi-crop at test time: one picture's ten crops, and the accuracy of their mean answer."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from core.runtime.images import display_jpeg, fit_within
from core.training import experiment_tasks as tasks
from core.training.experiments.crops import PLACES, crop_boxes, ten_crops
from core.training.experiments.measurements import Measurement, gain_over_setting, summarise
from core.training.experiments.settings import CROPS, CropExample, MultiCropResult, MultiCropSettings
from core.training.experiments.snippets import crop_snippets
from pages.parts.advice.charts import error_chart
from pages.parts.advice.controls import (
    count_control,
    counted,
    data_control,
    data_label,
    network_control,
    seeds_control,
    steps_control,
    times_over,
)
from pages.parts.advice.experiment import Experiment, draw_experiment, draw_numbers, gain, start_button
from pages.parts.code_tabs import code_tabs
from pages.parts.compute import compute
from pages.parts.figures import show
from pages.parts.formula import formula, number
from pages.parts.image_input import image_input
from pages.parts.pixels import Box, picture

LABELS = {CROPS: "mean over the crops"}
SHOWN_PX = 320
TILE_PX = 92
NAMES = (*PLACES, *(f"{place}, mirrored" for place in PLACES))
PAPER = (
    ":material/article: [Krizhevsky et al. 2012, ImageNet classification with deep convolutional neural networks, "
    "section 4.1]"
    "(https://doi.org/10.1145/3065386)"
)


def view() -> None:
    """Draw the view."""
    controls, result = st.columns([1.05, 2.8], gap="medium")
    with controls:
        settings = _controls()
        start_button(
            EXPERIMENT,
            settings,
            f"Multi-crop on {data_label(settings.data).lower()}, crops of {100 * settings.crop_share:.0f} %, "
            f"{counted(settings.seeds, 'seed')}",
        )
    with result:
        found = draw_experiment(EXPERIMENT, lambda: _before(settings))
    done = found if isinstance(found, MultiCropResult) else None
    if done is not None:
        draw_numbers(EXPERIMENT, done)
        if done.example is not None:
            _example(done.example, done.crop_px)
    _advice(settings, done)


def _controls() -> MultiCropSettings:
    plain = MultiCropSettings()
    data = data_control("crops", plain.data)
    share = st.slider(
        "Side of a crop",
        0.4,
        0.95,
        plain.crop_share,
        0.05,
        key="crops_share",
        bind="query-params",
        help="As a share of the picture's side. AlexNet took 224 of 256 pixels, 0.875.",
    )
    count = count_control("crops", plain.per_class, [10, 20, 40, 70, 150])
    seeds = seeds_control("crops", plain.seeds)
    with st.popover("Network and steps", icon=":material/tune:", width="stretch"):
        network = network_control("crops", plain.network)
        steps = steps_control("crops", plain.steps, [100, 200, 400, 800, 1600])
    return MultiCropSettings(
        data=data, crop_share=float(share), per_class=count, network=network, steps=steps, seeds=seeds
    )


def _chart(measurements: Sequence[Measurement], *, key: str) -> None:
    show(error_chart(measurements, LABELS, x_title="crops of each picture", ticks=[1, 2, 5, 10]), key=key)


def _verdict(measurements: Sequence[Measurement]) -> str:
    found = gain_over_setting(measurements, CROPS, 10, 1)
    if found is None:
        return ""
    means = {one.x: 100 * one.mean for one in summarise(measurements)}
    return f"One crop {means[1.0]:.1f} %, ten {means[10.0]:.1f} %: {gain(found)}."


EXPERIMENT = Experiment("advice_crops", tasks.multi_crop, LABELS, "crops", _chart, _verdict)


def _before(settings: MultiCropSettings) -> None:
    where, tiles = st.columns([1, 2.1], gap="medium")
    with where:
        chosen = image_input(key="crops_image", default="chelsea", label="Ten crops of")
        shown = fit_within(chosen.pixels, SHOWN_PX)
        crop_px = max(1, round(settings.crop_share * min(shown.shape[:2])))
        boxes = crop_boxes(shown.shape[0], shown.shape[1], crop_px)
        picture(
            display_jpeg(shown),
            rows=shown.shape[0],
            columns=shown.shape[1],
            key="crops_where",
            alt=f"{chosen.name} with five squares of {crop_px} px: four corners and the middle",
            boxes=[
                Box(
                    float(top),
                    float(left),
                    float(bottom - top),
                    float(right - left),
                    "selected" if i == 4 else "window",
                )
                for i, (left, top, right, bottom) in enumerate(boxes)
            ],
            max_height_px=230,
        )
    with tiles:
        crops = ten_crops(shown[None], crop_px)[0]
        st.image(
            display_jpeg(_contact_sheet(crops)),
            width="stretch",
            caption=f"Five crops of {crop_px} px, and their mirror images below. Their ten answers are averaged.",
        )
    st.markdown(
        f"**Measure** trains a network on random crops of {100 * settings.crop_share:.0f} % of the side, "
        f"{times_over(settings.seeds)}, and tests each on 1, 2, 5 and 10 crops, as a job that can be stopped."
    )


def _contact_sheet(crops: np.ndarray) -> np.ndarray:
    """Ten crops in two rows of five."""
    framed = np.pad(crops, ((0, 0), (3, 3), (3, 3), (0, 0)), constant_values=255)
    return np.concatenate([np.concatenate(list(framed[row : row + 5]), axis=1) for row in (0, 5)])


def _example(example: CropExample, crop_px: int) -> None:
    st.markdown("**A test picture, crop by crop**, by the network of the first seed:")
    pixels, table = st.columns([1, 2.4], gap="medium")
    with pixels:
        three = np.repeat(example.image, 3, axis=2) if example.image.shape[2] == 1 else example.image
        sheet = _contact_sheet(ten_crops(three[None], crop_px)[0])
        factor = max(1, round(5 * TILE_PX / sheet.shape[1]))
        st.image(display_jpeg(np.repeat(np.repeat(sheet, factor, 0), factor, 1)), width="stretch")
        st.caption(f"It is: {example.class_names[example.label]}")
    rows = [*zip(NAMES, example.probabilities, strict=True), ("Mean of ten", example.probabilities.mean(axis=0))]
    content = [
        {
            "Crop": name,
            "Says": example.class_names[int(row.argmax())],
            "Probability of that": float(row.max()),
            "Probability of the truth": float(row[example.label]),
        }
        for name, row in rows
    ]
    two = st.column_config.NumberColumn(format="%.2f")
    table.dataframe(
        pd.DataFrame(content),
        hide_index=True,
        height="content",
        key="crops_example",
        column_config={"Probability of that": two, "Probability of the truth": two},
    )


def _advice(settings: MultiCropSettings, result: MultiCropResult | None) -> None:
    st.subheader("What the notes advise, with your numbers", anchor=False)
    words, mathematics = st.columns(2, gap="medium")
    with words:
        st.markdown(
            "**To win a benchmark, run the classifier on several versions of each test picture and average the "
            "results**: the 10-crop takes the middle and four corners, and the mirror image of each. One network is "
            "enough, so it needs less memory than an ensemble, but it takes ten times the time. It too is *rarely used "
            "in production*."
        )
        if result is not None:
            st.markdown(
                f"Here {result.test:,} test pictures take **{result.one_ms:,.0f} ms** with one crop of "
                f"{result.crop_px} px, and **{result.ten_ms:,.0f} ms** with ten."
            )
    with mathematics:
        lines = []
        if result is not None and result.example is not None:
            values = result.example.probabilities[:, result.example.label]
            terms = " + ".join(f"{value:.2f}" for value in values[:3])
            lines.append(
                rf"\hat y_{{\text{{true}}}} = \frac{{1}}{{10}} ({terms} + \dots) = {number(float(values.mean()), 2)}"
            )
        formula(
            r"\hat y(x) = \frac{1}{10} \sum_{i=1}^{10} \hat y\bigl(\text{crop}_i(x)\bigr)",
            *lines,
            explanation="For a picture of H × W and crops of c, the corners are at (0, 0), (0, W − c), (H − c, 0), "
            "(H − c, W − c), and the middle at ((H − c) / 2, (W − c) / 2).",
        )
    st.caption(PAPER)
    st.subheader("The same as code", anchor=False)
    code_tabs(
        crop_snippets(settings),
        key="crops_code",
        compare=lambda: compute(tasks.compare_crops, settings),
        fingerprint=f"{settings.crop_share}",
        hint="Runs the code above with this page's crops, on the photograph that it names.",
    )
