"""Learning to localize: a small network on drawn roads, its boxes while it learns, and new roads afterwards."""

import numpy as np
import pandas as pd
import streamlit as st

from core.detection import localization_tasks as tasks
from core.detection.localization import element_names
from core.detection.localization_scenes import CLASS_NAMES, SceneSet, contact_sheet, draw_scenes, score_predictions
from core.detection.localization_tasks import LocalizerSettings, TrainedLocalizer
from core.runtime.engine import EngineError
from core.runtime.images import display_jpeg
from core.runtime.jobs import JobView
from pages.parts.compute import engine
from pages.parts.downloads import download_bytes, download_picture, download_table
from pages.parts.figures import line_chart, show
from pages.parts.formula import formula, number
from pages.parts.job_view import current_job, duration, job_view, metric_series, start_job

JOB = "localizer"
SHOWN = 8
SHEET_PX = 680


def view() -> None:
    """Draw the view: settings on the left, scenes and what the network says about them on the right."""
    controls, result = st.columns([1.05, 2.7], gap="medium")
    with controls:
        settings = _controls()
        start = st.button(
            "Start again" if current_job(JOB) else "Start learning",
            type="primary",
            icon=":material/play_arrow:",
            key="loc_learn_start",
            width="stretch",
        )
    if start:
        start_job(JOB, tasks.train_localizer, settings, title=f"Learning from {settings.scenes:,} scenes")
    with result:
        if current_job(JOB) is None:
            _before(settings)
        job_view(JOB, draw_live=_draw_live, draw_result=_draw_result)
    _mathematics(settings)


def _controls() -> LocalizerSettings:
    scenes = st.select_slider(
        "Scenes to learn from",
        [500, 1000, 2000, 4000],
        2000,
        key="loc_scenes",
        bind="query-params",
        help="More scenes: better boxes on new ones, and a longer way. Half are mirrored, each time anew.",
    )
    epochs = st.select_slider(
        "Epochs",
        [5, 10, 15, 20, 30, 40],
        15,
        key="loc_epochs",
        bind="query-params",
        help="How often each scene is seen. Whatever is asked for, it ends within three minutes.",
    )
    loss = st.segmented_control(
        "Loss",
        ["logistic", "squared"],
        format_func={"squared": "Squared", "logistic": "Logistic and softmax"}.__getitem__,
        default="logistic",
        required=True,
        key="loc_learn_loss",
        bind="query-params",
        help="The two losses of the first view. The box is squared in both.",
    )
    with st.popover("Learning rate and seed", icon=":material/tune:", width="stretch"):
        rate = st.select_slider(
            "Learning rate",
            [0.0005, 0.001, 0.002, 0.005, 0.01],
            0.002,
            key="loc_rate",
            bind="query-params",
            help="Of Adam at the start; it falls along a cosine.",
        )
        seed = st.number_input("Seed", 0, 10_000, 0, key="loc_seed", bind="query-params")
    return LocalizerSettings(int(scenes), int(epochs), float(rate), loss or "logistic", int(seed))


@st.cache_data(max_entries=8, show_spinner=False)
def _scenes(split: str, count: int, seed: int) -> SceneSet:
    return draw_scenes(split, count, seed)


def _examples() -> SceneSet:
    """Draw eight of the scenes to learn from, and return them."""
    examples = _scenes("train", SHOWN, 1)
    sheet = contact_sheet(examples.images, examples.targets, None)
    st.image(display_jpeg(sheet), width=SHEET_PX, alt="Eight drawn roads with their true boxes")
    return examples


def _before(settings: LocalizerSettings) -> None:
    examples = _examples()
    st.markdown(
        f"Roads of 64 × 64 px, each with one {', '.join(CLASS_NAMES[:-1])} or {CLASS_NAMES[-1]} somewhere, or with "
        f"nothing: here eight of those to learn from, with their true boxes. A network of four convolutions learns "
        f"y from **{settings.scenes:,}** of them; {tasks.TEST_SCENES} others, seen in no step, measure it at the end."
    )
    with st.expander("Their target vectors", icon=":material/data_array:", key="loc_learn_vectors"):
        st.dataframe(_vectors(examples.targets), key="loc_learn_targets", width="stretch")


def _vectors(vectors: np.ndarray) -> pd.DataFrame:
    names = element_names(len(CLASS_NAMES))
    labels = [*names[:5], *(f"{name} ({word})" for name, word in zip(names[5:], CLASS_NAMES, strict=True))]
    columns = [f"Scene {index + 1}" for index in range(len(vectors))]
    return pd.DataFrame(np.round(vectors.T, 3), index=labels, columns=columns)


def _draw_live(job: JobView) -> None:
    if job.preview is None and not job.metrics:
        _examples()
    if isinstance(job.preview, bytes):
        st.image(job.preview, width=SHEET_PX, alt="Eight validation scenes with the predicted and the true boxes")
        st.caption("Validation scenes after the latest epoch: dashed green the true box, in colour the predicted one.")
    series = metric_series(job)
    _curves(
        series.get("loss", ([], [])), series.get("mean IoU", ([], [])), series.get("accuracy", ([], [])), key="live"
    )


Line = tuple[list[float], list[float]]


