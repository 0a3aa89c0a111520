"""The engine on Dask distributed: the only module that knows Dask.

`get_engine` gives the process-wide engine. By default it is *embedded*: a host process beside the web server
(`core.runtime.host`) holds a scheduler and the nannies of the workers, listens on loopback alone, with TLS
credentials made for this one run.

With ``CNN_WORKBENCH_SCHEDULER`` set, the same engine joins a *cluster* that was started elsewhere, from the
project's folder on every machine (see `core.runtime.settings` for addresses and TLS files)::

    export DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH=1000  # progress events the scheduler keeps
    dask scheduler --protocol tls --tls-ca-file ca.pem --tls-cert cert.pem --tls-key key.pem

    export DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON__OMP_NUM_THREADS=8  # Dask sets it to 1
    dask worker tls://host:8786 --nthreads 1 --resources "call=1" --no-dashboard --tls-ca-file …
    dask worker tls://host:8786 --nthreads 1 --resources "job=1" --no-dashboard --tls-ca-file …

A worker that declares neither resource takes both kinds of work; of several such workers one is always kept
free of jobs.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import itertools
import logging
import os
import sys
import threading
import uuid
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import psutil

from core.runtime import worker as in_worker
from core.runtime.devices import gpu_driver_present
from core.runtime.dispatch import Engine, EngineInfo
from core.runtime.host import Host, Pipe, serve
from core.runtime.inline import InlineEngine
from core.runtime.jobs import (
    CallTimedOut,
    EngineError,
    JobCancelled,
    JobView,
    QueueFull,
    Report,
    TaskFailed,
    WorkerLost,
)
from core.runtime.settings import Settings, cpu_cores
from core.runtime.settings import settings as environment_settings
from core.runtime.worker import Outcome, Request
from core.runtime.workers import EngineKind, Kind, Listener, Run, fail

__all__ = [
    "CallTimedOut",
    "DaskWorkers",
    "Engine",
    "EngineError",
    "EngineInfo",
    "InlineEngine",
    "JobCancelled",
    "JobView",
    "QueueFull",
    "Report",
    "TaskFailed",
    "WorkerLost",
    "dask_engine",
    "get_engine",
]

logger = logging.getLogger(__name__)

TEMPLATE = "core.runtime.template"
SILENT = logging.CRITICAL + 1  # Dask logs what is reported through the engine
RECONNECT_AFTER_S = 1.0
WATCH_EVERY_S = 0.25

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


class ConnectionLostError(ConnectionError):
    """The scheduler was reached and is no longer."""


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
        self._host: Host | None = None
        self._template_of: Host | None = None  # the host that was told to fork
        self._client: Any = None
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._main, name="engine", daemon=True)

    def start(self, listener: Listener) -> None:
        """Start or find the scheduler in the background."""
        self._listener = listener
        self._thread.start()

    def run(self, worker_id: str, run: Run) -> None:
        """Hand a task to a worker."""
        self._soon(self._run(worker_id, run))

    def cancel(self, worker_id: str, job_id: str) -> None:
        """Let the job's next report end it."""
        self._soon(self._on_worker(worker_id, in_worker.cancel, job_id))

    def abandon(self, run: Run) -> None:
        """Take back a task that its worker has not begun."""
        fail(run, EngineError(f"{run.request.name} was taken back before it began."))
        self._soon(self._forget(run))

    def end(self, worker_id: str) -> None:
        """Kill a worker's process through its nanny, which starts another."""
        self._soon(self._end(worker_id))

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
        self._soon(self._on_worker(worker_id, _warm_in_worker, self._topic))

    def memory_bytes(self) -> Mapping[str, int]:
        """Return the resident memory of each worker as of its last heartbeat."""
        self._soon(self._look_for_workers())
        return dict(self._memory)

    def close(self) -> None:
        """End the workers, if they are embedded, and the connection."""
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(10.0)
        if self._host is not None:
            self._host.close()

    # On the event loop

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        def begin() -> None:
            task = self._loop.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        try:
            self._loop.call_soon_threadsafe(begin)
        except RuntimeError:
            work.close()
            raise EngineError("The compute engine has been closed.") from None

    async def _serve(self) -> None:
        """Stay connected until closed: after a loss the host is started, or the cluster is sought, again."""
        failures = 0
        while not self._closing.is_set():
            try:
                await self._connected()
            except ConnectionLostError:
                failures = 0
            except Exception as error:
                failures += 1
                logger.warning("The workers cannot be reached", exc_info=True)
                # An embedded host is given a second try before those who wait are told.
                if self.kind == "cluster" or failures > 1:
                    place = f"scheduler at {self.address}" if self.kind == "cluster" else "worker processes"
                    self._listener.trouble(
                        f"The {place} cannot be reached ({type(error).__name__}: {error})."
                    )
            self._lose_all()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), RECONNECT_AFTER_S * min(failures, 10))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self) -> None:
        """Connect, serve until the connection or the host is lost or the engine closed, and clean up."""
        import dask
        from distributed import Client, Security

        dask.config.set(
            {
                "distributed.admin.large-graph-warning-threshold": "4GiB",
                "distributed.comm.timeouts.connect": "10s",
            }
        )
        logging.getLogger("distributed").setLevel(SILENT)
        if self._settings.scheduler is None:
            self._host = host = Host(self._settings)
            hello = await asyncio.to_thread(host.hello)
            self.address = hello["address"]
            security = Security(require_encryption=True, **hello["tls"])
        else:
            host, security = None, _cluster_security(self._settings)
        client = Client(
            self.address, security=security, asynchronous=True, set_as_default=False, name="cnn-workbench"
        )
        try:
            self._client = await client
            client.subscribe_topic("all", self._on_cluster_event)
            client.subscribe_topic(self._topic, self._on_event)
            await self._look_for_workers()
            self._listener.trouble(None)
            while client.status == "running" and not self._closing.is_set() and (host is None or host.alive):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), WATCH_EVERY_S)
            if not self._closing.is_set():
                raise ConnectionLostError
        finally:
            self._client = None
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(), 2.0)
            if host is not None:
                self._host = None
                await asyncio.to_thread(host.close)

    async def _look_for_workers(self) -> None:
        """Compare the scheduler's workers with those known, and tell the engine what has changed."""
        if self._client is None:
            return
        with contextlib.suppress(OSError):
            identity = await self._client.scheduler.identity(n_workers=-1)
            present: dict[str, dict[str, Any]] = identity["workers"]
            for address in set(self._known) - set(present):
                self._lose(address)
            self._memory = {address: int(w["metrics"].get("memory", 0)) for address, w in present.items()}
            for address, info in present.items():
                if address not in self._known and info["status"] == "running":
                    self._known[address] = str(info["name"])
                    self._listener.worker_added(address, str(info["name"]), _kinds(info["resources"]))

    def _on_cluster_event(self, event: tuple[float, Mapping[str, Any]]) -> None:
        message = event[1]
        if message.get("action") == "remove-worker":
            self._lose(message["worker"])
        elif message.get("action") == "add-worker":
            self._soon(self._look_for_workers())

    def _on_event(self, event: tuple[float, Mapping[str, Any]]) -> None:
        message = event[1]
        self._listener.event(message)
        if message.get("preview"):
            self._soon(self._fetch_preview(message["id"]))

    async def _fetch_preview(self, job_id: str) -> None:
        # Fetched, not sent along: the scheduler keeps events, and it should not keep pictures.
        if job_id not in self._runs or job_id in self._previews:
            return
        self._previews.add(job_id)
        try:
            address = self._runs[job_id][0]
            answers = await self._client.run(
                in_worker.latest_preview, job_id, workers=[address], on_error="ignore"
            )
            if answers.get(address) is not None and job_id in self._runs:
                self._listener.preview(job_id, answers[address])
        except (OSError, AttributeError, ValueError):
            logger.debug("A preview could not be fetched", exc_info=True)
        finally:
            self._previews.discard(job_id)

    async def _run(self, address: str, run: Run) -> None:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        request = run.request
        if self._client is None or address not in self._known:
            fail(run, WorkerLost(f"The worker that was to run {request.name} is gone."))
            return
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
        try:
            outcome: Outcome = await future
            if not run.outcome.done():
                run.outcome.set_result(outcome)
        except KilledWorker:
            self._lose(address)
        except (FutureCancelledError, asyncio.CancelledError):
            fail(run, WorkerLost(f"The connection to the worker that ran {request.name} was lost."))
        except Exception as error:
            fail(run, EngineError(f"{request.name} could not be run: {type(error).__name__}: {error}"))
        finally:
            self._runs.pop(request.id, None)
            with contextlib.suppress(Exception):
                future.release()

    async def _forget(self, run: Run) -> None:
        if run.request.id in self._runs:
            with contextlib.suppress(Exception):
                await self._runs[run.request.id][2].cancel(force=True)

    def _lose(self, address: str) -> None:
        """Tell the engine that a worker is gone, and let no other worker take up what it ran."""
        if self._known.pop(address, None) is None:
            return
        self._memory.pop(address, None)
        self._listener.worker_lost(address)
        for at, run, _ in list(self._runs.values()):
            if at == address:
                fail(run, WorkerLost(f"The worker that ran {run.request.name} is gone."))
                self._soon(self._forget(run))

    def _lose_all(self) -> None:
        for address in list(self._known):
            self._lose(address)

    async def _end(self, address: str) -> None:
        try:
            await asyncio.wait_for(self._client.run(_kill_child, workers=[address], nanny=True), 5.0)
        except Exception:
            logger.warning("The worker at %s has no nanny that answers", address, exc_info=True)
            await self._on_worker(address, os._exit, 1)

    async def _on_worker(self, address: str, function: Callable[..., object], *args: object) -> None:
        if self._client is not None:
            with contextlib.suppress(OSError, ValueError, TimeoutError):
                await asyncio.wait_for(
                    self._client.run(function, *args, workers=[address], on_error="ignore"), 10.0
                )


