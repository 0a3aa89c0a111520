"""The engines that the tests run against, and clusters started apart from them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

from core.runtime.dispatch import Engine
from core.runtime.engine import dask_engine
from core.runtime.inline import InlineEngine
from core.runtime.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Look every 10 ms whether a condition holds, for a limited time."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


@contextlib.contextmanager
def engine_of(kind: str, home: Path) -> Iterator[Engine]:
    """Give an engine: "inline", "embedded", or "cluster" on a scheduler with two workers of its own."""
    with contextlib.ExitStack() as stack:
        settings = Settings(home=home, max_queued_jobs=4, max_jobs_per_owner=3)
        if kind == "inline":
            engine: Engine = InlineEngine(settings)
        elif kind == "embedded":
            engine = dask_engine(settings)
        else:
            one_of_each = [["--resources", "call=1"], ["--resources", "job=1"]]
            address = stack.enter_context(cluster(home / "cluster", one_of_each))
            engine = dask_engine(Settings(home=home, scheduler=address, max_queued_jobs=4, max_jobs_per_owner=3))
        stack.callback(engine.close)
        yield engine


@contextlib.contextmanager
def cluster(
    folder: Path, worker_options: Sequence[Sequence[str]], protocol: str = "tcp", options: Sequence[str] = ()
) -> Iterator[str]:
    """Start a scheduler and workers as their own programs on loopback, as the documentation says."""
    folder.mkdir(parents=True, exist_ok=True)
    address_file = folder / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__DIAGNOSTICS__NVML": "False"}
    programs: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> None:
        programs.append(subprocess.Popen([*dask, *arguments], cwd=folder, env=environment, **quiet))

    address_options = ["--host", "127.0.0.1", "--protocol", protocol, "--no-dashboard", *options]
    try:
        start("scheduler", "--port", "0", "--scheduler-file", str(address_file), *address_options)
        for extra in worker_options:
            start("worker", "--scheduler-file", str(address_file), "--nthreads", "1", *address_options, *extra)
        assert wait_until(address_file.exists, 120)
        yield _address_in(address_file)
    finally:
        for program in programs:
            kill_tree(program.pid)
            program.wait(60)


def kill_tree(pid: int) -> None:
    """Kill a process that a test started, with everything below it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()


def _address_in(address_file: Path) -> str:
    found: list[str] = []

    def read() -> bool:
        with contextlib.suppress(ValueError):
            found.append(json.loads(address_file.read_text())["address"])
        return bool(found)

    assert wait_until(read, 60)
    return found[0]
