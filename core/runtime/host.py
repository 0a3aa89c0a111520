"""The process beside the server under which the embedded workers live.

The server starts it and tells it what to do by lines of JSON through a pipe. When that pipe closes, because
the server closed it or ended in whatever way, the process ends at once with everything below it. It is a
process of its own because workers are spawned, and spawning re-imports the main module, which in a web server
is the app. What it serves is given by `core.runtime.engine`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess  # noqa: S404 - starts this project in another interpreter
import sys
import threading
import uuid
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any, Literal

import psutil

from core.runtime.devices import gpu_driver_present
from core.runtime.settings import Settings

PROJECT = Path(__file__).resolve().parents[2]
HOST_PROGRAM = "from core.runtime.engine import host_main; host_main()"
TRACKER = "multiprocessing.resource_tracker"  # tells of the semaphores of killed workers that it removes


class Host:
    """The process that holds the embedded scheduler and its workers' nannies.

    It is told what to do by lines of JSON, ends when that pipe closes, and takes its workers with it.
    """

    def __init__(self, settings: Settings) -> None:
        """Start the process; it is usable once `hello` has returned."""
        self._folder = settings.home / "engine" / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        _remove_leftovers(self._folder.parent)
        self._folder.mkdir(parents=True, exist_ok=True)
        paths = [str(PROJECT), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(  # noqa: S603 - the interpreter that runs this, with a fixed program
            [sys.executable, "-W", f"ignore::UserWarning:{TRACKER}", "-c", HOST_PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            start_new_session=True,  # an interrupt from the terminal is for the server alone
        )
        self._lock = threading.Lock()
        self._say(
            {
                "folder": str(self._folder),
                "jobs": settings.job_workers,
                "memory_limit_bytes": settings.worker_memory_limit_bytes,
            }
        )

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def hello(self) -> dict[str, Any]:
        """Wait for the scheduler's address and the credentials to reach it."""
        if self._process.stdout is None:
            raise ConnectionError("the host process has no output")
        line = self._process.stdout.readline()
        if not line:
            raise ConnectionError(f"the host process ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def tell(self, order: Literal["start", "stop", "fork"], what: str) -> bool:
        """Order a worker of a kind to start, one of a name to stop, or forking from a template module."""
        return self._say({order: what})

    def close(self) -> None:
        """End the process and remove its folder."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5.0)
        if self._process.stdout is not None:
            self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _say(self, message: Mapping[str, Any]) -> bool:
        if self._process.stdin is None:
            return False
        try:
            with self._lock:
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
                self._process.stdin.flush()
        except (OSError, ValueError):  # closed or broken
            return False
        return True


class Pipe:
    """The host's end of the pipe to the server."""

    def __init__(self) -> None:
        """Take over standard input and output; what tasks print goes where errors go."""
        self._orders: IO[bytes] = os.fdopen(os.dup(0), "rb")
        self._answers: IO[bytes] = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        self.config: Mapping[str, Any] = json.loads(self._orders.readline())

    def answer(self, message: Mapping[str, Any]) -> None:
        """Send the one answer that `Host.hello` waits for."""
        self._answers.write(json.dumps(message).encode() + b"\n")
        self._answers.close()

    def obey(self, orders: Mapping[str, Callable[[str], Coroutine[Any, Any, None]]]) -> None:
        """Carry out, on the running loop, each order that comes, and end this process after the last."""
        loop = asyncio.get_running_loop()
        at_work: set[Future[None]] = set()

        def listen() -> None:
            for line in self._orders:
                for order, what in json.loads(line).items():
                    work = asyncio.run_coroutine_threadsafe(orders[order](what), loop)
                    at_work.add(work)
                    work.add_done_callback(at_work.discard)
            _end_with_children(self.config["folder"])

        threading.Thread(target=listen, name="orders", daemon=True).start()


def serve(service: Callable[[Pipe], Coroutine[Any, Any, None]]) -> None:
    """Be the host process."""
    asyncio.run(service(Pipe()))


def forking_is_safe() -> bool:
    """Say whether a process with TensorFlow loaded may fork: on Linux, if that opened no GPU driver."""
    return sys.platform == "linux" and not gpu_driver_present()


def _end_with_children(folder: str) -> None:
    """End this process and all below it, at once, and remove its folder."""
    for _ in range(2):  # a nanny may have started one meanwhile; it dies with this process
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if "resource_tracker" not in "".join(child.cmdline()):  # ends by itself, having cleaned up
                    child.kill()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _remove_leftovers(folder: Path) -> None:
    """Remove the folders of hosts whose server has ended without its host being able to."""
    for left in folder.glob("*-*"):
        pid = left.name.partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
