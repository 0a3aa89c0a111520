"""Setting controls from code: a control bound to the address that stands on the page takes its address along.

Streamlit writes the address of a bound control only if the control was drawn in an earlier run too. So controls that
code sets (a filter typed into a grid, a pixel that was clicked) are drawn always, if need be inside a popover.
"""

from collections.abc import Mapping

import streamlit as st

Value = str | int | float | bool


def set_control(key: str, value: Value) -> None:
    """Set a control before the page runs again; to be called in a callback."""
    st.session_state[key] = value


def set_controls(values: Mapping[str, Value]) -> None:
    """Set several controls before the page runs again."""
    for key, value in values.items():
        set_control(key, value)
