"""The embedded engine's processes: they end with the server, keep to their memory, come back, warm up."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from core.runtime import dispatch, pool
from core.runtime.dispatch import Engine
from core.runtime.engine import DaskWorkers, _kill_child, dask_engine
from core.runtime.host import Host
from core.runtime.jobs import EngineError, WorkerLost
from core.runtime.settings import Settings, cpu_cores
from tests.core.runtime import engine_tasks as tasks
from tests.core.runtime.engines import ROOT, wait_until

# What a web server does with the engine; it then says what it sees and waits to be ended.
SERVER = """
import json, sys, time
from core.runtime.engine import get_engine
heavy = [m for m in ("dask", "distributed", "tensorflow", "keras", "streamlit") if m in sys.modules]
from core.runtime.settings import settings
from tests.core.runtime import engine_tasks as tasks
import psutil
WARM, END = json.loads(sys.argv[1])
engine = get_engine()
if WARM:
    engine.warm_up()
ready_at_once = engine.describe().ready
assert get_engine() is engine
cold_sum = engine.call(tasks.add, 1, 1)
while WARM and engine.describe().devices is None:
    time.sleep(0.02)
job = engine.submit(tasks.spin, 600.0, owner="ada", title="Long")
while engine.job(job).state != "running":
    time.sleep(0.02)
devices = engine.describe().devices
print(json.dumps({
    "ready_at_once": ready_at_once, "heavy": heavy, "sum": cold_sum,
    "tensorflow_in_server": [m for m in ("tensorflow", "keras") if m in sys.modules],
    "tensorflow_in_worker": engine.call(tasks.has_tensorflow),
    "devices": None if devices is None else vars(devices),
    "pids": [child.pid for child in psutil.Process().children(recursive=True)],
    "folders": [str(folder) for folder in (settings().home / "engine").iterdir()],
    "written": [str(file.relative_to(settings().home)) for file in settings().home.iterdir()],
}), flush=True)
if END == "exit":
    sys.exit(0)
time.sleep(600)
"""


def start_server(home: Path, warm: bool, end: str) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    environment = {**os.environ, "CNN_WORKBENCH_HOME": str(home), "PYTHONPATH": str(ROOT)}
    environment.pop("CNN_WORKBENCH_SCHEDULER", None)
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, json.dumps([warm, end])], stdout=subprocess.PIPE, env=environment
    )
    assert server.stdout is not None
    line = server.stdout.readline()
    if not line:
        pytest.fail(f"the server ended with status {server.wait()}")
    return server, json.loads(line)


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    ("warm", "end"),
    [
        pytest.param(True, "SIGKILL", id="killed while warm and at work"),
        pytest.param(False, "SIGTERM", id="terminated"),
        pytest.param(False, "exit", id="ended by itself"),
    ],
)
def test_no_process_is_left_however_the_server_ends(tmp_path: Path, warm: bool, end: str) -> None:
    server, seen = start_server(tmp_path, warm, end)
    try:
        assert seen["heavy"] == [] and seen["tensorflow_in_server"] == [] and seen["sum"] == 2
        assert not seen["ready_at_once"]  # no worker is waited for
        assert len(seen["pids"]) >= 3 and seen["written"] == ["engine"] and len(seen["folders"]) == 1
        if warm:
            assert seen["tensorflow_in_worker"] is True
            assert seen["devices"]["cpu_cores"] == cpu_cores() and seen["devices"]["kind"] in ("CPU", "GPU")
        if end != "exit":
            server.send_signal(getattr(signal, end))
        server.wait(60)
        assert wait_until(lambda: not alive(seen["pids"]), 60), alive(seen["pids"])
        assert wait_until(lambda: not Path(seen["folders"][0]).exists(), 60)
    finally:
        server.kill()
        server.wait(5)
        if server.stdout is not None:
            server.stdout.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


OTHERS: set[int] = set()


@pytest.fixture(scope="module")
def engine(home: Path) -> Iterator[Engine]:
    OTHERS.update(process.pid for process in psutil.Process().children())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "TIDY_EVERY_S", 0.2)
        patch.setattr(pool, "RECYCLE_AFTER_S", 0.5)
        settings = Settings(
            home=home,
            call_workers=2,
            worker_memory_limit_bytes=700 * 10**6,
            worker_recycle_bytes=250 * 10**6,
            job_worker_idle_s=1.0,
        )
        engine = dask_engine(settings)
        yield engine
        engine.close()


def children() -> list[psutil.Process]:
    """The engine's processes; a browser or a server that another test started from this process is not among them."""
    own = [process for process in psutil.Process().children() if process.pid not in OTHERS]
    return [*own, *(process for one in own for process in one.children(recursive=True))]


