"""The view of augmentation: the same network with and without changed pictures, accuracy as training goes."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from core.runtime.images import display_jpeg
from core.training import experiment_tasks as tasks
from core.training.experiments.measurements import Measurement, differences
from core.training.experiments.settings import (
    AUGMENTED,
    AUGMENTED_TRAINING,
    PLAIN,
    PLAIN_TRAINING,
    AugmentationSettings,
)
from core.training.experiments.snippets import augmentation_snippets
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
from pages.parts.advice.experiment import LOOK_TIMEOUT_S, Experiment, draw_experiment, draw_numbers, gain, start_button
from pages.parts.code_tabs import code_tabs
from pages.parts.figures import show
from pages.parts.formula import formula, number
from pages.parts.kept_calls import kept_call

LABELS = {
    AUGMENTED: "with augmentation",
    PLAIN: "without",
    AUGMENTED_TRAINING: "with, on its training pictures",
    PLAIN_TRAINING: "without, on its training pictures",
}
TILE_PX = 84
PAPER = (
    ":material/article: [Simard et al. 2003, Best practices for convolutional neural networks]"
    "(https://doi.org/10.1109/ICDAR.2003.1227801)"
)


def view() -> None:
    """Draw the view."""
    controls, result = st.columns([1.05, 2.8], gap="medium")
    with controls:
        settings = _controls()
        start_button(
            EXPERIMENT,
            settings,
            f"Augmentation of {data_label(settings.data).lower()}, {settings.per_class} a class, "
            f"{counted(settings.seeds, 'seed')}",
        )
    with result:
        found = draw_experiment(EXPERIMENT, lambda: _before(settings))
    if found is not None:
        draw_numbers(EXPERIMENT, found)
        with st.expander("The changed pictures", icon=":material/photo_library:"):
            _preview(settings)
    _advice(settings)


def _controls() -> AugmentationSettings:
    plain = AugmentationSettings()
    data = data_control("augment", plain.data)
    count = count_control("augment", plain.per_class, [5, 10, 20, 50, 100, 300])
    with st.popover("How pictures are changed", icon=":material/transform:", width="stretch"):
        shift = st.slider("Moved by up to (px)", 0, 8, plain.shift_px, key="augment_shift", bind="query-params")
        flip = st.toggle(
            "Mirrored, every second one",
            plain.flip,
            key="augment_flip",
            bind="query-params",
            help="Keeps the class of a shape or a cat, not of a digit: try it on digits, and see it do harm.",
        )
        turn = st.slider(
            "Turned by up to (degrees)", 0, 180, int(plain.rotate_deg), key="augment_turn", bind="query-params"
        )
        zoom = st.slider("Zoomed by up to", 0.0, 0.5, plain.zoom, 0.05, key="augment_zoom", bind="query-params")
        colour = st.slider(
            "Brightness, contrast, saturation by up to",
            0.0,
            1.0,
            plain.colour,
            0.1,
            key="augment_colour",
            bind="query-params",
        )
    seeds = seeds_control("augment", plain.seeds)
    with st.popover("Network and steps", icon=":material/tune:", width="stretch"):
        network = network_control("augment", plain.network)
        steps = steps_control("augment", plain.steps, [100, 200, 400, 800, 1600])
    return AugmentationSettings(
        data=data,
        per_class=count,
        network=network,
        steps=steps,
        seeds=seeds,
        shift_px=int(shift),
        flip=bool(flip),
        rotate_deg=float(turn),
        zoom=float(zoom),
        colour=float(colour),
    )


def _chart(measurements: Sequence[Measurement], *, key: str) -> None:
    show(error_chart(measurements, LABELS, x_title="step", dashed=(AUGMENTED_TRAINING, PLAIN_TRAINING)), key=key)


def _verdict(measurements: Sequence[Measurement]) -> str:
    gaps = differences(measurements, AUGMENTED, PLAIN)
    return f"Augmentation after {gaps[-1].x:,g} steps: {gain(gaps[-1])}." if gaps else ""


EXPERIMENT = Experiment("advice_augmentation", tasks.augmentation, LABELS, "step", _chart, _verdict)


def _before(settings: AugmentationSettings) -> None:
    st.markdown(
        "**What the network would see**, made now: a training picture as it is, and as it comes in five epochs. Each "
        "must still be of its class, or augmentation teaches mistakes."
    )
    _preview(settings)
    st.markdown(
        f"**Measure** trains the same network from the same start on {settings.per_class} pictures a class, with and "
        f"without these changes, {times_over(settings.seeds)}, as a job that can be stopped at any time."
    )


def _preview(settings: AugmentationSettings) -> None:
    shown = kept_call(tasks.varied, settings, timeout_s=LOOK_TIMEOUT_S)
    if shown is None:
        return
    rows = [
        np.concatenate([_tile(picture) for picture in (original, *versions)], axis=1)
        for original, versions in zip(shown.images, shown.varied, strict=True)
    ]
    st.image(
        display_jpeg(np.concatenate(rows)),
        width=rows[0].shape[1],
        caption="Left: the picture as it is. Then: changed at random.",
    )


def _tile(picture: np.ndarray) -> np.ndarray:
    rgb = np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture
    factor = max(1, round(TILE_PX / rgb.shape[0]))
    large = np.repeat(np.repeat(rgb, factor, axis=0), factor, axis=1)
    return np.pad(large, ((3, 3), (3, 3), (0, 0)), constant_values=255)


def _advice(settings: AugmentationSettings) -> None:
    st.subheader("What the notes advise, with your numbers", anchor=False)
    words, mathematics = st.columns(2, gap="medium")
    look = kept_call(tasks.varied, settings, timeout_s=LOOK_TIMEOUT_S)
    if look is None:
        return
    classes = look.classes
    each = min(settings.per_class, look.fewest)
    originals = each * classes
    seen = settings.steps * min(settings.batch, originals)
    with words:
        st.markdown(
            "**Augment the data to improve the performance of a vision system.** Mirroring, random crops and shifts, "
            "turns and changes of colour make new pictures of the same class for nothing. They help most where "
            "pictures are few: without them a network soon knows its training pictures by heart (its accuracy on them "
            "reaches 100 %) and learns nothing more. A change that does not keep the class does harm."
        )
        st.markdown(
            f"Here {originals:,} pictures are seen {seen:,} times in {settings.steps:,} steps, each about "
            f"**{seen / originals:,.0f}** times, and looks different each time."
        )
    with mathematics:
        formula(
            r"J = \frac{1}{m} \sum_{i=1}^{m} L\bigl(\hat y(a_t(x^{(i)})),\, y^{(i)}\bigr)",
            rf"m = {each} \times {classes} = {number(originals)},\quad "
            rf"t = 1 \dots {number(max(1, round(seen / originals)))}",
            explanation="a is the change, drawn anew at each look t: shift, mirror, turn, zoom, colour. The label "
            "stays. Test pictures are never changed.",
        )
    st.caption(PAPER)
    st.subheader("The same as code", anchor=False)
    code_tabs(augmentation_snippets(settings), key="augment_code")
