"""Who is this among a million: the gallery's search against exact search in NumPy, in one run, with its memory.

A database of 1,000,000 persons with one photo and one encoding of 128 numbers each is written, then searched by a
fresh process. Queries are other photos of enrolled persons, strangers, and encodings without any structure, which is
the hardest case. Times include the look at the change counter and the reading of names.
"""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
COUNT = int(os.environ.get("BENCH_FACES", "1000000"))
LIMIT_MS = 10.0
LIMIT_BYTES = 1.5e9
RECALL = 0.99

WRITE = textwrap.dedent(
    """
    import sys
    import numpy as np
    from sqlalchemy import insert
    from core.faces.gallery import Gallery
    from core.faces.gallery_models import EncodingRow, PersonRow, PhotoRow
    from core.faces.gallery_rows import begin_change, now
    from core.faces.gallery_store import GalleryStore
    from tests.benchmarks.face_encodings import encodings

    store = GalleryStore(sys.argv[1])
    Gallery(store).give_consent("bench")
    stored = encodings(sys.argv[2], int(sys.argv[3]))
    who = {"enrolled_by": "bench", "enrolled_at": now()}
    for start in range(0, len(stored), 50_000):
        ids = range(start + 1, min(start + 50_000, len(stored)) + 1)
        with store.write() as session:
            change = begin_change(session, "local", stores_faces=True)
            session.execute(insert(PersonRow), [
                {"id": i, "owner": "local", "name": f"Person {i}", "name_key": f"person {i}",
                 "name_sha256": f"{i:064d}", "version": 1, "is_demonstration": False,
                 "changed_by": "bench", "changed_at": now(), **who}
                for i in ids
            ])
            session.execute(insert(PhotoRow), [
                {"id": i, "owner": "local", "person_id": i, "sha256": f"{i:064d}", "jpeg": b"-", "points": b"-",
                 "source": "", **who}
                for i in ids
            ])
            session.execute(insert(EncodingRow), [
                {"id": i, "owner": "local", "person_id": i, "photo_id": i, "encoder": "bench", "dimensions": 128,
                 "vector": stored[i - 1].tobytes(), "change": change}
                for i in ids
            ])
    """
)

SEARCH = textwrap.dedent(
    """
    import json, resource, statistics, sys, time
    import numpy as np
    from core.faces.gallery import Gallery
    from core.faces.gallery_search import GallerySearch
    from core.faces.gallery_store import GalleryStore
    from tests.benchmarks.face_encodings import encodings, queries

    search = GallerySearch(Gallery(GalleryStore(sys.argv[1])), "bench")
    asked = queries(sys.argv[2], int(sys.argv[3]))  # without the stored ones in memory
    start = time.perf_counter()
    search.refresh()
    read_s = time.perf_counter() - start
    search.index.wait()
    built_s = time.perf_counter() - start
    answers, times = [], []
    for query in asked:
        start = time.perf_counter()
        answers.append(search.search(query[None], 1)[0][0].person_id)
        times.append(1000 * (time.perf_counter() - start))
    peak_bytes = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # The peer, after the memory was read: exact search over the same encodings.
    rows = search.index.rows()
    squares = np.einsum("nd,nd->n", rows, rows)
    exact, exact_times = [], []
    for query in asked:
        start = time.perf_counter()
        exact.append(int((squares - 2 * (rows @ query)).argmin()) + 1)
        exact_times.append(1000 * (time.perf_counter() - start))
    print(json.dumps({
        "method": search.index.method, "read_s": read_s, "built_s": built_s, "peak_bytes": peak_bytes,
        "median_ms": statistics.median(times), "p90_ms": sorted(times)[int(0.9 * len(times))],
        "fastest_ms": min(times), "exact_ms": statistics.median(exact_times), "exact_fastest_ms": min(exact_times),
        "recall": float(np.mean([a == b for a, b in zip(answers, exact, strict=True)])),
    }))
    """
)


def run(program: str, *arguments: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=PROJECT, env=env, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


@pytest.mark.benchmark
@pytest.mark.parametrize("kind", ["photos", "strangers", "uniform"])
def test_a_million_faces_are_searched_in_time(kind: str, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'gallery.sqlite3'}"
    run(WRITE, database, kind, str(COUNT))
    found = json.loads(run(SEARCH, database, kind, str(COUNT)))
    print(
        f"\n{COUNT:,} encodings, {kind}: {found['median_ms']:.1f} ms a query (fastest {found['fastest_ms']:.1f}, "
        f"90 % within {found['p90_ms']:.1f}), {found['exact_ms'] / found['median_ms']:.1f} times faster than exact "
        f"search in NumPy ({found['exact_ms']:.1f} ms), recall@1 {found['recall']:.4f}, memory at most "
        f"{found['peak_bytes'] / 1e9:.2f} GB; read in {found['read_s']:.1f} s, lists after {found['built_s']:.1f} s; "
        f"{found['method']}"
    )
    assert found["recall"] >= RECALL
    assert found["peak_bytes"] < LIMIT_BYTES
    # As a ratio, since the machine may be busy; on two idle cores the time itself is under LIMIT_MS.
    assert found["median_ms"] <= 0.5 * found["exact_ms"]
    assert found["fastest_ms"] <= LIMIT_MS
