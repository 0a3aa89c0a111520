"""The network to take away: its layers as CSV and JSON, the model as `.keras` and ONNX, the code that builds it."""

import streamlit as st

from core.architectures import exploration, tasks
from core.architectures.exploration import ExploredNetwork
from pages.parts.code_tabs import code_tabs
from pages.parts.compute import compute
from pages.parts.downloads import download_bytes, download_text
from pages.parts.explorer.activations import weights_control
from pages.parts.explorer.choice import Choice
from pages.parts.explorer.layers import file_stem
from pages.parts.why.numbers import memory_text

FORMATS = {"keras": ".keras", "onnx": "ONNX"}
MIME = {"keras": "application/zip", "onnx": "application/octet-stream"}
# A file goes through the web server's memory.
LARGEST_BYTES = 700 * 10**6
EXPORT_TIMEOUT_S = 300.0
_MADE = "_explorer_made"


def view(choice: Choice, network: ExploredNetwork) -> None:
    """Draw the downloads, the export of the model, and the code."""
    summary, stem = network.summary, file_stem(choice)
    tables, models = st.columns(2, gap="large")
    with tables:
        st.subheader("Layers as a table", anchor=False)
        with st.container(horizontal=True):
            download_text(summary.to_csv(), file_name=f"{stem}.csv", key="layers_csv", label="CSV", mime="text/csv")
            download_text(
                summary.to_json(), file_name=f"{stem}.json", key="layers_json", label="JSON", mime="application/json"
            )
        argument = stem + ".keras" if choice.file is not None else choice.name
        st.caption("The same without a browser:")
        st.code(f"python -m core.architectures.summary {argument} --json", language="bash")
    with models:
        st.subheader("The model", anchor=False)
        _model(choice, network, stem)
    st.subheader("Code", anchor=False)
    try:
        program = _code(choice.key, choice)
    except _NoAnswer:
        return
    code_tabs({"Keras": program}, key="explorer_code")
    download_text(program, file_name=f"{stem}.py", key="explorer_py", label="Keras code (.py)", mime="text/x-python")


def _model(choice: Choice, network: ExploredNetwork, stem: str) -> None:
    size = network.summary.weight_bytes
    if size > LARGEST_BYTES:
        st.caption(f"A file of {memory_text(size)} is not sent through the browser: build it with the code below.")
        return
    left, middle, right = st.columns([1.2, 1, 1], vertical_alignment="bottom")
    file_format = left.segmented_control(
        "Format",
        list(FORMATS),
        format_func=FORMATS.__getitem__,
        default="keras",
        required=True,
        key="format",
        bind="query-params",
        help=".keras opens in Keras and on this page; ONNX in other runtimes.",
    )
    file_format = file_format or "keras"
    with middle:
        weights = weights_control(choice)
    wanted = (choice.key, file_format, weights)
    if right.button("Make the file", icon=":material/play_arrow:", key="make_model", width="stretch"):
        with st.spinner("Building and writing in a worker…", show_time=True):
            made = compute(
                tasks.export_model,
                choice.network,
                file_format,
                choice.input_shape,
                dict(choice.options),
                "random" if weights == "file" else weights,
                timeout_s=EXPORT_TIMEOUT_S,
            )
        st.session_state[_MADE] = (wanted, made)
    made_for, made = st.session_state.get(_MADE, (None, None))
    if made_for != wanted or made is None:
        st.caption(f"About {memory_text(size)}; the weights are allocated only now, in a worker.")
        return
    download_bytes(
        lambda: made.content,
        file_name=f"{stem}.{file_format}",
        key="model_file_out",
        mime=MIME[file_format],
        label=f"{stem}.{file_format} ({memory_text(len(made.content))})",
    )
    if file_format == "keras" and choice.entry is not None:
        st.caption(
            "Where the code below imports from `core.architectures.layers`, the file opens only where this project is."
        )


class _NoAnswer(Exception):
    """The engine gave no answer; raised so that the cache keeps nothing."""


@st.cache_data(max_entries=16, show_spinner="Writing the code…")
def _code(key: str, _choice: Choice) -> str:
    program = compute(exploration.code, _choice.network, _choice.input_shape, dict(_choice.options))
    if program is None:
        raise _NoAnswer
    return program
