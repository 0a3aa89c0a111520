"""Clicks on the nodes of a Graphviz chart: a small component that stands beside the chart and listens to it."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

_clicks = st.components.v2.component(
    "cnn_workbench_node_clicks",
    js=(Path(__file__).parent / "components" / "node_clicks.js").read_text(encoding="utf-8"),
)


def diagram_clicks(around: str, *, key: str, on_click: Callable[[str], None]) -> None:
    """Call `on_click` with the name of a node of a chart when it is clicked, or chosen by Tab and Enter.

    Args:
        around: Key of the container that the chart stands in.
        key: Unique on the page.
        on_click: Called with the node's name in the DOT text before the page runs again.
    """

    def handle() -> None:
        answer = getattr(st.session_state[key], "node", None)
        if isinstance(answer, dict):
            on_click(str(answer["name"]))

    _clicks(key=key, data={"of": f"st-key-{around}"}, on_node_change=handle)
