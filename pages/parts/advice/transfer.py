"""The view of transfer learning: frozen features, fine-tuning and training from scratch as the pictures grow fewer."""

from collections.abc import Sequence

import streamlit as st

from core.training import experiment_tasks as tasks
from core.training.experiments.backbone import BACKBONES, available_backbones
from core.training.experiments.measurements import Measurement, differences
from core.training.experiments.settings import FROZEN, SCRATCH, TUNED, TransferResult, TransferSettings
from core.training.experiments.snippets import transfer_snippets
from pages.parts.advice.charts import error_chart
from pages.parts.advice.controls import (
    counted,
    data_control,
    data_label,
    network_control,
    own_pictures_hint,
    seeds_control,
    times_over,
)
from pages.parts.advice.experiment import LOOK_TIMEOUT_S, Experiment, draw_experiment, draw_numbers, gain, start_button
from pages.parts.code_tabs import code_tabs
from pages.parts.figures import show
from pages.parts.formula import formula, number
from pages.parts.kept_calls import kept_call
from pages.parts.lab.result import picture_strip

LABELS = {FROZEN: "frozen features, new softmax", TUNED: "fine-tuned", SCRATCH: "from scratch"}
COUNTS = {"few": (2, 5, 10), "many": (2, 5, 10, 40), "long": (1, 2, 5, 10, 20, 40, 100)}
COUNT_LABELS = {"few": "2, 5, 10", "many": "2, 5, 10, 40", "long": "1 to 100"}


def view() -> None:
    """Draw the view."""
    controls, result = st.columns([1.05, 2.8], gap="medium")
    with controls:
        settings = _controls()
        start_button(
            EXPERIMENT,
            settings,
            f"Transfer to {data_label(settings.data).lower()}, {len(settings.per_class)} sizes, "
            f"{counted(settings.seeds, 'seed')}",
        )
        own_pictures_hint()
    with result:
        found = draw_experiment(EXPERIMENT, lambda: _before(settings))
    if isinstance(found, TransferResult):
        st.caption(f":material/memory: Features by the {found.answered_by}.")
        draw_numbers(EXPERIMENT, found)
    _advice(settings, found if isinstance(found, TransferResult) else None)


def _controls() -> TransferSettings:
    plain = TransferSettings()
    data = data_control("transfer", plain.data)
    here = available_backbones()
    backbone = st.selectbox(
        "Backbone",
        ["auto", *here],
        format_func=lambda name: "Automatic" if name == "auto" else BACKBONES[name].label,
        key="transfer_backbone",
        bind="query-params",
        help="Whose features are used again. Automatic takes the first of the list that is here"
        + (f": the {BACKBONES[here[0]].label}." if here else "; none is.")
        + " Embedded ones come with the workbench.",
    )
    counts = st.selectbox(
        "Training pictures a class",
        list(COUNTS),
        index=list(COUNTS).index("many"),
        format_func=COUNT_LABELS.__getitem__,
        key="transfer_counts",
        bind="query-params",
        help="The experiment is made at each of these numbers. Where a class has fewer, all of them are taken.",
    )
    seeds = seeds_control("transfer", plain.seeds)
    with st.popover("Networks and steps", icon=":material/tune:", width="stretch"):
        network = network_control("transfer", plain.network)
        steps = st.select_slider(
            "Steps from scratch",
            [50, 100, 200, 400, 800],
            plain.steps,
            key="transfer_steps",
            bind="query-params",
            help="Batches of 16 that the network from scratch learns from.",
        )
        tuning = st.select_slider(
            "Steps of fine-tuning",
            [20, 40, 60, 120, 240],
            plain.tuning_steps,
            key="transfer_tuning",
            bind="query-params",
            help="Batches of 16 that the backbone's upper layers learn from.",
        )
        rate = st.select_slider(
            "Learning rate of fine-tuning",
            [0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.005],
            plain.tuning_rate,
            key="transfer_rate",
            bind="query-params",
            help="Small, so that what was learned before is not lost. Try 0.005.",
        )
    return TransferSettings(
        data=data,
        backbone=str(backbone),
        per_class=COUNTS[counts],
        network=network,
        steps=int(steps),
        tuning_steps=int(tuning),
        tuning_rate=float(rate),
        seeds=seeds,
    )


