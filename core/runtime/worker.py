"""What happens inside a worker process: run a task, report, notice a cancellation, give memory back.

Tasks, arguments and results cross between processes as a `Request` and an `Outcome`. The task goes by name
(``package.module:function``), arguments and results are pickled with their arrays left aside (protocol 5,
PEP 574), so that whatever stands between server and worker handles plain bytes and copies no picture.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import inspect
import os
import pickle  # noqa: S403 - between this app's own processes, over an authenticated connection
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.runtime.devices import gpu_driver_present
from core.runtime.report import JobCancelled, Preview, Progress, Report

Task = Callable[..., Any]
BACKGROUND_NICENESS = 19
TRIM_AFTER_S = 2.0


@dataclass(frozen=True)
class Payload:
    """A pickled value: ``pickled`` without the arrays, ``buffers`` their bytes, each uint8 of shape (n,)."""

    pickled: bytes
    buffers: tuple[NDArray[np.uint8], ...] = ()

    @classmethod
    def of(cls, value: object) -> Payload:
        """Pickle a value without copying its arrays."""
        aside: list[pickle.PickleBuffer] = []
        pickled = pickle.dumps(value, protocol=5, buffer_callback=aside.append)
        raw = [buffer.raw() for buffer in aside]
        return cls(pickled, tuple(np.frombuffer(b, np.uint8) if b.nbytes else np.empty(0, np.uint8) for b in raw))

    def copied(self) -> Payload:
        """Return a payload that shares no memory with the value it was made of."""
        return Payload(self.pickled, tuple(buffer.copy() for buffer in self.buffers))

    def load(self) -> Any:
        """Return the value; its arrays may be written to."""
        writable = [buffer if buffer.flags.writeable else buffer.copy() for buffer in self.buffers]
        return pickle.loads(self.pickled, buffers=writable)  # noqa: S301 - see the import

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return len(self.pickled) + sum(buffer.nbytes for buffer in self.buffers)


@dataclass(frozen=True)
class Request:
    """A task to run: ``task`` as ``package.module:function``, and its arguments."""

    id: str
    kind: Literal["call", "job"]
    task: str
    arguments: Payload

    @property
    def name(self) -> str:
        """The bare name of the task."""
        return self.task.rpartition(":")[2]


@dataclass(frozen=True)
class Outcome:
    """How a task ended, with its result or with its error as one sentence, and what it reported last.

    ``expected`` says that the error was made for people: wrong input, not a fault of the program.
    """

    state: Literal["done", "failed", "cancelled"]
    result: Payload | None = None
    error: str = ""
    error_type: str = ""
    details: str = ""
    expected: bool = False
    progress: Progress | None = None
    preview: Preview | None = None

    def value(self) -> Any:
        """Return the result."""
        return None if self.result is None else self.result.load()

    def copied_value(self) -> Any:
        """Return the result in memory of its own, to be asked for again."""
        return None if self.result is None else self.result.copied().load()

    @property
    def nbytes(self) -> int:
        """Size of the result in bytes."""
        return 0 if self.result is None else self.result.nbytes


def task_name(task: Task) -> str:
    """Name a task so that another process finds it.

    Raises:
        TypeError: it is not a function at the top level of an importable module.

    >>> import os.path
    >>> task_name(os.path.join).endswith(":join")
    True
    """
    module, name = getattr(task, "__module__", None), getattr(task, "__qualname__", "")
    found = getattr(sys.modules.get(module or ""), name, None)
    if module == "__main__" or found is not task:
        raise TypeError(
            "A task must be a function at the top level of a module that a worker can import, "
            f"such as core.convolution.tasks; received {task!r}."
        )
    return f"{module}:{name}"


def execute(request: Request, send: Callable[[dict[str, Any]], None] | None = None) -> Outcome:
    """Run a task to its end, whatever that is; events for the server go through ``send``.

    A job's task is given ``report`` if it takes a parameter of that name; in a call that report is silent.
    """
    report = Report()
    try:
        if request.kind == "job":
            report = _REPORTS.open(request.id, send)
        if send is not None:
            send({"id": request.id, "event": "started"})
        report.check()
        module, _, name = request.task.partition(":")
        task: Task = getattr(importlib.import_module(module), name)
        args, kwargs = request.arguments.load()
        if "report" in inspect.signature(task).parameters:
            kwargs.setdefault("report", report)
        outcome = Outcome("done", Payload.of(task(*args, **kwargs)))
    except JobCancelled:
        outcome = Outcome("cancelled")
    except (Exception, SystemExit) as error:
        outcome = _failure(request, error)
    finally:
        _REPORTS.drop(request.id)
        last = report.close()
        TRIMMER.task_ended()
    return replace(outcome, progress=last, preview=report.latest_preview()[1])


def cancel(job_id: str) -> None:
    """Let the next report of a job raise `JobCancelled`, also when the job has not begun yet."""
    _REPORTS.cancel(job_id)


def latest_preview(job_id: str) -> Preview | None:
    """Return the latest preview of a job that runs in this process."""
    return _REPORTS.preview(job_id)


def prepare(background: bool) -> None:
    """Set this process up once: quiet TensorFlow, GPU memory on demand, background work behind the rest.

    Must run before TensorFlow is imported to have its effect on it.
    """
    for name, value in environment().items():
        os.environ.setdefault(name, value)
    if background and hasattr(os, "nice"):
        behind = BACKGROUND_NICENESS - os.nice(0)
        if behind > 0:
            os.nice(behind)
        if hasattr(os, "SCHED_IDLE"):
            # To Linux a core that runs only such work is a free one: what a visitor waits for is put there at once.
            with contextlib.suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def environment(threads: int | None = None) -> dict[str, str]:
    """Return the environment variables of a worker that computes in so many threads."""
    variables = {
        "KERAS_BACKEND": "tensorflow",
        # Without a GPU TensorFlow logs as an error that it found none.
        "TF_CPP_MIN_LOG_LEVEL": "2" if gpu_driver_present() else "3",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }
    if threads is not None:
        variables |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
        variables |= {"TF_NUM_INTRAOP_THREADS": str(threads)}
    return variables


def warm_up(done: Callable[[Mapping[str, Any]], None]) -> None:
    """Import TensorFlow and Keras in the background and hand ``done`` the device report as plain values."""

    def imports() -> None:
        if hasattr(os, "setpriority"):  # on Linux a thread has a priority of its own
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
        importlib.import_module("tensorflow")
        importlib.import_module("keras")

    def warm() -> None:
        try:
            importing = threading.Thread(target=imports, name="warm-up-imports", daemon=True)
            importing.start()
            importing.join()
            devices = importlib.import_module("core.runtime.devices")
            report: Mapping[str, Any] = vars(devices.device_report())
        except Exception as error:  # reported instead of lost in a thread
            report = {"error": f"{type(error).__name__}: {error}"}
        done(report)

    threading.Thread(target=warm, name="warm-up", daemon=True).start()


def _failure(request: Request, error: BaseException) -> Outcome:
    # The errors of core/ are ValueErrors whose text is made for people.
    text = str(error).strip()
    expected = isinstance(error, ValueError) and bool(text)
    if not expected:
        text = f"{request.name} failed with {type(error).__name__}" + (f": {text}" if text else "") + "."
    details = "".join(traceback.format_exception(error))
    return Outcome("failed", error=text, error_type=type(error).__name__, details=details, expected=expected)


class _Reports:
    """The reports of the jobs in this process, to be cancelled and looked at by its other threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Report] = {}
        self._cancelled: dict[str, threading.Event] = {}

    def open(self, job_id: str, send: Callable[[dict[str, Any]], None] | None) -> Report:
        def send_progress(news: Progress) -> None:
            if send is not None:
                send(
                    {
                        "id": job_id,
                        "event": "progress",
                        **vars(news),
                        "metrics": [dict(m) for m in news.metrics],
                    }
                )

        with self._lock:
            cancelled = self._cancelled.setdefault(job_id, threading.Event())
            self._open[job_id] = report = Report(send_progress, cancelled)
        return report

    def drop(self, job_id: str) -> None:
        with self._lock:
            self._open.pop(job_id, None)
            self._cancelled.pop(job_id, None)

    def cancel(self, job_id: str) -> None:
        with self._lock:
            while len(self._cancelled) >= 1000:  # cancelled here, but never begun here
                del self._cancelled[next(iter(self._cancelled))]
            self._cancelled.setdefault(job_id, threading.Event()).set()

    def preview(self, job_id: str) -> Preview | None:
        with self._lock:
            report = self._open.get(job_id)
        return None if report is None else report.latest_preview()[1]


class _Trimmer:
    """Gives freed memory back to the system once the process has been idle for a moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended_s: float | None = None
        self._enabled = False

    def enable(self) -> None:
        """Start to trim; only a worker process does, where nothing waits for the collector."""
        with self._lock:
            if not self._enabled:
                self._enabled = True
                threading.Thread(target=self._watch, name="trim", daemon=True).start()

    def task_ended(self) -> None:
        self._ended_s = time.monotonic()

    def _watch(self) -> None:
        while True:
            time.sleep(TRIM_AFTER_S / 2)
            ended_s = self._ended_s
            if ended_s is not None and time.monotonic() - ended_s > TRIM_AFTER_S:
                self._ended_s = None
                gc.collect()
                trim()


def trim() -> None:
    """Return free memory of the C library to the system (glibc only; elsewhere nothing happens)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


_REPORTS = _Reports()
TRIMMER = _Trimmer()
