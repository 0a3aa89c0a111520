"""The index of encodings: exact search against a loop, lists against exact search, rows that come and go."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from core.faces import index as module
from core.faces.index import FaceIndex


def random_encodings(count: int, dimensions: int = 128, seed: int = 0) -> np.ndarray:
    """Unit rows about a tenth as many middles: persons with several photos."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(max(1, count // 10), dimensions))
    rows = middles[rng.integers(0, len(middles), count)] + 0.5 * rng.normal(size=(count, dimensions))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def by_loop(ids: np.ndarray, encodings: np.ndarray, query: np.ndarray, k: int) -> list[tuple[float, int]]:
    pairs = []
    for name, row in zip(ids, encodings, strict=True):
        pairs.append((float(np.sqrt(((row.astype(float) - query.astype(float)) ** 2).sum())), int(name)))
    return sorted(pairs)[:k]


def filled(encodings: np.ndarray, first_id: int = 1, **options: int) -> FaceIndex:
    index = FaceIndex(encodings.shape[1], **options)
    index.add(np.arange(first_id, first_id + len(encodings)), encodings)
    return index


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 300])
def test_exact_search_equals_a_loop(count):
    encodings, queries = random_encodings(count, 16), random_encodings(4, 16, seed=1)
    index = filled(encodings, 100)
    found = index.search(queries, 5)
    assert index.method == "exact search" and len(index) == count and index.last_id == 99 + count
    for row, query in enumerate(queries):
        expected = by_loop(np.arange(100, 100 + count), encodings, query, 5)
        kept = min(5, count)
        assert found.ids[row, :kept].tolist() == [name for _, name in expected]
        np.testing.assert_allclose(found.distances[row, :kept], [d for d, _ in expected], rtol=1e-6)
        assert (found.ids[row, kept:] == -1).all() and np.isinf(found.distances[row, kept:]).all()


def test_blocks_make_no_difference(monkeypatch):
    encodings, queries = random_encodings(1000), random_encodings(7, seed=1)
    whole = filled(encodings).search(queries, 10)
    monkeypatch.setattr(module, "BLOCK_ROWS", 64)
    in_blocks = filled(encodings).search(queries, 10)
    np.testing.assert_array_equal(whole.ids, in_blocks.ids)


def test_the_same_encoding_is_at_distance_zero():
    encodings = 20 * random_encodings(500)  # far from the origin, where squares cancel
    found = filled(encodings).search(encodings[[3, 77]], 1)
    assert found.ids.ravel().tolist() == [4, 78] and found.distances.ravel().tolist() == [0.0, 0.0]


def test_an_empty_index_finds_nothing():
    found = FaceIndex(8).search(np.zeros((2, 8), np.float32), 3)
    assert found.ids.tolist() == [[-1] * 3] * 2 and np.isinf(found.distances).all()


@pytest.mark.parametrize(
    ("ids", "shape", "sentence"),
    [
        ([1, 2], (2, 7), "expected encodings of shape"),
        ([1, 2], (3, 8), "expected encodings of shape"),
        ([2, 2], (2, 8), "ids that ascend"),
        ([0], (1, 8), "ids that ascend"),
    ],
)
def test_rows_that_do_not_fit(ids, shape, sentence):
    with pytest.raises(ValueError, match=sentence):
        FaceIndex(8).add(np.array(ids), np.zeros(shape, np.float32))


def test_queries_that_do_not_fit():
    with pytest.raises(ValueError, match=r"expected queries of shape \(Q, 8\)"):
        FaceIndex(8).search(np.zeros((1, 7), np.float32), 1)
    with pytest.raises(ValueError, match="at least 1 dimension"):
        FaceIndex(0)


def test_removed_rows_are_never_found_and_their_numbers_are_wiped():
    encodings = random_encodings(40, 8)
    index = filled(encodings)
    assert index.keep_only(np.arange(11, 41)) == 10 and len(index) == 30
    assert index.keep_only(np.arange(11, 41)) == 0
    assert index.search(encodings[:10], 30).ids.min() == 11
    assert not (index._encodings[: index._rows, None] == encodings[:10]).all(axis=2).any()
    index.add(np.array([41]), encodings[:1])
    assert index.search(encodings[:1], 1).ids.tolist() == [[41]]
    index.keep_only(np.array([], np.int64))
    assert len(index) == 0 and index.search(encodings[:1], 1).ids.tolist() == [[-1]]


