"""Jobs that begin by themselves and whose results are kept: a page opens with a result, and a slider asks nothing anew.

A view names what it wants to know (the task, a hash of the picture, the settings). What was answered before is there at
once, for every visitor. What was not is handed to the engine as a job of this session: its progress stands where the
result will be, it can be stopped, and when it is done the page runs once more and finds the result kept.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.runtime.engine import EngineError
from pages.parts.compute import engine, owner
from pages.parts.job_view import ACTIVE, REDRAW_EVERY_S, duration, progress_row

MOST_KEPT = 32


class Kept:
    """The latest results by what they answer; of more than `most` the one that was longest not asked for is dropped."""

    def __init__(self, most: int) -> None:
        """Begin without results."""
        self._most = most
        self._lock = threading.Lock()
        self._results: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, question: Hashable) -> Any | None:
        """The result, if it is kept."""
        with self._lock:
            if question in self._results:
                self._results.move_to_end(question)
            return self._results.get(question)

    def put(self, question: Hashable, result: Any) -> None:
        """Keep a result."""
        with self._lock:
            self._results[question] = result
            self._results.move_to_end(question)
            while len(self._results) > self._most:
                self._results.popitem(last=False)


@dataclass(frozen=True)
class _Asked:
    """What this session has asked last under a key, and the job that answers."""

    question: Hashable
    job_id: str


@st.cache_resource(show_spinner=False)
def kept() -> Kept:
    """The server's kept results."""
    return Kept(MOST_KEPT)


def kept_job(
    key: str,
    task: Callable[..., Any],
    *args: Any,
    identity: tuple[Hashable, ...],
    title: str,
    draw_waiting: Callable[[], None] | None = None,
    **kwargs: Any,
) -> Any | None:
    """The result of a task that always answers the same, or None while it is worked out or after it failed.

    Results are shared by all visitors: they must not be changed.

    Args:
        key: The place on the page; what was asked here before and is not answered yet is given up.
        task: A function of a module of tasks that takes `report`.
        args: What it is given; large arrays are told apart by `identity` alone.
        identity: What the answer depends on: hashes of the bytes and all settings.
        title: What is being done, for the line over the bar.
        draw_waiting: Draws what can be seen already, under the bar.
        kwargs: Given to the task by name.
    """
    question = (task.__module__, task.__qualname__, *identity)
    found = kept().get(question)
    if found is not None:
        return found
    slot = f"_kept_job_{key}"
    asked: _Asked | None = st.session_state.get(slot)
    job = engine().job(asked.job_id, owner=owner()) if asked else None
    if asked and asked.question != question:
        if job is not None and job.state in ACTIVE:
            engine().cancel(job.id)
        job = None
    if job is not None and job.state == "done":
        try:
            result = engine().result(job.id)
        except EngineError:  # no longer held: it is worked out again
            job = None
        else:
            kept().put(question, result)
            return result
    if job is None:
        try:
            job_id = engine().submit(task, *args, owner=owner(), title=title, **kwargs)
        except EngineError as error:
            st.error(str(error), icon=":material/hourglass_disabled:")
            st.button("Try again", key=f"{key}_again", icon=":material/refresh:")
            return None
        st.session_state[slot] = _Asked(question, job_id)
        _watch(key, job_id)
    elif job.state in ACTIVE:
        _watch(key, job.id)
    else:
        if job.state == "failed":
            st.error(job.error or "The job ended without a reason.", icon=":material/error:")
        else:
            st.info(f"Stopped after {duration(job.elapsed_s)}.", icon=":material/stop_circle:")
        st.button("Start again", key=f"{key}_again", icon=":material/refresh:", on_click=_forget, args=(slot,))
    if draw_waiting is not None:
        draw_waiting()
    return None


def _forget(slot: str) -> None:
    st.session_state.pop(slot, None)


@st.fragment(run_every=REDRAW_EVERY_S)
def _watch(key: str, job_id: str) -> None:
    job = engine().job(job_id, owner=owner())
    if job is None or job.state not in ACTIVE:
        st.rerun()
        return
    progress_row(key, job)
