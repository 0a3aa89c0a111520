"""The view of ensembles: the mean of k networks against each of them, over k."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from core.runtime.images import display_jpeg
from core.training import experiment_tasks as tasks
from core.training.experiments.measurements import Measurement, gain_over_members, summarise
from core.training.experiments.settings import ENSEMBLE, MEMBER, EnsembleExample, EnsembleResult, EnsembleSettings
from core.training.experiments.snippets import ensemble_snippets, trained_ensemble
from pages.parts.advice.charts import error_chart
from pages.parts.advice.controls import (
    count_control,
    counted,
    data_control,
    data_label,
    network_control,
    seeds_control,
    steps_control,
)
from pages.parts.advice.experiment import LOOK_TIMEOUT_S, Experiment, draw_experiment, draw_numbers, gain, start_button
from pages.parts.code_tabs import code_tabs
from pages.parts.compute import compute
from pages.parts.figures import show
from pages.parts.formula import formula
from pages.parts.kept_calls import kept_call

LABELS = {ENSEMBLE: "mean of the first k networks", MEMBER: "the k-th network alone"}
TILE_PX = 128
MOST_CLASSES = 10
PAPER = (
    ":material/article: [Lakshminarayanan et al. 2017, Simple and scalable predictive uncertainty estimation using "
    "deep ensembles]"
    "(https://arxiv.org/abs/1612.01474)"
)


def view() -> None:
    """Draw the view."""
    controls, result = st.columns([1.05, 2.8], gap="medium")
    with controls:
        settings = _controls()
        start_button(
            EXPERIMENT,
            settings,
            f"{counted(settings.seeds, 'ensemble')} of {settings.members} on {data_label(settings.data).lower()}, "
            f"{settings.per_class} a class",
        )
    with result:
        found = draw_experiment(EXPERIMENT, lambda: _before(settings))
    done = found if isinstance(found, EnsembleResult) else None
    if done is not None:
        draw_numbers(EXPERIMENT, done)
        if done.example is not None:
            st.markdown("**A test picture that they dispute**, from the first ensemble:")
            draw_example(done.example, key="ensemble_example")
    _advice(settings, done)


def _controls() -> EnsembleSettings:
    plain = EnsembleSettings()
    data = data_control("ensemble", plain.data)
    members = int(
        st.slider(
            "Networks k",
            2,
            15,
            plain.members,
            key="ensemble_k",
            bind="query-params",
            help="The notes say 3 to 15. They differ in their seed alone: first weights and order of the pictures.",
        )
    )
    count = count_control("ensemble", plain.per_class, [5, 10, 20, 50, 100])
    seeds = seeds_control("ensemble", plain.seeds)
    with st.popover("Network and steps", icon=":material/tune:", width="stretch"):
        network = network_control("ensemble", plain.network)
        steps = steps_control("ensemble", plain.steps, [50, 100, 200, 400, 800])
    return EnsembleSettings(data=data, per_class=count, members=members, network=network, steps=steps, seeds=seeds)


def _chart(measurements: Sequence[Measurement], *, key: str) -> None:
    figure = error_chart(measurements, LABELS, x_title="k", dashed=(MEMBER,))
    figure.update_xaxes(dtick=1)
    show(figure, key=key)


def _verdict(measurements: Sequence[Measurement]) -> str:
    found = gain_over_members(measurements)
    if found is None:
        return ""
    members = [one.value for one in measurements if one.method == MEMBER]
    together = [one for one in summarise(measurements) if one.method == ENSEMBLE][-1]
    return (
        f"The mean of {found.x:g} networks is right {100 * together.mean:.1f} % of the time, against its members' "
        f"average {gain(found)}; the best of all members {100 * max(members):.1f} %."
    )


EXPERIMENT = Experiment("advice_ensemble", tasks.ensemble, LABELS, "k", _chart, _verdict)


def _before(settings: EnsembleSettings) -> None:
    look = kept_call(tasks.ensemble_look, settings, timeout_s=LOOK_TIMEOUT_S)
    if look is None:
        return
    st.markdown(
        f"**A first look**, measured now: three networks trained for {look.steps} steps on {look.per_class} pictures a "
        f"class, {look.test:,} test pictures."
    )
    columns = st.columns(len(look.members) + 1)
    for index, (column, share) in enumerate(zip(columns, look.members, strict=False), 1):
        column.metric(f"Network {index}", f"{100 * share:.1f} %")
    columns[-1].metric(
        "Mean of their answers",
        f"{100 * look.ensemble:.1f} %",
        f"{100 * (look.ensemble - float(np.mean(look.members))):+.1f} points on their average",
    )
    draw_example(look.example, key="ensemble_look")
    st.markdown(
        f"**Measure** trains {counted(settings.seeds, 'ensemble')} of {settings.members} networks, each ensemble on "
        "other pictures, as a job that can be stopped at any time."
    )


def draw_example(example: EnsembleExample, *, key: str) -> None:
    """A disputed picture, and what each network and their mean say of it."""
    picture, table = st.columns([1, 4], vertical_alignment="center")
    rgb = np.repeat(example.image, 3, axis=2) if example.image.shape[2] == 1 else example.image
    factor = max(1, TILE_PX // rgb.shape[0])
    picture.image(display_jpeg(np.repeat(np.repeat(rgb, factor, 0), factor, 1)), width=TILE_PX)
    picture.caption(f"It is: {example.class_names[example.label]}")
    mean = example.probabilities.mean(axis=0)
    shown = sorted(np.argsort(-example.probabilities.max(axis=0))[:MOST_CLASSES].tolist())
    rows = [*example.probabilities, mean]
    names = [*(f"Network {index}" for index in range(1, len(rows))), "Mean"]
    content = pd.DataFrame(
        [
            {
                "": name,
                "Says": example.class_names[int(row.argmax())],
                **{example.class_names[label]: float(row[label]) for label in shown},
            }
            for name, row in zip(names, rows, strict=True)
        ]
    )
    percent = st.column_config.NumberColumn(format="%.2f")
    table.dataframe(
        content,
        hide_index=True,
        height="content",
        key=key,
        column_config={example.class_names[label]: percent for label in shown},
    )


def _advice(settings: EnsembleSettings, result: EnsembleResult | None) -> None:
    st.subheader("What the notes advise, with your numbers", anchor=False)
    words, mathematics = st.columns(2, gap="medium")
    with words:
        st.markdown(
            "**To win a benchmark, train several networks (3 to 15) independently and average their outputs**, not "
            "their weights: gains of one or two points are usual. They come from errors that the members do not share. "
            "It is *rarely used in production*: k networks take k times the time and the memory for every picture."
        )
        if result is not None:
            k = result.settings.members if isinstance(result.settings, EnsembleSettings) else settings.members
            st.markdown(
                f"Here two members name different classes for **{100 * result.disagreement:.1f} %** of the test "
                f"pictures. One network takes {result.member_ms:.0f} ms for all {result.test:,} of them, {k} take "
                f"about {k * result.member_ms:.0f} ms."
            )
    with mathematics:
        example = result.example if result is not None else None
        k = len(example.probabilities) if example is not None else settings.members
        lines = []
        if example is not None:
            terms = " + ".join(f"{value:.2f}" for value in example.probabilities[:, example.label])
            mean = float(example.probabilities[:, example.label].mean())
            lines.append(rf"\hat y_{{\text{{true}}}} = \frac{{1}}{{{k}}} ({terms}) = {mean:.2f}")
        formula(
            r"\hat y(x) = \frac{1}{k} \sum_{j=1}^{k} \hat y_j(x)",
            *lines,
            explanation="ŷ_j are the probabilities of network j. Below, those of the true class for the picture in "
            "dispute."
            if lines
            else f"ŷ_j are the probabilities of network j; here k = {k}.",
        )
    st.caption(PAPER)
    st.subheader("The same as code", anchor=False)
    code_tabs(
        ensemble_snippets(settings),
        key="ensemble_code",
        compare=lambda: compute(tasks.compare_ensemble, settings),
        fingerprint=f"{settings.members}",
        hint="Runs the code above with as many networks as are set here, on the answers that it draws at random.",
    )
    with st.expander("With networks that are trained, as one Keras model"):
        code_tabs(trained_ensemble(settings), key="ensemble_trained")
