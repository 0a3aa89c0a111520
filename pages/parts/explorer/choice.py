"""What chooses a network: the catalogue, keras.applications, a `.keras` file, or a stack of layers."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.architectures.catalog import APPLICATIONS, CATALOG, CatalogEntry, OptionValue
from core.architectures.exploration import ExploredNetwork, explore
from core.architectures.loading import ModelFileError, check_file
from core.convolution import tasks as convolution_tasks
from core.convolution.stack import NOTES_INPUT, NOTES_SCHEMATIC, StackError, StackFormatError, to_json
from pages.parts.compute import compute
from pages.parts.shapes.address import parse_stack, stack_text

FILE, STACK = "own_file", "own_stack"
DEFAULT = "vgg16"
NAMES = (*CATALOG, FILE, STACK, *APPLICATIONS)
LABELS = {
    **{name: entry.label for name, entry in CATALOG.items()},
    **{name: f"keras.applications: {name}" for name in APPLICATIONS},
    FILE: "Your own .keras file…",
    STACK: "A stack of layers…",
}
# The page's upload limit; larger files are refused by the browser before they are sent.
UPLOAD_MB = 640
OPEN_TIMEOUT_S = 90.0
LARGEST_SIDE = 2048
_KEPT = "_explorer_file"


@dataclass(frozen=True)
class Choice:
    """A chosen network: its name or its `.keras` file, and how it is to be built.

    `fingerprint` stands for the file in caches.
    """

    name: str
    label: str
    input_shape: tuple[int, int, int] | None = None
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    file: bytes | None = None
    fingerprint: str = ""

    @property
    def network(self) -> str | bytes:
        """What the tasks of the chapter take."""
        return self.name if self.file is None else self.file

    @property
    def entry(self) -> CatalogEntry | None:
        """The entry of the catalogue, where it is one."""
        return CATALOG.get(self.name)

    @property
    def key(self) -> str:
        """The same for the same network, for keys of widgets and caches."""
        text = repr((self.name, self.input_shape, sorted(self.options.items()), self.fingerprint))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def choose_network(network: DeltaGenerator, size: DeltaGenerator) -> tuple[Choice | None, DeltaGenerator]:
    """Draw the controls; the choice is None while there is nothing to open, with a sentence that says why.

    Args:
        network: Where the choice of the network stands.
        size: Where the input size stands.

    Returns:
        The choice, and the place beside its options.
    """
    name = network.selectbox(
        "Network",
        NAMES,
        index=NAMES.index(DEFAULT),
        format_func=LABELS.__getitem__,
        key="net",
        bind="query-params",
        help="Networks built after their papers, those of keras.applications by name, a model file of your "
        "own, or a stack as the page “Shapes and parameters” writes it. Type to search.",
    )
    if name == STACK:
        return _stack(size), st.container()
    entry = CATALOG.get(name)
    written = size.text_input(
        "Input size",
        "",
        placeholder="the network's own" if entry is None else "x".join(map(str, entry.input_shape)),
        key="input",
        bind="query-params",
        help="Height x width x channels, such as 96x96x3. Empty: the size the network was made for. A larger "
        "image costs more multiply-adds everywhere, but more parameters only in dense layers.",
    )
    try:
        input_shape = parse_shape(written)
    except ValueError as error:
        st.error(str(error), icon=":material/error:")
        return None, st.container()
    if name == FILE:
        return _own_file(input_shape), st.container()
    offered = len(entry.options) if entry else 0
    beside, *option_places = st.columns([3.4 - offered, *[1] * offered], vertical_alignment="center")
    options: dict[str, OptionValue] = {}
    for place, option in zip(option_places, entry.options if entry else (), strict=False):
        labels = dict(option.choices)
        values = list(labels)
        options[option.name] = place.selectbox(
            option.label,
            values,
            index=values.index(option.default),
            format_func=labels.__getitem__,
            key=option.name,
            bind="query-params",
            help=option.help,
        )
    return Choice(name, entry.label if entry else name, input_shape, options), beside


def parse_shape(text: str) -> tuple[int, int, int] | None:
    """An input shape as people write it; None for an empty text.

    >>> parse_shape("96 x 128 x 3"), parse_shape("")
    ((96, 128, 3), None)

    Raises:
        ValueError: If it is none, in one sentence.
    """
    if not text.strip():
        return None
    sides = text.lower().replace("×", "x").replace(",", "x").replace(" ", "").split("x")
    if len(sides) != 3 or not all(side.isascii() and side.isdecimal() for side in sides):
        raise ValueError(f"An input size is height x width x channels, such as 224x224x3; “{text[:30]}” is none.")
    height, width, channels = (int(side) for side in sides)
    if not all(1 <= side <= LARGEST_SIDE for side in (height, width, channels)):
        raise ValueError(f"The sides of an input are whole numbers from 1 to {LARGEST_SIDE:,}.")
    return height, width, channels


def _own_file(input_shape: tuple[int, int, int] | None) -> Choice | None:
    given = st.file_uploader(
        "Model file (.keras)",
        type=["keras"],
        key="model_file",
        max_upload_size=UPLOAD_MB,
        help="Saved by Keras 3. It is opened in safe mode: a file that holds code or classes of its own is "
        "refused. It stays on this machine.",
    )
    kept_id, kept = st.session_state.get(_KEPT, ("", None))
    # A file of half a gigabyte is read and hashed once, not at every move of a control.
    if given is not None and given.file_id != kept_id:
        content = given.getvalue()
        try:
            check_file(content)
        except ModelFileError as error:
            st.error(str(error), icon=":material/error:")
            return None
        kept = Choice(FILE, given.name, None, {}, content, hashlib.sha256(content).hexdigest())
        st.session_state[_KEPT] = (given.file_id, kept)
    if given is None:
        if kept is None:
            st.info(
                'Choose a file that `model.save("name.keras")` wrote: a Functional or Sequential model.',
                icon=":material/upload_file:",
            )
            return None
        st.caption(f":material/history: {kept.label}, as chosen before in this visit.")
    return Choice(FILE, kept.label, input_shape, {}, kept.file, kept.fingerprint)


def _stack(size: DeltaGenerator) -> Choice | None:
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    written = size.text_input(
        "Input size",
        "x".join(map(str, NOTES_INPUT)),
        key="stack_input",
        bind="query-params",
        help="Height x width x channels.",
    )
    text = left.text_input(
        "Stack",
        stack_text(NOTES_SCHEMATIC),
        key="stack",
        bind="query-params",
        help="As the page “Shapes and parameters” writes it into its address: conv-f-s-padding-filters, max-f-s, "
        "avg-f-s, flatten, fc-units, softmax-units, parted by _.",
    )
    right.page_link("pages/shapes_and_parameters.py", label="Stack layers in a table", icon=":material/stacks:")
    try:
        shape = parse_shape(written) or NOTES_INPUT
        as_json = to_json(shape, parse_stack(text))
    except (ValueError, StackFormatError, StackError) as error:
        st.error(str(error), icon=":material/error:")
        return None
    file = _stack_file(as_json)
    if file is None:
        return None
    return Choice(STACK, "Stack", None, {}, file, hashlib.sha256(file).hexdigest())


class _NotOpened(Exception):
    """The engine gave no answer; raised so that the cache keeps nothing."""


def _stack_file(as_json: str) -> bytes | None:
    try:
        return _cached_stack_file(as_json)
    except _NotOpened:
        return None


@st.cache_data(max_entries=4, show_spinner=False)
def _cached_stack_file(as_json: str) -> bytes:
    model = compute(convolution_tasks.build_stack_keras, as_json, timeout_s=OPEN_TIMEOUT_S)
    if model is None or model.file is None:
        raise _NotOpened
    return model.file


def explored(choice: Choice) -> ExploredNetwork | None:
    """The network's layers, from a worker or from the cache; None after an error that the page has shown."""
    try:
        return _cached_explored(choice.key, choice)
    except _NotOpened:
        return None


@st.cache_data(max_entries=32, show_spinner="Opening the network…")
def _cached_explored(key: str, _choice: Choice) -> ExploredNetwork:
    answer = compute(explore, _choice.network, _choice.input_shape, dict(_choice.options), timeout_s=OPEN_TIMEOUT_S)
    if answer is None:
        raise _NotOpened
    return answer
