"""What the engine adds to bare Dask, measured in one run, alternating; and how soon it hears and is heard.

Times are printed in milliseconds; what is held are ratios, and the promise that a job ends within a second.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.runtime.dispatch import Engine
from core.runtime.engine import dask_engine
from core.runtime.settings import Settings
from tests.core.runtime import engine_tasks as tasks
from tests.core.runtime.engines import wait_until

pytestmark = pytest.mark.benchmark

IMAGE = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
ROUNDS = 40


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = dask_engine(Settings(home=tmp_path_factory.mktemp("home")))
    engine.warm_up()
    assert wait_until(lambda: engine.describe().devices is not None, 90)
    assert wait_until(lambda: len(engine.describe().workers) == 1, 10)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a local cluster with TLS, as Dask gives it."""
    from distributed import Client, LocalCluster

    folder: Path = tmp_path_factory.mktemp("bare")
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            security=True,
            dashboard_address="127.0.0.1:0",
            local_directory=str(folder),
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def medians_ms(*ways: Callable[[], object]) -> list[float]:
    """Median time of each way, taken in turns so that the machine's other work weighs on all alike."""
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS):
        for way, taken in zip(ways, times, strict=True):
            time.sleep(0.02)  # as between the moves of a slider
            began_s = time.perf_counter()
            way()
            taken.append(1000 * (time.perf_counter() - began_s))
    return [statistics.median(taken) for taken in times]


@pytest.mark.parametrize(
    ("task", "arguments"),
    [(tasks.invert, (IMAGE,)), (tasks.add, (1, 2))],
    ids=["1-megapixel picture", "two numbers"],
)
def test_call_against_bare_submit(
    engine: Engine, bare: Any, task: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    ours, theirs = medians_ms(
        lambda: engine.call(task, *arguments), lambda: bare.submit(task, *arguments, pure=False).result()
    )
    print(f"\ncall: {ours:.1f} ms, bare Dask: {theirs:.1f} ms, ratio {ours / theirs:.2f}")
    assert ours / theirs < 1.6


def test_progress_against_bare_events(engine: Engine, bare: Any) -> None:
    job_id = engine.submit(tasks.report_clock, 30, owner="ada", title="Clock")
    delays: list[float] = []
    seen = 0
    while not (job := engine.job(job_id)).finished:  # type: ignore[union-attr]
        if len(job.metrics) > seen:  # type: ignore[union-attr]
            seen = len(job.metrics)  # type: ignore[union-attr]
            delays.append(1000 * (time.time() - job.metrics[-1]["clock"]))  # type: ignore[union-attr]
        time.sleep(0.0005)

    bare_delays: list[float] = []
    bare.subscribe_topic("clock", lambda event: bare_delays.append(1000 * (time.time() - event[1])))
    bare.submit(log_clock, 30, pure=False).result()
    ours, theirs = statistics.median(delays), statistics.median(bare_delays)
    print(f"\nprogress: {ours:.1f} ms, bare event: {theirs:.1f} ms, {len(delays)} of 30 seen")
    assert len(delays) >= 20 and ours < 50


def log_clock(count: int) -> None:
    from distributed import get_worker

    for _ in range(count):
        get_worker().log_event("clock", time.time())
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("task", "arguments"),
    [(tasks.wait_for_cancellation, ()), (tasks.spin, (60.0,))],
    ids=["reports", "never lets go"],
)
def test_job_ends_soon_after_its_cancellation(
    engine: Engine, task: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    taken = []
    for _ in range(5):
        job_id = engine.submit(task, *arguments, owner="ada", title="Long")
        assert wait_until(lambda job_id=job_id: engine.job(job_id).state == "running", 30)  # type: ignore[misc]
        time.sleep(0.2)
        began_s = time.perf_counter()
        engine.cancel(job_id)
        engine.wait(job_id, 5)
        taken.append(1000 * (time.perf_counter() - began_s))
    print(f"\ncancelled after {statistics.median(taken):.0f} ms, at most {max(taken):.0f} ms")
    assert max(taken) < 1000


def test_job_with_tensorflow_begins_at_once_in_a_forked_worker(engine: Engine) -> None:
    """Against the time that a new interpreter takes to load TensorFlow."""
    import subprocess
    import sys

    for worker in engine.describe().workers:
        if worker.kinds == ("job",):
            job_id = engine.submit(tasks.spin, 60.0, owner="ada", title="Ends with its worker")
            assert wait_until(lambda job_id=job_id: engine.job(job_id).state == "running", 30)  # type: ignore[misc]
            engine.cancel(job_id)
            engine.wait(job_id, 5)
    began_s = time.perf_counter()
    job_id = engine.submit(tasks.has_tensorflow, owner="ada", title="Begins")
    engine.wait(job_id, 60)
    job_s = time.perf_counter() - began_s
    assert engine.result(job_id) is True
    began_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import tensorflow, keras"], check=True, capture_output=True)
    load_s = time.perf_counter() - began_s
    print(f"\njob in a new worker: {job_s:.2f} s, loading TensorFlow: {load_s:.2f} s, ratio {job_s / load_s:.2f}")
    assert job_s < load_s / 2


def test_calls_while_a_job_computes(engine: Engine) -> None:
    """A job that keeps a core busy slows calls by no more than sharing the machine must."""
    (alone,) = medians_ms(lambda: engine.call(tasks.invert, IMAGE))
    job_id = engine.submit(tasks.spin, 120.0, owner="ada", title="Busy")
    assert wait_until(lambda: engine.job(job_id).state == "running", 30)  # type: ignore[union-attr]
    (beside,) = medians_ms(lambda: engine.call(tasks.invert, IMAGE))
    engine.cancel(job_id)
    engine.wait(job_id, 5)
    print(f"\ncall: {alone:.1f} ms alone, {beside:.1f} ms beside a job, ratio {beside / alone:.2f}")
    assert beside / alone < 2.0
    assert threading.active_count() < 60
