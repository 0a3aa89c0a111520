"""Jobs: long work that belongs to an owner, waits in a bounded queue and is looked at from the pages.

`JobBook` keeps the records: who may see them, which is next, what was reported, which results are still
held. It starts nothing itself; `core.runtime.dispatch` moves jobs through their states:
queued, running, then done, failed or cancelled. The errors of the engine are defined here too.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from core.runtime.report import JobCancelled, MetricHistory, Metrics, Preview, Progress, Report
from core.runtime.settings import Settings
from core.runtime.worker import Outcome, Request

__all__ = [
    "CallTimedOut",
    "EngineError",
    "JobBook",
    "JobCancelled",
    "JobState",
    "JobView",
    "QueueFull",
    "Report",
    "TaskFailed",
    "WorkerLost",
]

logger = logging.getLogger(__name__)

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
MAX_POINTS = 5000


class EngineError(RuntimeError):
    """Something that was to be computed was not; its text is a sentence that a person can read."""


class CallTimedOut(EngineError):
    """A call took longer than it was given."""


class WorkerLost(EngineError):
    """The worker process ended while it computed."""


class QueueFull(EngineError):
    """No further job is accepted for now."""


class TaskFailed(EngineError):
    """The task itself raised an error.

    ``error_type`` is the name of that error's class and ``details`` its traceback in the worker.
    """

    def __init__(self, message: str, error_type: str = "", details: str = "") -> None:
        """Take the sentence to show, the name of the original error and its traceback."""
        super().__init__(message)
        self.message = message
        self.error_type = error_type
        self.details = details

    def __reduce__(self) -> tuple[type[TaskFailed], tuple[str, str, str]]:
        """Pickle with all three parts."""
        return type(self), (self.message, self.error_type, self.details)


@dataclass(frozen=True)
class JobView:
    """What a page sees of a job at one moment.

    ``fraction`` runs from 0 to 1, ``queue_position`` counts from 1 (next) and is None once the job runs.
    ``metrics`` is the history of what was reported, oldest first, and ``preview`` the latest picture.
    ``version`` grows with every change, so that a view is drawn again only when there is something new;
    ``elapsed_s`` and ``remaining_s`` pass by themselves.
    """

    id: str
    title: str
    owner: str
    state: JobState
    fraction: float | None
    message: str
    metrics: tuple[Metrics, ...]
    preview: Preview | None
    queue_position: int | None
    submitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    elapsed_s: float
    remaining_s: float | None
    error: str | None
    version: int

    @property
    def finished(self) -> bool:
        """Whether the job has reached its last state."""
        return self.state in ("done", "failed", "cancelled")


@dataclass
class Job:
    """The record of one job; changed under the lock of its book only."""

    id: str
    title: str
    owner: str
    request: Request | None  # dropped when the job has finished: it may hold large arrays
    state: JobState = "queued"
    cancelling: bool = False
    attempts: int = 0  # how often a worker was lost before it began
    fraction: float | None = None
    message: str = ""
    history: MetricHistory = field(default_factory=lambda: MetricHistory(MAX_POINTS))
    points: tuple[Metrics, ...] = ()
    preview: Preview | None = None
    submitted_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: datetime | None = None
    finished_at: datetime | None = None
    started_s: float = 0.0  # monotonic clock, as are all of the *_s below
    finished_s: float = 0.0
    pace_from: tuple[float, float] | None = None  # (time, fraction) of the first report of the present run
    pace_to: tuple[float, float] | None = None
    error: EngineError | None = None
    outcome: Outcome | None = None
    version: int = 1

    def remaining_s(self, now: float) -> float | None:
        """Estimate the time left from the pace between the first and the latest reported fraction."""
        if self.state != "running" or self.pace_from is None or self.pace_to is None:
            return None
        (start_s, start), (latest_s, latest) = self.pace_from, self.pace_to
        if latest <= start or latest_s <= start_s:
            return None
        total_left = (1.0 - latest) * (latest_s - start_s) / (latest - start)
        return max(0.0, total_left - (now - latest_s))


class JobBook:
    """All jobs of one engine; every method may be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        """Keep jobs within the bounds of the settings."""
        self._settings = settings
        self._changed = threading.Condition(threading.RLock())
        self._jobs: dict[str, Job] = {}  # in the order of their submission
        self._queue: list[Job] = []

    def add(self, request: Request, owner: str, title: str) -> Job:
        """Put a new job at the end of the queue.

        Raises:
            QueueFull: as many jobs wait as may wait, or the owner has as many as one owner may have.
        """
        with self._changed:
            waiting = len(self._queue)
            if waiting >= self._settings.max_queued_jobs:
                raise QueueFull(f"{_jobs_wait(waiting)} already; please try again when one has finished.")
            theirs = sum(job.owner == owner and job.finished_at is None for job in self._jobs.values())
            if theirs >= self._settings.max_jobs_per_owner:
                raise QueueFull(
                    f"You already have {theirs} jobs running or waiting "
                    f"({_jobs_wait(waiting).lower()} in all); please wait for one of them or cancel it."
                )
            job = Job(id=request.id, title=title, owner=owner, request=request)
            self._jobs[job.id] = job
            self._queue.append(job)
            return job

    def first_queued(self) -> Job | None:
        """Return the job that is next, which stays in the queue."""
        with self._changed:
            return self._queue[0] if self._queue else None

    def take(self, job: Job) -> bool:
        """Take a job out of the queue, to be handed to a worker; False if it is not there any more."""
        with self._changed:
            if job not in self._queue:
                return False
            self._queue.remove(job)
            self._touch(job, *self._queue)
            return True

    def put_back(self, job: Job) -> None:
        """Make a job the next one again: its worker was lost before the job began. One that is cancelled has ended."""
        with self._changed:
            if job.cancelling or job.finished_at is not None:
                self.finish(job, "cancelled")
                return
            self._queue.insert(0, job)
            self._touch(*self._queue)

    def started(self, job_id: str) -> None:
        """Note that a worker has begun a job."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is not None and job.state == "queued":
                job.state, job.started_at, job.started_s = "running", datetime.now(UTC), time.monotonic()
                self._touch(job)

    def progress(self, job_id: str, news: Progress) -> None:
        """Note what a task reported."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is None or job.finished_at is not None:
                return
            job.message = news.message or job.message
            if news.fraction is not None and news.fraction != job.fraction:
                now = (time.monotonic(), news.fraction)
                if job.pace_from is None or news.fraction < (job.fraction or 0.0):
                    job.pace_from = now
                job.fraction, job.pace_to = news.fraction, now
            if news.metrics:
                job.history.extend(news.metrics)
                job.points = job.history.points()
            self._touch(job)

    def preview(self, job_id: str, preview: Preview) -> None:
        """Replace the preview of a job."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is not None:
                job.preview = preview
                self._touch(job)

    def cancelling(self, job_id: str) -> bool:
        """Note that a job is to end; return whether it left the queue and has thereby ended."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is None or job.finished_at is not None:
                return False
            job.cancelling = True
            if job in self._queue:
                self.take(job)
                self.finish(job, "cancelled")
                return True
            job.message = "Cancelling"
            self._touch(job)
            return False

    def finish(
        self, job: Job, state: JobState, error: EngineError | None = None, outcome: Outcome | None = None
    ) -> None:
        """Note the last state of a job; the second time for the same job does nothing."""
        with self._changed:
            if job.finished_at is not None:
                return
            job.state, job.error, job.outcome, job.request = state, error, outcome, None
            job.finished_at, job.finished_s = datetime.now(UTC), time.monotonic()
            if state == "done":
                job.fraction = 1.0
            elif state == "cancelled":
                job.message = "Cancelled"
            self._touch(job)
            self.tidy()

    def get(self, job_id: str, owner: str | None = None) -> Job | None:
        """Return the record of a job, or None where there is none that this owner may see."""
        with self._changed:
            job = self._jobs.get(job_id)
            return job if job is not None and owner in (None, job.owner) else None

    def view(self, job_id: str, owner: str | None = None) -> JobView | None:
        """Return what a page sees of a job."""
        with self._changed:
            job = self.get(job_id, owner)
            return None if job is None else self._view(job)

    def view_of(self, job: Job) -> JobView:
        """Return what is to be seen of a job whose record is at hand."""
        with self._changed:
            return self._view(job)

    def views(self, owner: str) -> list[JobView]:
        """Return an owner's jobs, the newest first."""
        with self._changed:
            return [self._view(job) for job in reversed(self._jobs.values()) if job.owner == owner]

    def unfinished(self) -> list[Job]:
        """Return the jobs that wait or run."""
        with self._changed:
            return [job for job in self._jobs.values() if job.finished_at is None]

    def forget(self, job_id: str) -> None:
        """Drop the record of a finished job with its result."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is not None and job.finished_at is not None:
                del self._jobs[job_id]
                self._changed.notify_all()

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a condition on the book holds, looked at after every change."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)

    def tidy(self) -> None:
        """Drop finished jobs beyond their number and age, and the oldest results beyond their bytes."""
        with self._changed:
            finished = [job for job in self._jobs.values() if job.finished_at is not None]
            finished.sort(key=lambda job: job.finished_s, reverse=True)
            oldest = time.monotonic() - self._settings.finished_job_age_s
            held = 0
            for place, job in enumerate(finished):
                if place >= self._settings.max_finished_jobs or job.finished_s < oldest:
                    del self._jobs[job.id]
                elif job.outcome is not None:
                    held += job.outcome.nbytes
                    if held > self._settings.max_result_bytes and place > 0:
                        job.outcome = None

    def _view(self, job: Job) -> JobView:
        now = time.monotonic()
        until = now if job.finished_at is None else job.finished_s
        waiting = job.state == "queued"
        return JobView(
            id=job.id,
            title=job.title,
            owner=job.owner,
            state=job.state,
            fraction=job.fraction,
            message=job.message,
            metrics=job.points,
            preview=job.preview,
            queue_position=(self._queue.index(job) + 1 if job in self._queue else 1) if waiting else None,
            submitted_at=job.submitted_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            elapsed_s=until - job.started_s if job.started_at is not None else 0.0,
            remaining_s=job.remaining_s(now),
            error=None if job.error is None else str(job.error),
            version=job.version,
        )

    def _touch(self, *jobs: Job) -> None:
        for job in jobs:
            job.version += 1
        self._changed.notify_all()


def new_job_id() -> str:
    """Make an identifier that cannot be guessed."""
    return uuid.uuid4().hex


def brief(error: BaseException) -> str:
    """Name an error in one line, for those who look after the machine.

    >>> brief(OSError("no route to host"))
    'OSError: no route to host'
    """
    return f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(".: ")


def task_failed(request: Request, outcome: Outcome) -> TaskFailed:
    """Make the error that stands for a failed outcome, and leave its traceback in the log."""
    level = logging.DEBUG if outcome.expected else logging.WARNING
    logger.log(level, "%s failed in a worker:\n%s", request.task, outcome.details)
    return TaskFailed(outcome.error, outcome.error_type, outcome.details)


def result_of(job: Job) -> Any:
    """Return a copy of the result of a job.

    Raises:
        EngineError: there is none, and why.
    """
    if job.error is not None:
        raise job.error
    if job.state == "cancelled":
        raise EngineError(f"{job.title} was cancelled.")
    if job.state != "done":
        raise EngineError(f"{job.title} has not finished yet.")
    if job.outcome is None:
        raise EngineError(f"The result of {job.title} is no longer kept; please run it again.")
    return job.outcome.copied_value()


def _jobs_wait(count: int) -> str:
    return {0: "No job waits", 1: "1 job waits"}.get(count, f"{count} jobs wait")
