"""Calls whose results are kept: the same question is put to a worker once, and answered from memory after that."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.runtime.engine import EngineError
from pages.parts.compute import engine


@st.cache_resource(max_entries=64, show_spinner=False)
def _answer(
    name: str, _task: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], _timeout_s: float
) -> Any:
    return engine().call(_task, *args, timeout_s=_timeout_s, **kwargs)


def kept_call(task: Callable[..., Any], *args: Any, timeout_s: float = 60.0, **kwargs: Any) -> Any:
    """The result of a task that always answers the same; on failure say why on the page and answer None.

    A failure is not kept. Results are shared by all visitors: they must not be changed.
    """
    try:
        with st.spinner("Computing in a worker…", show_time=True):
            return _answer(f"{task.__module__}.{task.__qualname__}", task, args, kwargs, timeout_s)
    except EngineError as error:
        st.error(str(error), icon=":material/error:")
        return None
