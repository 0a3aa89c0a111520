"""Enrolments while the process is killed: what was acknowledged is there, and nothing is there by half."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from core.faces.gallery import Gallery
from core.faces.gallery_store import GalleryStore
from tests.core.faces.databases import cluster, database
from tests.core.faces.made_faces import made_face

__all__ = ["cluster", "database"]

PROJECT = Path(__file__).parents[3]
ENROLMENTS, THREADS = 1_000, 4

ENROLLING = textwrap.dedent(
    """
    import os, sys
    from concurrent.futures import ThreadPoolExecutor
    from core.faces.gallery import Gallery
    from core.faces.gallery_store import GalleryStore
    from tests.core.faces.made_faces import made_face

    gallery = Gallery(GalleryStore(sys.argv[1]))
    gallery.give_consent("ada")

    def enrol(number):
        gallery.enrol(f"Person {number}", made_face(number, 0, "one", "other"), by="ada")
        os.write(1, f"{number}\\n".encode())  # acknowledged; one write, so that lines stay whole

    with ThreadPoolExecutor(int(sys.argv[3])) as threads:
        list(threads.map(enrol, range(int(sys.argv[2]))))
    """
)


def killed_while_enrolling(database: str, after: int, log: Path) -> list[int]:
    """Start enrolling, kill the process once so many were acknowledged, and say which were."""
    with log.open("wb") as acknowledged:
        process = subprocess.Popen(
            [sys.executable, "-c", ENROLLING, database, str(ENROLMENTS), str(THREADS)],
            stdout=acknowledged,
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
        )
    until = time.monotonic() + 240
    while log.read_bytes().count(b"\n") < after:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    return [int(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize("after", [150])
def test_every_acknowledged_enrolment_survives_and_none_is_half(database, tmp_path, after):
    check_after_kill(database, tmp_path, after)


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 40, 400, 800, 990])
def test_wherever_the_process_is_killed(database, tmp_path, after):
    check_after_kill(database, tmp_path, after)


def check_after_kill(database: str, tmp_path: Path, after: int) -> None:
    acknowledged = killed_while_enrolling(database, after, tmp_path / "acknowledged")
    assert after <= len(acknowledged) < ENROLMENTS
    store = GalleryStore(database)
    gallery = Gallery(store)
    there = {person.name: person for person in gallery.persons(limit=10 * ENROLMENTS)}
    assert {f"Person {number}" for number in acknowledged} <= there.keys()
    # Each thread may have had one more that was written and not yet acknowledged.
    assert len(there) <= len(acknowledged) + THREADS
    assert all(person.photo_count == 1 and person.encoders == ("one", "other") for person in there.values())
    with store.read() as session:
        counts = [session.scalar(text(f"SELECT count(*) FROM {table}")) for table in ("photos", "encodings")]  # noqa: S608
    assert counts == [len(there), 2 * len(there)]
    assert gallery.changes() == 1 + len(there)
    # And it goes on: the next one is enrolled as if nothing had happened.
    gallery.enrol("Afterwards", made_face(10**6, 0, "one"), by="ada")
    store.close()
    if store.file is not None:
        with sqlite3.connect(store.file) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
        connection.close()


def test_every_commit_reaches_the_disk(tmp_path):
    store = GalleryStore(f"sqlite:///{tmp_path / 'gallery.sqlite3'}")
    with store.write() as session:
        assert session.scalar(text("PRAGMA synchronous")) == 2  # FULL
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert session.scalar(text("PRAGMA foreign_keys")) == 1
        assert session.scalar(text("PRAGMA secure_delete")) == 1
    store.close()
