"""Nearest encodings among few or a million: exact search, and an inverted file where exact search gets slow.

Encodings are rows of a float32 array `(N, D)`, each with an id; distances are Euclidean. Below `EXACT_BELOW` rows all
distances are worked out. Above, rows are sorted into lists around the centres that k-means finds and a query looks
through the nearest lists only (Jegou et al. 2011, Product quantization for nearest neighbor search, section 4;
the library is FAISS, Douze et al. 2024). In the lists a number takes one byte; the best `CANDIDATES` are compared
again with the full encodings, so that distances are exact. How many lists a query looks through is not guessed: it is
raised until stored encodings find their true nearest other one in `RECALL` of the cases.

The index is made from the database and never the only copy. Without FAISS everything is exact.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.faces.types import Floats

logger = logging.getLogger(__name__)

EXACT_BELOW = 50_000
CANDIDATES = 64  # rows whose distances are worked out in full after the lists were searched
RECALL = 0.995
CALIBRATION_QUERIES = 256
ROWS_A_LIST = 1000
TRAINING_ROWS_A_LIST = 64
SHARED_OUT_ROWS = 300_000
BLOCK_ROWS = 32_768
SPARE = 1.25  # capacity after growing
REBUILD_AT_TAIL = 0.1  # share of rows that may wait outside of the lists

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest rows of each query, nearest first: ids `(Q, k)` int64, -1 where there is none, and distances."""

    ids: Ids
    distances: Floats


@dataclass(frozen=True, eq=False)
class _Lists:
    """An inverted file over the first `rows` rows, and how many lists a query looks through."""

    inverted: Any
    rows: int
    probes: int


