"""What can be set from outside: a frozen record read once from the environment.

Every variable starts with ``CNN_WORKBENCH_``; none is needed. A value that cannot be used is refused with
one sentence that names the variable, what was expected and what was received.

===============================  =====================================================================
``CNN_WORKBENCH_HOME``           folder of downloads, checkpoints and databases (default: user data folder)
``CNN_WORKBENCH_SCHEDULER``      address of a Dask scheduler, ``tls://host:port``; ``tcp://`` on loopback only
``CNN_WORKBENCH_TLS_CA``         certificate authority of that cluster (a PEM file)
``CNN_WORKBENCH_TLS_CERT``       this machine's certificate (a PEM file)
``CNN_WORKBENCH_TLS_KEY``        its private key (a PEM file)
``CNN_WORKBENCH_CALL_WORKERS``   worker processes for short calls (1, or 2 from 8 cores on)
``CNN_WORKBENCH_JOB_WORKERS``    worker processes for long jobs (2: two people can train at once)
``CNN_WORKBENCH_WORKER_MEMORY``  memory limit of one worker, such as ``6GB`` (default: a share of the machine)
``CNN_WORKBENCH_QUEUED_JOBS``    jobs that may wait at once (8)
``CNN_WORKBENCH_OWNER_JOBS``     jobs one owner may have waiting and running (4)
``CNN_WORKBENCH_DATABASE_URL``   a PostgreSQL that keeps the enrolled faces (default: SQLite in the home folder)
===============================  =====================================================================

A cluster is started from the project's folder, the same version on every machine::

    export DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH=1000  # progress events the scheduler keeps
    dask scheduler --protocol tls --tls-ca-file ca.pem --tls-cert cert.pem --tls-key key.pem

    export DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON__OMP_NUM_THREADS=8  # Dask sets it to 1
    dask worker tls://host:8786 --nthreads 1 --resources "call=1" --no-dashboard --tls-ca-file ca.pem ...
    dask worker tls://host:8786 --nthreads 1 --resources "job=1" --no-dashboard --tls-ca-file ca.pem ...

Give each worker one thread, since a task that must be stopped is stopped with its process. A worker without
resources takes calls and jobs; of several such workers one is always kept free of jobs.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs
import psutil

PREFIX = "CNN_WORKBENCH_"
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


class SettingsError(ValueError):
    """A setting from the environment cannot be used."""


@dataclass(frozen=True)
class Settings:
    """Everything that can be set from outside, checked.

    ``scheduler`` is None for the embedded engine. Sizes are in bytes and times in seconds.
    """

    home: Path
    scheduler: str | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    call_workers: int = 1
    job_workers: int = 1
    worker_memory_limit_bytes: int = 4 * 2**30
    worker_recycle_bytes: int = 2**30  # an idle worker that still holds more than this is replaced
    max_queued_jobs: int = 8
    max_jobs_per_owner: int = 4
    max_result_bytes: int = 512 * 2**20  # results of finished jobs kept in the server, all together
    max_finished_jobs: int = 100
    finished_job_age_s: float = 6 * 3600.0
    job_worker_idle_s: float = 60.0  # an idle job worker ends after this time, so that its memory comes back
    database_url: str | None = field(default=None, repr=False)  # it may hold a password


def cpu_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def machine_memory_bytes() -> int:
    """Memory that this process may use: the machine's, or the container's limit where that is lower."""
    total = int(psutil.virtual_memory().total)
    for limit_file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(limit_file).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total


def parse_bytes(text: str) -> int:
    """Turn a size such as ``512MB``, ``6 GB`` or ``2GiB`` into bytes.

    Raises:
        ValueError: the text is not a positive number with an optional unit.

    >>> parse_bytes("1.5 GB")
    1500000000
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].upper() not in _UNITS or float(match[1]) <= 0:
        raise ValueError(f"expected a size such as 512MB or 6GB, received {text!r}")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables.

    Raises:
        SettingsError: a variable holds something that cannot be used; the sentence names it.

    >>> load_settings({"CNN_WORKBENCH_HOME": "/tmp/workbench"}).scheduler is None
    True
    """
    values = {name[len(PREFIX) :]: value.strip() for name, value in environment.items() if name.startswith(PREFIX)}
    values = {name: value for name, value in values.items() if value}

    cores = cpu_cores()
    call_workers = _count(values, "CALL_WORKERS", default=2 if cores >= 8 else 1)
    job_workers = _count(values, "JOB_WORKERS", default=2)  # the second starts when it is first needed
    share = int(0.9 * machine_memory_bytes() / (call_workers + job_workers))
    limit = share
    if "WORKER_MEMORY" in values:
        try:
            limit = parse_bytes(values["WORKER_MEMORY"])
        except ValueError as error:
            raise SettingsError(f"{PREFIX}WORKER_MEMORY: {error}.") from None
        if limit < 500_000_000:
            raise SettingsError(
                f"{PREFIX}WORKER_MEMORY: a worker needs at least 500MB to load TensorFlow, "
                f"received {values['WORKER_MEMORY']!r}."
            )

    tls = {name: _file(values, name) for name in ("TLS_CA", "TLS_CERT", "TLS_KEY")}
    scheduler = values.get("SCHEDULER")
    if scheduler is not None:
        _check_scheduler(scheduler, have_tls=all(tls.values()))
    home = values.get("HOME")
    return Settings(
        home=_home(home) if home else Path(platformdirs.user_data_dir("cnn-workbench", appauthor=False)),
        scheduler=scheduler,
        tls_ca=tls["TLS_CA"],
        tls_cert=tls["TLS_CERT"],
        tls_key=tls["TLS_KEY"],
        call_workers=call_workers,
        job_workers=job_workers,
        worker_memory_limit_bytes=limit,
        worker_recycle_bytes=min(Settings.worker_recycle_bytes, limit // 2),
        max_queued_jobs=_count(values, "QUEUED_JOBS", default=Settings.max_queued_jobs),
        max_jobs_per_owner=_count(values, "OWNER_JOBS", default=Settings.max_jobs_per_owner),
        database_url=_database(values),
    )


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process, read from its environment once."""
    return load_settings(os.environ)


