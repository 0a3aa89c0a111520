"""The stack to take away: CSV, JSON, Keras code, and a `.keras` file that a worker builds and counts."""

import pandas as pd
import streamlit as st

from core.convolution import tasks
from core.convolution.stack import keras_code, to_json
from core.convolution.stack_model import MAX_EXPORT_PARAMETERS, StackModel
from pages.parts.code_tabs import code_tabs
from pages.parts.compute import compute
from pages.parts.downloads import download_bytes, download_table, download_text
from pages.parts.shapes.address import stack_text
from pages.parts.shapes.details import csv_table
from pages.parts.shapes.table import Stack, count_text, shape_text

MODEL_KEY = "_shapes_model"
BUILD_TIMEOUT_S = 90.0


def draw_code(stack: Stack) -> None:
    """Draw the Keras code, the build by a worker, and the downloads."""
    st.subheader("The same as code", anchor=False)
    if stack.broken is not None:
        st.caption("There is no code for a stack that cannot be built.")
        return
    code = keras_code(stack.layers, stack.input_shape)
    as_json = to_json(stack.input_shape, stack.layers)
    code_tabs({"Keras": code}, key="shapes_code")
    parameters = sum(report.parameters for report in stack.reports)
    too_large = parameters > MAX_EXPORT_PARAMETERS
    if st.button(
        "Count with Keras" if too_large else "Build with Keras",
        key="shapes_build",
        icon=":material/play_arrow:",
        help="A worker runs the code above, counts the parameters, and saves the model with random weights."
        + (f" Above {MAX_EXPORT_PARAMETERS:,} parameters it only counts." if too_large else ""),
    ):
        task = tasks.check_stack_keras if too_large else tasks.build_stack_keras
        with st.spinner("Building in a worker…", show_time=True):
            st.session_state[MODEL_KEY] = (as_json, compute(task, as_json, timeout_s=BUILD_TIMEOUT_S))
    made_for, model = st.session_state.get(MODEL_KEY, (None, None))
    model = model if made_for == as_json else None
    if model is None:
        st.caption("Runs the code above in a worker: Keras' own count beside ours, and the model as a .keras file.")
    else:
        _compare(stack, model, parameters)
    with st.container(horizontal=True):
        download_table(csv_table(stack), name="stack", key="shapes_csv", label="Table (CSV)")
        download_text(as_json, file_name="stack.json", key="shapes_json", label="Stack (JSON)", mime="application/json")
        download_text(code, file_name="stack.py", key="shapes_py", label="Keras code (.py)", mime="text/x-python")
        if model is not None and model.file is not None:
            file = model.file
            download_bytes(
                lambda: file,
                file_name="stack.keras",
                key="shapes_keras",
                label="Model (.keras)",
                mime="application/octet-stream",
            )
        st.page_link(
            "pages/training_lab.py",
            label="Train it in the lab",
            icon=":material/model_training:",
            query_params={"lab_network": "Stacked by you", "lab_stack": stack_text(stack.layers)},
        )


def _compare(stack: Stack, model: StackModel, parameters: int) -> None:
    agree = model.parameters == parameters
    st.markdown(
        f"Keras counts **{count_text(model.parameters)} parameters**, this page {count_text(parameters)}: "
        + ("they agree." if agree else "**they differ**.")
    )
    ours = {report.name: report for report in stack.reports}
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Keras layer": layer.name,
                    "Type": layer.type,
                    "Shape (Keras)": shape_text(layer.output_shape),
                    "Shape (here)": shape_text(ours[layer.stack_name].shape) if layer.stack_name in ours else "",
                    "Parameters (Keras)": count_text(layer.parameters),
                    "Parameters (here)": count_text(ours[layer.stack_name].parameters)
                    if layer.stack_name in ours
                    else "",
                }
                for layer in model.layers
            ]
        ),
        hide_index=True,
        key="shapes_keras_table",
    )
