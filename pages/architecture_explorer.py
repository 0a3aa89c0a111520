"""Architecture explorer: networks layer by layer, side by side, at work on an image, and to take away."""

import streamlit as st

from pages.parts.explorer import activations, compare, export, layers
from pages.parts.explorer.choice import choose_network, explored
from pages.parts.header import header, paper_link

VIEWS = {
    "layers": ("Layers", layers.view),
    "compare": ("Side by side", compare.view),
    "activations": ("Activations", activations.view),
    "export": ("Export and code", export.view),
}

entry = header("architecture_explorer")
views, network_place, size_place = st.columns([2.1, 1.3, 1], vertical_alignment="bottom")
view = views.segmented_control(
    "View",
    list(VIEWS),
    format_func=lambda name: VIEWS[name][0],
    default="layers",
    required=True,
    key="view",
    bind="query-params",
    label_visibility="collapsed",
)
choice, beside_options = choose_network(network_place, size_place)
network = explored(choice) if choice is not None else None
if choice is not None and network is not None:
    with beside_options:
        layers.totals(choice, network)
    VIEWS[view or "layers"][1](choice, network)
paper_link(entry)
