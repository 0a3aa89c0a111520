"""What stands between the engine and its workers: the records and the two interfaces.

An engine (`core.runtime.dispatch`) hands a `Run` to a worker through `Workers` and hears of it through
`Listener`, whether the workers are Dask processes (`core.runtime.engine`) or threads (`core.runtime.inline`).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from core.runtime.devices import DeviceReport
from core.runtime.jobs import EngineError
from core.runtime.report import Preview
from core.runtime.worker import Outcome, Request

Kind = Literal["call", "job"]
EngineKind = Literal["embedded", "cluster", "inline"]


@dataclass
class Run:
    """One task on its way through a worker."""

    request: Request
    outcome: Future[Outcome] = field(default_factory=Future)
    started: threading.Event = field(default_factory=threading.Event)


@dataclass
class Worker:
    """A worker process as the engine knows it; changed under the engine's lock only."""

    id: str
    name: str
    kinds: frozenset[Kind]
    run: Run | None = None
    leaving: bool = False  # is being ended: no more work for it
    replaced: bool = False  # ends when it is idle and its successor is warm
    used: bool = False
    warming: bool = False
    warm: bool = False
    idle_since_s: float = field(default_factory=time.monotonic)
    memory_bytes: int = 0
    fresh_bytes: int = 0  # its memory when it was first looked at; -1 if it was just loading then


@dataclass(frozen=True)
class WorkerInfo:
    """What `Engine.describe` says of one worker."""

    name: str
    kinds: tuple[Kind, ...]
    busy: bool
    warm: bool
    memory_bytes: int


@dataclass(frozen=True)
class EngineInfo:
    """What the engine is and does at one moment.

    ``devices`` is None until a worker has warmed up; ``trouble`` is a sentence while the workers cannot be
    reached.
    """

    kind: EngineKind
    address: str
    ready: bool
    workers: tuple[WorkerInfo, ...]
    jobs_waiting: int
    jobs_running: int
    devices: DeviceReport | None
    trouble: str | None


class Listener(Protocol):
    """What an engine wants to hear from its workers, on any thread."""

    def worker_added(self, worker_id: str, name: str, kinds: frozenset[Kind]) -> None:
        """Take note of a worker that can be given work."""

    def worker_lost(self, worker_id: str) -> None:
        """Take note of a worker that is gone."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Take note of an event that a task or a worker has sent."""

    def preview(self, job_id: str, preview: Preview) -> None:
        """Take note of a job's latest preview."""

    def beginning(self) -> None:
        """Take note that workers are about to be started or sought, for the first time or again."""

    def connected(self) -> None:
        """Take note that the workers have been started or found; each is told of by itself."""

    def trouble(self, sentence: str) -> None:
        """Take note that the workers cannot be reached."""


class Workers(Protocol):
    """How worker processes are started, reached and ended."""

    kind: EngineKind
    address: str

    def start(self, listener: Listener) -> None:
        """Begin to start or to find workers and return at once."""

    def run(self, worker_id: str, run: Run) -> None:
        """Hand a task to a worker; the outcome of the run is set when it has ended or its worker is lost."""

    def cancel(self, worker_id: str, job_id: str) -> None:
        """Ask a job to end."""

    def abandon(self, run: Run) -> None:
        """Take back a task that its worker has not begun."""

    def end(self, worker_id: str) -> None:
        """End a worker's process at once; another one starts in its place."""

    def grow(self, kind: Kind) -> bool:
        """Start one more worker of a kind; return False where the workers are not ours to start."""

    def retire(self, worker_id: str) -> bool:
        """End an idle worker for good; return False where the workers are not ours to end."""

    def make_template(self) -> bool:
        """Let later workers begin with TensorFlow loaded; False where they cannot, or already do."""

    def warm(self, worker_id: str) -> None:
        """Let a worker import TensorFlow and Keras in the background."""

    def memory_bytes(self) -> Mapping[str, int]:
        """Return the resident memory of each worker."""

    def close(self) -> None:
        """End everything that was started."""


def fail(run: Run, error: EngineError) -> None:
    """Set the outcome of a run to an error, unless it has one already."""
    with contextlib.suppress(InvalidStateError):
        run.outcome.set_exception(error)
