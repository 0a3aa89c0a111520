"""What a finished run shows: its curves, its mistakes, its filters as they changed, and files to take home."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.convolution.display import signed_to_rgb
from core.runtime.images import display_jpeg
from core.training import tasks
from core.training.runs import TrainedClassifier
from pages.parts.compute import compute
from pages.parts.downloads import download_bytes, download_json, download_table, download_text
from pages.parts.figures import SEQUENTIAL, bar_chart, line_chart, show
from pages.parts.formula import formula, number
from pages.parts.job_view import duration
from pages.parts.pixels import picture

TILE_PX = 64
MOST_POINTS = 600


def draw_result(trained: TrainedClassifier) -> None:
    """Draw a finished run."""
    run, evaluation = trained.run, trained.run.evaluation
    count = int(evaluation.confusion.sum())
    wrong = count - int(np.trace(evaluation.confusion))
    st.success(
        f"**{100 * evaluation.accuracy:.2f} %** of {count:,} test pictures rightly, {wrong:,} wrong; "
        f"{run.parameters:,} parameters, {len(run.history)} epochs in {duration(run.seconds)}.",
        icon=":material/check_circle:",
    )
    curves, mistakes, filters, files = st.tabs(
        ["Curves", "What it gets wrong", "First filters", "Take home"], key="lab_tabs", on_change="rerun"
    )
    for tab, draw in ((curves, _curves), (mistakes, _mistakes), (filters, _filters), (files, _files)):
        if tab.open:
            with tab:
                draw(trained)


def _curves(trained: TrainedClassifier) -> None:
    run, history = trained.run, trained.run.history
    epochs = np.arange(1, len(history) + 1)
    left, right = st.columns(2, gap="medium")
    with left:
        every = max(1, len(run.batch_losses) // MOST_POINTS)
        at = np.arange(1, len(run.batch_losses) + 1) * len(history) / max(1, len(run.batch_losses))
        lines = {
            "each batch": (at[::every], run.batch_losses[::every]),
            "training, epoch": (epochs, np.array([row["loss"] for row in history])),
            "validation": (epochs, np.array([row["val_loss"] for row in history])),
        }
        chart = line_chart(lines, x_title="epoch", y_title="cost J", log_y=True, markers=False)
        chart.update_traces(opacity=0.6, line={"width": 1}, selector={"name": "each batch"})
        show(chart, key="lab_loss")
    with right:
        names = {"training": "accuracy", "validation": "val_accuracy"}
        shares = {name: (epochs, 100 * np.array([row[key] for row in history])) for name, key in names.items()}
        show(line_chart(shares, x_title="epoch", y_title="accuracy (%)"), key="lab_accuracy")
    last = history[-1]
    size, batch = trained.sizes[0], min(run.settings.batch, trained.sizes[0])
    formula(
        r"J = \frac{1}{m} \sum_{i=1}^{m} L\bigl(\hat y^{(i)}, y^{(i)}\bigr)",
        rf"J_{{\text{{training}}}} = \frac{{1}}{{{number(size)}}} \cdot {number(last['loss'] * size, 5)} "
        rf"= {number(last['loss'], 4)}",
        rf"J_{{\text{{validation}}}} = \frac{{1}}{{{number(trained.sizes[1])}}} \cdot "
        rf"{number(last['val_loss'] * trained.sizes[1], 5)} = {number(last['val_loss'], 4)}",
        explanation=f"After the last epoch, over all pictures of a part; {len(run.batch_losses):,} steps went down the "
        f"gradient of J over a batch of m = {batch}. The training cost is the mean over the epoch, while the weights "
        "still changed and the pictures were augmented; a validation cost that rises while it falls tells overfitting.",
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
    st.caption(
        f"The {len(wrong.images)} mistakes that it is surest of: true class → its answer, with the probability of its "
        "answer and, after the stroke, of the truth"
    )
    words = [
        f"{names[true]} → {names[given]}, {100 * shares[given]:.0f} | {100 * shares[true]:.1f} %"
        for true, given, shares in zip(wrong.labels, wrong.predicted, wrong.all_probabilities, strict=True)
    ]
    picture_strip(wrong.images, words, key="lab_wrong")
    _probabilities(trained)


@st.fragment
def _probabilities(trained: TrainedClassifier) -> None:
    """One mistake with the probabilities of all classes."""
    wrong, names = trained.mistakes, trained.class_names
    count = len(wrong.images)
    chosen = st.slider("Mistake", 1, count, 1, key="lab_mistake") - 1 if count > 1 else 0
    left, right = st.columns([1, 5], vertical_alignment="center")
    with left:
        picture_strip(
            wrong.images[chosen : chosen + 1], [f"is {names[wrong.labels[chosen]]}"], key="lab_one_wrong", tile_px=120
        )
    with right:
        shares = 100 * wrong.all_probabilities[chosen]
        chart = bar_chart({"probability": (names, shares)}, y_title="probability (%)", height_px=200)
        chart.update_traces(texttemplate="%{y:.1f}")
        chart.update_xaxes(type="category")
        show(chart, key="lab_probabilities")


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
    if not filters.size:
        st.info("This network has no convolution, and so no filters.", icon=":material/info:")
        return
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


def _files(trained: TrainedClassifier) -> None:
    settings = trained.run.settings
    name = f"{settings.network}_{trained.data}"
    history = [dict(row) for row in trained.run.history]
    with st.container(horizontal=True):
        download_bytes(
            lambda: trained.model,
            file_name=f"{name}.keras",
            key="lab_model",
            label="Network (.keras)",
            mime="application/octet-stream",
        )
        download_table(pd.DataFrame(history), name=f"{name}_history", key="lab_history", label="History (CSV)")
        download_json(
            {
                "settings": dataclasses.asdict(settings),
                "history": history,
                "batch_losses": [round(float(loss), 6) for loss in trained.run.batch_losses],
                "test_accuracy": trained.run.evaluation.accuracy,
                "confusion": trained.run.evaluation.confusion.tolist(),
            },
            name=f"{name}_history",
            key="lab_history_json",
            label="History (JSON)",
        )
        download_text(
            trained.script,
            file_name=f"train_{name}.py",
            key="lab_script",
            label="Training script (.py)",
            mime="text/x-python",
        )
        data = trained.source
        if data:
            download_bytes(
                lambda: compute(tasks.pictures_file, data, timeout_s=120.0) or b"",
                file_name="data.npz",
                key="lab_pictures",
                label="Its pictures (data.npz)",
                mime="application/octet-stream",
            )
    st.caption(
        "The script needs Keras alone. It starts from the same weights and sees the pictures of data.npz in the same "
        "order and changed in the same ways, so it comes to the same numbers, but for the order of sums."
    )
    st.code(trained.script, language="python", height=360)


def picture_strip(images: np.ndarray, words: Sequence[str], *, key: str, tile_px: int = TILE_PX) -> None:
    """Small pictures (n, H, W, C) beside one another, each with a few words under it; rows break where they must."""
    with st.container(horizontal=True, gap="small", key=key):
        for pixels, text in zip(images, words, strict=True):
            shown = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
            factor = max(1, tile_px // shown.shape[0])
            large = np.repeat(np.repeat(shown, factor, axis=0), factor, axis=1)
            # Columns would be stacked on a phone, each picture as wide as the screen.
            with st.container(width=tile_px + 16, gap="xsmall"):
                st.image(display_jpeg(large), width=tile_px, alt=text)
                st.caption(text)
