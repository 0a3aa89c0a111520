"""The lab: settings on the left, the run on the right, live while it learns and whole when it is done."""

import numpy as np
import streamlit as st

from core.runtime.jobs import JobView
from core.training import tasks
from core.training.datasets import DOWNLOADS
from core.training.runs import NETWORKS, OPTIMIZERS, SCHEDULES, TrainingSettings
from pages.parts.figures import line_chart, show
from pages.parts.formula import formula, number
from pages.parts.job_view import ACTIVE, current_job, job_view, metric_series, start_job
from pages.parts.kept_calls import kept_call
from pages.parts.lab.result import draw_result, picture_strip

JOB = "lab"
DATA = {
    "digits": "Handwritten digits (1,797)",
    "shapes": "Drawn shapes (3,000)",
    "mnist": "MNIST (70,000)",
    "fashion_mnist": "Fashion-MNIST (70,000)",
    "cifar10": "CIFAR-10 (60,000)",
}
NETWORK_LABELS = {"lenet5": "LeNet-5", "small_vgg": "Small VGG", "resnet20": "ResNet-20"}
OPTIMIZER_LABELS = {"sgd": "Gradient descent", "momentum": "Momentum 0.9", "adam": "Adam"}
SCHEDULE_LABELS = {"constant": "Constant", "cosine": "Cosine to zero"}
LIVE_NAMES = {"accuracy": "training", "val_accuracy": "validation"}


def view() -> None:
    """Draw the page."""
    controls, result = st.columns([1.05, 2.8], gap="medium")
    with controls:
        data, settings = _controls()
        job = current_job(JOB)
        running = job is not None and job.state in ACTIVE
        start = st.button(
            "Train again" if job else "Train",
            type="primary",
            icon=":material/play_arrow:",
            key="lab_start",
            width="stretch",
            disabled=running,
        )
    if start:
        title = f"{NETWORK_LABELS[settings.network]} on {DATA[data].split(' (')[0]}"
        start_job(JOB, tasks.train_classifier, data, settings, title=title)
    with result:
        if current_job(JOB) is None:
            _before(data, settings)
        job_view(JOB, draw_live=_draw_live, draw_result=draw_result)


def _controls() -> tuple[str, TrainingSettings]:
    data = st.selectbox(
        "Pictures",
        list(DATA),
        format_func=DATA.__getitem__,
        key="lab_data",
        bind="query-params",
        help="scikit-learn carries the digits, and the shapes are drawn here. The others are fetched once, or taken "
        "from a file of that name in the folder “datasets” of the workbench's data folder.",
    )
    network = st.selectbox(
        "Network",
        list(NETWORKS),
        format_func=NETWORK_LABELS.__getitem__,
        key="lab_network",
        bind="query-params",
        help="LeNet-5 trains in seconds. The VGG has six 3 x 3 convolutions, the ResNet nineteen and shortcuts.",
    )
    epochs = st.slider(
        "Epochs", 1, 40, 10, key="lab_epochs", bind="query-params", help="How often each training picture is seen."
    )
    optimizer = st.selectbox(
        "Optimiser",
        list(OPTIMIZERS),
        index=list(OPTIMIZERS).index("adam"),
        format_func=OPTIMIZER_LABELS.__getitem__,
        key="lab_optimizer",
        bind="query-params",
        help="How the gradient becomes a step. Adam gives each weight its own step size.",
    )
    rate = st.select_slider(
        "Learning rate",
        [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 10.0, 1000.0],
        0.002,
        key="lab_rate",
        bind="query-params",
        help="The size of a step. Try one that is far too large, and read what happens.",
    )
    with st.popover("Schedule, batch, augmentation", icon=":material/tune:", width="stretch"):
        schedule = st.segmented_control(
            "Learning rate over time",
            list(SCHEDULES),
            format_func=SCHEDULE_LABELS.__getitem__,
            default="cosine",
            required=True,
            key="lab_schedule",
            bind="query-params",
        )
        batch = st.select_slider(
            "Batch size",
            [8, 16, 32, 64, 128, 256, 512],
            64,
            key="lab_batch",
            bind="query-params",
            help="Pictures whose mean gradient makes one step.",
        )
        shift = st.slider(
            "Move pictures by up to (px)",
            0,
            4,
            0,
            key="lab_shift",
            bind="query-params",
            help="Augmentation: each training picture is moved at random each time it is seen.",
        )
        seed = st.number_input(
            "Seed", 0, 10_000, 0, key="lab_seed", bind="query-params", help="Other weights and another order."
        )
    return data, TrainingSettings(
        network, optimizer, float(rate), str(schedule), int(batch), int(epochs), int(shift), int(seed)
    )


def _before(data: str, settings: TrainingSettings) -> None:
    if data in DOWNLOADS:
        st.markdown(f"**{DATA[data].split(' (')[0]}** is opened when training starts.")
    else:
        answer = kept_call(tasks.sample_pictures, data)
        if answer is not None:
            few, sizes = answer
            st.markdown(
                f"**{sizes['training']:,}** pictures to learn from, **{sizes['validation']:,}** to look at after every "
                f"epoch, **{sizes['test']:,}** that are shown to the network once, at the end."
            )
            picture_strip(few.images, [few.class_names[label] for label in few.labels], key="lab_sample")
    steps = "stays the same" if settings.schedule == "constant" else "falls to zero along a cosine"
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
    losses = {name: series[key] for name, key in (("training", "loss"), ("validation", "val_loss")) if key in series}
    if losses:
        with left:
            st.caption("Cost J")
            show(
                line_chart(losses, x_title="epoch", y_title="cost", markers=False, log_y=True, height_px=260),
                key="lab_live_loss",
            )
    shares = {name: series[key] for key, name in LIVE_NAMES.items() if key in series}
    if shares:
        with right:
            st.caption("Share of pictures classified rightly")
            rows = {name: (x, 100 * np.asarray(y)) for name, (x, y) in shares.items()}
            show(line_chart(rows, x_title="epoch", y_title="accuracy (%)", height_px=260), key="lab_live_accuracy")
