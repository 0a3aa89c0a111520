"""Which network, and which of its layers: the controls that the views of the page share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.interpretation import tasks
from core.interpretation.types import ExploredSubject, LayerField, SubjectInfo, Subjects
from core.runtime.engine import EngineError
from pages.parts.compute import engine
from pages.parts.explorer.activations import weights_control
from pages.parts.explorer.choice import Choice, choose_network
from pages.parts.kept_calls import kept_call

LOAD_TIMEOUT_S = 180.0
# What needs more than this for one picture is only begun when asked for, as a job.
AT_ONCE_MULTIPLY_ADDS = 4e9
EXPLORER = "explorer"
NETWORKS = {
    "embedded": "Embedded backbone (VGG-like)",
    "untrained": "The same, untrained",
    "detector": "Embedded YOLO detector",
    EXPLORER: "From the explorer, or your own .keras file…",
}
VALUES = {
    "auto": "As the file suggests",
    "unit": "0 to 1",
    "byte": "0 to 255",
    "signed": "−1 to 1",
}
# More layers than this do not fit a slider.
SLIDER_LAYERS = 24


@dataclass(frozen=True)
class Chosen:
    """A chosen network: what the tasks of the chapter take, what there is in it, and a key for caches."""

    subject: Subjects
    info: SubjectInfo
    key: str


@st.cache_resource(max_entries=48, show_spinner=False)
def _answer(name: str, key: str, args: tuple[Any, ...], _task: Callable[..., Any], _subject: Subjects) -> Any:
    return engine().call(_task, _subject, *args, timeout_s=LOAD_TIMEOUT_S)


def ask(chosen: Chosen, task: Callable[..., Any], *args: Any) -> Any:
    """What a task says of the network, asked for once; on failure say why on the page and answer None.

    A network of one's own is known by its key: its bytes are not hashed at every move of a control.
    """
    return _ask(chosen.subject, chosen.key, task, *args)


def _ask(subject: Subjects, key: str, task: Callable[..., Any], *args: Any) -> Any:
    if isinstance(subject, str):
        return kept_call(task, subject, *args, timeout_s=LOAD_TIMEOUT_S)
    try:
        with st.spinner("Computing in a worker…", show_time=True):
            return _answer(task.__qualname__, key, args, task, subject)
    except EngineError as error:
        st.error(str(error), icon=":material/error:")
        return None


def network_control(above: DeltaGenerator, key: str = "network", with_classes: bool = False) -> Chosen | None:
    """Draw the choice of a network; None (with a sentence on the page) where there is none to look into.

    Args:
        above: Where the explorer's own controls stand, the page's whole width.
        key: The choice's name in the page's address.
        with_classes: Whether classes are needed, so that an untrained network is not offered.
    """
    names = [name for name in NETWORKS if not (with_classes and name == "untrained")]
    name = st.selectbox(
        "Look into",
        names,
        format_func=NETWORKS.__getitem__,
        index=names.index("detector") if with_classes else 0,
        key=key,
        bind="query-params",
        help="The embedded ones were trained by this project and are always there. An untrained network shows what is "
        "owed to learning. Or any network of the architecture explorer, a model file of your own among them.",
    )
    if name != EXPLORER:
        info = kept_call(tasks.describe, name, timeout_s=LOAD_TIMEOUT_S)
        return None if info is None else Chosen(name, info, name)
    with above:
        subject_and_key = _explored()
    if subject_and_key is None:
        return None
    subject, cache_key = subject_and_key
    info = _ask(subject, cache_key, tasks.describe)
    return None if info is None else Chosen(subject, info, cache_key)


def _explored() -> tuple[ExploredSubject, str] | None:
    """Draw the explorer's controls, and what is asked of a file besides."""
    network_place, size_place, more_place = st.columns([1.4, 1, 1], vertical_alignment="bottom")
    choice, _ = choose_network(network_place, size_place)
    if choice is None:
        return None
    with more_place:
        if choice.file is None:
            weights, values, class_names = weights_control(choice), "auto", ()
        else:
            weights, values, class_names = "random", _values_control(), _class_names_control()
    subject = ExploredSubject(
        choice.network,
        choice.input_shape,
        tuple(sorted(choice.options.items())),
        "imagenet" if weights == "imagenet" else "random",
        values,
        class_names,
    )
    return subject, _key_of(choice, weights, values, class_names)


def _key_of(choice: Choice, *others: Any) -> str:
    return f"{choice.key} {others}"


def _values_control() -> str:
    return (
        st.selectbox(
            "Pixel values",
            list(VALUES),
            format_func=VALUES.__getitem__,
            key="pixel_values",
            bind="query-params",
            help="What the network was trained on. A file that scales its input by a layer of its own is given 0 to "
            "255, any other 0 to 1, unless you say otherwise.",
        )
        or "auto"
    )


def _class_names_control() -> tuple[str, ...]:
    written = st.text_input(
        "Class names",
        "",
        placeholder="cat, dog, …",
        key="class_names",
        bind="query-params",
        help="In the order of the network's answers, with commas between. A model file does not hold them; where their "
        "number does not fit, classes are numbered.",
    )
    return tuple(name.strip() for name in written.split(",") if name.strip())


def layer_control(info: SubjectInfo, default: int = 4) -> LayerField:
    """Draw the choice of a layer."""
    names = [layer.name for layer in info.layers]
    first = min(default, len(names) - 1)
    left_out = (
        f" {info.left_out} more have units that do not all see squares of one size, and are left out."
        if info.left_out
        else ""
    )
    key, words = (
        f"layer_{info.name}",
        "From the first, next to the picture, to the last, next to the answer." + left_out,
    )
    if len(names) == 1:
        return info.layer(names[0])
    if len(names) > SLIDER_LAYERS:
        name = st.selectbox("Layer", names, first, key=key, bind="query-params", help=words)
    else:
        name = st.select_slider("Layer", names, names[first], key=key, bind="query-params", help=words)
    return info.layer(name or names[0])


def answered_by(info: SubjectInfo) -> None:
    """Say which network and which weights answered."""
    st.caption(f":material/psychology: Answered by **{info.label}** with {info.weights}.")


def field_caption(layer: LayerField) -> str:
    """A layer in a line: channels, map, and what a unit sees."""
    return (
        f"**{layer.name}**: {layer.channels} channels of {layer.rows} × {layer.columns}. A unit sees "
        f"{layer.size_px} × {layer.size_px} px of the picture; its neighbour's field is {layer.stride_px} px further."
    )
