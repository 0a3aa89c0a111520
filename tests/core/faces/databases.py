"""Databases for the gallery's tests: an SQLite file, and a PostgreSQL that the tests start and stop themselves.

PostgreSQL does not run as root; started by root, it runs as the account that Debian's package makes for it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from core.faces.gallery_store import GalleryStore

DATABASES = ("sqlite", "postgresql")


def postgresql_programs() -> Path | None:
    """The folder of PostgreSQL's programs: Debian's newest, or that of the search path."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = versions[-1] if versions else shutil.which("initdb")
    return Path(found).parent if found else None


@dataclass(frozen=True)
class Cluster:
    """A running PostgreSQL that listens on a socket in its folder alone."""

    folder: Path

    def url(self, database: str) -> str:
        return f"postgresql://tester@/{database}?host={self.folder}"

    def emptied(self) -> str:
        """The address of the tests' database with nothing in it."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        return self.url("postgres")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("no PostgreSQL found: install Debian's package postgresql")
    account: str | None = None
    if os.geteuid() == 0:
        account = "postgres"
        try:
            pwd.getpwnam(account)
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no account postgres")
    # The path of a socket is short by nature.
    folder = Path(tempfile.mkdtemp(prefix="cw-pg-", dir="/tmp"))  # noqa: S108 (a folder of our own, new)
    data = folder / "data"
    if account:
        shutil.chown(folder, account)

    def run(*command: str) -> None:
        subprocess.run(command, check=True, user=account, cwd=folder, stdout=subprocess.DEVNULL, timeout=120)

    try:
        run(str(programs / "initdb"), "-D", str(data), "-U", "tester", "-A", "trust", "-E", "UTF8", "-N")
        options = f"-k {folder} -c listen_addresses='' -c max_connections=40 -c shared_buffers=16MB -c fsync=off"
        run(
            *(str(programs / "pg_ctl"), "-D", str(data), "-l", str(folder / "log"), "-w", "-t", "60"),
            *("-o", options, "start"),
        )
        try:
            yield Cluster(folder)
        finally:
            run(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'gallery.sqlite3'}"
        return
    running: Cluster = request.getfixturevalue("cluster")
    yield running.emptied()


@pytest.fixture
def store(database: str) -> Iterator[GalleryStore]:
    opened = GalleryStore(database)
    yield opened
    opened.close()
