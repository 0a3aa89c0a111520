"""Recognition as short programs in NumPy, TensorFlow and FAISS, to read, copy, run and compare.

The texts on the page are the very texts that `compare_recognition` runs. Each expects `database` (N, D) and `query`
(D,) float32 and leaves the distances of the nearest `k` rows, nearest first, in `result` (k,). Above the line `MARK`
it gets ready; below stands the computation, which alone is timed. Only checked numbers go into a text.
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
MOST_ROWS = 200_000


@dataclass(frozen=True)
class RecognitionSnippets:
    """The same search three times, each a program of its own."""

    numpy: str
    tensorflow: str
    faiss: str

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield (name, text) in the order NumPy, TensorFlow, FAISS."""
        yield "NumPy", self.numpy
        yield "TensorFlow", self.tensorflow
        yield "FAISS", self.faiss


@dataclass(frozen=True, eq=False)
class RecognitionRun:
    """The distances that one program found, and the median time of its computation."""

    name: str
    result: Floats
    time_ms: float


@dataclass(frozen=True)
class RecognitionDifference:
    """The largest difference between the distances of two programs."""

    first: str
    second: str
    largest: float


@dataclass(frozen=True)
class RecognitionComparison:
    """The runs of all programs and how much each pair differs."""

    runs: tuple[RecognitionRun, ...]
    differences: tuple[RecognitionDifference, ...]
    note: str = ""


def recognition_snippets(k: int, threshold: float) -> RecognitionSnippets:
    """The programs for the nearest `k` and this threshold."""
    count, tau = int(k), float(threshold)
    decide = f'who = int(nearest[0]) if result[0] <= {tau:.3f} else None  # None is "not recognized"'
    return RecognitionSnippets(
        numpy=f"""import numpy as np

{MARK}
distances = np.linalg.norm(database - query, axis=1)  # (N,)
nearest = np.argsort(distances)[:{count}]
result = distances[nearest]
{decide}
""",
        tensorflow=f"""import tensorflow as tf

{MARK}
distances = tf.norm(database - query, axis=1)  # (N,)
values, nearest = tf.math.top_k(-distances, k={count})
result = (-values).numpy()
{decide}
""",
        faiss=f"""import faiss
import numpy as np

index = faiss.IndexFlatL2(database.shape[1])  # exact; above some tens of thousands an IndexIVF
index.add(database)
{MARK}
squared, rows = index.search(query[None], {count})
nearest, result = rows[0], np.sqrt(np.maximum(squared[0], 0))
{decide}
""",
    )


def compare_recognition(database: Floats, query: Floats, k: int, threshold: float) -> RecognitionComparison:
    """Run the programs on the same encodings `(N, D)` and `(D,)`.

    Raises:
        FaceError: If there is nothing to search, or too much to wait for.
    """
    if database.ndim != 2 or query.shape != database.shape[1:] or not len(database):
        raise FaceError(f"expected encodings (N, D) and one (D,), received {database.shape} and {query.shape}")
    if len(database) > MOST_ROWS:
        raise FaceError(f"The programs are compared on at most {MOST_ROWS:,} encodings; these are {len(database):,}.")
    found = min(k, len(database))
    inputs = {"database": np.ascontiguousarray(database), "query": np.ascontiguousarray(query)}
    runs = tuple(_run(name, text, inputs) for name, text in recognition_snippets(found, threshold).items())
    differences = tuple(
        RecognitionDifference(a.name, b.name, float(np.abs(a.result - b.result).max()))
        for a, b in itertools.combinations(runs, 2)
    )
    return RecognitionComparison(
        runs,
        differences,
        "FAISS and other fast searches work out |a|² − 2ab + |b|², whose rounding shows most at distances near zero.",
    )


def _run(name: str, text: str, inputs: dict[str, Any]) -> RecognitionRun:
    ready, _, computation = text.partition(MARK)
    scope = dict(inputs)
    exec(compile(ready, f"<{name}>", "exec"), scope)  # noqa: S102 - a text of this module with checked numbers
    program = compile(computation, f"<{name}>", "exec")
    times = []
    for _ in range(TIMED_RUNS + 1):
        start = time.perf_counter()
        exec(program, scope)  # noqa: S102 - as above
        times.append(1000 * (time.perf_counter() - start))
    # The first run is not counted: it loads and compiles.
    return RecognitionRun(name, np.asarray(scope["result"], np.float32), statistics.median(times[1:]))
