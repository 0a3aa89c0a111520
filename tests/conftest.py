"""What all tests share: a data folder of their own, quiet libraries, and what several processes need to get along.

`make test` runs several processes (pytest-xdist). Each has one core and a data folder of its own; the browser tests
all go to one of them, with one server, and begin first; a test marked `alone` runs while every other process waits.
"""

import fcntl
import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PARALLEL = "PYTEST_XDIST_WORKER" in os.environ

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if PARALLEL:
    os.environ["CNN_WORKBENCH_HOME"] = tempfile.mkdtemp(prefix="cnn-workbench-test-")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ.setdefault(name, "1")
else:
    os.environ.setdefault("CNN_WORKBENCH_HOME", tempfile.mkdtemp(prefix="cnn-workbench-test-"))

BROWSER = "tests/end_to_end/"
# What takes long begins early, so that the processes end together.
ORDER = (BROWSER, "tests/benchmarks/", "tests/pages/", "tests/core/", "")


class Turns:
    """Lets a test marked `alone` wait until no other process runs a test, and the others until it has ended."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        own = Path(__file__)
        turn, running = os.open(own, os.O_RDONLY), os.open(own.parent, os.O_RDONLY)
        try:
            # Whoever wants to be alone waits with the turn in hand, so that nobody overtakes.
            fcntl.flock(turn, fcntl.LOCK_EX)
            fcntl.flock(running, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
            fcntl.flock(turn, fcntl.LOCK_UN)
            return (yield)
        finally:
            # By name: a process that was forked meanwhile holds the open files as well.
            fcntl.flock(running, fcntl.LOCK_UN)
            os.close(running)
            os.close(turn)


def pytest_configure(config: pytest.Config) -> None:
    if PARALLEL:
        config.pluginmanager.register(Turns())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several processes, put the tests in the order in which they are to begin."""
    if PARALLEL:
        items.sort(key=lambda item: next(n for n, start in enumerate(ORDER) if item.nodeid.startswith(start)))


def pytest_collection_finish() -> None:
    """Spare what was imported and collected the garbage collections that Streamlit makes after each run of a page."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out whole files, in order, and all browser tests as if they were one."""
    from xdist.scheduler import LoadScopeScheduling

    class WholeFiles(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return BROWSER if nodeid.startswith(BROWSER) else nodeid.split("::", 1)[0]

    config.option.loadscopereorder = False
    return WholeFiles(config, log)