# In the host process


def host_main() -> None:
    """Serve a scheduler and workers until the pipe to the server closes."""
    serve(_host)


async def _host(pipe: Pipe) -> None:
    import dask
    from distributed import Nanny, Scheduler, Security
    from distributed.utils import get_mp_context

    config = pipe.config
    os.environ.update(in_worker.environment())  # the template's too
    threads = {"call": cpu_cores(), "job": max(1, cpu_cores() // config["jobs"])}
    dask.config.set(
        {
            "distributed.admin.low-level-log-length": 200,  # events kept by the scheduler
            "distributed.diagnostics.nvml": False,
            "distributed.nanny.pre-spawn-environ": {
                "MALLOC_TRIM_THRESHOLD_": 65536,
                "PYTHONHASHSEED": "6640",
            },
            "distributed.scheduler.active-memory-manager.start": False,
            "distributed.scheduler.allowed-failures": 0,
            "distributed.scheduler.http.routes": [],
            "distributed.scheduler.work-stealing": False,
            "distributed.scheduler.worker-ttl": None,
            "distributed.worker.http.routes": [],
            "distributed.worker.memory.pause": False,
            "distributed.worker.memory.spill": False,
            "distributed.worker.memory.target": False,
            "distributed.worker.profile.enabled": False,
            "temporary-directory": config["folder"],
        }
    )
    logging.getLogger("distributed").setLevel(SILENT)
    security = Security.temporary()
    common = {"host": "127.0.0.1", "protocol": "tls", "security": security}
    scheduler = await Scheduler(port=0, dashboard=False, dashboard_address="127.0.0.1:0", **common)
    nannies: dict[str, Any] = {}
    numbers = itertools.count()
    running: set[asyncio.Task[None]] = set()

    async def start(kind: str) -> None:
        name = f"{kind}-{next(numbers)}"
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
        await nanny

    async def stop(name: str) -> None:
        if name in nannies:
            await nannies.pop(name).close()

    def begin(work: Coroutine[Any, Any, None]) -> None:
        task = loop.create_task(work)
        running.add(task)
        task.add_done_callback(running.discard)

    async def fork(template: str) -> None:
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
        get_mp_context().set_forkserver_preload([template])  # in place of those that Dask has just set

    orders = {"start": start, "stop": stop, "fork": fork}

    def obey(order: Mapping[str, str]) -> None:
        for name, what in order.items():
            loop.call_soon_threadsafe(begin, orders[name](what))

    loop = asyncio.get_running_loop()
    tls = ("tls_ca_file", "tls_client_cert", "tls_client_key")
    pipe.answer({"address": scheduler.address, "tls": {name: getattr(security, name) for name in tls}})
    begin(start("call"))
    pipe.obey(obey)
    await scheduler.finished()


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


def _kill_child(dask_worker: Any = None) -> None:
    if dask_worker.pid is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(dask_worker.pid).kill()


def forking_is_safe() -> bool:
    """Say whether a process with TensorFlow loaded may fork: on Linux, if that opened no GPU driver."""
    return sys.platform == "linux" and not gpu_driver_present()


def _kinds(resources: Mapping[str, float]) -> frozenset[Kind]:
    kinds: list[Kind] = ["call", "job"]
    return frozenset(kind for kind in kinds if resources.get(kind, 0) > 0) or frozenset(kinds)


def _cluster_security(settings: Settings) -> Any:
    from distributed import Security

    if settings.scheduler is None or not settings.scheduler.startswith("tls:"):
        return None
    return Security(
        require_encryption=True,
        tls_ca_file=str(settings.tls_ca),
        tls_client_cert=str(settings.tls_cert),
        tls_client_key=str(settings.tls_key),
    )
