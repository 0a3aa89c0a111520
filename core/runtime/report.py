"""How a long task tells what it is doing: fraction, message, metrics and preview, coalesced.

A task calls its ``report`` as often as it likes. What it says is gathered and leaves the process at most
every ``INTERVAL_S``; of fraction, message and preview only the latest counts, while metrics form a history.
A history is bounded: when it is full every second point goes, and later points are taken at the new, wider
step, so that a curve of a million steps keeps its shape. Metrics reported under different names (a loss for
each batch, an accuracy for each epoch) are thinned apart, so that the rare ones survive.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

INTERVAL_S = 0.05
MAX_PENDING_POINTS = 1000
MAX_PREVIEW_BYTES = 32 * 2**20

Metrics = Mapping[str, float]
Preview = bytes | NDArray[np.generic]


class JobCancelled(BaseException):
    """Raised inside a task by its report when the job was cancelled.

    Like ``asyncio.CancelledError`` it is no ``Exception``, so that a task that catches those still ends.
    """


@dataclass(frozen=True)
class Progress:
    """What a task said since the last time; ``preview`` counts the previews made so far."""

    fraction: float | None = None
    message: str = ""
    metrics: tuple[Metrics, ...] = ()
    preview: int = 0


class MetricHistory:
    """Points in the order of their arrival, thinned evenly when there are more than a limit.

    >>> history = MetricHistory(limit=4)
    >>> for step in range(9):
    ...     history.add({"step": step})
    >>> [int(point["step"]) for point in history.points()]
    [0, 4, 8]
    """

    def __init__(self, limit: int) -> None:
        """Keep at most about ``limit`` points of each set of names."""
        self._limit = limit
        self._series: dict[frozenset[str], _Series] = {}
        self._count = 0

    def add(self, point: Metrics) -> None:
        """Append one point."""
        names = frozenset(point)
        if names not in self._series and len(self._series) >= 16:
            names = frozenset()  # a task that invents names without end shares one series among them
        self._series.setdefault(names, _Series(self._limit)).add(self._count, point)
        self._count += 1

    def extend(self, points: Iterable[Metrics]) -> None:
        """Append several points."""
        for point in points:
            self.add(point)

    def points(self) -> tuple[Metrics, ...]:
        """Return the points that are kept, oldest first; the latest of each set of names is always there."""
        numbered = [pair for series in self._series.values() for pair in series.pairs()]
        return tuple(point for _, point in sorted(numbered, key=lambda pair: pair[0]))


@dataclass
class _Series:
    limit: int
    step: int = 1
    count: int = 0
    kept: list[tuple[int, Metrics]] = field(default_factory=list)
    latest: tuple[int, Metrics] | None = None

    def add(self, number: int, point: Metrics) -> None:
        if self.count % self.step == 0:
            self.kept.append((number, point))
            self.latest = None
        else:
            self.latest = (number, point)
        self.count += 1
        if len(self.kept) > self.limit:
            if len(self.kept) % 2 == 0:
                self.latest = self.kept[-1]
            self.kept = self.kept[::2]
            self.step *= 2

    def pairs(self) -> list[tuple[int, Metrics]]:
        return self.kept if self.latest is None else [*self.kept, self.latest]


class Report:
    """What a long task is given to report with; made without arguments it is silent.

    >>> report = Report()
    >>> report(0.5, "Half way", metrics={"loss": 0.1})
    >>> report.cancelled
    False
    """

    def __init__(
        self,
        send: Callable[[Progress], None] | None = None,
        cancelled: threading.Event | None = None,
        interval_s: float = INTERVAL_S,
    ) -> None:
        """Gather what is reported and hand it to ``send`` at most every ``interval_s`` seconds."""
        self._send = send
        self._cancelled = cancelled or threading.Event()
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._news = threading.Event()
        self._fraction: float | None = None
        self._message = ""
        self._pending = MetricHistory(MAX_PENDING_POINTS)
        self._preview: Preview | None = None
        self._previews = 0
        self._closed = False
        if send is not None:
            threading.Thread(target=self._keep_sending, name="report", daemon=True).start()

    @property
    def cancelled(self) -> bool:
        """Whether the job was cancelled: a task that cannot be interrupted by an error may look here."""
        return self._cancelled.is_set()

    def __call__(
        self,
        fraction: float | None = None,
        message: str = "",
        metrics: Mapping[str, float] | None = None,
        preview: Preview | None = None,
    ) -> None:
        """Say how far the task is; what is left out stays as it was.

        Args:
            fraction: part of the work that is done, 0 to 1.
            message: one short sentence.
            metrics: numbers by name, a point of the history.
            preview: a picture as encoded bytes or an array, at most 32 MiB; an array is copied.

        Raises:
            JobCancelled: the job was cancelled; let it pass.
            ValueError: the fraction or the preview is out of range.
        """
        self.check()
        if self._send is None:
            return
        if fraction is not None and not -1e-6 <= fraction <= 1 + 1e-6:
            raise ValueError(f"A fraction lies between 0 and 1; received {fraction}.")
        point = None if metrics is None else {str(name): float(value) for name, value in metrics.items()}
        if preview is not None:
            preview = _own_copy(preview)
        with self._lock:
            if fraction is not None:
                self._fraction = min(1.0, max(0.0, float(fraction)))
            if message:
                self._message = message
            if point:
                self._pending.add(point)
            if preview is not None:
                self._preview = preview
                self._previews += 1
        if not self._news.is_set():
            self._news.set()

    def check(self) -> None:
        """Raise `JobCancelled` if the job was cancelled, and say nothing otherwise."""
        if self._cancelled.is_set():
            raise JobCancelled

    def latest_preview(self) -> tuple[int, Preview | None]:
        """Return how many previews were made and the last of them."""
        with self._lock:
            return self._previews, self._preview

    def close(self) -> Progress:
        """Stop sending and return what was not sent yet."""
        with self._sending:  # so that nothing taken earlier is sent after this
            self._closed = True
        self._news.set()
        return self._take()

    def _take(self) -> Progress:
        with self._lock:
            news = Progress(self._fraction, self._message, self._pending.points(), self._previews)
            self._pending = MetricHistory(MAX_PENDING_POINTS)
        return news

    def _keep_sending(self) -> None:
        send = self._send
        while send is not None:
            self._news.wait()
            with self._sending:
                if self._closed:
                    return
                self._news.clear()
                send(self._take())
            time.sleep(self._interval_s)


def _own_copy(preview: Preview) -> Preview:
    size = preview.nbytes if isinstance(preview, np.ndarray) else len(preview)
    if size > MAX_PREVIEW_BYTES:
        raise ValueError(f"A preview has at most {MAX_PREVIEW_BYTES:,} bytes; received {size:,}.")
    return np.array(preview) if isinstance(preview, np.ndarray) else bytes(preview)
