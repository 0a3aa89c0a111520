"""Tasks that the engine's tests run in workers."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.runtime.report import Report


def add(a: float, b: float) -> float:
    return a + b


def invert(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(255 - image, np.uint8)


def add_in_place(values: NDArray[np.float32], amount: float) -> NDArray[np.float32]:
    values += amount
    return values


def refuse(image: NDArray[np.uint8]) -> None:
    raise ValueError(f"Expected an image of shape (H, W, 3), received {image.shape}.")


def divide_by_zero() -> float:
    return 1 / 0


def give_a_generator() -> Any:
    return (number for number in range(3))


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def spin(seconds: float) -> None:
    """Compute without ever giving the interpreter away for long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


def process_id() -> int:
    return os.getpid()


def niceness() -> int:
    return os.nice(0)


def runs_only_on_free_cores() -> bool:
    return os.sched_getscheduler(0) == os.SCHED_IDLE


def has_tensorflow() -> bool:
    return "tensorflow" in sys.modules


def count_to(steps: int, pause_s: float = 0.0, report: Report | None = None) -> int:
    report = report or Report()
    for step in range(steps):
        time.sleep(pause_s)
        picture = np.full((8, 8, 3), step % 256, np.uint8)
        report((step + 1) / steps, f"Step {step + 1}", metrics={"step": step}, preview=picture)
    return steps


def report_fast(steps: int, report: Report) -> float:
    """Give the processor time that reporting takes the task; the clock on the wall would count other programs'."""
    begin_s = time.thread_time()
    for step in range(steps):
        report(step / steps, metrics={"step": step})
    return time.thread_time() - begin_s


def report_then_fail(report: Report) -> None:
    report(0.5, "Half way", metrics={"loss": 1.0})
    raise ValueError("The second half needs a picture.")


def wait_for_cancellation(report: Report) -> str:
    """Catch whatever is caught by ordinary tasks; a cancellation is not."""
    while True:
        try:
            report(message="Waiting")
            time.sleep(0.02)
        except Exception:
            return "swallowed"


def note_and_sleep(file: str, seconds: float) -> None:
    with open(file, "a", encoding="ascii") as notes:
        notes.write(f"{os.getpid()}\n")
    time.sleep(seconds)


def leave() -> None:
    sys.exit("Enough")


_held: list[NDArray[np.uint8]] = []


def allocate(megabytes: int) -> int:
    """Hold memory until the process ends."""
    _held.append(np.ones(megabytes * 2**20, np.uint8))
    return os.getpid()


def allocate_and_sleep(megabytes: int, seconds: float) -> None:
    allocate(megabytes)
    time.sleep(seconds)


def sleep_and_tell(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def report_clock(count: int, report: Report) -> None:
    for _ in range(count):
        report(metrics={"clock": time.time()})
        time.sleep(0.1)
