"""What a finished run shows: its curves, its mistakes, its filters as they changed, and files to take home."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.convolution.display import signed_to_rgb
from core.runtime.images import display_jpeg
from core.runtime.jobs import JobView
from core.training.runs import TrainedClassifier
from pages.parts.downloads import download_bytes, download_table, download_text
from pages.parts.figures import SEQUENTIAL, line_chart, show
from pages.parts.formula import formula, number
from pages.parts.job_view import duration, metric_series
from pages.parts.pixels import picture

RUNS = "_lab_runs"
TILE_PX = 64


def draw_result(trained: TrainedClassifier, job: JobView) -> None:
    """Draw a finished run."""
    run, evaluation = trained.run, trained.run.evaluation
    count = int(evaluation.confusion.sum())
    wrong = count - int(np.trace(evaluation.confusion))
    st.success(
        f"**{100 * evaluation.accuracy:.2f} %** of {count:,} test pictures rightly, {wrong:,} wrong; "
        f"{run.parameters:,} parameters, {len(run.history)} epochs in {duration(run.seconds)}.",
        icon=":material/check_circle:",
    )
    _remember(trained, job)
    curves, mistakes, filters, runs, files = st.tabs(
        ["Curves", "What it gets wrong", "First filters", "Runs", "Take home"], key="lab_tabs", on_change="rerun"
    )
    for tab, draw in (
        (curves, lambda: _curves(trained, job)),
        (mistakes, lambda: _mistakes(trained)),
        (filters, lambda: _filters(trained)),
        (runs, _runs),
        (files, lambda: _files(trained)),
    ):
        if tab.open:
            with tab:
                draw()


def _curves(trained: TrainedClassifier, job: JobView) -> None:
    history = trained.run.history
    epochs = np.arange(1, len(history) + 1)
    batches = metric_series(job, "epoch").get("loss")
    left, right = st.columns(2, gap="medium")
    with left:
        lines = {
            "training, epoch": (epochs, np.array([row["loss"] for row in history])),
            "validation": (epochs, np.array([row["val_loss"] for row in history])),
        }
        if batches:
            lines = {"training, running mean": (np.array(batches[0]), np.array(batches[1])), **lines}
        show(line_chart(lines, x_title="epoch", y_title="cost J", log_y=True, markers=False), key="lab_loss")
    with right:
        names = {"training": "accuracy", "validation": "val_accuracy"}
        shares = {name: (epochs, 100 * np.array([row[key] for row in history])) for name, key in names.items()}
        show(line_chart(shares, x_title="epoch", y_title="accuracy (%)"), key="lab_accuracy")
    last = history[-1]
    formula(
        r"J = \frac{1}{m} \sum_{i=1}^{m} L\bigl(\hat y^{(i)}, y^{(i)}\bigr)",
        rf"J_{{\text{{training}}}} = \frac{{1}}{{{number(trained.sizes[0])}}} \sum = {number(last['loss'], 4)}",
        rf"J_{{\text{{validation}}}} = \frac{{1}}{{{number(trained.sizes[1])}}} \sum = {number(last['val_loss'], 4)}",
        explanation="After the last epoch. The training cost is the mean over the epoch, while the weights still "
        "changed; a validation cost that rises while it falls tells overfitting.",
    )


def _mistakes(trained: TrainedClassifier) -> None:
    evaluation, names = trained.run.evaluation, trained.class_names
    left, right = st.columns([1.25, 1], gap="medium")
    with left:
        st.caption("Confusion matrix: true class by row, the network's answer by column")
        show(_confusion(evaluation.confusion, names), key="lab_confusion")
    with right:
        st.caption("By class")
        table = pd.DataFrame(
            [
                {"Class": name, "Pictures": one.count, "Precision": one.precision, "Recall": one.recall, "F1": one.f1}
                for name, one in zip(names, evaluation.classes, strict=True)
            ]
        )
        percent = st.column_config.NumberColumn(format="percent")
        st.dataframe(
            table,
            hide_index=True,
            height="content",
            key="lab_classes",
            column_config=dict.fromkeys(("Precision", "Recall", "F1"), percent),
        )
    wrong = trained.mistakes
    if not len(wrong.images):
        st.info("Every test picture was classified rightly.", icon=":material/celebration:")
        return
    st.caption(f"The {len(wrong.images)} mistakes that it is surest of: true class → its answer")
    words = [
        f"{names[true]} → {names[given]}, {100 * sure:.0f} %"
        for true, given, sure in zip(wrong.labels, wrong.predicted, wrong.probabilities, strict=True)
    ]
    picture_strip(wrong.images, words, key="lab_wrong")


def _confusion(counts: np.ndarray, names: Sequence[str]) -> go.Figure:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=list(names),
            y=list(names),
            text=counts,
            texttemplate="%{text}",
            colorscale=SEQUENTIAL,
            showscale=False,
            hovertemplate="%{y} taken for %{x}: %{text}<extra></extra>",
        )
    )
    figure.update_xaxes(type="category", title="answer")
    figure.update_yaxes(type="category", autorange="reversed", title="truth")
    figure.update_layout(height=390, margin={"l": 8, "r": 8, "t": 8, "b": 8})
    return figure


@st.fragment
def _filters(trained: TrainedClassifier) -> None:
    """A slider over the epochs; moving it redraws this part alone."""
    filters = trained.run.filters  # (epochs + 1, f, f, C, n)
    last = len(filters) - 1
    epoch = st.slider("After epoch", 0, last, last, key="lab_filter_epoch") if last else 0
    side, count = filters.shape[1], filters.shape[4]
    limit = float(np.abs(filters).max())
    across = min(count, 8)
    rows = -(-count // across)
    scale = max(1, 56 // side)
    shown = np.full((rows * (side * scale + 6), across * (side * scale + 6), 3), 255, np.uint8)
    for index in range(count):
        one = signed_to_rgb(filters[epoch, :, :, :, index].mean(axis=2), limit)
        large = np.repeat(np.repeat(one, scale, axis=0), scale, axis=1)
        top, start = (index // across) * (side * scale + 6) + 3, (index % across) * (side * scale + 6) + 3
        shown[top : top + side * scale, start : start + side * scale] = large
    picture(
        display_jpeg(shown),
        rows=shown.shape[0],
        columns=shown.shape[1],
        key="lab_filters",
        alt=f"The {count} filters of the first convolution after epoch {epoch}",
        max_height_px=300,
    )
    st.caption(
        f"The {count} filters of {side} × {side}, mean over the input's channels; red above zero, blue below, full "
        f"colour at ±{limit:.2f}. Epoch 0 is how they were drawn at random."
    )


def _remember(trained: TrainedClassifier, job: JobView) -> None:
    settings, run = trained.run.settings, trained.run
    st.session_state.setdefault(RUNS, {})[job.id] = {
        "Pictures": trained.data,
        "Network": settings.network,
        "Optimiser": settings.optimizer,
        "Rate": settings.learning_rate,
        "Schedule": settings.schedule,
        "Batch": settings.batch,
        "Shift": settings.shift_px,
        "Epochs": len(run.history),
        "Seed": settings.seed,
        "Validation": run.history[-1]["val_accuracy"],
        "Test": run.evaluation.accuracy,
        "Parameters": run.parameters,
        "Seconds": run.seconds,
    }


def _runs() -> None:
    table = pd.DataFrame(list(st.session_state[RUNS].values()))
    percent = st.column_config.NumberColumn(format="percent")
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        key="lab_runs",
        column_config={
            "Validation": percent,
            "Test": percent,
            "Rate": st.column_config.NumberColumn(format="%g"),
            "Parameters": st.column_config.NumberColumn(format="localized"),
            "Seconds": st.column_config.NumberColumn(format="%.0f"),
        },
    )
    st.caption("The runs of this visit. Choose settings by the validation pictures; the test is for the report.")
    download_table(table, name="runs", key="lab_runs_csv")


def _files(trained: TrainedClassifier) -> None:
    settings = trained.run.settings
    name = f"{settings.network}_{trained.data}"
    with st.container(horizontal=True):
        download_bytes(
            lambda: trained.model,
            file_name=f"{name}.keras",
            key="lab_model",
            label="Network (.keras)",
            mime="application/octet-stream",
        )
        download_table(pd.DataFrame(trained.run.history), name=f"{name}_history", key="lab_history", label="History")
        download_text(
            trained.script,
            file_name=f"train_{name}.py",
            key="lab_script",
            label="Training script (.py)",
            mime="text/x-python",
        )
    st.caption("The script trains the same network again with Keras alone, from the pictures in a file data.npz.")
    st.code(trained.script, language="python", height=360)


def picture_strip(images: np.ndarray, words: Sequence[str], *, key: str) -> None:
    """Small pictures (n, H, W, C) beside one another, each with a few words under it; rows break where they must."""
    with st.container(horizontal=True, gap="small", key=key):
        for pixels, text in zip(images, words, strict=True):
            shown = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
            factor = max(1, TILE_PX // shown.shape[0])
            large = np.repeat(np.repeat(shown, factor, axis=0), factor, axis=1)
            # Columns would be stacked on a phone, each picture as wide as the screen.
            with st.container(width=TILE_PX + 16, gap="xsmall"):
                st.image(display_jpeg(large), width=TILE_PX)
                st.caption(text)
