"""Programs that do the same, run and compared: their times, and how far their results lie apart.

A program is a text that leaves its answer in `result`; what stands above `MARK` gets ready, the rest is timed.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.convolution.snippets import split_at_mark

TIMED_RUNS = 5


@dataclass(frozen=True)
class ProgramRun:
    """What one program computed, and the median time of its computation in milliseconds."""

    name: str
    result: NDArray[np.float64]
    time_ms: float


@dataclass(frozen=True)
class ProgramDifference:
    """The largest absolute difference between the results of two programs."""

    first: str
    second: str
    largest: float


@dataclass(frozen=True)
class ProgramComparison:
    """The runs of all programs, the differences of each pair, and a sentence on what they computed."""

    runs: tuple[ProgramRun, ...]
    differences: tuple[ProgramDifference, ...]
    note: str


def compare_programs(programs: Mapping[str, str], note: str) -> ProgramComparison:
    """Run each of our own programs, and compare their results.

    >>> compare_programs({"a": "result = [1.0, 2.0]", "b": "result = [1.0, 2.5]"}, "").differences
    (ProgramDifference(first='a', second='b', largest=0.5),)
    """
    runs = tuple(_run(name, text) for name, text in programs.items())
    differences = tuple(
        ProgramDifference(a.name, b.name, float(np.abs(a.result - b.result).max()))
        for a, b in itertools.combinations(runs, 2)
    )
    return ProgramComparison(runs, differences, note)


def _run(name: str, text: str) -> ProgramRun:
    """Get ready once, then compute several times; the first time is not counted."""
    ready, computation = split_at_mark(text)
    if not computation:  # a program without a mark is computation alone
        ready, computation = "", text
    names: dict[str, Any] = {}
    times_s = []
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(ready, f"<{name} program>", "exec"), names)  # noqa: S102 - our own text, see `snippets`
        code = compile(computation, f"<{name} program>", "exec")
        for _ in range(1 + TIMED_RUNS):
            start = time.perf_counter()
            exec(code, names)  # noqa: S102
            times_s.append(time.perf_counter() - start)
    result = np.asarray(names["result"], np.float64)
    return ProgramRun(name, result, 1e3 * statistics.median(times_s[1:]))
