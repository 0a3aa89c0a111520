"""What follows from the stack: totals, the notes' numbers and the right ones, a layer's formula, a chart."""

import pandas as pd
import streamlit as st

from core.convolution.geometry import axis_padding
from core.convolution.stack import BYTES_PER_NUMBER, NOTES_PRINTED, LayerReport, StackLayer
from pages.parts.figures import bar_chart, show
from pages.parts.formula import formula, number, output_size_formula
from pages.parts.shapes.table import KIND_LABELS, SLIDING, Stack, bytes_text, count_text, shape_text


def draw_totals(stack: Stack) -> None:
    """Draw the sums over all layers, or the sentence that says where and why the stack breaks."""
    if stack.broken is not None:
        st.error(str(stack.broken), icon=":material/error:")
        return
    parameters = sum(report.parameters for report in stack.reports)
    multiply_adds = sum(report.multiply_adds for report in stack.reports)
    activations = sum(report.activation_bytes for report in stack.reports)
    st.markdown(
        f"In all **{count_text(parameters)} parameters** ({bytes_text(BYTES_PER_NUMBER * parameters)} in "
        f"float32) · **{count_text(multiply_adds)} multiply-adds** · {bytes_text(activations)} of "
        "activations for one image"
    )


def draw_notes() -> None:
    """Draw the numbers of the notes that are wrong, the right ones, and why they differ."""
    st.subheader("The notes' numbers, and the right ones", anchor=False)
    st.dataframe(
        pd.DataFrame(
            {
                "Layer": [entry.layer for entry in NOTES_PRINTED],
                "Notes print": [entry.printed for entry in NOTES_PRINTED],
                "Right": [entry.correct for entry in NOTES_PRINTED],
                "Why": [entry.reason for entry in NOTES_PRINTED],
            }
        ),
        hide_index=True,
        height="content",
        column_config={
            "Layer": st.column_config.TextColumn(width=70),
            "Notes print": st.column_config.NumberColumn(format="localized", width=90),
            "Right": st.column_config.NumberColumn(format="localized", width=80),
            "Why": st.column_config.TextColumn(width=470),
        },
        key="shapes_notes",
    )


def draw_formula(stack: Stack, index: int) -> None:
    """Draw what a layer makes of the shape before it and what it costs, with the user's numbers."""
    layer, name = stack.layers[index], stack.names[index]
    st.markdown(f"**{name}** · {KIND_LABELS[layer.kind]}")
    if index >= len(stack.reports):
        st.caption("This layer cannot be built: a layer at or above it does not fit.")
        return
    report = stack.reports[index]
    before = stack.reports[index - 1].shape if index else stack.input_shape
    if layer.kind in SLIDING:
        _sliding(layer, report, before)
    elif layer.kind == "flatten":
        product = r" \cdot ".join(str(n) for n in before)
        formula(rf"n = {product} = {number(report.size)}", explanation="All numbers in one row; 0 parameters.")
    else:
        _dense(report, before)


def _sliding(layer: StackLayer, report: LayerReport, before: tuple[int, ...]) -> None:
    lines: list[str] = []
    for axis, n, result in zip("HW", before, report.shape, strict=False):
        first, last = axis_padding(n, layer.f, padding=layer.padding, stride=layer.s)
        symbolic, numbers = output_size_formula(
            n=n, before=first, after=last, f=layer.f, stride=layer.s, dilation=1, result=result, axis=axis
        )
        lines += [numbers] if lines else [symbolic, numbers]
    formula(*lines)
    if layer.kind != "conv":
        st.caption(f"Each of the {before[2]:,} channels is pooled for itself; 0 parameters: nothing is learned.")
        return
    height, width, count = report.shape
    f, depth = layer.f, before[2]
    formula(
        r"\text{parameters} = (f^2 \cdot n_C + 1)\, n'_C",
        rf"\text{{parameters}} = ({f}^2 \cdot {depth} + 1) \cdot {count} = {number(report.parameters)}",
        r"\text{multiply-adds} = n'_H\, n'_W\, f^2\, n_C\, n'_C",
        rf"\text{{multiply-adds}} = {height} \cdot {width} \cdot {f}^2 \cdot {depth} \cdot {count} "
        rf"= {number(report.multiply_adds)}",
        explanation=f"Each of the n'_C = {count:,} filters is as deep as its input, n_C = {depth:,}, and has "
        "one bias. The size of the image does not matter.",
    )


def _dense(report: LayerReport, before: tuple[int, ...]) -> None:
    size = " × ".join(f"{n:,}" for n in before)
    inputs, units = report.weights // report.size, report.size
    formula(
        r"\text{parameters} = (n + 1)\, n'",
        rf"\text{{parameters}} = ({number(inputs)} + 1) \cdot {number(units)} = {number(report.parameters)}",
        rf"\text{{multiply-adds}} = n\, n' = {number(report.multiply_adds)}",
        explanation=f"Each of the n' = {units:,} units is joined to all n = {inputs:,} numbers before it "
        f"({size}) and has a bias of its own.",
    )


def draw_chart(stack: Stack) -> None:
    """Draw activation size and parameters of every layer on a logarithmic scale."""
    height, width, channels = stack.input_shape
    names = ["Input", *(report.name for report in stack.reports)]
    sizes = [height * width * channels, *(report.size for report in stack.reports)]
    parameters = [0, *(report.parameters for report in stack.reports)]
    figure = bar_chart(
        {"activation size": (names, sizes), "parameters": (names, parameters)},
        y_title="numbers (log scale)",
        log_y=True,
        height_px=330,
    )
    # The bars are too narrow for their numbers, which the table shows.
    figure.update_traces(texttemplate="", hovertemplate="%{x}: %{y:,}<extra>%{fullData.name}</extra>")
    figure.update_yaxes(dtick=1, exponentformat="SI")
    show(figure, key="shapes_chart")
    st.caption(
        "From left to right height and width shrink while the channels grow. Most numbers stand in the first "
        "activations, most parameters in the fully connected layers."
        if stack.is_notes_schematic
        else "Layers without a bar of parameters learn nothing."
    )


def csv_table(stack: Stack) -> pd.DataFrame:
    """The whole table with plain numbers, for the download."""
    height, width, channels = stack.input_shape
    rows = [
        {
            "layer": "Input",
            "kind": "input",
            "shape": shape_text(stack.input_shape),
            "size": height * width * channels,
        }
    ]
    rows += [
        {
            "layer": report.name,
            "kind": report.kind,
            "f": layer.f if layer.kind in SLIDING else None,
            "s": layer.s if layer.kind in SLIDING else None,
            "padding": layer.padding if layer.kind in SLIDING else None,
            "shape": shape_text(report.shape),
            "size": report.size,
            "weights": report.weights,
            "biases": report.biases,
            "parameters": report.parameters,
            "multiply_adds": report.multiply_adds,
            "receptive_field_rows_px": report.receptive_field[0],
            "receptive_field_columns_px": report.receptive_field[1],
            "activation_bytes": report.activation_bytes,
        }
        for layer, report in zip(stack.layers, stack.reports, strict=False)
    ]
    return pd.DataFrame(rows)
