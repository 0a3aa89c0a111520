"""A job on the page: start it, watch it, cancel it, and find its result again after leaving the page.

The job's id is kept in the session and in the page's address, so a reload or another page in between loses nothing.
While it runs, a fragment of the page redraws itself twice a second; when it ends, the page runs once and draws the
result. Starting is refused with a sentence when the queue is full.
"""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core.runtime.engine import EngineError
from core.runtime.jobs import JobView
from pages.parts.compute import engine, owner
from pages.parts.figures import line_chart, show

REDRAW_EVERY_S = 0.4
ACTIVE = ("queued", "running")


def _slot(key: str) -> str:
    return f"_job_{key}"


def current_job(key: str) -> JobView | None:
    """The job last started on this page under this key, if the engine still knows it."""
    job_id = st.session_state.get(_slot(key)) or st.query_params.get(key)
    if not job_id:
        return None
    job = engine().job(job_id, owner=owner())
    if job is None:
        _forget(key)
        return None
    st.session_state[_slot(key)] = job.id
    if st.query_params.get(key) != job.id:
        st.query_params[key] = job.id
    return job


def _forget(key: str) -> None:
    st.session_state.pop(_slot(key), None)
    if key in st.query_params:
        del st.query_params[key]


def start_job(key: str, task: Callable[..., Any], *args: Any, title: str, **kwargs: Any) -> None:
    """Hand a long task to the engine; one that still runs under this key is cancelled first."""
    before = current_job(key)
    if before is not None and before.state in ACTIVE:
        engine().cancel(before.id)
    try:
        job_id = engine().submit(task, *args, owner=owner(), title=title, **kwargs)
    except EngineError as error:
        st.error(str(error), icon=":material/hourglass_disabled:")
        return
    st.session_state[_slot(key)] = job_id
    st.query_params[key] = job_id


def job_view(
    key: str,
    *,
    draw_live: Callable[[JobView], None] | None = None,
    draw_result: Callable[[Any, JobView], None] | None = None,
) -> JobView | None:
    """Draw the state of this page's job: progress and live view while it runs, its result when it is done.

    Args:
        key: The job's name on the page and in its address.
        draw_live: Draws metrics and preview of a running (or stopped) job; a chart of all metrics if None.
        draw_result: Draws the result of a finished job.
    """
    job = current_job(key)
    if job is None:
        return None
    if job.state in ACTIVE:
        _watch(key, draw_live)
        return job
    if job.state == "failed":
        st.error(job.error or "The job ended without a reason.", icon=":material/error:")
        if job.metrics:
            (draw_live or draw_metrics)(job)
    elif job.state == "cancelled":
        st.info(f"Stopped after {duration(job.elapsed_s)}.", icon=":material/stop_circle:")
        (draw_live or draw_metrics)(job)
    elif draw_result is not None:
        result = engine().result(job.id)
        if result is None:
            st.info("The result of this job is no longer kept. Start it again to see it.", icon=":material/history:")
        else:
            draw_result(result, job)
    return job


@st.fragment(run_every=REDRAW_EVERY_S)
def _watch(key: str, draw_live: Callable[[JobView], None] | None) -> None:
    job = current_job(key)
    if job is None or job.state not in ACTIVE:
        st.rerun()
        return
    progress_row(key, job)
    if job.state == "running":
        (draw_live or draw_metrics)(job)


def progress_row(key: str, job: JobView) -> None:
    """How far an active job is, and the button that stops it."""
    bar, stop = st.columns([4, 1.2], vertical_alignment="center")
    bar.progress(job.fraction or 0.0, text=progress_text(job))
    stop.button(
        "Stop",
        key=f"{key}_stop",
        icon=":material/stop_circle:",
        on_click=engine().cancel,
        args=(job.id,),
        width="stretch",
    )


def progress_text(job: JobView) -> str:
    """The line over the progress bar: place in the queue, or what is done and how long it will take."""
    if job.state == "queued":
        place = f", place {job.queue_position} in the queue" if job.queue_position else ""
        return f"{job.title}: waiting{place}"
    parts = [job.message or job.title]
    if job.fraction:
        parts.append(f"{100 * job.fraction:.0f} %")
    parts.append(f"{duration(job.elapsed_s)} so far")
    if job.remaining_s is not None:
        parts.append(f"about {duration(job.remaining_s)} left")
    return " · ".join(parts)


def duration(seconds: float) -> str:
    """A time span as people say it.

    >>> duration(4.2), duration(75), duration(3700)
    ('4 s', '1 min 15 s', '1 h 01 min')
    """
    whole = int(round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def metric_series(job: JobView, x: str = "step") -> Mapping[str, tuple[list[float], list[float]]]:
    """The job's reported metrics as lines over one of them."""
    names = [name for name in dict.fromkeys(n for entry in job.metrics for n in entry) if name != x]
    series: dict[str, tuple[list[float], list[float]]] = {}
    for name in names:
        points = [(entry.get(x, float(i)), entry[name]) for i, entry in enumerate(job.metrics) if name in entry]
        series[name] = ([p[0] for p in points], [p[1] for p in points])
    return series


def draw_metrics(job: JobView) -> None:
    """A chart of everything the job has reported."""
    series = metric_series(job)
    if series:
        show(line_chart(series, x_title="step", y_title="value", log_y=True), key=f"metrics_{job.id}")
