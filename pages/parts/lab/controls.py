"""The lab's settings: pictures, network, optimiser, augmentation, and the button that starts the training."""

from dataclasses import dataclass

import streamlit as st

from core.convolution.stack import NOTES_SCHEMATIC, StackFormatError, to_json
from core.training import tasks
from core.training.runs import NETWORKS, OPTIMIZERS, SCHEDULES, STACK, TrainingSettings
from pages.parts.compute import owner
from pages.parts.job_view import ACTIVE, current_job, start_job
from pages.parts.lab.pictures import ChosenData, pictures_control
from pages.parts.shapes.address import parse_stack, stack_text
from pages.parts.shapes.table import STACK_KEY

JOB = "lab"
NETWORK_LABELS = {
    "lenet5": "LeNet-5",
    "small_vgg": "Small VGG",
    "resnet20": "ResNet-20",
    STACK: "Stacked by you",
}
OPTIMIZER_LABELS = {"sgd": "Gradient descent", "momentum": "Momentum 0.9", "adam": "Adam"}
SCHEDULE_LABELS = {"constant": "Constant", "cosine": "Cosine to zero", "step": "In steps"}
RATES = [
    *(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.2, 0.5, 1.0, 10.0, 1000.0),
]
BATCHES = [8, 16, 32, 64, 128, 256, 512]
PLAIN = TrainingSettings()


@dataclass(frozen=True)
class Chosen:
    """What is chosen on the left; `settings` is None where a stack cannot be read."""

    data: ChosenData
    settings: TrainingSettings | None

    @property
    def title(self) -> str:
        """The run as people call it."""
        network = self.settings.network if self.settings else STACK
        return f"{NETWORK_LABELS[network]} on {self.data.short}"


def lab_controls() -> Chosen:
    """Draw the controls, and start a training when it is asked for."""
    data = pictures_control()
    network, stack = _network()
    epochs = st.slider(
        "Epochs",
        1,
        60,
        PLAIN.epochs,
        key="lab_epochs",
        bind="query-params",
        help="How often each picture is seen. 12 take LeNet-5 to 99.1 to 99.3 % of MNIST's test digits, by the seed; "
        "28 took the seed 0 from 99.13 to 99.22 %.",
    )
    optimizer = st.selectbox(
        "Optimiser",
        list(OPTIMIZERS),
        index=list(OPTIMIZERS).index(PLAIN.optimizer),
        format_func=OPTIMIZER_LABELS.__getitem__,
        key="lab_optimizer",
        bind="query-params",
        help="How the gradient becomes a step. Adam gives each weight its own step size.",
    )
    rate = st.select_slider(
        "Learning rate",
        RATES,
        PLAIN.learning_rate,
        key="lab_rate",
        bind="query-params",
        help="The size of a step. Try one that is far too large, and read what happens.",
    )
    with st.container(horizontal=True, gap="small"):
        with st.popover("Schedule, batch", icon=":material/tune:", width="stretch", key="lab_more"):
            schedule, batch, seed = _schedule()
        with st.popover("Augment", icon=":material/auto_fix_high:", width="stretch", key="lab_augment"):
            changes = _augmentation()
    settings = None
    if network != STACK or stack:
        settings = TrainingSettings(
            network,
            optimizer,
            float(rate),
            str(schedule),
            int(batch),
            int(epochs),
            changes[0],
            int(seed),
            *changes[1:],
            stack if network == STACK else "",
        )
    chosen = Chosen(data, settings)
    _start(chosen)
    return chosen


def _network() -> tuple[str, str]:
    network = st.selectbox(
        "Network",
        list(NETWORK_LABELS),
        format_func=NETWORK_LABELS.__getitem__,
        key="lab_network",
        bind="query-params",
        help=f"{', '.join(NETWORK_LABELS[name] for name in NETWORKS)}, or one of your own from the page Shapes and "
        "parameters. LeNet-5 trains in seconds; the VGG has six 3 x 3 convolutions, the ResNet nineteen and shortcuts.",
    )
    if network != STACK:
        return network, ""
    written = st.text_input(
        "The stack in short",
        stack_text(NOTES_SCHEMATIC),
        key="lab_stack",
        bind="query-params",
        help="As the page Shapes and parameters writes it. A softmax at its end is given as many units as there are "
        "classes; convolutions and FC layers are followed by ReLU.",
    )
    st.page_link(
        "pages/shapes_and_parameters.py",
        label="Stack layers in a table",
        icon=":material/stacks:",
        query_params={STACK_KEY: written},
    )
    try:
        return network, to_json((32, 32, 1), parse_stack(written))
    except StackFormatError as error:
        st.error(str(error), icon=":material/error:")
        return network, ""


def _schedule() -> tuple[str, int, int]:
    schedule = st.segmented_control(
        "Learning rate over time",
        list(SCHEDULES),
        format_func=SCHEDULE_LABELS.__getitem__,
        default=PLAIN.schedule,
        required=True,
        key="lab_schedule",
        bind="query-params",
        help="In steps: a tenth after 60 % and again after 85 % of the training.",
    )
    batch = st.select_slider(
        "Batch size",
        BATCHES,
        PLAIN.batch,
        key="lab_batch",
        bind="query-params",
        help="Pictures whose mean gradient makes one step.",
    )
    seed = st.number_input(
        "Seed", 0, 10_000, PLAIN.seed, key="lab_seed", bind="query-params", help="Other weights and another order."
    )
    return str(schedule), int(batch), int(seed)


def _augmentation() -> tuple[int, bool, float, float, float]:
    shift = st.slider(
        "Move by up to (px)",
        0,
        8,
        PLAIN.shift_px,
        key="lab_shift",
        bind="query-params",
        help="Each training picture is moved at random each time it is seen; its rim is repeated.",
    )
    rotate = st.slider(
        "Turn by up to (°)",
        0,
        45,
        int(PLAIN.rotate_deg),
        key="lab_rotate",
        bind="query-params",
        help="Each way. A 6 that is turned too far is a 9.",
    )
    zoom = st.slider(
        "Zoom by up to (%)",
        0,
        50,
        round(100 * PLAIN.zoom),
        key="lab_zoom",
        bind="query-params",
        help="Enlarged or shrunk.",
    )
    colour = st.slider(
        "Colour by up to (%)",
        0,
        80,
        round(100 * PLAIN.colour),
        key="lab_colour",
        bind="query-params",
        help="Brightness, contrast and, where there is colour, saturation.",
    )
    flip = st.toggle(
        "Mirror every second picture",
        PLAIN.flip,
        key="lab_flip",
        bind="query-params",
        help="Left for right: right for cats, wrong for digits and letters.",
    )
    return int(shift), bool(flip), float(rotate), zoom / 100, colour / 100


def _start(chosen: Chosen) -> None:
    job = current_job(JOB)
    running = job is not None and job.state in ACTIVE
    start = st.button(
        "Train again" if job else "Train",
        type="primary",
        icon=":material/play_arrow:",
        key="lab_start",
        width="stretch",
        disabled=running or chosen.settings is None or not chosen.data.key,
    )
    if start and chosen.settings is not None:
        arguments = chosen.data.key, chosen.settings, owner()
        start_job(JOB, tasks.train_classifier, *arguments, title=chosen.title)
