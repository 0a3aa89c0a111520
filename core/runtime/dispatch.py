"""The engine: calls and jobs are handed to worker processes, one at a time each.

`Engine` decides who computes what. How a worker is reached, started and ended is the business of a
`core.runtime.workers.Workers`: Dask processes (`core.runtime.engine`) or threads (`core.runtime.inline`).
Since a worker never has more than one task of this engine, a call that runs into its time limit or a job
that does not heed its cancellation is ended by ending that worker's process, and nobody else's work is lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from core.runtime import jobs as job_records
from core.runtime.devices import DeviceReport
from core.runtime.jobs import CallTimedOut, EngineError, Job, JobBook, JobView, WorkerLost
from core.runtime.pool import START_LIMIT_S, Pool
from core.runtime.report import Preview, Progress
from core.runtime.settings import Settings
from core.runtime.worker import Outcome, Payload, Request, Task, task_name
from core.runtime.workers import EngineInfo, Kind, Run, Worker, Workers, fail

logger = logging.getLogger(__name__)

CANCEL_GRACE_S = 0.3  # then the worker of a job that does not heed its cancellation is ended
COLD_LOOK_S = 0.25
MAX_ATTEMPTS = 3  # handing over a task again whose worker was lost before it began
TIDY_EVERY_S = 5.0


class Engine:
    """Runs tasks in worker processes: short ones as calls, long ones as jobs.

    A task is a function at the top level of an importable module. See `call` and `submit`.
    """

    def __init__(self, workers: Workers, settings: Settings) -> None:
        """Start the workers in the background and return at once."""
        self._settings = settings
        self._workers = workers
        self._book = JobBook(settings)
        self._changed = threading.Condition(threading.RLock())
        self._pool = Pool(workers, settings)
        self._job_runs: dict[str, tuple[Worker, Run]] = {}
        self._devices: DeviceReport | None = None
        self._trouble: str | None = None
        self._closed = threading.Event()
        workers.start(self)
        threading.Thread(target=self._keep_tidy, name="engine-tidy", daemon=True).start()

    # Calls

    def call(self, task: Task, *args: Any, timeout_s: float = 20.0, **kwargs: Any) -> Any:
        """Run a short task and wait for its result.

        The time limit begins when a worker is there and warm; one that exceeds it is ended.

        Raises:
            CallTimedOut: it took longer than ``timeout_s``, or all workers were busy for so long.
            WorkerLost: the worker process ended while it computed.
            TaskFailed: the task raised an error; ``error_type`` names it.
            EngineError: no worker could be reached.
        """
        request = Request(job_records.new_job_id(), "call", task_name(task), Payload.of((args, kwargs)))
        for attempt in range(1, MAX_ATTEMPTS + 1):
            worker, run = self._acquire(request, timeout_s)
            try:
                outcome = self._wait_for(run, worker, timeout_s)
            except WorkerLost:
                if run.started.is_set() or attempt == MAX_ATTEMPTS:
                    raise
            else:
                if outcome.state == "done":
                    return outcome.value()
                raise job_records.task_failed(request, outcome)
            finally:
                self._release(worker)

    # Jobs

    def submit(self, task: Task, *args: Any, owner: str, title: str, **kwargs: Any) -> str:
        """Put a long task into the queue and return the job's id.

        A task that takes ``report`` (`core.runtime.report.Report`) is given one to report its progress with.

        Raises:
            QueueFull: too many jobs wait, or the owner has too many.
        """
        # Copied, so that the caller may go on changing its arrays while the job waits.
        arguments = Payload.of((args, kwargs)).copied()
        request = Request(job_records.new_job_id(), "job", task_name(task), arguments)
        job = self._book.add(request, owner, title)
        self._pump()
        return job.id

    def job(self, job_id: str, owner: str | None = None) -> JobView | None:
        """Return what is to be seen of a job, or None where there is none, or it is not this owner's."""
        return self._book.view(job_id, owner)

    def jobs(self, owner: str) -> list[JobView]:
        """Return an owner's jobs, the newest first."""
        return self._book.views(owner)

    def result(self, job_id: str, owner: str | None = None) -> Any:
        """Return the result of a finished job.

        Raises:
            TaskFailed: the task raised an error.
            EngineError: there is no result (yet), and why.
        """
        job = self._book.get(job_id, owner)
        if job is None:
            raise EngineError("There is no such job, or it has been forgotten.")
        return job_records.result_of(job)

    def wait(self, job_id: str, timeout_s: float = 3600.0) -> JobView:
        """Wait until a job has finished; for programs, not for pages.

        Raises:
            CallTimedOut: it has not finished within ``timeout_s``.
            EngineError: there is no such job.
        """
        job = self._book.get(job_id)
        if job is None:
            raise EngineError("There is no such job, or it has been forgotten.")
        if not self._book.wait(lambda: job.finished_at is not None, timeout_s):
            raise CallTimedOut(f"{job.title} has not finished within {timeout_s:g} s.")
        return self._book.view_of(job)

    def cancel(self, job_id: str, owner: str | None = None) -> None:
        """End a job within a second; returns at once, and does nothing to a job that has finished."""
        if self._book.get(job_id, owner) is None or self._book.cancelling(job_id):
            return
        threading.Thread(target=self._end_job, args=(job_id,), name="cancel-job", daemon=True).start()

    def forget(self, job_id: str, owner: str | None = None) -> None:
        """Drop a job and its result; one that still runs is cancelled."""
        if self._book.get(job_id, owner) is not None:
            self.cancel(job_id)
            self._book.forget(job_id)

    # The engine itself

    def warm_up(self, kind: Kind = "call") -> None:
        """Let workers import TensorFlow and Keras in the background; returns at once.

        Call workers are warmed now and after every restart. For ``"job"`` a worker is started if there is
        none: a page that offers a job may ask for it, so that the job begins sooner.
        """
        with self._changed:
            self._pool.warm_up(kind)

    def describe(self) -> EngineInfo:
        """Say what the engine is and does; never waits."""
        with self._changed:
            unfinished = self._book.unfinished()
            running = sum(job.state == "running" for job in unfinished)
            return EngineInfo(
                kind=self._workers.kind,
                address=self._workers.address,
                ready=self._pool.has("call"),
                workers=self._pool.infos(),
                jobs_waiting=len(unfinished) - running,
                jobs_running=running,
                devices=self._devices,
                trouble=self._trouble,
            )

    def close(self) -> None:
        """End all workers; what still ran is cancelled."""
        with self._changed:
            if self._closed.is_set():
                return
            self._closed.set()
            self._changed.notify_all()
        for job in self._book.unfinished():
            self._book.finish(job, "cancelled")
        self._workers.close()

    # What the workers tell

    def worker_added(self, worker_id: str, name: str, kinds: frozenset[Kind]) -> None:
        """Take note of a worker that can be given work."""
        with self._changed:
            self._pool.add(worker_id, name, kinds)
            self._changed.notify_all()
        self._pump()

    def worker_lost(self, worker_id: str) -> None:
        """Take note of a worker that is gone; what it ran has failed."""
        with self._changed:
            worker = self._pool.remove(worker_id)
            run = None if worker is None else worker.run
            self._changed.notify_all()
        if run is not None:
            fail(run, self._lost(run.request))
        self._pump()

    def event(self, event: Mapping[str, Any]) -> None:
        """Take note of an event that a task or a worker has sent."""
        subject, what = event["id"], event["event"]
        if what == "warm":
            self._warmed(subject, event["devices"])
        elif what == "started":
            with self._changed:
                worker = self._pool.ran_by(subject)
                if worker is not None and worker.run is not None:
                    worker.run.started.set()
            self._book.started(subject)
        elif what == "progress":
            news = Progress(event["fraction"], event["message"], tuple(event["metrics"]), event["preview"])
            self._book.progress(subject, news)

    def preview(self, job_id: str, preview: Preview) -> None:
        """Take note of a job's latest preview."""
        self._book.preview(job_id, preview)

    def beginning(self) -> None:
        """Take note that workers are about to be started or sought: none asked for before is on its way."""
        with self._changed:
            self._pool.start_afresh()

    def connected(self) -> None:
        """Take note that the workers have been started or found, for the first time or again."""
        with self._changed:
            self._trouble = None

    def trouble(self, sentence: str) -> None:
        """Take note that the workers cannot be reached."""
        with self._changed:
            self._trouble = sentence
            self._changed.notify_all()

    def _warmed(self, worker_id: str, devices: Mapping[str, Any]) -> None:
        with self._changed:
            self._pool.warmed(worker_id)
            if "error" in devices:
                logger.error("A worker could not load TensorFlow: %s", devices["error"])
            else:
                self._devices = DeviceReport(**devices)

    # Handing out work

    def _acquire(self, request: Request, timeout_s: float) -> tuple[Worker, Run]:
        """Wait for a free call worker and start a run on it."""
        began_s = time.monotonic()
        busy_since_s: float | None = None  # the time without any worker counts against another limit
        with self._changed:
            while True:
                if self._closed.is_set():
                    raise EngineError("The compute engine has been closed.")
                worker = self._pool.free("call")
                if worker is not None:
                    return worker, self._start(worker, request)
                now_s = time.monotonic()
                if self._pool.has("call"):
                    busy_since_s = now_s if busy_since_s is None else busy_since_s
                    left_s = busy_since_s + timeout_s - now_s
                    trouble: EngineError = CallTimedOut(
                        f"All workers were busy for {timeout_s:g} s; please try again in a moment."
                    )
                else:
                    if self._trouble is not None:
                        raise EngineError(self._trouble)
                    busy_since_s = None
                    left_s = began_s + START_LIMIT_S - now_s
                    trouble = EngineError(f"No worker for calls has started within {START_LIMIT_S:g} s.")
                if left_s <= 0:
                    raise trouble
                self._changed.wait(left_s)

    def _wait_for(self, run: Run, worker: Worker, timeout_s: float) -> Outcome:
        """Wait for the outcome of a call within its limit, which begins when the worker is warm."""
        began_s = time.monotonic()
        until_s = began_s + timeout_s
        while True:
            with self._changed:
                cold = self._pool.is_cold(worker) and time.monotonic() < began_s + START_LIMIT_S
            try:
                return run.outcome.result(COLD_LOOK_S if cold else until_s - time.monotonic())
            except TimeoutError:
                if cold:
                    until_s = time.monotonic() + timeout_s
                elif time.monotonic() >= until_s and not run.outcome.done():
                    self._end_run(run, worker)
                    raise CallTimedOut(
                        f"{run.request.name} took longer than {timeout_s:g} s and was stopped."
                    ) from None

    def _start(self, worker: Worker, request: Request) -> Run:
        run = Run(request)
        worker.run, worker.used = run, True
        self._workers.run(worker.id, run)
        return run

    def _release(self, worker: Worker) -> None:
        with self._changed:
            self._pool.release(worker)
            self._changed.notify_all()
        self._pump()

    def _pump(self) -> None:
        """Hand queued jobs to free job workers, and ask for a worker where one is missing."""
        with self._changed:
            while not self._closed.is_set() and (job := self._book.first_queued()) is not None:
                worker = self._pool.free("job")
                if worker is None:
                    # No more than there are jobs: each worker has TensorFlow of its own in its memory.
                    self._pool.grow("job", min(self._settings.job_workers, len(self._book.unfinished())))
                    return
                request = job.request
                if not self._book.take(job) or request is None:  # cancelled meanwhile
                    continue
                run = self._start(worker, request)
                self._job_runs[job.id] = (worker, run)
                follow = threading.Thread(target=self._follow, args=(job, worker, run), name="follow-job", daemon=True)
                follow.start()

    def _follow(self, job: Job, worker: Worker, run: Run) -> None:
        """Wait for the end of a job and note it."""
        try:
            outcome = run.outcome.result()
        except EngineError as error:
            if job.cancelling:
                self._book.finish(job, "cancelled")
            elif isinstance(error, WorkerLost) and not run.started.is_set() and job.attempts < MAX_ATTEMPTS:
                job.attempts += 1
                self._book.put_back(job)
            else:
                self._book.finish(job, "failed", error)
        else:
            if outcome.progress is not None:
                self._book.progress(job.id, outcome.progress)
            if outcome.preview is not None:
                self._book.preview(job.id, outcome.preview)
            if outcome.state == "failed":
                self._book.finish(job, "failed", job_records.task_failed(run.request, outcome))
            else:
                self._book.finish(job, outcome.state, outcome=outcome)
        finally:
            with self._changed:
                self._job_runs.pop(job.id, None)
            self._release(worker)

    def _end_job(self, job_id: str) -> None:
        """Ask a job to end, and end its worker if it does not within the grace time."""
        with self._changed:
            worker, run = self._job_runs.get(job_id, (None, None))
        if worker is None or run is None:
            return
        self._workers.cancel(worker.id, job_id)
        try:
            run.outcome.result(CANCEL_GRACE_S)
        except TimeoutError:
            self._end_run(run, worker)
        except EngineError:
            return

    def _end_run(self, run: Run, worker: Worker) -> None:
        if not run.started.is_set() and self._workers.kind == "cluster":
            # Somebody else's task keeps the worker busy, and it is not ours to end.
            self._workers.abandon(run)
            return
        with self._changed:
            if worker.run is run and not run.outcome.done():  # else the worker may be at work for somebody else
                self._pool.end(worker)

    def _lost(self, request: Request) -> WorkerLost:
        gigabytes = self._settings.worker_memory_limit_bytes / 1e9
        return WorkerLost(
            f"The worker process that ran {request.name} ended unexpectedly: it was killed, or needed more "
            f"memory than its limit of {gigabytes:.1f} GB. A new one is being started; please try again."
        )

    # Housekeeping

    def _keep_tidy(self) -> None:
        while not self._closed.wait(TIDY_EVERY_S):
            try:
                self._tidy(time.monotonic())
            except Exception:
                logger.exception("Tidying the engine failed")

    def _tidy(self, now_s: float) -> None:
        """Drop old jobs; let idle job workers go; replace idle workers that hold much memory."""
        self._book.tidy()
        memory = self._workers.memory_bytes()
        with self._changed:
            self._pool.tidy(memory, now_s)
            self._changed.notify_all()
        self._pump()
