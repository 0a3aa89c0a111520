"""Trainings as jobs: a server that is killed, two at once and a third that waits, a cluster, and their memory."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from core.runtime.dispatch import Engine
from core.runtime.engine import dask_engine
from core.runtime.settings import load_settings
from core.training import run_store, tasks
from core.training.run_store import KeptRun
from core.training.runs import TrainingSettings
from tests.core.runtime.engines import ROOT, cluster, wait_until

SETTINGS = TrainingSettings(epochs=12, batch=32)
LONG = TrainingSettings(epochs=1000, batch=32)
PATIENCE_S = 300.0  # jobs run at the lowest priority: a busy machine lets them wait
# What the web server does with a training; then it waits to be killed.
SERVER = """
import time
from core.runtime.engine import get_engine
from core.training import tasks
from core.training.runs import TrainingSettings
engine = get_engine()
engine.submit(tasks.train_classifier, "digits", TrainingSettings(epochs=12, batch=32), "ada", owner="ada", title="Mine")
time.sleep(600)
"""


def only_run(home: Path) -> KeptRun | None:
    runs = run_store.list_runs(home, "ada")
    return runs[0] if runs else None


def rows(home: Path) -> int:
    run = only_run(home)
    return 0 if run is None else len(run.record.history)


def test_a_run_goes_on_after_its_server_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signal 9 in the middle of an epoch: the run is listed, and goes on after its last whole epoch."""
    monkeypatch.setenv("CNN_WORKBENCH_HOME", str(tmp_path))
    server = subprocess.Popen([sys.executable, "-c", SERVER], cwd=ROOT, start_new_session=True)
    try:
        assert wait_until(lambda: rows(tmp_path) >= 2, PATIENCE_S)
        seen = rows(tmp_path)
    finally:
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    assert wait_until(lambda: only_run(tmp_path).state != "training", PATIENCE_S)  # type: ignore[union-attr]
    stopped = only_run(tmp_path)
    assert stopped is not None
    if stopped.state == "stopped":
        assert seen <= len(stopped.record.history) < SETTINGS.epochs
    engine = dask_engine(load_settings(dict(os.environ)))
    try:
        job = engine.submit(tasks.resume_classifier, stopped.id, "ada", owner="ada", title="Going on")
        assert engine.wait(job, PATIENCE_S).state == "done", engine.wait(job).error
        trained = engine.result(job)
    finally:
        engine.close()
    history = stopped.record.history
    assert trained.run.history[: len(history)] == history and len(trained.run.history) == SETTINGS.epochs
    steps = -(-trained.sizes[0] // SETTINGS.batch)
    assert trained.run.batch_losses.shape == (SETTINGS.epochs * steps,)
    assert len(trained.run.filters) == SETTINGS.epochs + 1
    again = only_run(tmp_path)
    assert again is not None and again.state == "done" and again.id == stopped.id


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CNN_WORKBENCH_HOME", str(tmp_path))
    engine = dask_engine(load_settings(dict(os.environ)))
    yield engine
    engine.close()


def start(engine: Engine, owner: str, settings: TrainingSettings = LONG) -> str:
    return engine.submit(tasks.train_classifier, "digits", settings, owner, owner=owner, title=f"{owner}'s")


def state(engine: Engine, job: str) -> str:
    view = engine.job(job)
    return "" if view is None else view.state


def test_two_train_at_once_and_a_third_is_told_its_place(engine: Engine, tmp_path: Path) -> None:
    first, second = start(engine, "ada"), start(engine, "eve")
    assert wait_until(lambda: [state(engine, job) for job in (first, second)] == ["running"] * 2, PATIENCE_S)
    third, fourth = start(engine, "bob"), start(engine, "ida")
    views = [engine.job(job) for job in (third, fourth)]
    assert [(view.state, view.queue_position) for view in views] == [("queued", 1), ("queued", 2)]  # type: ignore[union-attr]
    assert wait_until(lambda: rows(tmp_path) >= 1, PATIENCE_S)
    engine.cancel(first)
    assert engine.wait(first, PATIENCE_S).state == "cancelled"
    assert wait_until(lambda: state(engine, third) == "running", PATIENCE_S)
    assert engine.job(fourth).queue_position == 1  # type: ignore[union-attr]
    assert wait_until(lambda: only_run(tmp_path).state == "stopped", PATIENCE_S)  # type: ignore[union-attr]
    for job in (fourth, third, second):
        engine.cancel(job)
    assert all(engine.wait(job, PATIENCE_S).state == "cancelled" for job in (second, third, fourth))


def test_a_cluster_of_two_workers_trains_with_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNN_WORKBENCH_HOME", str(tmp_path / "home"))
    with cluster(tmp_path / "cluster", [[], []]) as address:
        monkeypatch.setenv("CNN_WORKBENCH_SCHEDULER", address)
        engine = dask_engine(load_settings(dict(os.environ)))
        try:
            assert engine.describe().kind == "cluster"
            job = start(engine, "ada", TrainingSettings(epochs=2, batch=64))
            # The other worker answers meanwhile.
            picture = np.zeros((16, 16, 3), np.uint8)
            (shown,) = engine.call(tasks.preview_augmentation, picture, [SETTINGS], 3, timeout_s=PATIENCE_S)
            assert shown.shape == (3, 16, 16, 3)
            done = engine.wait(job, PATIENCE_S)
            assert done.state == "done", done.error
            assert {"batch_loss", "val_accuracy"} <= {name for point in done.metrics for name in point}
            trained = engine.result(job)
            assert len(trained.run.history) == 2 and trained.run.parameters == 61_706
            kept = only_run(tmp_path / "home")
            assert kept is not None and kept.state == "done" and kept.id == trained.id
        finally:
            engine.close()


@pytest.mark.slow
def test_fifty_trainings_leave_the_memory_as_it_was(engine: Engine) -> None:
    def resident_mb() -> float:
        processes = psutil.Process().children(recursive=True)
        return sum(process.memory_info().rss for process in processes) / 2**20

    def train(count: int) -> None:
        for index in range(count):
            job = start(engine, "ada", TrainingSettings(epochs=1, batch=64, seed=index))
            assert engine.wait(job, PATIENCE_S).state == "done"

    train(3)
    time.sleep(5)  # an idle worker gives its free memory back after two seconds
    before_mb = resident_mb()
    train(50)
    time.sleep(5)
    after_mb = resident_mb()
    print(f"\n50 trainings: {before_mb:.0f} MB before, {after_mb:.0f} MB after")
    assert after_mb - before_mb < 200
