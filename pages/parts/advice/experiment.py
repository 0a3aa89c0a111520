"""What all five views do alike: start the job, draw what is measured so far, and the whole when it is done."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from core.runtime.jobs import JobView
from core.training.experiments.measurements import Difference, Measurement, measurements_of, summarise
from core.training.experiments.settings import ExperimentResult
from pages.parts.advice.charts import long_table, wide_table
from pages.parts.advice.controls import counted
from pages.parts.downloads import download_json, download_table
from pages.parts.job_view import ACTIVE, current_job, duration, job_view, start_job

# A first look takes a second or two; on a machine that trains for others too it may take longer than other calls.
LOOK_TIMEOUT_S = 180.0


@dataclass(frozen=True)
class Experiment:
    """One of the five: its job's name, its task, and how its numbers are drawn.

    Attributes:
        key: The job's name on the page and in its address.
        task: Runs in a worker with the settings.
        labels: Names of the methods for people.
        x_name: What x counts.
        chart: Draws the chart of some measurements; its argument `key` is unique on the page.
        verdict: What the measurements say, as sentences; empty where there are too few.
    """

    key: str
    task: Callable[..., Any]
    labels: Mapping[str, str]
    x_name: str
    chart: Callable[..., None]
    verdict: Callable[[Sequence[Measurement]], str]


def start_button(experiment: Experiment, settings: Any, title: str) -> None:
    """Draw the button that starts the experiment with these settings."""
    job = current_job(experiment.key)
    if st.button(
        "Measure again" if job else "Measure",
        type="primary",
        icon=":material/play_arrow:",
        key=f"{experiment.key}_start",
        width="stretch",
        disabled=job is not None and job.state in ACTIVE,
    ):
        start_job(experiment.key, experiment.task, settings, title=title)


def draw_experiment(experiment: Experiment, before: Callable[[], None]) -> ExperimentResult | None:
    """Draw the job's state: `before` while there is none, the chart as it fills, and the result.

    The result of a finished job is returned.
    """
    finished: list[ExperimentResult] = []

    def result(found: ExperimentResult, job: JobView) -> None:
        finished.append(found)
        st.success(
            f"**{job.title}**: {found.classes} classes, {found.test:,} test pictures, {duration(found.seconds)}. "
            f"{experiment.verdict(found.measurements)}",
            icon=":material/check_circle:",
        )
        experiment.chart(found.measurements, key=f"{experiment.key}_chart")

    if current_job(experiment.key) is None:
        before()
        return None
    job = job_view(experiment.key, draw_live=lambda job: _live(experiment, job), draw_result=result)
    if job is not None and job.state == "cancelled":
        _numbers(experiment, measurements_of(job.metrics), None)
    return finished[0] if finished else None


def draw_numbers(experiment: Experiment, result: ExperimentResult) -> None:
    """Draw the table of a finished experiment and its downloads."""
    _numbers(experiment, result.measurements, result)


def _live(experiment: Experiment, job: JobView) -> None:
    measurements = measurements_of(job.metrics)
    if not measurements:
        st.caption("The first numbers come in a moment.")
        return
    experiment.chart(measurements, key=f"{experiment.key}_live_{job.state}")
    said = experiment.verdict(measurements)
    st.caption(f"So far: {said}" if said else f"So far: {len(measurements)} measurements.")


def _numbers(experiment: Experiment, measurements: Sequence[Measurement], result: ExperimentResult | None) -> None:
    if not measurements:
        return
    st.dataframe(
        wide_table(measurements, experiment.labels, experiment.x_name),
        hide_index=True,
        height="content",
        key=f"{experiment.key}_table",
    )
    st.caption("Test pictures right in %, mean ± standard deviation over the seeds.")
    name = experiment.key
    with st.container(horizontal=True):
        table: pd.DataFrame = long_table(measurements, experiment.x_name)
        download_table(table, name=name, key=f"{name}_csv", label="Every run (CSV)")
        content = {
            "settings": dataclasses.asdict(result.settings) if result is not None else None,
            "answered_by": result.answered_by if result is not None else None,
            "seconds": result.seconds if result is not None else None,
            "measurements": [dataclasses.asdict(one) for one in measurements],
            "summary": [dataclasses.asdict(one) for one in summarise(measurements)],
        }
        download_json(content, name=name, key=f"{name}_json", label="Settings and runs (JSON)")


def gain(difference: Difference) -> str:
    """A paired difference in words: points, standard error, and in how many seeds it was there."""
    error = f" ± {100 * difference.error:.1f}" if difference.count > 1 else ""
    seeds = counted(difference.count, "seed")
    return f"{100 * difference.mean:+.1f}{error} points (better in {difference.wins} of {seeds})"
