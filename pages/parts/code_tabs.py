"""The page's computation as code to copy (NumPy, TensorFlow, Keras), run and compared on request."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import pandas as pd
import streamlit as st


class Snippets(Protocol):
    """Named source texts, such as a dict or `core.convolution.snippets.CodeSnippets`."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Pairs of a library's name and the source text."""


class Run(Protocol):
    """One implementation's run: its name and the median time of one run in milliseconds."""

    name: str
    time_ms: float


class Difference(Protocol):
    """The largest absolute difference between the results of two implementations."""

    first: str
    second: str
    largest: float


class Comparison(Protocol):
    """What a comparing task answers; `note` says what was done to the input before, or is empty."""

    runs: Sequence[Run]
    differences: Sequence[Difference]
    note: str


def code_tabs(
    snippets: Snippets,
    *,
    key: str,
    compare: Callable[[], Comparison | None] | None = None,
    fingerprint: str = "",
    inputs: str = "",
    hint: str = "Runs the code above on this page's input, with this page's settings.",
) -> None:
    """Draw the code in tabs and, with `compare`, a button that runs all of it and shows times and differences.

    Args:
        snippets: Source texts with the names of their libraries, in the order of the tabs.
        key: Unique on the page.
        compare: Runs exactly these texts in a worker and answers with a `Comparison` (or None after an error).
        inputs: Lines that define the programs' inputs, shown below the imports so that each runs as it stands.
        fingerprint: Identifies the inputs: an old comparison is not shown beside new settings.
        hint: What the button does, shown until it has been pressed.
    """
    named = list(snippets.items())
    # Only the open tab is filled: colouring code that nobody sees would slow every slider of the page.
    tabs = st.tabs([name for name, _ in named], key=f"{key}_tabs", on_change="rerun")
    for tab, (_, text) in zip(tabs, named, strict=True):
        if not tab.open:
            continue
        imports, gap, rest = text.partition("\n\n")
        tab.code(f"{imports}\n{inputs}{gap}{rest}" if inputs else text, language="python")
    if compare is None:
        return
    kept = f"_{key}_comparison"
    if st.button("Run all and compare", key=f"{key}_run", icon=":material/play_arrow:"):
        with st.spinner("Running in a worker…", show_time=True):
            st.session_state[kept] = (fingerprint, compare())
    made_for, result = st.session_state.get(kept, (None, None))
    if result is None or made_for != fingerprint:
        st.caption(hint)
        return
    times, differences = st.columns(2)
    times.dataframe(
        pd.DataFrame([{"Implementation": run.name, "Time (ms)": run.time_ms} for run in result.runs]),
        hide_index=True,
        column_config={"Time (ms)": st.column_config.NumberColumn(format="%.2f")},
        key=f"{key}_times",
    )
    differences.dataframe(
        pd.DataFrame(
            [
                {"Pair": f"{pair.first} – {pair.second}", "Largest difference": pair.largest}
                for pair in result.differences
            ]
        ),
        hide_index=True,
        column_config={"Largest difference": st.column_config.NumberColumn(format="%.2e")},
        key=f"{key}_differences",
    )
    if result.note:
        st.caption(result.note)
