"""The engine on Dask distributed: the only module that knows Dask.

`get_engine` gives the process-wide engine. By default it is *embedded*: a host process beside the web server
(`core.runtime.host`) holds a scheduler and the nannies of the workers, listens on loopback alone, with TLS
credentials made for this one run.

With ``CNN_WORKBENCH_SCHEDULER`` set, the same engine joins a *cluster* that was started elsewhere; how, says
`core.runtime.settings`. There is no difference between the two but in who starts and ends the workers.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import itertools
import logging
import os
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import psutil

from core.runtime import worker as in_worker
from core.runtime.dispatch import Engine
from core.runtime.host import Host, Pipe, forking_is_safe, serve
from core.runtime.inline import InlineEngine
from core.runtime.jobs import EngineError, WorkerLost, brief
from core.runtime.loop import LoopThread
from core.runtime.settings import Settings, cpu_cores
from core.runtime.settings import settings as environment_settings
from core.runtime.worker import Outcome, Request
from core.runtime.workers import EngineInfo, EngineKind, Kind, Listener, Run, fail

__all__ = ["DaskWorkers", "Engine", "EngineError", "EngineInfo", "InlineEngine", "dask_engine", "get_engine"]

logger = logging.getLogger(__name__)

TEMPLATE = "core.runtime.template"
SILENT = logging.CRITICAL + 1  # Dask logs what is reported through the engine
RECONNECT_AFTER_S = 1.0
LOOK_AGAIN_S = 0.02
LOOK_LIMIT_S = 10.0
WATCH_EVERY_S = 0.25
START_AGAIN_S = 0.5

_engine: Engine | None = None
_engine_lock = threading.Lock()


def get_engine() -> Engine:
    """Return the engine of this process; the first call creates it, which does not wait for its workers."""
    global _engine
    with _engine_lock:
        if _engine is None:
            _engine = dask_engine(environment_settings())
            atexit.register(_engine.close)
        return _engine


def dask_engine(settings: Settings) -> Engine:
    """Make an engine, embedded or on a cluster as the settings say."""
    return Engine(DaskWorkers(settings), settings)


class DaskWorkers:
    """Workers (see `core.runtime.workers`) that are Dask worker processes.

    All that touches Dask happens on one event loop in a thread of its own.
    """

    kind: EngineKind

    def __init__(self, settings: Settings) -> None:
        """Take the settings; nothing is started yet."""
        self._settings = settings
        self.kind = "embedded" if settings.scheduler is None else "cluster"
        self.address = settings.scheduler or ""
        self._topic = f"cnn-workbench-{uuid.uuid4().hex}"
        self._known: dict[str, str] = {}  # worker address: name
        self._memory: dict[str, int] = {}
        self._runs: dict[str, tuple[str, Run, Any]] = {}  # request id: worker address, run, Dask future
        self._previews: set[str] = set()
        self._looking = asyncio.Lock()
        self._lost_since: set[str] = set()  # lost since the scheduler was last asked: its answer may be older
        self._host: Host | None = None
        self._template_of: Host | None = None  # the host that was told to fork
        self._client: Any = None
        self._loop = LoopThread(self._serve, name="engine")

    def start(self, listener: Listener) -> None:
        """Start or find the scheduler in the background."""
        self._listener = listener
        self._loop.start()

    def run(self, worker_id: str, run: Run) -> None:
        """Hand a task to a worker."""
        self._loop.soon(self._run(worker_id, run))

    def cancel(self, worker_id: str, job_id: str) -> None:
        """Let the job's next report end it."""
        self._loop.soon(self._on_worker(worker_id, in_worker.cancel, job_id))

    def abandon(self, run: Run) -> None:
        """Take back a task that its worker has not begun."""
        fail(run, EngineError(f"{run.request.name} was taken back before it began."))
        self._loop.soon(self._forget(run))

    def end(self, worker_id: str) -> None:
        """Kill a worker's process through its nanny, which starts another."""
        self._loop.soon(self._end(worker_id))

    def grow(self, kind: Kind) -> bool:
        """Start one more embedded worker."""
        host = self._host
        return host is not None and host.tell("start", kind)

    def retire(self, worker_id: str) -> bool:
        """End an embedded worker for good."""
        host = self._host
        return host is not None and host.tell("stop", self._known.get(worker_id, ""))

    def make_template(self) -> bool:
        """Let embedded workers be forked from now on; True the first time, for each host."""
        host = self._host
        if host is None or self._template_of is host or not forking_is_safe():
            return False
        self._template_of = host
        return host.tell("fork", TEMPLATE)

    def warm(self, worker_id: str) -> None:
        """Let a worker import TensorFlow and Keras in the background."""
        self._loop.soon(self._on_worker(worker_id, _warm_in_worker, self._topic))

    def memory_bytes(self) -> Mapping[str, int]:
        """Return the resident memory of each worker as of its last heartbeat."""
        self._loop.soon(self._look_for_workers())
        return dict(self._memory)

    def close(self) -> None:
        """End the workers, if they are embedded, and the connection."""
        self._loop.close(timeout_s=10.0)
        if self._host is not None:
            self._host.close()

    # On the event loop

    async def _serve(self) -> None:
        """Stay connected until closed: after a loss the host is started, or the cluster is sought, again."""
        failures = 0
        while not self._loop.closing:
            try:
                await self._connected()
                failures = 0
            except Exception as error:
                failures += 1
                logger.warning("The workers cannot be reached", exc_info=True)
                # An embedded host is given a second try before those who wait are told.
                if self.kind == "cluster" or failures > 1:
                    place = f"scheduler at {self.address}" if self.kind == "cluster" else "worker processes"
                    self._listener.trouble(f"The {place} cannot be reached ({brief(error)}).")
            self._lose_all()
            await self._loop.rest(RECONNECT_AFTER_S * min(max(failures, 0.2), 10))

    async def _connected(self) -> None:
        """Start or seek the scheduler and be its client until it is lost or the engine closes."""
        # Before the host is there to be asked: what it is asked for until it answers counts as on its way.
        self._listener.beginning()
        if self._settings.scheduler is not None:
            await self._be_client(self._settings.scheduler, _cluster_tls(self._settings))
            return
        self._host = host = Host(self._settings)
        try:
            hello = await asyncio.to_thread(host.hello)
            await self._be_client(hello["address"], hello["tls"])
        finally:
            self._host = None
            await asyncio.to_thread(host.close)

    async def _be_client(self, address: str, tls: Mapping[str, str]) -> None:
        import dask
        from distributed import Client, Security

        dask.config.set({"distributed.admin.large-graph-warning-threshold": "4GiB"})
        dask.config.set({"distributed.comm.timeouts.connect": "5s"})
        _silence_dask()
        self.address = address
        security = Security(require_encryption=True, **tls) if tls else None
        # A cluster's workers may be out of reach for all but their scheduler.
        ways = {"direct_to_workers": True if self.kind == "embedded" else None, "set_as_default": False}
        client = Client(address, security=security, asynchronous=True, **ways)
        try:
            self._client = await client
            client.subscribe_topic("all", self._on_cluster_event)
            client.subscribe_topic(self._topic, self._on_event)
            self._listener.connected()
            await self._look_for_workers()
            while client.status == "running" and not self._loop.closing:
                await self._loop.rest(WATCH_EVERY_S)
        finally:
            self._client = None
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(), 2.0)

    async def _look_for_workers(self) -> None:
        """Compare the scheduler's workers with those known, and tell the engine what has changed."""
        beginning = False
        # One look after another: an answer that is older than what is known would lose a worker that has just come.
        async with self._looking:
            if self._client is None:
                return
            self._lost_since.clear()
            with contextlib.suppress(OSError):
                identity = await asyncio.wait_for(self._client.scheduler.identity(n_workers=-1), LOOK_LIMIT_S)
                beginning = self._compare(identity["workers"])
        if beginning:  # a worker is announced a moment before it runs
            await asyncio.sleep(LOOK_AGAIN_S)
            self._loop.soon(self._look_for_workers())

    def _compare(self, present: Mapping[str, Mapping[str, Any]]) -> bool:
        """Take over which workers there are; True if one of them is about to begin."""
        for address in set(self._known) - set(present):
            self._lose(address)
        self._memory = {address: int(w["metrics"].get("memory", 0)) for address, w in present.items()}
        for address, info in present.items():
            new = address not in self._known and address not in self._lost_since
            if new and info["status"] == "running":
                self._known[address] = str(info["name"])
                self._listener.worker_added(address, str(info["name"]), _kinds(info["resources"]))
        return any(info["status"] == "init" for info in present.values())

    def _on_cluster_event(self, event: tuple[float, Mapping[str, Any]]) -> None:
        match event[1]:
            case {"action": "remove-worker", "worker": address}:
                self._lose(address)
            case {"action": "add-worker"}:
                self._loop.soon(self._look_for_workers())

    def _on_event(self, event: tuple[float, Mapping[str, Any]]) -> None:
        message = event[1]
        self._listener.event(message)
        if message.get("preview"):
            self._loop.soon(self._fetch_preview(message["id"]))

    async def _fetch_preview(self, job_id: str) -> None:
        # Fetched, not sent along: the scheduler keeps events, and it should not keep pictures.
        if job_id not in self._runs or job_id in self._previews:
            return
        self._previews.add(job_id)
        address = self._runs[job_id][0]
        try:
            answers = await self._client.run(in_worker.latest_preview, job_id, workers=[address], on_error="ignore")
            if answers.get(address) is not None and job_id in self._runs:
                self._listener.preview(job_id, answers[address])
        except Exception:  # the job or the connection has ended
            logger.debug("A preview could not be fetched", exc_info=True)
        finally:
            self._previews.discard(job_id)

    async def _run(self, address: str, run: Run) -> None:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        request = run.request
        if self._client is None or self._client.status != "running":
            self._lose_all()
        if address not in self._known:
            fail(run, WorkerLost(f"The worker that was to run {request.name} is gone."))
            return
        future: Any = None
        try:
            future = self._client.submit(
                _run_in_worker,
                request,
                self._topic,
                key=f"{request.name}-{request.id}",
                pure=False,
                workers=[address],
                allow_other_workers=False,
            )
            self._runs[request.id] = address, run, future
            outcome: Outcome = await future
            if not run.outcome.done():
                run.outcome.set_result(outcome)
        except KilledWorker:
            self._lose(address)
        except (FutureCancelledError, asyncio.CancelledError):
            if self._client is None or self._client.status != "running":
                self._lose_all()
            fail(run, WorkerLost(f"The connection to the worker that ran {request.name} was lost."))
        except Exception as error:
            fail(run, EngineError(f"{request.name} could not be run ({brief(error)})."))
        finally:
            self._runs.pop(request.id, None)
            if future is not None:
                with contextlib.suppress(Exception):
                    future.release()

    async def _forget(self, run: Run) -> None:
        if run.request.id in self._runs:
            with contextlib.suppress(Exception):
                await self._runs[run.request.id][2].cancel(force=True)

    def _lose(self, address: str) -> None:
        """Tell the engine that a worker is gone, and let no other worker take up what it ran."""
        self._lost_since.add(address)
        if self._known.pop(address, None) is None:
            return
        self._memory.pop(address, None)
        self._listener.worker_lost(address)
        for at, run, _ in list(self._runs.values()):
            if at == address:
                fail(run, WorkerLost(f"The worker that ran {run.request.name} is gone."))
                self._loop.soon(self._forget(run))

    def _lose_all(self) -> None:
        for address in list(self._known):
            self._lose(address)

    async def _end(self, address: str) -> None:
        try:
            await asyncio.wait_for(self._client.run(_kill_child, address, workers=[address], nanny=True), 5.0)
        except Exception:
            logger.warning("The worker at %s has no nanny that answers", address, exc_info=True)
            await self._on_worker(address, os._exit, 1)

    async def _on_worker(self, address: str, function: Callable[..., object], *args: object) -> None:
        if self._client is not None:
            work = self._client.run(function, *args, workers=[address], on_error="ignore")
            with contextlib.suppress(OSError, ValueError, TimeoutError):
                await asyncio.wait_for(work, 10.0)


