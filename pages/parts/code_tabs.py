"""The page's computation as code to copy (NumPy, TensorFlow, Keras), run and compared on request."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import pandas as pd
import streamlit as st


class Comparison(Protocol):
    """What a comparing task answers: times by implementation, differences by pair, and a note."""

    @property
    def times_ms(self) -> Mapping[str, float]:
        """Median time of one run in milliseconds, by implementation."""

    @property
    def differences(self) -> Mapping[str, float]:
        """Largest absolute difference between the results of two implementations, by pair."""

    @property
    def note(self) -> str:
        """What was done to the input before, or an empty text."""


def code_tabs(
    snippets: Mapping[str, str],
    *,
    key: str,
    compare: Callable[[], Any] | None = None,
    fingerprint: str = "",
) -> None:
    """Draw the code in tabs and, with `compare`, a button that runs all of it and shows times and differences.

    Args:
        snippets: Source text by name of the library, in the order of the tabs.
        key: Unique on the page.
        compare: Runs exactly these texts in a worker and answers with a `Comparison` (or None after an error).
        fingerprint: Identifies the inputs: an old comparison is not shown beside new settings.
    """
    for tab, (_, text) in zip(st.tabs(list(snippets)), snippets.items(), strict=True):
        tab.code(text, language="python")
    if compare is None:
        return
    kept = f"_{key}_comparison"
    if st.button("Run all and compare", key=f"{key}_run", icon=":material/play_arrow:"):
        with st.spinner("Running in a worker…", show_time=True):
            st.session_state[kept] = (fingerprint, compare())
    made_for, result = st.session_state.get(kept, (None, None))
    if result is None or made_for != fingerprint:
        st.caption("Runs the code above on this page's input, with this page's settings.")
        return
    times, differences = st.columns(2)
    times.dataframe(
        pd.DataFrame({"Implementation": list(result.times_ms), "Time (ms)": list(result.times_ms.values())}),
        hide_index=True,
        column_config={"Time (ms)": st.column_config.NumberColumn(format="%.2f")},
        key=f"{key}_times",
    )
    differences.dataframe(
        pd.DataFrame(
            {"Pair": list(result.differences), "Largest difference": list(result.differences.values())}
        ),
        hide_index=True,
        column_config={"Largest difference": st.column_config.NumberColumn(format="%.2e")},
        key=f"{key}_differences",
    )
    if result.note:
        st.caption(result.note)
