"""The run: what will be learned from before it, its curves while it learns, and everything when it is done."""

import numpy as np
import streamlit as st

from core.runtime.jobs import JobView
from core.training import tasks
from core.training.runs import STACK, TrainingSettings
from pages.parts.figures import line_chart, show
from pages.parts.formula import formula, number
from pages.parts.job_view import ACTIVE, current_job, job_view, metric_series
from pages.parts.kept_calls import kept_call
from pages.parts.lab.controls import JOB, Chosen
from pages.parts.lab.kept_runs import offer_stopped
from pages.parts.lab.result import draw_result, picture_strip

LIVE_NAMES = {"accuracy": "training", "val_accuracy": "validation"}
MOST_POINTS = 600
SAMPLE = 14


def view(chosen: Chosen) -> None:
    """Draw the run, or what stands before it."""
    job = current_job(JOB)
    if job is None or job.state not in ACTIVE:
        offer_stopped()
    if job is None:
        _before(chosen)
    job_view(JOB, draw_live=_draw_live, draw_result=lambda trained, _: draw_result(trained))


def _before(chosen: Chosen) -> None:
    settings = chosen.settings
    if not chosen.data.key:
        st.info(
            "Choose a zip on the left: a folder for each class, with pictures of any format and size.",
            icon=":material/folder_zip:",
        )
    elif not chosen.data.at_hand:
        st.markdown(f"**{chosen.data.short}** is fetched when training starts, once.")
    else:
        sample = kept_call(tasks.sample_pictures, chosen.data.key)
        if sample is not None:
            st.markdown(
                f"**{sample.sizes['training']:,}** pictures to learn from, **{sample.sizes['validation']:,}** to look "
                f"at after every epoch, **{sample.sizes['test']:,}** to test it once, at the end."
            )
            few = sample.labels[:SAMPLE]
            words = [sample.class_names[label] for label in few]
            picture_strip(sample.images[:SAMPLE], words, key="lab_sample")
            if settings is not None and settings.network == STACK:
                _stack_note(settings, sample)
    if settings is not None:
        _cost(settings)


def _stack_note(settings: TrainingSettings, sample: tasks.DataSample) -> None:
    shape = tuple(int(size) for size in sample.images.shape[1:])
    parameters = kept_call(tasks.describe_network, settings, shape, len(sample.class_names))
    if parameters is not None:
        st.caption(
            f":material/stacks: Your network has {parameters:,} parameters on these pictures, with "
            f"{len(sample.class_names)} logits at its end."
        )


def _cost(settings: TrainingSettings) -> None:
    steps = {
        "constant": "stays the same",
        "cosine": "falls to zero along a cosine",
        "step": "falls to a tenth after 60 % and again after 85 % of the steps",
    }[settings.schedule]
    formula(
        r"J(w, b) = \frac{1}{m} \sum_{i=1}^{m} L\bigl(\hat y^{(i)}, y^{(i)}\bigr), \qquad "
        r"L = -\sum_{c} y_c \log \hat y_c",
        rf"w \leftarrow w - {number(settings.learning_rate, 4)}\; \frac{{\partial J}}{{\partial w}}",
        explanation=f"m pictures of a batch (here {settings.batch}), y the true class as a one-hot vector, ŷ the "
        f"network's probabilities. The learning rate {steps}; Adam and momentum also remember earlier gradients.",
    )


def _draw_live(job: JobView) -> None:
    series = metric_series(job, "epoch")
    left, right = st.columns(2, gap="medium")
    losses = {}
    if "batch_loss" in series:
        x, y = series["batch_loss"]
        every = max(1, len(x) // MOST_POINTS)
        losses["each batch"] = (x[::every], y[::every])
    for name, key in (("training", "loss"), ("validation", "val_loss")):
        if key in series:
            losses[name] = series[key]
    if losses:
        with left:
            st.caption("Cost J")
            chart = line_chart(losses, x_title="epoch", y_title="cost", markers=False, log_y=True, height_px=260)
            chart.update_traces(opacity=0.6, line={"width": 1}, selector={"name": "each batch"})
            show(chart, key="lab_live_loss")
    shares = {name: series[key] for key, name in LIVE_NAMES.items() if key in series}
    if shares:
        with right:
            st.caption("Share of pictures classified rightly")
            rows = {name: (x, 100 * np.asarray(y)) for name, (x, y) in shares.items()}
            show(line_chart(rows, x_title="epoch", y_title="accuracy (%)", height_px=260), key="lab_live_accuracy")