def _curves(loss: Line, iou: Line, accuracy: Line, *, key: str) -> None:
    if not loss[0]:
        return
    left, right = st.columns(2)
    with left:
        figure = line_chart({"loss": loss}, x_title="epoch", y_title="loss", log_y=True, height_px=220)
        show(figure, key=f"loc_{key}_loss")
    with right:
        figure = line_chart(
            {"mean IoU": iou, "accuracy": accuracy}, x_title="epoch", y_title="on validation scenes", height_px=220
        )
        show(figure.update_layout(yaxis_range=[0, 1.03]), key=f"loc_{key}_scores")


def _draw_result(trained: TrainedLocalizer, job: JobView) -> None:
    scores = trained.test
    learned = f"Learned from {trained.settings.scenes:,} scenes in {len(trained.history)} epochs"
    measured = f"On {tasks.TEST_SCENES} scenes that it had never seen:"
    if trained.ended == "epochs":
        st.success(f"{learned}, {duration(trained.seconds)}. {measured}", icon=":material/check_circle:")
    else:
        st.warning(
            f"{learned} of {trained.settings.epochs}: its time was over after {duration(trained.seconds)}. With fewer "
            f"scenes it comes through. {measured}",
            icon=":material/timer_off:",
        )
    first, second, third, fourth = st.columns(4)
    first.metric("Mean IoU", f"{scores.mean_iou:.3f}", help="Of the predicted with the true box, over all objects.")
    second.metric("Answers all right", f"{100 * scores.accuracy:.1f} %", help="Found and of the right class, or empty.")
    third.metric("Right class", f"{100 * scores.class_accuracy:.1f} %", help="Over the scenes with an object.")
    fourth.metric("Boxes over IoU 0.5", f"{100 * float(np.nanmean(_reached(scores.iou))):.1f} %")
    _new_scenes(trained, job.id)
    steps = [float(row[0]) for row in trained.history]
    _curves(
        (steps, [row[2] for row in trained.history]),
        (steps, [row[3] for row in trained.history]),
        (steps, [row[4] for row in trained.history]),
        key="done",
    )
    history = pd.DataFrame(trained.history, columns=["epoch", "seconds", "loss", "mean_iou", "accuracy"])
    with st.container(horizontal=True):
        download_bytes(
            lambda: trained.keras_file,
            file_name="localizer.keras",
            key="loc_keras",
            label="Network (.keras)",
            mime="application/octet-stream",
        )
        download_table(history, name="localizer_history", key="loc_history", label="History (CSV)")
        download_table(
            pd.DataFrame({"test_scene": np.arange(len(scores.iou)), "iou": np.round(scores.iou, 4)}),
            name="localizer_iou",
            key="loc_iou",
            label="IoU of each test scene (CSV)",
        )


def _reached(iou: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(iou), np.nan, iou >= 0.5)


@st.cache_resource(max_entries=16, show_spinner=False)
def _answer(job_id: str, seed: int, _keras_file: bytes) -> np.ndarray:
    return engine().call(tasks.localize, _keras_file, _scenes("new", SHOWN, seed).images, timeout_s=60.0)


@st.fragment
def _new_scenes(trained: TrainedLocalizer, job_id: str) -> None:
    """What the network says about scenes that are drawn when they are asked for."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        seed = st.number_input(
            "New scenes, number",
            0,
            10_000,
            0,
            key="loc_new",
            bind="query-params",
            width=160,
            help="Draws eight others.",
        )
    scenes = _scenes("new", SHOWN, int(seed))
    try:
        found = _answer(job_id, int(seed), trained.keras_file)
    except EngineError as error:
        st.error(str(error), icon=":material/error:")
        return
    sheet = contact_sheet(scenes.images, found, scenes.targets)
    st.image(display_jpeg(sheet), width=SHEET_PX, alt="Eight new scenes with the predicted and the true boxes")
    scores = score_predictions(found, scenes.targets)
    iou = "no object among them" if np.isnan(scores.mean_iou) else f"mean IoU {scores.mean_iou:.3f}"
    st.caption(
        f"Classified and localized: {round(SHOWN * scores.accuracy)} of {SHOWN} answers right, {iou}. "
        "Dashed green the true box, in colour the predicted one."
    )
    with st.expander("ŷ of these scenes", icon=":material/data_array:", key="loc_new_vectors"):
        st.dataframe(_vectors(found), key="loc_new_table", width="stretch")
        download_picture(sheet, name="localized", key="loc_new_png")


def _mathematics(settings: LocalizerSettings) -> None:
    steps = settings.scenes // tasks.BATCH
    formula(
        r"J(W) = \frac{1}{m}\sum_{j=1}^{m} E(\hat y^{(j)}, y^{(j)})",
        rf"J(W) = \frac{{1}}{{{tasks.BATCH}}}\sum_{{j=1}}^{{{tasks.BATCH}}} E(\hat y^{{(j)}}, y^{{(j)}})",
        rf"{settings.epochs} \cdot \left\lfloor\frac{{{number(settings.scenes)}}}{{{tasks.BATCH}}}\right\rfloor "
        rf"= {number(settings.epochs * steps)} \text{{ steps}}",
        explanation="E is the loss of the first view, with the box's terms times 10: errors of fractions are small "
        "when squared. The mean IoU is what counts in the end; it is not what is minimised.",
    )
