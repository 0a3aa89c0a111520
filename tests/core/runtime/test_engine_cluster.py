"""Clusters started apart: TLS is checked, workers for both kinds, two servers, a scheduler that goes away."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.runtime.dispatch import Engine
from core.runtime.engine import dask_engine
from core.runtime.jobs import EngineError, WorkerLost
from core.runtime.settings import load_settings
from tests.core.runtime import engine_tasks as tasks
from tests.core.runtime.engines import cluster, kill_tree, wait_until


def credentials(folder: Path) -> dict[str, str]:
    """Write a certificate authority, certificate and key of a new cluster; return their files by name."""
    from distributed import Security

    security = Security.temporary()
    folder.mkdir()
    parts = {
        "CA": security.tls_ca_file,
        "CERT": security.tls_client_cert,
        "KEY": security.tls_client_key,
    }
    for name, text in parts.items():
        (folder / f"{name}.pem").write_text(text)
    return {name: str(folder / f"{name}.pem") for name in parts}


def environment(home: Path, scheduler: str, files: dict[str, str]) -> dict[str, str]:
    values = {
        "HOME": str(home),
        "SCHEDULER": scheduler,
        **{f"TLS_{name}": file for name, file in files.items()},
    }
    return {f"CNN_WORKBENCH_{name}": value for name, value in values.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def files(folder: Path) -> dict[str, str]:
    return credentials(folder / "ours")


@pytest.fixture(scope="module")
def address(folder: Path, files: dict[str, str]) -> Iterator[str]:
    options = ["--tls-ca-file", files["CA"], "--tls-cert", files["CERT"], "--tls-key", files["KEY"]]
    with cluster(folder / "programs", [[], []], protocol="tls", options=options) as address:
        assert address.startswith("tls://127.0.0.1:")
        yield address


@pytest.fixture(scope="module")
def engine(folder: Path, address: str, files: dict[str, str]) -> Iterator[Engine]:
    engine = dask_engine(load_settings(environment(folder / "home", address, files)))
    yield engine
    engine.close()


def test_cluster_is_joined_with_its_credentials(engine: Engine, folder: Path) -> None:
    assert engine.call(tasks.add, 1, 1) == 2
    info = engine.describe()
    assert info.kind == "cluster" and info.ready and info.trouble is None
    assert not (folder / "home").exists()  # nothing is needed on this machine


def test_of_two_workers_for_both_kinds_one_is_kept_for_calls(engine: Engine) -> None:
    assert engine.call(tasks.add, 1, 1) == 2
    assert wait_until(lambda: len(engine.describe().workers) == 2, 60)
    jobs = [engine.submit(tasks.wait_for_cancellation, owner="ada", title=f"Long {n}") for n in range(2)]
    assert wait_until(lambda: engine.job(jobs[0]).state == "running", 60)  # type: ignore[union-attr]
    assert engine.call(tasks.add, 1, 1, timeout_s=60.0) == 2
    second = engine.job(jobs[1])
    assert second is not None and second.state == "queued"
    for job in jobs[::-1]:
        engine.cancel(job)
        assert engine.wait(job, 60).state == "cancelled"


def test_two_servers_share_a_cluster(engine: Engine, folder: Path, address: str, files: dict[str, str]) -> None:
    """A job of another server keeps a worker busy: ours waits behind it, and ends nothing but its own."""
    other = dask_engine(load_settings(environment(folder / "other", address, files)))
    theirs = other.submit(tasks.wait_for_cancellation, owner="eve", title="Theirs")
    assert wait_until(lambda: other.job(theirs).state == "running", 60)  # type: ignore[union-attr]
    mine = [engine.submit(tasks.add, n, n, owner="ada", title="Mine") for n in range(2)]
    time.sleep(0.5)
    for job in mine:
        engine.cancel(job)
        assert engine.wait(job, 60).state in ("cancelled", "done")
    assert other.job(theirs).state == "running"  # type: ignore[union-attr]
    other.cancel(theirs)
    assert other.wait(theirs, 60).state == "cancelled"
    other.close()
    assert engine.call(tasks.add, 2, 2) == 4


def test_cluster_refuses_credentials_that_are_not_its_own(folder: Path, address: str, files: dict[str, str]) -> None:
    foreign = credentials(folder / "foreign")
    for given in (foreign, {**files, "CERT": foreign["CERT"], "KEY": foreign["KEY"]}):
        stranger = dask_engine(load_settings(environment(folder / "stranger", address, given)))
        with pytest.raises(EngineError, match=f"The scheduler at {address} cannot be reached"):
            stranger.call(tasks.add, 1, 1)
        trouble = stranger.describe().trouble
        assert trouble is not None and trouble.endswith(").") and "\n" not in trouble
        stranger.close()


def test_encrypted_cluster_is_not_joined_in_the_clear(folder: Path, address: str) -> None:
    plain = dask_engine(load_settings(environment(folder / "plain", address.replace("tls:", "tcp:"), {})))
    with pytest.raises(EngineError, match="cannot be reached"):
        plain.call(tasks.add, 1, 1)
    plain.close()


def test_scheduler_that_goes_away_is_reported(engine: Engine, folder: Path, tmp_path: Path) -> None:
    errors: list[BaseException] = []
    notes = tmp_path / "begun"

    def call() -> None:
        try:
            engine.call(tasks.note_and_sleep, str(notes), 300.0, timeout_s=300.0)
        except EngineError as error:
            errors.append(error)

    calling = threading.Thread(target=call)
    calling.start()
    assert wait_until(notes.exists, 60)
    time.sleep(0.5)
    programs = [p for p in psutil.Process(os.getpid()).children() if str(folder) in " ".join(p.cmdline())]
    scheduler = next(p for p in programs if "scheduler" in p.cmdline())
    kill_tree(scheduler.pid)
    calling.join(120)
    assert len(errors) == 1 and isinstance(errors[0], WorkerLost)
    with pytest.raises(EngineError, match="cannot be reached"):
        engine.call(tasks.add, 1, 1)
    assert not engine.describe().ready
