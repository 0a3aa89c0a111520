"""What both views of gradient flow share: the controls of the networks, the chart of norms, and the tables."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from core.architectures.gradient_flow import DEPTHS, NETWORKS, GradientFlow
from pages.parts.figures import line_chart, show

INITIALIZERS = {"glorot_uniform": "Glorot uniform", "he_normal": "He normal"}
NORMS = {"signal": "to each layer's output", "kernel": "to each layer's weights"}
# Residual first in the palette would swap the colours between charts: the order is always this.
LABELS = {"plain": "plain", "residual": "residual"}


@dataclass(frozen=True)
class NetworkChoice:
    """Depth (6n + 2), normalisation, start and seed of both networks."""

    depth: int
    batch_norm: bool
    initializer: str
    seed: int


def network_controls(prefix: str, default_depth: int) -> NetworkChoice:
    """Draw the controls of the two networks; `prefix` keeps the views' addresses apart."""
    depth = st.select_slider(
        "Depth (layers with weights)",
        list(DEPTHS),
        default_depth,
        key=f"{prefix}_depth",
        bind="query-params",
        help="6n + 2 as in the paper: one convolution, three stages of n blocks of two, one dense layer. "
        "The deeper the plain network, the less of the gradient arrives at its first layers.",
    )
    initializer = st.selectbox(
        "Weights start as",
        list(INITIALIZERS),
        format_func=INITIALIZERS.__getitem__,
        key=f"{prefix}_initializer",
        bind="query-params",
        help="He's start keeps the signal through ReLU layers; Glorot's halves its variance in each of them.",
    )
    batch_norm = st.toggle(
        "Batch normalisation",
        False,
        key=f"{prefix}_bn",
        bind="query-params",
        help="It keeps the gradient of a plain network from fading at the start, and makes it grow backwards instead.",
    )
    seed = st.number_input(
        "Seed", 0, 10_000, 0, key=f"{prefix}_seed", bind="query-params", help="Other weights and other batches."
    )
    return NetworkChoice(int(depth), bool(batch_norm), initializer, int(seed))


def norms_control(prefix: str) -> str:
    """Draw the choice of which gradient is shown."""
    chosen = st.segmented_control(
        "Gradient of the loss",
        list(NORMS),
        format_func=NORMS.__getitem__,
        default="signal",
        required=True,
        key=f"{prefix}_norms",
        bind="query-params",
        help="To the output (after the ReLU): the signal that arrives there. To the weights: what moves them.",
    )
    return chosen or "signal"


def draw_norms(norms: np.ndarray, which: str, *, key: str, height_px: int = 330) -> None:
    """Draw norms (2, depth) of plain and residual by layer on a logarithmic scale."""
    layers = np.arange(1, norms.shape[1] + 1)
    figure = line_chart(
        {name: (layers, values) for name, values in zip(NETWORKS, norms, strict=True)},
        x_title="layer, from the input to the output",
        y_title=f"norm of the gradient {NORMS[which]}",
        log_y=True,
        height_px=height_px,
    )
    figure.update_yaxes(exponentformat="power", nticks=8)
    show(figure, key=key)


def norms_of(flow: GradientFlow, which: str, snapshot: int) -> np.ndarray:
    """The chosen norms (2, depth) of one snapshot."""
    return (flow.signal_norms if which == "signal" else flow.kernel_norms)[:, snapshot]


def norms_table(flow: GradientFlow) -> pd.DataFrame:
    """Every norm of every snapshot, a row a step and layer."""
    steps = flow.snapshot_steps
    count = len(flow.layers)
    table = pd.DataFrame(
        {
            "step": np.repeat(steps, count),
            "layer": list(range(1, count + 1)) * len(steps),
            "name": list(flow.layers) * len(steps),
        }
    )
    for index, name in enumerate(NETWORKS):
        table[f"{name}_gradient_to_output"] = flow.signal_norms[index].ravel()
        table[f"{name}_gradient_to_weights"] = flow.kernel_norms[index].ravel()
    return table