def _chart(measurements: Sequence[Measurement], *, key: str) -> None:
    ticks = sorted({one.x for one in measurements})
    show(error_chart(measurements, LABELS, x_title="training pictures a class", log_x=True, ticks=ticks), key=key)


def _verdict(measurements: Sequence[Measurement]) -> str:
    gaps = differences(measurements, FROZEN, SCRATCH)
    tuned = differences(measurements, TUNED, FROZEN)
    if not gaps:
        return ""
    said = f"With {gaps[0].x:,g} a class, frozen features against scratch: {gain(gaps[0])}"
    if len(gaps) > 1:
        said += f"; with {gaps[-1].x:,g}: {gain(gaps[-1])}"
    if tuned:
        said += f". Fine-tuning against frozen with {tuned[-1].x:,g}: {gain(tuned[-1])}"
    return said + "."


EXPERIMENT = Experiment("advice_transfer", tasks.transfer, LABELS, "pictures_a_class", _chart, _verdict)


def _before(settings: TransferSettings) -> None:
    look = kept_call(tasks.transfer_look, settings.data, settings.backbone, timeout_s=LOOK_TIMEOUT_S)
    if look is None:
        return
    few = look.sample
    st.markdown(
        f"**A first look**, measured now: {look.per_class} pictures of each of {few.classes} classes "
        f"({look.per_class * few.classes} together), {look.test:,} test pictures, one softmax layer on top of"
    )
    left, right, note = st.columns([1, 1, 1.6], vertical_alignment="center")
    left.metric(f"{look.features:,} frozen features", f"{100 * look.frozen:.1f} %", help=f"Of the {look.answered_by}.")
    right.metric(
        f"{look.pixel_count:,} grey pixels",
        f"{100 * look.pixels:.1f} %",
        help="The same layer on the same pictures: their brightness on a grid of 16 x 16.",
    )
    note.caption(f":material/memory: Features by the {look.answered_by}. Chance would give {100 / few.classes:.0f} %.")
    picture_strip(few.images, few.names, key="transfer_sample")
    st.markdown(
        f"**Measure** compares three ways at {', '.join(str(count) for count in settings.per_class)} pictures a class, "
        f"{times_over(settings.seeds)}: these frozen features, the same backbone trained on a little (fine-tuned), and "
        "a network trained from scratch. It runs as a job: leave the page, come back, or stop it at any time."
    )


def _advice(settings: TransferSettings, result: TransferResult | None) -> None:
    st.subheader("What the notes advise, with your numbers", anchor=False)
    words, mathematics = st.columns(2, gap="medium")
    with words:
        st.markdown(
            "**Use open source implementations and pretrained models, and fine-tune them on your data.** How much to "
            "train depends on how many pictures you have:\n"
            "- *Few*: freeze the whole network, compute its features once, train the softmax layer alone.\n"
            "- *More*: freeze the lower layers, train the upper ones too, with a small learning rate.\n"
            "- *Many*: take the pretrained weights as the start, and train everything."
        )
        if result is not None:
            classes = result.classes
            counts = dict(result.trained_weights)
            smallest = min(one.x for one in result.measurements)
            st.markdown(
                f"Here {smallest:,g} × {classes} = {smallest * classes:,g} pictures decide over "
                f"**{counts[FROZEN]:,}** weights when frozen, **{counts[TUNED]:,}** when fine-tuned, and "
                f"**{counts[SCRATCH]:,}** from scratch."
            )
    with mathematics:
        d, k = (result.features, result.classes) if result is not None else (256, 16)
        formula(
            r"& \hat y = \operatorname{softmax}\bigl(W^\top \phi_\theta(x) + b\bigr)",
            rf"& \text{{frozen: }} \min_{{W, b}} J, \quad {number(d)} \times {k} + {k} = {number((d + 1) * k)}\ "
            r"\text{weights}",
            r"& \text{fine-tuned: } \min_{W, b, \theta_{\text{upper}}} J, \quad "
            rf"\alpha = {number(settings.tuning_rate)}\ \text{{at first}}",
            explanation="φ are the backbone's last maps, each averaged to one number. Fine-tuning starts from the "
            "frozen solution. From scratch, all weights start at random and the learning rate is "
            f"{settings.learning_rate:g}.",
        )
    st.subheader("The same as code", anchor=False)
    code_tabs(transfer_snippets(settings), key="transfer_code")
