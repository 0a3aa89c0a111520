"""The book of jobs: bounds of its queue and of what it keeps, and the estimate of the time left."""

from __future__ import annotations

import time

import numpy as np
import pytest

from core.runtime import jobs as module
from core.runtime.jobs import EngineError, Job, JobBook, QueueFull, TaskFailed, new_job_id, result_of
from core.runtime.report import Progress
from core.runtime.settings import Settings
from core.runtime.worker import Outcome, Payload, Request
from tests.core.runtime.engine_tasks import add


def add_job(book: JobBook, owner: str = "ada", title: str = "Job") -> Job:
    return book.add(Request(new_job_id(), "job", f"{add.__module__}:add", Payload.of(((1, 2), {}))), owner, title)


def finish(book: JobBook, job: Job, nbytes: int = 0) -> None:
    book.take(job)
    book.started(job.id)
    book.finish(job, "done", outcome=Outcome("done", Payload.of(np.zeros(nbytes, np.uint8))))


@pytest.fixture
def book(tmp_path: object) -> JobBook:
    return JobBook(
        Settings(home=tmp_path, max_queued_jobs=3, max_jobs_per_owner=2, max_finished_jobs=4, max_result_bytes=1000)
    )  # type: ignore[arg-type]


def test_queue_is_first_in_first_out_and_bounded(book: JobBook) -> None:
    first, second, third = add_job(book, "a"), add_job(book, "b"), add_job(book, "c")
    with pytest.raises(QueueFull, match="3 jobs wait already"):
        add_job(book, "d")
    assert book.first_queued() is first
    book.take(first)
    assert book.first_queued() is second
    book.put_back(first)
    assert [book.view_of(job).queue_position for job in (first, second, third)] == [1, 2, 3]


def test_a_job_is_taken_once_and_not_after_it_was_cancelled(book: JobBook) -> None:
    first, second = add_job(book, "a"), add_job(book, "b")
    assert book.take(first) and not book.take(first)
    assert book.cancelling(second.id)
    assert not book.take(second)


def test_a_job_that_was_cancelled_is_not_put_back(book: JobBook) -> None:
    job = add_job(book)
    book.take(job)
    assert not book.cancelling(job.id)  # it has left the queue, and its worker is lost before it begins
    book.put_back(job)
    assert book.first_queued() is None and book.view_of(job).state == "cancelled"


def test_finished_jobs_do_not_count_against_their_owner(book: JobBook) -> None:
    for _ in range(5):
        finish(book, add_job(book))
    add_job(book)
    add_job(book)
    with pytest.raises(QueueFull, match="You already have 2 jobs"):
        add_job(book)


def test_oldest_results_go_when_they_hold_too_much_and_the_newest_always_stays(book: JobBook) -> None:
    small = [add_job(book) for _ in range(2)]
    for job in small:
        finish(book, job, 300)
    assert result_of(small[0]).nbytes == 300
    large = add_job(book, title="Large")
    finish(book, large, 5000)
    assert result_of(large).nbytes == 5000
    with pytest.raises(EngineError, match="The result of Job is no longer kept; please run it again."):
        result_of(small[0])
    assert [view.state for view in book.views("ada")] == ["done"] * 3


def test_number_and_age_of_finished_jobs_are_bounded(book: JobBook, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = []
    for _ in range(6):
        jobs.append(add_job(book))
        finish(book, jobs[-1])
    assert [view.id for view in book.views("ada")] == [job.id for job in jobs[:1:-1]]
    later_s = time.monotonic() + 7 * 3600
    monkeypatch.setattr(module.time, "monotonic", lambda: later_s)
    book.tidy()
    assert book.views("ada") == []


def test_time_left_follows_the_pace_of_the_fraction(book: JobBook, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now_s)
    job = add_job(book)
    book.take(job)
    assert book.view_of(job).elapsed_s == 0.0
    book.started(job.id)
    now_s = 1010.0  # ten seconds of loading before the first report do not count for the pace
    book.progress(job.id, Progress(fraction=0.0))
    assert book.view_of(job).remaining_s is None
    now_s = 1012.0
    book.progress(job.id, Progress(fraction=0.2))
    assert book.view_of(job).remaining_s == pytest.approx(8.0)
    now_s = 1013.0
    assert book.view_of(job).remaining_s == pytest.approx(7.0)
    assert book.view_of(job).elapsed_s == pytest.approx(13.0)
    now_s = 1050.0
    assert book.view_of(job).remaining_s == 0.0
    book.progress(job.id, Progress(fraction=0.1))  # a new phase begins
    assert book.view_of(job).remaining_s is None
    now_s = 1051.0
    book.progress(job.id, Progress(fraction=0.4))
    assert book.view_of(job).remaining_s == pytest.approx(2.0)
    book.finish(job, "done", outcome=Outcome("done"))
    assert book.view_of(job).remaining_s is None


def test_version_grows_with_every_change_and_only_then(book: JobBook) -> None:
    job, other = add_job(book), add_job(book)
    versions = [book.view_of(job).version]

    def changed() -> bool:
        versions.append(book.view_of(job).version)
        return versions[-1] > versions[-2]

    assert not changed()
    book.take(job)
    assert changed()
    book.started(job.id)
    assert changed()
    book.progress(job.id, Progress(message="Loading"))
    assert changed()
    book.preview(job.id, b"picture")
    assert changed()
    book.cancelling(other.id)
    assert not changed()
    book.finish(job, "cancelled")
    assert changed()
    book.finish(job, "done")
    book.progress(job.id, Progress(message="Too late"))
    assert not changed() and book.view_of(job).message == "Cancelled"


def test_forgetting_drops_finished_jobs_alone(book: JobBook) -> None:
    job = add_job(book)
    book.forget(job.id)
    assert book.view(job.id) is not None
    finish(book, job)
    book.forget(job.id)
    assert book.view(job.id) is None
    assert book.wait(lambda: book.view(job.id) is None, 0.1)


def test_task_failed_survives_pickling() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(TaskFailed("A sentence.", "ValueError", "Traceback")))  # noqa: S301 - made here
    assert (str(error), error.error_type, error.details) == ("A sentence.", "ValueError", "Traceback")
