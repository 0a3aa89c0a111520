"""The main view: the diagram and the table of a network's layers, linked, and the numbers of the chosen one."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.architectures.diagram import build_diagram, to_dot
from core.architectures.exploration import (
    ExploredNetwork,
    WeightShape,
    multiply_add_factors,
    published_count,
)
from core.architectures.summary import LayerSummary, ModelSummary
from pages.parts.diagram_clicks import diagram_clicks
from pages.parts.downloads import download_text
from pages.parts.explorer.choice import Choice
from pages.parts.formula import formula, number
from pages.parts.why.numbers import count_text, memory_text

LAYER_KEY = "layer"
OPEN = {"chosen": "the chosen one", "all": "all", "none": "none"}
HEIGHT_PX = 430
DIAGRAM_COLUMNS = 2  # more would be drawn too small beside the table
# What the sides of the weights are called in the field, by the layer's type.
PARAMETER_FORMULAS = {
    "Conv2D": r"P = f_H \cdot f_W \cdot n_C^{[l-1]} \cdot n_C^{[l]} + n_C^{[l]}",
    "DepthwiseConv2D": r"P = f_H \cdot f_W \cdot n_C^{[l-1]} + n_C^{[l-1]}",
    "Dense": r"P = n^{[l-1]} \cdot n^{[l]} + n^{[l]}",
    "BatchNormalization": r"P = n_C \,(\gamma) + n_C \,(\beta) + n_C \,(\mu) + n_C \,(\sigma^2)",
}
GENERAL_FORMULA = r"P = \sum_{\text{weights}} \; \prod_{\text{sides}}"


def totals(choice: Choice, network: ExploredNetwork) -> None:
    """Draw the network's totals, and the paper's beside them."""
    summary = network.summary
    st.markdown(
        f"**{summary.parameters:,} parameters** · **{count_text(summary.multiply_adds)} multiply-adds** an image · "
        f"**depth {summary.depth}** · weights {memory_text(summary.weight_bytes)} · "
        f"activations {memory_text(summary.activation_bytes)}",
        help=f"{summary.trainable_parameters:,} of the parameters are learned. Depth counts the layers with weights on "
        "the longest path, as papers do. Weights and activations are counted as they would be stored; no weight "
        "is allocated here.",
    )
    st.caption(_against_the_paper(choice, summary))
    if summary.uncounted_layers:
        some = ", ".join(summary.uncounted_layers[:4])
        st.caption(f":material/info: Multiply-adds of {len(summary.uncounted_layers)} layers are not known: {some}.")


def _against_the_paper(choice: Choice, summary: ModelSummary) -> str:
    entry = choice.entry
    if entry is None:
        return f"{len(summary.layers)} layers; input {shape_text(summary.input_shape)}."
    words = f"{entry.paper.authors.split(',')[0]} et al. {entry.paper.year}: {entry.parameters_in_words} parameters"
    if "not printed" in entry.parameters_in_words:
        words = f"{entry.paper.authors.split(',')[0]} et al. {entry.paper.year} print no count of parameters"
    known = published_count(entry, choice.options)
    if choice.input_shape not in (None, entry.input_shape):
        comparison = f"made for {shape_text(entry.input_shape)}, here {shape_text(summary.input_shape)}"
    elif known is None:
        comparison = "no count is published for these options"
    elif (known.parameters, known.trainable) == (summary.parameters, summary.trainable_parameters):
        comparison = f":material/check: **{known.parameters:,}** exactly as {known.source}"
    else:
        comparison = f":material/close: {known.source} has {known.parameters:,}"
    note = f" · {entry.note}" if entry.note else ""
    return f"[{words}]({entry.paper.url}) · {comparison} · {len(summary.layers)} layers{note}"


@st.fragment
def view(choice: Choice, network: ExploredNetwork) -> None:
    """Draw the diagram, the table and the chosen layer."""
    summary = network.summary
    names = [layer.name for layer in summary.layers]
    table_key = f"layers_{choice.key}"
    head, blocks, legend = st.columns([1.3, 1.3, 1.9], vertical_alignment="bottom")
    with head:
        chosen = choose_layer(summary, table_key)
    opened = blocks.segmented_control(
        "Open blocks",
        list(OPEN),
        format_func=OPEN.__getitem__,
        default="chosen",
        required=True,
        key="open",
        bind="query-params",
        help="A block stands for several layers. Open, it shows them.",
    )
    legend.caption("Click a box of the diagram or a row of the table: both show the layer. A closed block opens.")
    left, right = st.columns([1, 1.25], gap="small")
    layer = summary.layer(chosen)
    all_blocks = {one.block for one in summary.layers}
    open_blocks = {"chosen": {layer.block}, "all": all_blocks, "none": set()}[opened or "chosen"]
    diagram = build_diagram(summary, open_blocks)
    dot = to_dot(diagram, DIAGRAM_COLUMNS, chosen)

    def to_node(name: str) -> None:
        node = next((one for one in diagram.nodes if one.id == name), None)
        if node is not None:
            learning = [one for one in node.layers if summary.layer(one).parameters]
            st.session_state[LAYER_KEY] = (learning or list(node.layers))[0]
            st.session_state[table_key] = {"selection": {"rows": [names.index(st.session_state[LAYER_KEY])]}}

    with left.container(height=HEIGHT_PX, border=True, key="diagram"):
        st.graphviz_chart(dot, alt=f"Diagram of {summary.name}: {len(names)} layers, {chosen} is framed")
        diagram_clicks("diagram", key="diagram_clicks", on_click=to_node)
    with right:
        _table(summary, table_key, names.index(chosen))
    _details(network, layer)
    with st.container(horizontal=True):
        stem = file_stem(choice)
        download_text(dot, file_name=f"{stem}.dot", key="diagram_dot", label="Diagram (.dot)", mime="text/plain")


def choose_layer(summary: ModelSummary, table_key: str) -> str:
    """Draw the choice of a layer; the first with weights until one is chosen."""
    names = [layer.name for layer in summary.layers]
    first = next((i for i, layer in enumerate(summary.layers) if layer.parameters), 0)

    def to_table() -> None:
        st.session_state[table_key] = {"selection": {"rows": [names.index(st.session_state[LAYER_KEY])]}}

    return st.selectbox(
        "Layer",
        names,
        index=first,
        key=LAYER_KEY,
        bind="query-params",
        on_change=to_table,
        help="The layer whose numbers are shown below and whose activations the view “Activations” draws.",
    )


def _table(summary: ModelSummary, key: str, row: int) -> None:
    def to_layer() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows:
            st.session_state[LAYER_KEY] = summary.layers[rows[0]].name

    number_column = st.column_config.NumberColumn
    st.dataframe(
        layer_frame(summary),
        key=key,
        height=HEIGHT_PX,
        hide_index=True,
        on_select=to_layer,
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [row]}},
        placeholder="",
        column_config={
            "Layer": st.column_config.TextColumn(width=116),
            "Output": st.column_config.TextColumn(width=98),
            "Parameters": number_column(format="localized", width=88),
            "Multiply-adds": number_column(format="localized", width=104, help="For one image."),
            "Sees": st.column_config.TextColumn("Sees (px)", width=72, help="The receptive field, in input pixels."),
            "Type": st.column_config.TextColumn(width=128),
            "Memory": number_column(format="bytes", width=76, help="Its output for one image."),
        },
        alt=f"The layers of {summary.name}",
    )


def layer_frame(summary: ModelSummary) -> pd.DataFrame:
    """The layers as the table shows them."""
    return pd.DataFrame(
        [
            {
                "Layer": layer.name,
                "Output": shape_text(layer.output_shape),
                "Parameters": layer.parameters,
                "Multiply-adds": layer.multiply_adds,
                "Sees": field_text(layer),
                "Type": layer.type,
                "Memory": layer.activation_bytes,
                "Block": layer.block,
            }
            for layer in summary.layers
        ]
    ).astype({"Multiply-adds": "Int64", "Memory": "Int64"})


def _details(network: ExploredNetwork, layer: LayerSummary) -> None:
    summary = network.summary
    inputs = [summary.layer(name) for name in layer.inbound]
    weights = network.weights.get(layer.name, ())
    st.subheader(f"{layer.name} · {layer.type}", anchor=False)
    fed = ", ".join(f"{one.name} ({shape_text(one.output_shape)})" for one in inputs) or "the image"
    st.markdown(
        f"From {fed} to **{shape_text(layer.output_shape)}** · block {layer.block} · "
        f"sees **{field_text(layer) or 'unknown'}** pixels of the input{_steps(layer)}"
        + (f" · {layer.receptive_field_note}" if layer.receptive_field_note else "")
    )
    left, right = st.columns(2, gap="medium")
    with left:
        _parameter_formula(layer, weights)
    with right:
        _work_formula(layer, inputs, weights)


def _parameter_formula(layer: LayerSummary, weights: Sequence[WeightShape]) -> None:
    if not weights:
        st.markdown(
            "**Parameters: 0.** "
            + ("Its weights are those of a layer further up." if layer.parameters else "Nothing is learned here.")
        )
        return
    terms = [rf"\underbrace{{{product(one.shape)}}}_{{\text{{{one.name.replace('_', ' ')}}}}}" for one in weights]
    fixed = [one.name.replace("_", " ") for one in weights if not one.trainable]
    symbols = PARAMETER_FORMULAS.get(layer.type, GENERAL_FORMULA)
    if layer.type in ("Conv2D", "DepthwiseConv2D", "Dense") and len(weights) == 1:
        symbols = symbols.rpartition(" + ")[0]
    formula(
        symbols,
        rf"P = {' + '.join(terms)}",
        rf"P = {number(layer.parameters)}",
        explanation=f"Not learned by descent: {', '.join(fixed)}."
        if fixed
        else "f filter size, n channels or units, l this layer.",
    )


def _work_formula(layer: LayerSummary, inputs: Sequence[LayerSummary], weights: Sequence[WeightShape]) -> None:
    lines = []
    factors = multiply_add_factors(layer, inputs, weights)
    if factors is not None:
        lines.append(rf"\text{{multiply-adds}} = {product(factors)} = {number(layer.multiply_adds or 0)}")
    elif layer.multiply_adds is not None:
        lines.append(rf"\text{{multiply-adds}} = {number(layer.multiply_adds)}")
    if layer.activation_bytes is not None:
        sides = product([side for side in layer.output_shape if side is not None])
        lines.append(
            rf"\text{{memory}} = {sides} \cdot 4\,\text{{bytes}} = \text{{{memory_text(layer.activation_bytes)}}}"
        )
    if lines:
        formula(
            lines[0],
            *lines[1:],
            explanation="For one image. "
            + ("The kernel is used once at each place." if factors is not None else layer.multiply_adds_note),
        )


def product(sides: Sequence[int]) -> str:
    r"""Factors for LaTeX.

    >>> product((3, 3, 64))
    '3 \\cdot 3 \\cdot 64'
    """
    return r" \cdot ".join(number(side) for side in sides)


def shape_text(shape: Sequence[int | None]) -> str:
    """A shape for people.

    >>> shape_text((28, None, 512))
    '28 × ? × 512'
    """
    return " × ".join("?" if side is None else str(side) for side in shape)


def field_text(layer: LayerSummary) -> str:
    """The size of a layer's receptive field, empty where it is not known."""
    return "" if layer.receptive_field is None else shape_text(layer.receptive_field.size)


def _steps(layer: LayerSummary) -> str:
    field = layer.receptive_field
    if field is None or not any(field.stride):
        return ""
    return f", {shape_text(field.stride)} pixels further from one unit to the next"


def file_stem(choice: Choice) -> str:
    """A name for files about a network."""
    return "".join(letter if letter.isalnum() else "_" for letter in choice.label.removesuffix(".keras")).lower()