# In the host process

NOT_NEEDED = (
    *("diagnostics.nvml", "worker.profile.enabled"),
    *("scheduler.active-memory-manager.start", "scheduler.work-stealing"),
    *("worker.memory.pause", "worker.memory.spill", "worker.memory.target"),
)


def host_main() -> None:
    """Serve a scheduler and workers until the pipe to the server closes."""
    serve(_host)


async def _host(pipe: Pipe) -> None:
    import dask
    from distributed import Nanny, Scheduler, Security
    from distributed.utils import get_mp_context

    config = pipe.config
    os.environ.update(in_worker.environment())  # the template's too
    # A job alone is to have two cores also where two may run.
    threads = {"call": cpu_cores(), "job": max(min(2, cpu_cores()), cpu_cores() // config["jobs"])}
    dask.config.set({f"distributed.{name}": False for name in NOT_NEEDED})
    dask.config.set(
        {
            "distributed.admin.low-level-log-length": 200,  # events kept by the scheduler
            "distributed.nanny.pre-spawn-environ": {"MALLOC_TRIM_THRESHOLD_": 65536},
            "distributed.scheduler.allowed-failures": 0,
            "distributed.scheduler.http.routes": [],
            "distributed.scheduler.worker-ttl": None,
            "distributed.worker.http.routes": [],
            "temporary-directory": config["folder"],
        }
    )
    _silence_dask()
    security = Security.temporary()
    common = {"host": "127.0.0.1", "protocol": "tls", "security": security}
    scheduler = await Scheduler(port=0, dashboard=False, dashboard_address="127.0.0.1:0", **common)
    nannies: dict[str, Any] = {}
    numbers = itertools.count()

    async def start(kind: str) -> None:
        """Keep one worker: its nanny replaces the process when it dies, and this the nanny when that fails."""
        name = f"{kind}-{next(numbers)}"
        nannies[name] = None
        while name in nannies:
            nannies[name] = nanny = Nanny(
                scheduler.address,
                nthreads=1,
                name=name,
                resources={kind: 1},
                memory_limit=config["memory_limit_bytes"],
                local_directory=config["folder"],
                env=in_worker.environment(threads[kind]),
                silence_logs=SILENT,
                dashboard=False,
                dashboard_address="127.0.0.1:0",
                **common,
            )
            try:
                await nanny
                await nanny.finished()
            except Exception:
                logger.warning("Worker %s has not started", name, exc_info=True)
            await asyncio.sleep(START_AGAIN_S)

    async def stop(name: str) -> None:
        nanny = nannies.pop(name, None)
        if nanny is not None:
            await nanny.close()

    async def fork(template: str) -> None:
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
        get_mp_context().set_forkserver_preload([template])  # in place of those that Dask has just set

    tls = ("tls_ca_file", "tls_client_cert", "tls_client_key")
    pipe.answer({"address": scheduler.address, "tls": {name: getattr(security, name) for name in tls}})
    pipe.obey({"start": start, "stop": stop, "fork": fork})
    await asyncio.gather(start("call"), scheduler.finished())


# In nannies and workers


def _run_in_worker(request: Request, topic: str) -> Outcome:
    from distributed import get_worker

    worker: Any = get_worker()
    in_worker.prepare(background=_kinds(worker.state.total_resources) == {"job"})
    in_worker.TRIMMER.enable()
    return in_worker.execute(request, lambda event: worker.log_event(topic, event))


def _warm_in_worker(topic: str, dask_worker: Any = None) -> None:
    in_worker.prepare(background=_kinds(dask_worker.state.total_resources) == {"job"})

    def done(devices: Mapping[str, Any]) -> None:
        dask_worker.log_event(topic, {"id": dask_worker.address, "event": "warm", "devices": dict(devices)})

    in_worker.warm_up(done)


def _kill_child(address: str, dask_worker: Any = None) -> None:
    # The order may come late, when the nanny has started another process already.
    if dask_worker.pid is not None and dask_worker.worker_address == address:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(dask_worker.pid).kill()


def _kinds(resources: Mapping[str, float]) -> frozenset[Kind]:
    kinds: list[Kind] = ["call", "job"]
    return frozenset(kind for kind in kinds if resources.get(kind, 0) > 0) or frozenset(kinds)


def _silence_dask() -> None:
    for name in ("distributed", *logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(SILENT)


def _cluster_tls(settings: Settings) -> dict[str, str]:
    if settings.scheduler is None or not settings.scheduler.startswith("tls:"):
        return {}
    names = ("tls_ca_file", "tls_client_cert", "tls_client_key")
    files = (settings.tls_ca, settings.tls_cert, settings.tls_key)
    return dict(zip(names, map(str, files), strict=True))