class FaceIndex:
    """Encodings by id, searched for the nearest; safe to use from several threads.

    >>> index = FaceIndex(2)
    >>> index.add(np.array([5, 9]), np.array([[0, 0], [3, 4]], np.float32))
    >>> found = index.search(np.array([[3, 3]], np.float32), 2)
    >>> found.ids.tolist(), found.distances.round(2).tolist()
    ([[9, 5]], [[1.0, 4.239999771118164]])
    """

    def __init__(self, dimensions: int, *, exact_below: int = EXACT_BELOW) -> None:
        """Make an empty index of encodings of this length."""
        if dimensions < 1:
            raise ValueError(f"expected at least 1 dimension, received {dimensions}")
        self.dimensions = dimensions
        self._exact_below = exact_below
        self._lock = threading.RLock()  # of the rows
        self._lists_lock = threading.Lock()  # FAISS may not be searched while rows are taken out
        self._builder: threading.Thread | None = None
        self._rows = self._alive_count = self._generation = 0
        self._ids: Ids = np.empty(0, np.int64)
        self._encodings: Floats = np.empty((0, dimensions), np.float32)
        self._squares: Floats = np.empty(0, np.float32)
        self._alive: NDArray[np.bool_] = np.empty(0, np.bool_)
        self._lists: _Lists | None = None

    def __len__(self) -> int:
        """How many encodings there are."""
        return self._alive_count

    @property
    def last_id(self) -> int:
        """The largest id that was ever added; 0 for none."""
        return int(self._ids[self._rows - 1]) if self._rows else 0

    @property
    def method(self) -> str:
        """How a query is answered now, for a person to read."""
        lists = self._lists
        if lists is None:
            return "exact search"
        return f"FAISS inverted file, {lists.probes} of {lists.inverted.nlist} lists"

    @property
    def is_building(self) -> bool:
        """Whether lists are being made in the background; until they are, search is exact."""
        return self._builder is not None

    def add(self, ids: NDArray[np.integer], encodings: NDArray[np.floating], *, more_follow: bool = False) -> None:
        """Add rows with ids that are larger than all before, ascending.

        With `more_follow` no lists are made yet: the last of several blocks starts that.

        Raises:
            ValueError: If the shapes do not fit, or the ids do not ascend.
        """
        if encodings.ndim != 2 or encodings.shape != (len(ids), self.dimensions):
            raise ValueError(f"expected encodings of shape ({len(ids)}, {self.dimensions}), received {encodings.shape}")
        if not len(ids):
            return
        with self._lock:
            if ids[0] <= self.last_id or (np.diff(ids) <= 0).any():
                raise ValueError("expected ids that ascend, beyond those that are there")
            start, end = self._rows, self._rows + len(ids)
            self._reserve(end)
            self._ids[start:end] = ids
            self._encodings[start:end] = encodings
            self._squares[start:end] = np.einsum("nd,nd->n", encodings, encodings)
            self._alive[start:end] = True
            self._rows = end
            self._alive_count += len(ids)
        if not more_follow:
            self._build_soon()

    def reserve(self, rows: int) -> None:
        """Make room for as many rows in all, so that adding them moves nothing."""
        with self._lock:
            self._reserve(rows, exactly=True)

    def keep_only(self, ids: NDArray[np.integer]) -> int:
        """Remove every row whose id is not among these; the answer is how many went. Their numbers are wiped."""
        with self._lock:
            alive = self._alive[: self._rows]
            gone = np.flatnonzero(alive & ~np.isin(self._ids[: self._rows], ids))
            if not len(gone):
                return 0
            lists = self._lists
            if lists is not None:
                with self._lists_lock:
                    _remove(lists.inverted, gone[gone < lists.rows])
            self._alive[gone] = False
            self._encodings[gone] = 0
            self._squares[gone] = 0
            self._alive_count -= len(gone)
            if self._alive_count < 0.75 * self._rows:
                self._compact()
        self._build_soon()
        return len(gone)

    def search(self, queries: NDArray[np.floating], k: int) -> Neighbours:
        """The `k` nearest rows of each query `(Q, D)`.

        Raises:
            ValueError: If the shapes do not fit.
        """
        asked = np.ascontiguousarray(queries, np.float32)
        if asked.ndim != 2 or asked.shape[1] != self.dimensions or k < 1:
            raise ValueError(
                f"expected queries of shape (Q, {self.dimensions}) and k >= 1, received {asked.shape}, {k}"
            )
        with self._lock:
            rows, lists = self._rows, self._lists
            ids, encodings = self._ids[:rows], self._encodings[:rows]
            squares, alive = self._squares[:rows], self._alive[:rows]
        wanted = max(k, CANDIDATES)
        start = 0
        found: list[NDArray[np.int64]] = []
        if lists is not None:
            start = lists.rows
            with self._lists_lock:
                found.append(_search_lists(lists, asked, wanted))
        found.append(_nearest_rows(encodings, squares, alive, asked, wanted, start))
        return _exactly_nearest(np.concatenate(found, axis=1), ids, encodings, alive, asked, k)

    def rows(self, at_most: int | None = None) -> Floats:
        """A copy of the first encodings, in the order of their ids."""
        with self._lock:
            kept = np.flatnonzero(self._alive[: self._rows])[:at_most]
            copy: Floats = self._encodings[kept]
            return copy

    def wait(self) -> None:
        """Wait for lists that are being made."""
        builder = self._builder
        if builder is not None:
            builder.join()

    # Inside

    def _reserve(self, rows: int, *, exactly: bool = False) -> None:
        if rows <= len(self._ids):
            return
        room = rows if exactly else max(64, int(SPARE * rows))
        for name in ("_ids", "_encodings", "_squares", "_alive"):
            old = getattr(self, name)
            new = np.empty((room, *old.shape[1:]), old.dtype)
            new[: self._rows] = old[: self._rows]
            setattr(self, name, new)

    def _compact(self) -> None:
        kept = np.flatnonzero(self._alive[: self._rows])
        for name in ("_ids", "_encodings", "_squares", "_alive"):
            setattr(self, name, getattr(self, name)[kept])
        self._rows = len(kept)
        self._generation += 1
        self._lists = None

    def _build_soon(self) -> None:
        """Make lists in the background where they pay and are not there."""
        with self._lock:
            outside = self._rows - (self._lists.rows if self._lists else 0)
            if self._rows < self._exact_below or outside < max(1, REBUILD_AT_TAIL * self._rows):
                return
            if self._builder is not None or find_spec("faiss") is None:
                return
            self._builder = threading.Thread(target=self._build, name="face-index", daemon=True)
            self._builder.start()

    def _build(self) -> None:
        try:
            with self._lock:
                generation, rows = self._generation, self._rows
                encodings, alive = self._encodings[:rows], self._alive[:rows]
            lists = build_lists(encodings, np.flatnonzero(alive))
            with self._lock:
                if generation == self._generation:
                    _remove(lists.inverted, np.flatnonzero(~self._alive[:rows]))
                    self._lists = lists
        except Exception:
            logger.exception("The lists of the face index could not be made; search stays exact")
        finally:
            self._builder = None


def build_lists(encodings: Floats, rows: Ids) -> _Lists:
    """Sort some rows of encodings `(N, D)` into lists, and find how many of these a query has to look through."""
    import faiss

    rng = np.random.default_rng(0)
    dimensions = encodings.shape[1]
    list_count = max(1, len(rows) // ROWS_A_LIST)
    inverted = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatL2(dimensions), dimensions, list_count, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_L2, False
    )
    inverted.cp.niter = 10
    inverted.cp.seed = 0
    drawn = rng.choice(rows, min(len(rows), TRAINING_ROWS_A_LIST * list_count), replace=False)
    inverted.train(encodings[np.sort(drawn)])
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        inverted.add_with_ids(encodings[block], block)
    probes = _enough_probes(inverted, encodings, rows, rng)
    # The lists of one query are shared out among the cores where that pays: where others use the cores too, threads
    # that wait for each other take a hundred times longer than one alone.
    inverted.parallel_mode = 1 if probes * ROWS_A_LIST > SHARED_OUT_ROWS else 0
    return _Lists(inverted, len(encodings), probes)


