"""Verification as short programs in NumPy, SciPy and Keras, to read, copy, run and compare.

The texts on the page are the very texts that `compare_distances` runs. Each expects two encodings `f1` and `f2` (D,)
and leaves their distance in `result`. Above the line `MARK` it gets ready; below stands the computation, which
alone is timed. Only a checked number goes into a text, never anything that a person typed.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.faces.types import FaceError, Floats

MARK = "# The computation itself."
TIMED_RUNS = 5


@dataclass(frozen=True)
class DistanceSnippets:
    """The same distance three times, each a program of its own."""

    numpy: str
    scipy: str
    keras: str

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield (name, text) in the order NumPy, SciPy, Keras."""
        yield "NumPy", self.numpy
        yield "SciPy", self.scipy
        yield "Keras", self.keras


@dataclass(frozen=True)
class DistanceRun:
    """What one program found, and the median time of its computation."""

    name: str
    result: float
    time_ms: float


@dataclass(frozen=True)
class DistanceDifference:
    """How far the distances of two programs lie apart."""

    first: str
    second: str
    largest: float


@dataclass(frozen=True)
class DistanceComparison:
    """The runs of all programs and how much each pair differs."""

    runs: tuple[DistanceRun, ...]
    differences: tuple[DistanceDifference, ...]
    note: str = ""


def distance_snippets(threshold: float) -> DistanceSnippets:
    """Programs that compare a distance with this threshold.

    Raises:
        FaceError: If the threshold is no finite number of at least 0.
    """
    if not (np.isfinite(threshold) and threshold >= 0):
        raise FaceError(f"A threshold is a number of at least 0; received {threshold}.")
    tau = f"{float(threshold):.4g}"
    numpy = f"""
import numpy as np

{MARK}
result = np.sqrt(((f1 - f2) ** 2).sum())  # d(img1, img2) = || f(img1) - f(img2) ||
is_same = result <= {tau}
"""
    scipy = f"""
import numpy as np
from scipy.spatial.distance import euclidean

{MARK}
result = euclidean(f1, f2)
is_same = result <= {tau}
"""
    keras = f"""
import numpy as np
from keras import ops

{MARK}
result = float(ops.norm(ops.convert_to_tensor(f1) - ops.convert_to_tensor(f2)))
is_same = result <= {tau}
"""
    return DistanceSnippets(*(text.lstrip("\n") for text in (numpy, scipy, keras)))


def compare_distances(first: Floats, second: Floats, threshold: float) -> DistanceComparison:
    """Run the three programs on the same two encodings (D,).

    Raises:
        FaceError: If they have not the same length, or the threshold is no number of at least 0.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise FaceError(f"Two encodings of one length are needed; received {first.shape} and {second.shape}.")
    runs = [_run(name, text, first, second) for name, text in distance_snippets(threshold).items()]
    differences = [
        DistanceDifference(one.name, other.name, abs(one.result - other.result))
        for one, other in itertools.combinations(runs, 2)
    ]
    return DistanceComparison(tuple(runs), tuple(differences))


def _run(name: str, text: str, first: Floats, second: Floats) -> DistanceRun:
    ready, computation = text.split(MARK)
    space: dict[str, Any] = {"f1": first, "f2": second}
    exec(ready, space)  # noqa: S102 - our own text with one checked number in it
    body = compile(computation, f"<{name}>", "exec")
    exec(body, space)  # noqa: S102
    times = []
    for _ in range(TIMED_RUNS):
        start = time.perf_counter()
        exec(body, space)  # noqa: S102
        times.append(1000 * (time.perf_counter() - start))
    return DistanceRun(name, float(space["result"]), statistics.median(times))
