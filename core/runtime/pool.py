"""The workers of an engine: which there are, which is free, which are to be started, warmed or let go.

A worker is for calls, for jobs or for both. The pool keeps as many call workers as the settings want, starts
job workers when they are needed and lets them go when they are not, and replaces what has grown too large.
Workers that serve both kinds belong to a cluster without resources; one of them is kept free of jobs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from core.runtime.settings import Settings
from core.runtime.workers import Kind, Worker, WorkerInfo, Workers

START_LIMIT_S = 90.0  # starting a worker on a loaded machine, importing TensorFlow there
RECYCLE_AFTER_S = 20.0  # idle time after which a worker that holds much memory is replaced
REFRESH_AFTER_S = 120.0  # and one that has grown by more than this:
GROWN_BYTES = 100 * 2**20


class Pool:
    """The workers of an engine; it is used under the engine's lock only."""

    def __init__(self, workers: Workers, settings: Settings) -> None:
        """Begin without workers; the first call worker starts by itself."""
        self._workers = workers
        self._settings = settings
        self._known: dict[str, Worker] = {}
        self._growing: dict[Kind, list[float]] = {"call": [time.monotonic()], "job": []}  # when asked for
        self._keep_warm = False  # call workers, also after a restart
        self._warm_next_job_worker = False

    def add(self, worker_id: str, name: str, kinds: frozenset[Kind]) -> None:
        """Take note of a worker that has started."""
        if worker_id in self._known:
            return
        worker = self._known[worker_id] = Worker(worker_id, name, kinds)
        for kind in kinds:
            del self._growing[kind][:1]
        if ("call" in kinds and self._keep_warm) or ("job" in kinds and self._warm_next_job_worker):
            self._warm([worker])
        self._warm_next_job_worker &= "job" not in kinds
        self.settle()

    def remove(self, worker_id: str) -> Worker | None:
        """Take note of a worker that is gone, and return it."""
        worker = self._known.pop(worker_id, None)
        if worker is not None and not worker.leaving:
            self._comes_back(worker)
        return worker

    def end(self, worker: Worker) -> None:
        """End a worker's process with what it runs; its nanny starts another."""
        if not worker.leaving:
            worker.leaving = True
            self._comes_back(worker)
            self._workers.end(worker.id)

    def start_afresh(self) -> None:
        """Forget what was asked for: the workers are about to be started or sought anew."""
        self._growing = {"call": [time.monotonic()], "job": []}

    def ran_by(self, run_id: str) -> Worker | None:
        """Return the worker that runs a task."""
        return next((w for w in self._known.values() if w.run and w.run.request.id == run_id), None)

    def has(self, kind: Kind) -> bool:
        """Say whether there is a worker for a kind of work, free or busy."""
        return any(kind in worker.kinds and not worker.leaving for worker in self._known.values())

    def free(self, kind: Kind) -> Worker | None:
        """Return a free worker for a kind of work; one that serves nothing else comes first, then warm and used ones.

        Those have loaded what tasks need; one that stays idle beside them goes again.
        """
        if kind == "job" and self._workers.kind != "cluster" and self._on_jobs() >= self._settings.job_workers:
            return None  # a worker too many, which came after it had been given up, is no further place
        able = [worker for worker in self._known.values() if kind in worker.kinds and not worker.leaving]
        if kind == "job" and len(able) > 1 and all("call" in worker.kinds for worker in able):
            # All serve both: one stays free of jobs, so that a call never waits for a job.
            if self._on_jobs() >= len(able) - 1 and not any(w.kinds == {"call"} for w in self._known.values()):
                return None
        free = [worker for worker in able if worker.run is None]
        return min(free, key=lambda w: (len(w.kinds), not w.warm, not w.used, w.name), default=None)

    def is_cold(self, worker: Worker) -> bool:
        """Say whether TensorFlow is still being loaded, so that a call's time limit has not begun."""
        if worker.warming:
            return True
        return worker.replaced and not worker.warm and not any(w.warm for w in self._known.values())

    def release(self, worker: Worker) -> None:
        """Take note that a worker has nothing to do any more."""
        worker.run, worker.idle_since_s = None, time.monotonic()
        self.settle()

    def warm_up(self, kind: Kind) -> None:
        """Load TensorFlow in all workers for a kind of work; start a job worker if there is none."""
        self._keep_warm |= kind == "call"
        able = [worker for worker in self._known.values() if kind in worker.kinds and not worker.leaving]
        if able:
            self._warm(able)
        elif kind == "job":
            self._warm_next_job_worker = True
            self.grow("job", wanted=1)

    def warmed(self, worker_id: str) -> None:
        """Take note that a worker has loaded TensorFlow."""
        worker = self._known.get(worker_id)
        if worker is not None:
            worker.warming, worker.warm = False, True
            self.settle()

    def grow(self, kind: Kind, wanted: int) -> None:
        """Ask for as many workers of a kind as are missing and not on their way."""
        growing = self._growing[kind]
        present = sum(kind in w.kinds and not (w.leaving or w.replaced) for w in self._known.values())
        while present + len(growing) < wanted and self._workers.grow(kind):
            growing.append(time.monotonic())

    def settle(self) -> None:
        """Have as many call workers as are wanted, and let idle ones go that are replaced or too many.

        Job workers start when there are jobs; here idle ones beyond their number are let go.
        """
        wanted = self._settings.call_workers
        self.grow("call", wanted)
        calls = [w for w in self._known.values() if w.kinds == {"call"} and not w.leaving]
        good = [w for w in calls if not w.replaced and (w.warm or not self._keep_warm)]
        if len(good) >= wanted:
            for worker in calls:
                if worker.run is None and worker not in good[:wanted]:
                    worker.leaving = self._workers.retire(worker.id)
        jobs = [w for w in self._known.values() if w.kinds == {"job"} and not w.leaving]
        idle = sorted((worker for worker in jobs if worker.run is None), key=lambda worker: worker.warm)
        for worker in idle[: max(0, len(jobs) - self._settings.job_workers)]:
            worker.leaving = self._workers.retire(worker.id)

    def tidy(self, memory_bytes: Mapping[str, int], now_s: float) -> None:
        """Let idle job workers go, replace idle call workers that hold much memory."""
        for growing in self._growing.values():
            growing[:] = [asked_s for asked_s in growing if now_s - asked_s < START_LIMIT_S]
        for worker in list(self._known.values()):
            worker.memory_bytes = memory_bytes.get(worker.id, worker.memory_bytes)
            worker.fresh_bytes = worker.fresh_bytes or (-1 if worker.warming else worker.memory_bytes)
            if worker.run is None and not (worker.leaving or worker.warming):
                self._tidy_idle(worker, now_s - worker.idle_since_s)
        self.settle()

    def infos(self) -> tuple[WorkerInfo, ...]:
        """Describe the workers."""
        return tuple(
            WorkerInfo(w.name, tuple(sorted(w.kinds)), w.run is not None, w.warm, w.memory_bytes)
            for w in self._known.values()
        )

    def _warm(self, workers: list[Worker]) -> None:
        # Call workers are replaced by some that are born warm, where that is possible.
        if self._workers.make_template():
            for worker in self._known.values():
                worker.replaced |= worker.kinds == {"call"}
            self.settle()
        for worker in workers:
            if not (worker.warm or worker.warming or worker.replaced):
                worker.warming = True
                self._workers.warm(worker.id)

    def _on_jobs(self) -> int:
        """Count the workers that are at work on a job, those that are being ended among them."""
        return sum(w.run is not None and w.run.request.kind == "job" for w in self._known.values())

    def _comes_back(self, worker: Worker) -> None:
        for kind in worker.kinds:
            self._growing[kind].append(time.monotonic())

    def _tidy_idle(self, worker: Worker, idle_s: float) -> None:
        if worker.kinds == {"job"} and idle_s > self._settings.job_worker_idle_s:
            worker.leaving = self._workers.retire(worker.id)
        if worker.leaving or not worker.used:
            return
        large = worker.memory_bytes > self._settings.worker_recycle_bytes and idle_s > RECYCLE_AFTER_S
        grown = 0 < worker.fresh_bytes < worker.memory_bytes - GROWN_BYTES and idle_s > REFRESH_AFTER_S
        if large and self._workers.kind == "cluster":
            self.end(worker)
        elif worker.kinds == {"job"} and (large or grown):
            worker.leaving = self._workers.retire(worker.id)  # the next job has another started
        elif large or grown:
            worker.replaced = True  # ends as soon as its successor is there