def _enough_probes(inverted: Any, encodings: Floats, rows: Ids, rng: np.random.Generator) -> int:
    """The fewest lists, in powers of two, in which stored encodings find their nearest other one."""
    asked_rows = rng.choice(rows, min(len(rows), CALIBRATION_QUERIES), replace=False)
    asked = encodings[asked_rows]
    squares = np.einsum("nd,nd->n", encodings, encodings)
    alive = np.zeros(len(encodings), np.bool_)
    alive[rows] = True
    nearest = _nearest_rows(encodings, squares, alive, asked, 8, 0)  # (Q, 8), the row itself among them
    true = _best_other(nearest, asked_rows, encodings, asked)
    probes = 8
    while probes < inverted.nlist:
        found = _best_other(
            _search_lists(_Lists(inverted, len(encodings), probes), asked, CANDIDATES), asked_rows, encodings, asked
        )
        if (found <= true * (1 + 1e-6) + 1e-12).mean() >= RECALL:
            return probes
        probes *= 2
    return int(inverted.nlist)


def _best_other(found: Ids, own_rows: Ids, encodings: Floats, asked: Floats) -> NDArray[np.float64]:
    """The squared distance of each query to the nearest of the rows found `(Q, C)` besides its own `(Q,)`."""
    differences = encodings[np.maximum(found, 0)].astype(np.float64) - asked[:, None]  # (Q, C, D)
    squared = np.einsum("qcd,qcd->qc", differences, differences)
    best: NDArray[np.float64] = np.where((found < 0) | (found == own_rows[:, None]), np.inf, squared).min(axis=1)
    return best


def _remove(inverted: Any, rows: Ids) -> None:
    if len(rows):
        import faiss

        inverted.remove_ids(faiss.IDSelectorBatch(np.ascontiguousarray(rows, np.int64)))


def _search_lists(lists: _Lists, asked: Floats, wanted: int) -> Ids:
    """Rows `(Q, wanted)` that the lists hold near each query, -1 where there are fewer."""
    import faiss

    parameters = faiss.SearchParametersIVF()
    parameters.nprobe = min(lists.probes, lists.inverted.nlist)
    _, found = lists.inverted.search(asked, wanted, params=parameters)
    rows: Ids = found
    return rows


def _nearest_rows(
    encodings: Floats, squares: Floats, alive: NDArray[np.bool_], asked: Floats, wanted: int, start: int
) -> Ids:
    """The rows from `start` on that are nearest to each query, `(Q, at most wanted)`, from |v|^2 - 2 v.q."""
    best_rows: Ids = np.empty((len(asked), 0), np.int64)
    best: Floats = np.empty((len(asked), 0), np.float32)
    for first in range(start, len(encodings), BLOCK_ROWS):
        block = slice(first, min(first + BLOCK_ROWS, len(encodings)))
        scores = squares[block] - 2 * (asked @ encodings[block].T)  # (Q, B)
        scores[:, ~alive[block]] = np.inf
        if scores.shape[1] > wanted:
            rows = np.argpartition(scores, wanted - 1, axis=1)[:, :wanted]
            scores = np.take_along_axis(scores, rows, axis=1)
        else:
            rows = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
        best_rows = np.concatenate([best_rows, rows + first], axis=1)
        best = np.concatenate([best, scores], axis=1)
        if best.shape[1] > wanted:
            kept = np.argpartition(best, wanted - 1, axis=1)[:, :wanted]
            best, best_rows = np.take_along_axis(best, kept, axis=1), np.take_along_axis(best_rows, kept, axis=1)
    return best_rows


def _exactly_nearest(
    found: Ids, ids: Ids, encodings: Floats, alive: NDArray[np.bool_], asked: Floats, k: int
) -> Neighbours:
    """The `k` nearest of the rows found `(Q, C)`, by differences rather than squares, which cancel where it is near."""
    missing = max(0, k - found.shape[1])
    if missing:
        found = np.pad(found, ((0, 0), (0, missing)), constant_values=-1)
    if not len(ids):
        return Neighbours(np.full((len(asked), k), -1, np.int64), np.full((len(asked), k), np.inf, np.float32))
    rows = np.maximum(found, 0)
    differences = encodings[rows].astype(np.float64) - asked[:, None]  # (Q, C, D)
    distances = np.sqrt(np.einsum("qcd,qcd->qc", differences, differences))
    distances[(found < 0) | ~alive[rows]] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    sorted_distances = np.take_along_axis(distances, order, axis=1)
    sorted_ids = ids[np.take_along_axis(rows, order, axis=1)]
    return Neighbours(
        np.where(np.isfinite(sorted_distances), sorted_ids, -1), sorted_distances.astype(np.float32, copy=False)
    )