class TestLists:
    """With lists from 2,000 rows on."""

    def test_agree_with_exact_search(self):
        encodings, queries = random_encodings(12_000, 32), random_encodings(200, 32, seed=5)
        index = filled(encodings, exact_below=2_000)
        index.wait()
        assert index.method.startswith("FAISS inverted file") and not index.is_building
        exact = filled(encodings).search(queries, 1)
        found = index.search(queries, 1)
        assert (found.ids == exact.ids).mean() >= 0.99
        same = found.ids == exact.ids
        np.testing.assert_array_equal(found.distances[same], exact.distances[same])

    def test_answer_exactly_while_they_are_made(self, monkeypatch):
        go_on = threading.Event()
        build = module.build_lists

        def slowly(*args):
            go_on.wait(60)
            return build(*args)

        monkeypatch.setattr(module, "build_lists", slowly)
        encodings = random_encodings(4_000, 16)
        index = filled(encodings, exact_below=2_000)
        assert index.is_building and index.method == "exact search"
        assert index.search(encodings[[7]], 1).ids.tolist() == [[8]]
        index.keep_only(np.arange(101, 4_001))  # meanwhile rows go
        index.add(np.arange(4_001, 4_011), 2 * random_encodings(10, 16, seed=9))  # and come
        go_on.set()
        index.wait()
        assert index.method.startswith("FAISS")
        assert index.search(encodings[:100], 3).ids.min() > 100
        assert index.search(2 * random_encodings(10, 16, seed=9), 1).ids.ravel().tolist() == list(range(4_001, 4_011))

    def test_take_rows_out(self):
        encodings = random_encodings(5_000, 16)
        index = filled(encodings, exact_below=2_000)
        index.wait()
        index.keep_only(np.arange(1_001, 5_001))
        assert index.method.startswith("FAISS") and len(index) == 4_000
        assert index.search(encodings[:200], 5).ids.min() > 1_000
        assert index._lists.inverted.ntotal == 4_000

    def test_are_made_again_when_many_rows_came_or_went(self):
        encodings = random_encodings(9_000, 16)
        index = filled(encodings[:5_000], exact_below=2_000)
        index.wait()
        index.add(np.arange(5_001, 9_001), encodings[5_000:])
        index.wait()
        assert index._lists.rows == 9_000
        index.keep_only(np.arange(1, 3_001))
        index.wait()
        assert index._lists.rows == 3_000 == len(index)
        assert index.search(encodings[[2_999]], 1).ids.tolist() == [[3_000]]

    def test_without_faiss_search_is_exact(self, monkeypatch):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
        encodings = random_encodings(4_000, 16)
        index = filled(encodings, exact_below=2_000)
        assert not index.is_building and index.method == "exact search"
        assert index.search(encodings[[7]], 1).ids.tolist() == [[8]]

    def test_that_cannot_be_made_leave_search_exact(self, monkeypatch, caplog):
        def fail(*_):
            raise MemoryError("no room")

        monkeypatch.setattr(module, "build_lists", fail)
        encodings = random_encodings(3_000, 16)
        index = filled(encodings, exact_below=2_000)
        index.wait()
        assert index.search(encodings[[7]], 1).ids.tolist() == [[8]]
        assert "could not be made" in caplog.text


def test_threads_search_while_rows_come_and_go():
    encodings = random_encodings(6_000, 16)
    index = filled(encodings[:3_000], exact_below=2_000)
    problems: list[str] = []
    stop = threading.Event()

    def look() -> None:
        rng = np.random.default_rng()
        while not stop.is_set():
            row = int(rng.integers(1_500, 3_000))
            if index.search(encodings[[row]], 1).ids.tolist() != [[row + 1]]:
                problems.append(f"row {row} was not found")

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for start in range(3_000, 6_000, 500):
        index.add(np.arange(start + 1, start + 501), encodings[start : start + 500])
        index.keep_only(np.arange((start - 3_000) // 2 + 1, start + 501))
    index.wait()
    stop.set()
    for thread in threads:
        thread.join()
    assert not problems