def is_loopback(host: str) -> bool:
    """Say whether a host name or address means this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("192.168.1.5")
    (True, True, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _home(text: str) -> Path:
    home = Path(text).expanduser().absolute()
    if home.exists() and not home.is_dir():
        raise SettingsError(f"{PREFIX}HOME: expected a folder, but {home} is a file.")
    return home


def _count(values: Mapping[str, str], name: str, default: int) -> int:
    text = values.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise SettingsError(f"{PREFIX}{name}: expected a whole number from 1 to 1000, received {text!r}.")
    return int(text)


def _file(values: Mapping[str, str], name: str) -> Path | None:
    if name not in values:
        return None
    path = Path(values[name]).expanduser().absolute()
    if not path.is_file():
        raise SettingsError(f"{PREFIX}{name}: there is no file {path}.")
    return path


def _database(values: Mapping[str, str]) -> str | None:
    address = values.get("DATABASE_URL")
    if address is not None and not re.match(r"(postgres|postgresql(\+psycopg)?)://.", address):
        scheme = address.split(":", 1)[0][:30]  # what follows may hold a password
        raise SettingsError(
            f"{PREFIX}DATABASE_URL: expected postgresql://user:password@host/database, received one of {scheme!r}."
        )
    return address


def _check_scheduler(address: str, have_tls: bool) -> None:
    expected = f"{PREFIX}SCHEDULER: expected an address such as tls://host:8786, received {address!r}."
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise SettingsError(expected) from None
    if parts.scheme not in ("tls", "tcp") or not host or not port or parts.path or parts.query:
        raise SettingsError(expected)
    if parts.scheme == "tcp" and not is_loopback(host):
        raise SettingsError(
            f"{PREFIX}SCHEDULER: {address!r} is not encrypted, which is accepted on this machine alone; "
            f"use tls://{host}:{port} with {PREFIX}TLS_CA, {PREFIX}TLS_CERT and {PREFIX}TLS_KEY."
        )
    if parts.scheme == "tls" and not have_tls:
        raise SettingsError(
            f"{PREFIX}SCHEDULER: {address!r} needs {PREFIX}TLS_CA, {PREFIX}TLS_CERT and {PREFIX}TLS_KEY, "
            "each the path of a PEM file."
        )
