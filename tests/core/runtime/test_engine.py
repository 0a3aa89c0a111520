"""What every engine promises, held against threads, embedded workers and a cluster started apart."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.runtime.dispatch import Engine
from core.runtime.jobs import CallTimedOut, EngineError, JobView, QueueFull, TaskFailed, WorkerLost
from core.runtime.worker import BACKGROUND_NICENESS
from tests.core.runtime import engine_tasks as tasks
from tests.core.runtime.engines import engine_of, wait_until

IMAGE = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)


@pytest.fixture(scope="module", params=["inline", "embedded", "cluster"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with engine_of(request.param, tmp_path_factory.mktemp(request.param)) as engine:
        yield engine


@pytest.fixture
def processes(engine: Engine) -> Engine:
    if engine.describe().kind == "inline":
        pytest.skip("threads cannot be killed")
    return engine


@pytest.fixture(autouse=True)
def no_job_left(engine: Engine) -> Iterator[None]:
    yield
    for owner in ("ada", "bob", "eve"):
        for job in engine.jobs(owner):
            engine.forget(job.id)
    assert wait_until(lambda: engine.describe().jobs_running + engine.describe().jobs_waiting == 0, 60)


def view(engine: Engine, job_id: str) -> JobView:
    found = engine.job(job_id)
    assert found is not None
    return found


def wait_for_state(engine: Engine, job_id: str, state: str, timeout_s: float = 60.0) -> JobView:
    assert wait_until(lambda: view(engine, job_id).state == state, timeout_s), view(engine, job_id)
    return view(engine, job_id)


# Calls


def test_call_returns_result(engine: Engine) -> None:
    assert engine.call(tasks.add, 1, b=2) == 3


def test_megapixel_picture_goes_and_comes_back_equal(engine: Engine) -> None:
    inverted = engine.call(tasks.invert, IMAGE)
    np.testing.assert_array_equal(inverted, 255 - IMAGE)
    inverted[0, 0] = 0  # the caller's own


def test_task_may_write_to_its_arguments_without_changing_the_callers(engine: Engine) -> None:
    values = np.zeros(5, np.float32)
    np.testing.assert_array_equal(engine.call(tasks.add_in_place, values, 2.0), np.full(5, 2.0))
    np.testing.assert_array_equal(values, np.zeros(5))


def test_empty_and_strided_arrays_go_through(engine: Engine) -> None:
    assert engine.call(tasks.invert, np.empty((0, 4, 3), np.uint8)).shape == (0, 4, 3)
    np.testing.assert_array_equal(engine.call(tasks.invert, IMAGE[::7, ::5]), 255 - IMAGE[::7, ::5])


def test_error_made_for_people_comes_through_as_it_is(engine: Engine) -> None:
    with pytest.raises(TaskFailed) as caught:
        engine.call(tasks.refuse, np.zeros((2, 2), np.uint8))
    assert str(caught.value) == "Expected an image of shape (H, W, 3), received (2, 2)."
    assert caught.value.error_type == "ValueError"
    assert "engine_tasks.py" in caught.value.details


def test_other_error_says_which_task_failed(engine: Engine) -> None:
    with pytest.raises(TaskFailed, match="divide_by_zero failed with ZeroDivisionError: division by zero."):
        engine.call(tasks.divide_by_zero)


def test_result_that_cannot_be_sent_is_an_error(engine: Engine) -> None:
    with pytest.raises(TaskFailed, match="give_a_generator failed with TypeError"):
        engine.call(tasks.give_a_generator)


@pytest.mark.parametrize("task", [lambda: 1, tasks.Report().check, 3], ids=["lambda", "method", "number"])
def test_only_functions_that_a_worker_can_import_are_tasks(engine: Engine, task: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match="A task must be a function at the top level"):
        engine.call(task)


def test_call_beyond_its_time_limit_is_stopped_and_the_next_one_works(engine: Engine) -> None:
    began_s = time.monotonic()
    with pytest.raises(CallTimedOut, match="sleep took longer than 2 s and was stopped."):
        engine.call(tasks.sleep, 300.0, timeout_s=2.0)
    assert engine.call(tasks.add, 1, 1, timeout_s=60.0) == 2
    assert time.monotonic() - began_s < 200.0  # the task was not waited for


def test_ten_threads_call_at_once(engine: Engine) -> None:
    with ThreadPoolExecutor(10) as threads:
        results = list(threads.map(lambda n: engine.call(tasks.invert, IMAGE[n : n + 20]), range(10)))
    for n, result in enumerate(results):
        np.testing.assert_array_equal(result, 255 - IMAGE[n : n + 20])


def test_call_that_waits_too_long_for_its_turn_is_told_so(engine: Engine, tmp_path: Path) -> None:
    notes = tmp_path / "begun"
    blocking = threading.Thread(target=engine.call, args=(tasks.note_and_sleep, str(notes), 3.0))
    blocking.start()
    assert wait_until(notes.exists, 60)
    with pytest.raises(CallTimedOut, match="All workers were busy for 0.2 s"):
        engine.call(tasks.add, 1, 1, timeout_s=0.2)
    blocking.join()


# Jobs


def test_job_reports_progress_in_order_and_gives_its_result(engine: Engine) -> None:
    job_id = engine.submit(tasks.count_to, 20, pause_s=0.08, owner="ada", title="Counting")
    seen: list[JobView] = []
    while not seen or not seen[-1].finished:
        now = view(engine, job_id)
        if not seen or now.version != seen[-1].version:
            seen.append(now)
        time.sleep(0.005)

    assert engine.result(job_id) == 20
    last = seen[-1]
    assert (last.state, last.fraction, last.message, last.title, last.owner) == (
        "done",
        1.0,
        "Step 20",
        "Counting",
        "ada",
    )
    assert [point["step"] for point in last.metrics] == list(range(20))
    assert isinstance(last.preview, np.ndarray) and last.preview[0, 0, 0] == 19
    assert last.error is None and last.queue_position is None and last.remaining_s is None
    assert last.started_at is not None and last.finished_at is not None and last.elapsed_s >= 1.6
    assert len(seen) > 5

    fractions = [now.fraction for now in seen if now.fraction is not None]
    previews = [int(now.preview[0, 0, 0]) for now in seen if isinstance(now.preview, np.ndarray)]
    assert fractions == sorted(fractions) and previews == sorted(previews) and len(set(previews)) >= 2
    assert [now.version for now in seen] == sorted({now.version for now in seen})
    estimates = [now.remaining_s for now in seen if now.remaining_s is not None]
    assert estimates and 0.0 <= min(estimates) < 1.0


def test_result_is_a_copy_each_time(engine: Engine) -> None:
    job_id = engine.submit(tasks.invert, IMAGE[:10, :10], owner="ada", title="Inverting")
    engine.wait(job_id, 30)
    engine.result(job_id)[:] = 0
    np.testing.assert_array_equal(engine.result(job_id), 255 - IMAGE[:10, :10])


def test_arguments_of_a_waiting_job_are_its_own(engine: Engine) -> None:
    first = engine.submit(tasks.sleep, 0.3, owner="ada", title="First")
    values = np.zeros(3, np.float32)
    second = engine.submit(tasks.add_in_place, values, 1.0, owner="ada", title="Second")
    values[:] = 100
    engine.wait(first, 30)
    engine.wait(second, 30)
    np.testing.assert_array_equal(engine.result(second), np.ones(3))


def test_reporting_in_a_tight_loop_costs_little_and_history_stays_bounded(engine: Engine) -> None:
    job_id = engine.submit(tasks.report_fast, 20_000, owner="ada", title="Fast")
    done = engine.wait(job_id, 60)
    assert done.state == "done", done.error
    steps = [int(point["step"]) for point in done.metrics]
    assert steps[0] == 0 and steps[-1] == 19_999 and steps == sorted(set(steps))
    assert 1000 <= len(steps) <= 5001
    assert engine.result(job_id) / 20_000 < 200e-6  # seconds of the task's own processor time a report


def test_job_that_fails_says_why_and_keeps_what_it_reported(engine: Engine) -> None:
    job_id = engine.submit(tasks.report_then_fail, owner="ada", title="Failing")
    failed = engine.wait(job_id, 30)
    assert (failed.state, failed.error) == ("failed", "The second half needs a picture.")
    assert failed.fraction == 0.5 and failed.metrics == ({"loss": 1.0},)
    with pytest.raises(TaskFailed, match="The second half needs a picture."):
        engine.result(job_id)


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        pytest.param(tasks.wait_for_cancellation, (), id="reports"),
        pytest.param(tasks.sleep, (300.0,), id="sleeps"),
        pytest.param(tasks.spin, (300.0,), id="never lets go"),
    ],
)
def test_job_ends_when_it_is_cancelled(
    engine: Engine, task: Callable[..., object], arguments: tuple[float, ...]
) -> None:
    if task is tasks.spin and engine.describe().kind == "inline":
        arguments = (2.0,)  # goes on as a thread of this process
    job_id = engine.submit(task, *arguments, owner="ada", title="Long")
    wait_for_state(engine, job_id, "running")
    time.sleep(0.1)
    engine.cancel(job_id)
    wait_for_state(engine, job_id, "cancelled")  # how soon is measured in tests/benchmarks/test_engine_latency.py
    assert view(engine, job_id).message == "Cancelled"
    with pytest.raises(EngineError, match="Long was cancelled."):
        engine.result(job_id)

    following = engine.submit(tasks.add, 2, 2, owner="ada", title="Next")
    assert engine.wait(following, 30).state == "done"


def test_queue_is_bounded_and_each_owner_has_a_part_of_it(engine: Engine) -> None:
    running = engine.submit(tasks.wait_for_cancellation, owner="ada", title="Running")
    wait_for_state(engine, running, "running")
    mine = [engine.submit(tasks.add, n, n, owner="ada", title=f"Ada {n}") for n in range(2)]
    with pytest.raises(QueueFull, match=r"You already have 3 jobs running or waiting \(2 jobs wait in all\)"):
        engine.submit(tasks.add, 1, 1, owner="ada", title="One too many")
    theirs = [engine.submit(tasks.add, n, n, owner="bob", title=f"Bob {n}") for n in range(2)]
    with pytest.raises(QueueFull, match="4 jobs wait already; please try again when one has finished."):
        engine.submit(tasks.add, 1, 1, owner="eve", title="One too many")

    assert [view(engine, job).queue_position for job in mine + theirs] == [1, 2, 3, 4]
    version = view(engine, theirs[1]).version
    engine.cancel(mine[0])
    assert view(engine, mine[0]).state == "cancelled"
    assert [view(engine, job).queue_position for job in mine[1:] + theirs] == [1, 2, 3]
    assert view(engine, theirs[1]).version > version
    engine.cancel(running)
    for job in mine[1:] + theirs:
        assert engine.wait(job, 30).state == "done"


def test_jobs_are_seen_by_their_owner_alone(engine: Engine) -> None:
    adas = [engine.submit(tasks.add, n, n, owner="ada", title=f"Ada {n}") for n in range(2)]
    bobs = engine.submit(tasks.add, 5, 5, owner="bob", title="Bob")
    for job in [*adas, bobs]:
        engine.wait(job, 30)
    assert [job.id for job in engine.jobs("ada")] == adas[::-1]
    assert engine.job(bobs, owner="ada") is None
    engine.forget(bobs, owner="ada")
    with pytest.raises(EngineError, match="There is no such job"):
        engine.result(bobs, owner="ada")
    assert engine.result(bobs, owner="bob") == 10
    engine.forget(bobs, owner="bob")
    assert engine.job(bobs) is None


def test_unfinished_job_has_no_result_yet(engine: Engine) -> None:
    job_id = engine.submit(tasks.sleep, 0.5, owner="ada", title="Sleeping")
    with pytest.raises(EngineError, match="Sleeping has not finished yet."):
        engine.result(job_id)
    with pytest.raises(CallTimedOut, match="Sleeping has not finished within 0.1 s."):
        engine.wait(job_id, 0.1)
    assert engine.wait(job_id, 30).state == "done"


def test_long_job_does_not_delay_calls(processes: Engine) -> None:
    job_id = processes.submit(tasks.spin, 300.0, owner="ada", title="Long")
    wait_for_state(processes, job_id, "running")
    for _ in range(5):
        assert processes.call(tasks.add, 1, 1, timeout_s=60.0) == 2
    assert view(processes, job_id).state == "running"


def test_jobs_have_lower_priority_than_calls(processes: Engine) -> None:
    job_id = processes.submit(tasks.niceness, owner="ada", title="Niceness")
    processes.wait(job_id, 30)
    assert processes.result(job_id) == max(BACKGROUND_NICENESS, os.nice(0))
    assert processes.call(tasks.niceness) == os.nice(0)


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="this system has no class of threads for free cores only")
def test_jobs_run_on_cores_that_nobody_else_wants(processes: Engine) -> None:
    job_id = processes.submit(tasks.runs_only_on_free_cores, owner="ada", title="Scheduling")
    processes.wait(job_id, 30)
    assert processes.result(job_id) is True
    assert processes.call(tasks.runs_only_on_free_cores) is False


# Workers that die


def test_worker_killed_in_a_call_is_reported_and_the_next_call_works(processes: Engine, tmp_path: Path) -> None:
    notes = tmp_path / "pid"
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(processes.call, tasks.note_and_sleep, str(notes), 300.0, timeout_s=300.0)
        assert wait_until(lambda: notes.exists() and notes.read_text().endswith("\n"), 60)
        victim = int(notes.read_text())
        time.sleep(0.3)
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(WorkerLost, match="process that ran note_and_sleep ended unexpectedly: it was killed"):
            call.result(60)
    assert processes.call(tasks.process_id) != victim


def test_worker_killed_while_idle_is_not_noticed(processes: Engine) -> None:
    victim = processes.call(tasks.process_id)
    os.kill(victim, signal.SIGKILL)
    assert processes.call(tasks.process_id) != victim


def test_worker_killed_in_a_job_is_reported_and_the_job_is_not_run_again(processes: Engine, tmp_path: Path) -> None:
    notes = tmp_path / "pids"
    job_id = processes.submit(tasks.note_and_sleep, str(notes), 300.0, owner="ada", title="Victim")
    wait_for_state(processes, job_id, "running")
    assert wait_until(lambda: notes.exists() and notes.read_text().endswith("\n"), 60)
    os.kill(int(notes.read_text()), signal.SIGKILL)
    failed = wait_for_state(processes, job_id, "failed")
    assert failed.error is not None and failed.error.startswith("The worker process that ran note_and_sleep ended")
    following = processes.submit(tasks.add, 2, 2, owner="ada", title="Next")
    assert processes.wait(following, 30).state == "done"
    assert len(notes.read_text().split()) == 1


# The engine itself


def test_engine_describes_itself(processes: Engine) -> None:
    assert processes.call(tasks.add, 1, 1) == 2
    info = processes.describe()
    assert info.ready and info.trouble is None and info.jobs_running == info.jobs_waiting == 0
    assert info.address.startswith("tls://127.0.0.1:" if info.kind == "embedded" else "tcp://127.0.0.1:")
    assert ("call",) in [worker.kinds for worker in info.workers]
