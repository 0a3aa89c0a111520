"""Where the gallery is kept: one database, SQLite in the data folder or a PostgreSQL, with transactions alone.

SQLite runs in write-ahead mode with `synchronous=FULL`: a transaction that was acknowledged is on the disk and
survives the end of the process at any moment, one that was not leaves nothing (https://sqlite.org/wal.html). Writers
take the lock when they begin, so no transaction fails half way for want of it. Deleted content is overwritten
(`secure_delete`), then the log is emptied and the file is written anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, insert, make_url, select, text
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from core.faces.gallery_models import SCHEMA_VERSION, Base, SchemaRow
from core.faces.gallery_types import GalleryUnavailable
from core.runtime.settings import Settings
from core.runtime.settings import settings as environment_settings

BUSY_TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5
REWRITE_AT_MOST_BYTES = 64 * 2**20  # a larger database is written anew on request only: it takes seconds
SCHEMA_LOCK = 0x47414C4C  # any number that no other program takes for its own lock
TABLES = ("persons", "photos", "encodings")


class GalleryStore:
    """The database of galleries; made once a process and shared by its threads."""

    def __init__(self, url: str | URL) -> None:
        """Connect, and lay out the tables where they are missing.

        Raises:
            GalleryUnavailable: If the database cannot be reached, or was written by a newer version.
        """
        self.url = _checked(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            self._engine = _sqlite_engine(self.url)
        else:
            self._engine = create_engine(
                self.url, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_TIMEOUT_S}
            )
        try:
            with self._told():
                self._lay_out()
        except GalleryUnavailable:
            self.close()
            raise

    @property
    def file(self) -> Path | None:
        """The database's file; None for PostgreSQL."""
        return Path(self.url.database or "") if self.is_sqlite else None

    def place(self) -> str:
        """Where the data lie, for a person to read; without the password.

        >>> import tempfile
        >>> GalleryStore(f"sqlite:///{tempfile.mkdtemp()}/gallery.sqlite3").place().startswith("the file /")
        True
        """
        if self.is_sqlite:
            return f"the file {self.file}"
        port = f":{self.url.port}" if self.url.port else ""
        host = self.url.host or self.url.query.get("host") or "this machine"
        return f"the PostgreSQL database {self.url.database} on {host}{port}"

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that changes things: committed as a whole at the end, or not at all.

        Raises:
            GalleryUnavailable: If the database cannot be used.
        """
        engine = self._engine.execution_options(begin="IMMEDIATE")
        with self._told(), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that looks: all of it sees the same state.

        Raises:
            GalleryUnavailable: If the database cannot be used.
        """
        engine = self._engine if self.is_sqlite else self._engine.execution_options(isolation_level="REPEATABLE READ")
        with self._told(), Session(engine) as session, session.begin():
            yield session

    def size_bytes(self) -> int:
        """What the database takes on disk."""
        if self.file is not None:
            sidecars = (self.file.with_name(self.file.name + end) for end in ("", "-wal"))
            return sum(path.stat().st_size for path in sidecars if path.exists())
        with self.read() as session:
            sizes = (func.pg_total_relation_size(table) for table in TABLES)
            return sum(int(session.scalar(select(size)) or 0) for size in sizes)

    def overwrite_deleted(self, *, wait_s: float = 2.0, at_most_bytes: int | None = None) -> bool:
        """Write the database anew without what was deleted; False where that has to wait.

        It waits where others are looking all the time, and where the database has over `at_most_bytes`. What an
        SQLite deleted is overwritten in any case, and its log emptied as soon as nobody reads it. A PostgreSQL's own
        log of changes is out of reach: its server recycles it.
        """
        with self._told():
            if at_most_bytes is not None and self.size_bytes() > at_most_bytes:
                self._empty_log(wait_s)
                return False
            return self._rewrite_sqlite(wait_s) if self.is_sqlite else self._rewrite_postgresql(wait_s)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    # Inside

    def _lay_out(self) -> None:
        with self._engine.execution_options(begin="IMMEDIATE").begin() as connection:
            if not self.is_sqlite:  # two apps that start at once would lay out the same table
                connection.execute(select(func.pg_advisory_xact_lock(SCHEMA_LOCK)))
            Base.metadata.create_all(connection)
            found = connection.scalar(select(SchemaRow.version))
            if found is None:
                connection.execute(insert(SchemaRow).values(version=SCHEMA_VERSION))
            elif found != SCHEMA_VERSION:
                raise GalleryUnavailable(
                    f"The gallery in {self.place()} has layout {found}; this version of the workbench knows layout "
                    f"{SCHEMA_VERSION} alone."
                )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what a database says into a sentence."""
        try:
            yield
        except (IntegrityError, DataError, ProgrammingError):
            raise  # a mistake of ours
        except DBAPIError as error:
            cause = (str(error.orig).strip().splitlines() or ["no reason given"])[0]
            if "locked" in cause or "busy" in cause:
                raise GalleryUnavailable(
                    "The gallery was busy with other changes for too long; nothing was changed, try again."
                ) from error
            raise GalleryUnavailable(f"The gallery in {self.place()} cannot be used: {cause}.") from error

    def _raw(self) -> Connection:
        """A connection outside of transactions."""
        return self._engine.connect().execution_options(isolation_level="AUTOCOMMIT", begin=None)

    @contextmanager
    def _impatient(self, wait_s: float) -> Iterator[Connection]:
        """A connection to SQLite that waits no longer than this for others."""
        with self._raw() as connection:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={int(1000 * wait_s)}")
            try:
                yield connection
            finally:
                connection.exec_driver_sql(f"PRAGMA busy_timeout={int(1000 * BUSY_TIMEOUT_S)}")

    def _empty_log(self, wait_s: float) -> bool:
        if not self.is_sqlite:
            return True
        with self._impatient(wait_s) as connection:
            answer = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").first()
            return answer is not None and answer[0] == 0

    def _rewrite_sqlite(self, wait_s: float) -> bool:
        with self._impatient(wait_s) as connection:
            try:
                connection.exec_driver_sql("VACUUM")
                is_rewritten = True
            except OperationalError as error:
                if "locked" not in str(error) and "busy" not in str(error):
                    raise
                is_rewritten = False
        return self._empty_log(wait_s) and is_rewritten

    def _rewrite_postgresql(self, wait_s: float) -> bool:
        with self._raw() as connection:
            connection.execute(text(f"SET lock_timeout = {int(1000 * wait_s)}"))
            try:
                connection.execute(text(f"VACUUM (FULL) {', '.join(TABLES)}"))
            except OperationalError:  # the lock was not to be had
                return False
            finally:
                connection.execute(text("SET lock_timeout = 0"))
        return True


def _checked(url: str | URL) -> URL:
    """The address with the driver that is installed."""
    expected = "CNN_WORKBENCH_DATABASE_URL: expected an address such as postgresql://user:password@host/database"
    try:
        found = make_url(url)
    except ArgumentError:
        raise GalleryUnavailable(f"{expected}.") from None
    if found.drivername in ("postgres", "postgresql"):
        found = found.set(drivername="postgresql+psycopg")
    if found.get_backend_name() not in ("sqlite", "postgresql"):
        raise GalleryUnavailable(f"{expected}, received one of {found.drivername}.")
    return found


def _sqlite_engine(url: URL) -> Engine:
    file = Path(url.database or "")
    if not url.database or url.database == ":memory:":
        raise GalleryUnavailable("The gallery needs a file; a database in memory would be gone with the process.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Faces are nobody else's business: made readable for the owner alone before anything is in it.
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise GalleryUnavailable(f"The gallery's file {file} cannot be opened: {error.strerror}.") from error
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, as they are wanted
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        kind = connection.get_execution_options().get("begin", "DEFERRED")
        if kind is not None:
            connection.exec_driver_sql(f"BEGIN {kind}")

    return engine


def database_url(settings: Settings) -> str | URL:
    """The address of the gallery's database as the settings say."""
    return settings.database_url or URL.create("sqlite", database=str(settings.home / "faces" / "gallery.sqlite3"))


@lru_cache(maxsize=4)
def _store(url: str | URL) -> GalleryStore:
    return GalleryStore(url)


def open_store(settings: Settings | None = None) -> GalleryStore:
    """The store of this process, opened once.

    Raises:
        GalleryUnavailable: If the database cannot be used; asked again, it is tried again.
    """
    return _store(database_url(settings or environment_settings()))