def test_two_call_workers_compute_at_the_same_time(engine: Engine) -> None:
    assert engine.call(tasks.add, 1, 1) == 2
    assert wait_until(lambda: len(engine.describe().workers) == 2, 60)
    pids: list[int] = []
    threads = [threading.Thread(target=lambda: pids.append(engine.call(tasks.sleep_and_tell, 1.0))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(pids)) == 2


def test_worker_beyond_its_memory_limit_is_ended_with_a_clear_message(engine: Engine) -> None:
    with pytest.raises(WorkerLost, match="needed more memory than its limit of 0.7 GB"):
        engine.call(tasks.allocate_and_sleep, 1000, 300.0, timeout_s=300.0)
    assert engine.call(tasks.add, 1, 1) == 2


def test_idle_worker_that_holds_much_memory_is_replaced(engine: Engine) -> None:
    fat = engine.call(tasks.allocate, 300)
    assert wait_until(lambda: not alive([fat]), 60)
    assert engine.call(tasks.add, 1, 1) == 2
    assert wait_until(lambda: len(engine.describe().workers) == 2, 60)


def test_idle_job_worker_ends_and_comes_back_when_needed(engine: Engine) -> None:
    def job() -> int:
        job_id = engine.submit(tasks.process_id, owner="ada", title="Who")
        assert engine.wait(job_id, 120).state == "done"
        return int(engine.result(job_id))

    first = job()
    assert wait_until(lambda: not alive([first]), 60)
    assert job() != first


def test_engine_starts_its_host_again_when_that_was_killed(engine: Engine) -> None:
    job_id = engine.submit(tasks.sleep, 300.0, owner="ada", title="Long")
    assert wait_until(lambda: engine.job(job_id).state == "running", 60)  # type: ignore[union-attr]
    before = children()
    host = min(before, key=lambda process: process.create_time())
    host.kill()
    assert engine.wait(job_id, 60).state == "failed"
    assert engine.call(tasks.add, 1, 1) == 2
    assert wait_until(lambda: not alive([process.pid for process in before]), 60)


def test_nothing_is_left_of_a_closed_engine(engine: Engine, home: Path) -> None:
    assert engine.call(tasks.add, 1, 1) == 2
    pids = [process.pid for process in children()]
    began_s = time.monotonic()
    calling = threading.Thread(
        target=lambda: pytest.raises(EngineError, engine.call, tasks.sleep, 300.0, timeout_s=300.0)
    )
    calling.start()
    time.sleep(0.2)
    engine.close()
    engine.close()
    assert time.monotonic() - began_s < 120  # the call was not waited for
    calling.join(60)
    assert not calling.is_alive()
    assert wait_until(lambda: not alive(pids), 60)
    assert list((home / "engine").iterdir()) == []
    with pytest.raises(EngineError, match="The compute engine has been closed."):
        engine.call(tasks.add, 1, 1)


def test_no_more_jobs_run_than_there_are_places_when_they_come_before_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[tuple[str, str]] = []
    tell = Host.tell

    def noted(host: Host, order: Any, what: str) -> bool:
        orders.append((order, what))
        return tell(host, order, what)

    monkeypatch.setattr(Host, "tell", noted)
    engine = dask_engine(Settings(home=tmp_path, job_workers=2))
    try:
        assert wait_until(lambda: engine._workers._host is not None, 60)  # type: ignore[attr-defined]
        jobs = [engine.submit(tasks.sleep, 300.0, owner=owner, title="Long") for owner in ("ada", "eve", "bob")]
        states = ["running", "running", "queued"]
        assert wait_until(lambda: [engine.job(job).state for job in jobs] == states, 120)  # type: ignore[union-attr]
        assert engine.call(tasks.add, 1, 1) == 2
        assert orders == [("start", "job")] * 2
    finally:
        engine.close()


def test_a_worker_lost_while_the_scheduler_answers_is_not_taken_for_there(tmp_path: Path) -> None:
    """The answer may be older than the news of the loss."""

    class Answering:
        scheduler: Any

        async def identity(self, n_workers: int) -> dict[str, Any]:
            worker = {"metrics": {}, "status": "running", "name": "job-0", "resources": {"job": 1}}
            answer = {"workers": {"tls://gone": worker, "tls://there": worker}}
            await asyncio.sleep(0.01)
            workers._lose("tls://gone")
            return answer

    added: list[str] = []
    workers = DaskWorkers(Settings(home=tmp_path))
    workers._listener = SimpleNamespace(  # type: ignore[assignment]
        worker_added=lambda address, name, kinds: added.append(address), worker_lost=lambda address: None
    )
    client = Answering()
    client.scheduler = client
    workers._client = client

    async def look_twice() -> None:
        await asyncio.gather(workers._look_for_workers(), workers._look_for_workers())

    # In a thread of its own: a browser that this process drives has a loop in the main one.
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, look_twice()).result()
    workers._loop._loop.close()
    assert added == ["tls://there"]


def test_an_order_to_end_a_worker_that_comes_late_spares_its_successor() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    nanny = SimpleNamespace(pid=child.pid, worker_address="tls://successor")
    try:
        _kill_child("tls://ended", dask_worker=nanny)
        assert child.poll() is None
        _kill_child("tls://successor", dask_worker=nanny)
        assert child.wait(30) == -signal.SIGKILL
    finally:
        child.kill()
        child.wait()


def test_folder_of_a_server_that_is_gone_is_removed(tmp_path: Path) -> None:
    gone, other = tmp_path / "engine" / "999999999-abc", tmp_path / "engine" / f"{os.getpid()}-abc"
    for folder in (gone, other):
        folder.mkdir(parents=True)
        (folder / "left").write_text("over")
    engine = dask_engine(Settings(home=tmp_path))
    assert wait_until(lambda: not gone.exists(), 60) and other.exists()
    engine.close()
