"""The engine without worker processes: tasks run in threads of this process, for tests and scripts.

Everything behaves as with processes (queue, progress, cancellation, arguments that are copied), except that
a thread cannot be ended: a task that never reports goes on in the background after its job was cancelled.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.runtime.dispatch import Engine
from core.runtime.jobs import EngineError, WorkerLost
from core.runtime.settings import Settings
from core.runtime.settings import settings as environment_settings
from core.runtime.worker import cancel, execute, latest_preview
from core.runtime.workers import EngineKind, Kind, Listener, Run, fail


class InlineEngine(Engine):
    """An `Engine` whose workers are threads."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Take the settings of the environment where none are given."""
        settings = settings or environment_settings()
        super().__init__(ThreadWorkers(settings.call_workers, settings.job_workers), settings)

    def warm_up(self, kind: Kind = "call") -> None:
        """Do nothing: a test imports TensorFlow when it needs it."""


class ThreadWorkers:
    """Workers (see `core.runtime.workers`) that are threads."""

    kind: EngineKind = "inline"
    address = "inline"

    def __init__(self, calls: int, jobs: int) -> None:
        """Take how many workers there are for calls and for jobs."""
        self._counts: dict[Kind, int] = {"call": calls, "job": jobs}
        self._numbers = itertools.count()
        self._runs: dict[str, Run] = {}

    def start(self, listener: Listener) -> None:
        """Announce all workers."""
        self._listener = listener
        listener.beginning()
        for kind, count in self._counts.items():
            for _ in range(count):
                self._add(kind)

    def run(self, worker_id: str, run: Run) -> None:
        """Run a task in a new thread."""
        self._runs[worker_id] = run
        threading.Thread(target=self._run, args=(run,), name=worker_id, daemon=True).start()

    def cancel(self, worker_id: str, job_id: str) -> None:
        """Ask a job to end."""
        cancel(job_id)

    def abandon(self, run: Run) -> None:
        """Give a task up."""
        fail(run, EngineError(f"{run.request.name} was taken back."))

    def end(self, worker_id: str) -> None:
        """Leave the thread to itself and put another worker in its place."""
        run = self._runs.pop(worker_id)
        self._listener.worker_lost(worker_id)
        fail(run, WorkerLost(f"{run.request.name} was left to itself."))
        self._add(run.request.kind)

    def grow(self, kind: Kind) -> bool:
        """There are no further workers."""
        return False

    def retire(self, worker_id: str) -> bool:
        """Idle threads need nothing."""
        return False

    def make_template(self) -> bool:
        """Threads share what this process has imported."""
        return False

    def warm(self, worker_id: str) -> None:
        """Threads share what this process has imported."""

    def memory_bytes(self) -> Mapping[str, int]:
        """Threads have no memory of their own."""
        return {}

    def close(self) -> None:
        """Ask what still runs to end."""
        for run in self._runs.values():
            cancel(run.request.id)

    def _add(self, kind: Kind) -> None:
        name = f"{kind}-{next(self._numbers)}"
        self._listener.worker_added(name, name, frozenset([kind]))

    def _run(self, run: Run) -> None:
        def send(event: dict[str, Any]) -> None:
            if event.get("preview") and (preview := latest_preview(run.request.id)) is not None:
                self._listener.preview(run.request.id, preview)
            self._listener.event(event)

        # As between processes, the task gets arrays of its own.
        request = replace(run.request, arguments=run.request.arguments.copied())
        outcome = execute(request, send)
        if not run.outcome.done():
            run.outcome.set_result(outcome)
