"""How calls and jobs are handed out when workers come late, are lost or do not answer; without processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.runtime import dispatch
from core.runtime.dispatch import Engine
from core.runtime.jobs import CallTimedOut, EngineError, TaskFailed, WorkerLost
from core.runtime.settings import Settings
from core.runtime.worker import Outcome, execute
from core.runtime.workers import EngineKind, Kind, Listener, Run, Worker, fail
from tests.core.runtime import engine_tasks as tasks
from tests.core.runtime.engines import wait_until

PATIENCE_S = 30.0  # for what is to come soon: a busy machine may take its time


class Clock:
    """The clock of `core.runtime.dispatch`, which a test can put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s


class ScriptedWorkers:
    """Each run goes the next way of a script: "answer", "hang", "lost before", "lost after" its beginning.

    A step "sleep: hang" is kept for the task of that name, whichever call gets a worker first.
    """

    kind: EngineKind = "cluster"
    address = "nowhere"

    def __init__(self, script: list[str]) -> None:
        self.script = script
        self.ended: list[str] = []
        self.abandoned: list[str] = []
        self.may_cancel = threading.Event()
        self.listener: Listener
        self.names = iter("bcdefghi")

    def start(self, listener: Listener) -> None:
        self.listener = listener

    def come(self, name: str, *kinds: Kind) -> None:
        self.listener.worker_added(name, name, frozenset(kinds or ("call", "job")))

    def run(self, worker_id: str, run: Run) -> None:
        way = self._next_way(run.request.name)
        if way == "hang":
            # Told before the call begins to wait: a thread that comes late would look like a task not begun.
            self.listener.event({"id": run.request.id, "event": "started"})
            return
        threading.Thread(target=self._run, args=(way, worker_id, run), daemon=True).start()

    def _next_way(self, task: str) -> str:
        mine = next(step for step in self.script if ": " not in step or step.startswith(f"{task}: "))
        self.script.remove(mine)
        return mine.removeprefix(f"{task}: ")

    def _run(self, way: str, worker_id: str, run: Run) -> None:
        def send(event: Mapping[str, object]) -> None:
            self.listener.event(event)

        if way == "answer":
            run.outcome.set_result(execute(run.request, send))
        elif way != "lost before":
            send({"id": run.request.id, "event": "started"})
        if way == "hang unbegun":
            run.started.clear()
        if way.startswith("lost"):
            self.listener.worker_lost(worker_id)
            self.come(next(self.names))

    def cancel(self, worker_id: str, job_id: str) -> None:
        self.may_cancel.wait(PATIENCE_S)

    def abandon(self, run: Run) -> None:
        self.abandoned.append(run.request.name)
        fail(run, EngineError("Taken back."))

    def end(self, worker_id: str) -> None:
        self.ended.append(worker_id)
        self.listener.worker_lost(worker_id)
        self.come(next(self.names))

    def grow(self, kind: Kind) -> bool:
        return False

    def retire(self, worker_id: str) -> bool:
        return False

    def make_template(self) -> bool:
        return False

    def warm(self, worker_id: str) -> None: ...

    def memory_bytes(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None: ...


@pytest.fixture
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(ScriptedWorkers(list(request.param)), Settings(home=tmp_path))
    yield engine
    engine.close()


def workers_of(engine: Engine) -> ScriptedWorkers:
    workers = engine._workers
    assert isinstance(workers, ScriptedWorkers)
    return workers


@pytest.mark.parametrize("engine", [["lost before", "lost before", "answer"]], indirect=True)
def test_call_whose_worker_is_lost_before_it_began_goes_to_the_next(engine: Engine) -> None:
    workers_of(engine).come("a")
    assert engine.call(tasks.add, 1, 2) == 3


@pytest.mark.parametrize("engine", [["lost before"] * 3], indirect=True)
def test_call_is_not_handed_over_without_end(engine: Engine) -> None:
    workers_of(engine).come("a")
    with pytest.raises(WorkerLost, match="The worker process that ran add ended unexpectedly"):
        engine.call(tasks.add, 1, 2)
    assert workers_of(engine).script == []


@pytest.mark.parametrize("engine", [["lost after", "answer"]], indirect=True)
def test_call_that_had_begun_is_not_run_again(engine: Engine) -> None:
    workers_of(engine).come("a")
    with pytest.raises(WorkerLost):
        engine.call(tasks.add, 1, 2)
    assert engine.call(tasks.add, 1, 2) == 3


@pytest.mark.parametrize("engine", [["lost before", "answer"]], indirect=True)
def test_job_whose_worker_is_lost_before_it_began_goes_to_the_next(engine: Engine) -> None:
    workers_of(engine).come("a")
    job_id = engine.submit(tasks.add, 1, 2, owner="ada", title="Adding")
    assert engine.wait(job_id, PATIENCE_S).state == "done" and engine.result(job_id) == 3


@pytest.mark.parametrize("engine", [["lost after", "answer"]], indirect=True)
def test_job_that_had_begun_is_not_run_again(engine: Engine) -> None:
    workers_of(engine).come("a")
    job_id = engine.submit(tasks.add, 1, 2, owner="ada", title="Adding")
    failed = engine.wait(job_id, PATIENCE_S)
    assert failed.state == "failed" and failed.error is not None and "ended unexpectedly" in failed.error
    with pytest.raises(WorkerLost):
        engine.result(job_id)


def test_as_many_job_workers_are_asked_for_as_there_are_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by who submits the next job on hearing of the end of one, whose worker is not free yet."""
    workers = ScriptedWorkers(["answer"] * 3 + ["hang"] * 2)
    engine = Engine(workers, Settings(home=tmp_path, job_workers=2))
    asked: list[Kind] = []
    release = engine._release

    def slow_release(worker: Worker) -> None:
        time.sleep(0.2)
        release(worker)

    monkeypatch.setattr(workers, "grow", lambda kind: asked.append(kind) or True)
    monkeypatch.setattr(engine, "_release", slow_release)
    try:
        workers.come("a", "call")
        job_id = engine.submit(tasks.add, 0, 2, owner="ada", title="Adding")
        assert asked == ["job"]
        workers.come("b", "job")
        for number in range(1, 3):
            assert engine.wait(job_id, PATIENCE_S).state == "done"
            job_id = engine.submit(tasks.add, number, 2, owner="ada", title="Adding")
        assert engine.wait(job_id, PATIENCE_S).state == "done" and asked == ["job"]
        for _ in range(3):
            engine.submit(tasks.sleep, 60.0, owner="ada", title="Sleeping")
        assert wait_until(lambda: engine.describe().jobs_running == 1, PATIENCE_S)
        assert asked == ["job"] * 2
    finally:
        engine.close()


@pytest.mark.parametrize("engine", [["hang"]], indirect=True)
def test_cancelling_waits_neither_for_the_worker_nor_for_the_end_of_the_job(engine: Engine) -> None:
    workers_of(engine).come("a")
    job_id = engine.submit(tasks.sleep, 60.0, owner="ada", title="Sleeping")
    engine.cancel(job_id)
    running = engine.job(job_id)
    assert running is not None and running.state == "running"
    workers_of(engine).may_cancel.set()
    assert engine.wait(job_id, PATIENCE_S).state == "cancelled"
    assert workers_of(engine).ended == ["a"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(dispatch, "time", clock)
    return clock


@pytest.mark.parametrize("engine", [["hang", "hang"]], indirect=True)
def test_cancelling_late_does_not_end_what_the_worker_does_since(engine: Engine) -> None:
    """The job ends by itself at the end of its grace time, and its worker has been given the next one."""
    workers = workers_of(engine)
    workers.may_cancel.set()
    workers.come("a")
    first = engine.submit(tasks.sleep, 60.0, owner="ada", title="First")
    second = engine.submit(tasks.sleep, 60.0, owner="eve", title="Second")
    worker, run = engine._job_runs[first]
    run.outcome.set_result(Outcome("cancelled"))
    assert wait_until(lambda: engine.job(second).state == "running", PATIENCE_S)  # type: ignore[union-attr]
    engine._end_run(run, worker)
    assert workers.ended == [] and worker.run is not run


@pytest.mark.parametrize("engine", [[]], indirect=True)
def test_workers_asked_for_before_there_is_a_connection_are_not_asked_for_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Kind] = []
    engine.beginning()
    monkeypatch.setattr(workers_of(engine), "grow", lambda kind: asked.append(kind) or True)
    job_ids = [engine.submit(tasks.sleep, 60.0, owner="ada", title="Waiting") for _ in range(3)]
    engine.connected()
    workers_of(engine).come("a", "call")
    assert asked == ["job"] * engine._settings.job_workers
    assert [engine.job(job_id).queue_position for job_id in job_ids] == [1, 2, 3]  # type: ignore[union-attr]


@pytest.mark.parametrize("engine", [["answer"]], indirect=True)
def test_time_without_any_worker_does_not_count_against_the_limit_of_a_call(engine: Engine, clock: Clock) -> None:
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(engine.call, tasks.add, 1, 2, timeout_s=PATIENCE_S)
        time.sleep(0.2)
        clock.ahead_s = PATIENCE_S + 1
        workers_of(engine).come("a")
        assert call.result() == 3


@pytest.mark.parametrize("engine", [["sleep: hang", "add: answer"]], indirect=True)
def test_waiting_call_has_its_whole_limit_once_there_is_a_worker(engine: Engine, clock: Clock) -> None:
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(engine.call, tasks.sleep, 60.0, timeout_s=0.2)
        second = threads.submit(engine.call, tasks.add, 1, 2, timeout_s=PATIENCE_S)
        time.sleep(0.2)
        clock.ahead_s = PATIENCE_S + 1  # no worker for longer than the second may take
        workers_of(engine).come("a")
        assert second.result() == 3  # before the first has begun, or after it has been ended
        with pytest.raises(CallTimedOut, match="sleep took longer than 0.2 s and was stopped."):
            first.result()
    assert workers_of(engine).ended == ["a"]


@pytest.mark.parametrize("engine", [["hang unbegun", "answer"]], indirect=True)
def test_task_that_its_worker_has_not_begun_is_taken_back_and_the_worker_left_alone(engine: Engine) -> None:
    """On a cluster another server's task may be what keeps the worker busy."""
    workers_of(engine).come("a")
    with pytest.raises(CallTimedOut):
        engine.call(tasks.sleep, 60.0, timeout_s=0.2)
    assert (workers_of(engine).abandoned, workers_of(engine).ended) == (["sleep"], [])
    assert engine.call(tasks.add, 1, 2) == 3


@pytest.mark.parametrize("engine", [[]], indirect=True)
def test_trouble_is_told_to_those_who_wait_and_forgotten_when_it_is_over(engine: Engine) -> None:
    threading.Timer(0.2, engine.trouble, ["The scheduler at nowhere cannot be reached."]).start()
    with pytest.raises(EngineError, match="The scheduler at nowhere cannot be reached."):
        engine.call(tasks.add, 1, 2)
    assert engine.describe().trouble == "The scheduler at nowhere cannot be reached."
    engine.connected()
    assert engine.describe().trouble is None


@pytest.mark.parametrize("engine", [["answer", "answer"]], indirect=True)
def test_wrong_input_is_not_logged_as_a_fault_and_a_fault_is(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    workers_of(engine).come("a")
    with pytest.raises(TaskFailed), caplog.at_level("INFO"):
        engine.call(tasks.report_then_fail)
    assert caplog.records == []
    with pytest.raises(TaskFailed):
        engine.call(tasks.divide_by_zero)
    assert "divide_by_zero failed in a worker" in caplog.text and "Traceback" in caplog.text


@pytest.mark.parametrize("engine", [["hang", "answer"]], indirect=True)
def test_warming_worker_has_time_to_load(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    workers_of(engine).come("a")
    engine.warm_up()
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(engine.call, tasks.sleep, 60.0, timeout_s=0.2)
        time.sleep(0.6)
        assert not call.done()
        monkeypatch.setattr(dispatch, "DeviceReport", lambda **values: values)
        engine.event({"id": "a", "event": "warm", "devices": {"kind": "CPU"}})
        with pytest.raises(CallTimedOut):
            call.result(PATIENCE_S)
    assert engine.describe().devices == {"kind": "CPU"}
    assert wait_until(lambda: engine.describe().ready, PATIENCE_S)
