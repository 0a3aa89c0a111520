"""Which worker does what, decided without any process."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from core.runtime.pool import START_LIMIT_S, Pool
from core.runtime.settings import Settings
from core.runtime.worker import Payload, Request
from core.runtime.workers import EngineKind, Kind, Listener, Run, Worker

BOTH: frozenset[Kind] = frozenset(["call", "job"])
CALL: frozenset[Kind] = frozenset(["call"])
JOB: frozenset[Kind] = frozenset(["job"])


class RecordedWorkers:
    """Does nothing but note what it is asked for."""

    address = "nowhere"

    def __init__(self, kind: EngineKind = "embedded", forks: bool = False) -> None:
        self.kind: EngineKind = kind
        self.forks = forks
        self.asked: list[tuple[str, str]] = []

    def start(self, listener: Listener) -> None: ...

    def run(self, worker_id: str, run: Run) -> None: ...

    def cancel(self, worker_id: str, job_id: str) -> None: ...

    def abandon(self, run: Run) -> None: ...

    def end(self, worker_id: str) -> None:
        self.asked.append(("end", worker_id))

    def grow(self, kind: Kind) -> bool:
        if self.kind == "embedded":
            self.asked.append(("grow", kind))
        return self.kind == "embedded"

    def retire(self, worker_id: str) -> bool:
        if self.kind == "embedded":
            self.asked.append(("retire", worker_id))
        return self.kind == "embedded"

    def make_template(self) -> bool:
        first, self.forks = self.forks, False
        return first

    def warm(self, worker_id: str) -> None:
        self.asked.append(("warm", worker_id))

    def memory_bytes(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None: ...

    def news(self) -> list[tuple[str, str]]:
        news, self.asked = self.asked, []
        return news


def make(workers: RecordedWorkers, tmp_path: object, **settings: float) -> Pool:
    return Pool(workers, Settings(home=tmp_path, **settings))  # type: ignore[arg-type]


def give(worker: Worker | None, kind: Kind) -> Worker:
    assert worker is not None
    worker.run, worker.used = Run(Request(worker.id, kind, "module:task", Payload(b""))), True
    return worker


def test_job_workers_take_no_calls_and_call_workers_no_jobs(tmp_path: object) -> None:
    pool = make(RecordedWorkers(), tmp_path)
    pool.add("1", "call-0", CALL)
    assert pool.free("job") is None and not pool.has("job")
    pool.add("2", "job-0", JOB)
    give(pool.free("call"), "call")
    assert pool.free("call") is None and pool.has("call")
    assert give(pool.free("job"), "job").id == "2"


@pytest.mark.parametrize("count", [2, 3, 5])
def test_of_workers_for_both_kinds_one_is_kept_free_of_jobs(tmp_path: object, count: int) -> None:
    pool = make(RecordedWorkers("cluster"), tmp_path)
    for number in range(count):
        pool.add(str(number), f"worker-{number}", BOTH)
    for _ in range(count - 1):
        give(pool.free("job"), "job")
    assert pool.free("job") is None
    assert pool.free("call") is not None


def test_the_only_worker_takes_everything(tmp_path: object) -> None:
    pool = make(RecordedWorkers("cluster"), tmp_path)
    pool.add("1", "worker", BOTH)
    assert pool.free("job") is pool.free("call") is not None


def test_busy_calls_do_not_keep_jobs_from_workers_for_both(tmp_path: object) -> None:
    pool = make(RecordedWorkers("cluster"), tmp_path)
    pool.add("1", "worker-1", BOTH)
    pool.add("2", "worker-2", BOTH)
    give(pool.free("call"), "call")
    assert give(pool.free("job"), "job").id == "2"


def test_wanted_call_workers_are_started_and_a_lost_one_is_not_asked_for_twice(tmp_path: object) -> None:
    workers = RecordedWorkers()
    pool = make(workers, tmp_path, call_workers=3)
    pool.settle()
    assert workers.news() == [("grow", "call")] * 2  # the first starts by itself
    for number in "123":
        pool.add(number, f"call-{number}", CALL)
    assert pool.remove("2") is not None
    pool.settle()
    assert workers.news() == []  # its nanny starts another
    pool.add("4", "call-2", CALL)
    assert workers.news() == []


def test_worker_that_never_comes_is_asked_for_again(tmp_path: object) -> None:
    workers = RecordedWorkers()
    pool = make(workers, tmp_path)
    pool.add("1", "call-0", CALL)
    pool.remove("1")
    pool.tidy({}, now_s=float("inf"))
    assert workers.news() == [("grow", "call")]
    pool.grow("job", wanted=2)
    assert workers.news() == [("grow", "job")] * 2
    pool.grow("job", wanted=2)
    assert workers.news() == []


def test_ended_worker_gets_no_more_work_and_is_ended_once(tmp_path: object) -> None:
    workers = RecordedWorkers()
    pool = make(workers, tmp_path)
    pool.add("1", "call-0", CALL)
    worker = give(pool.free("call"), "call")
    pool.end(worker)
    pool.end(worker)
    pool.release(worker)
    assert workers.news() == [("end", "1")]
    assert pool.free("call") is None and not pool.has("call")


def test_workers_are_warmed_in_place_where_they_cannot_be_forked(tmp_path: object) -> None:
    workers = RecordedWorkers()
    pool = make(workers, tmp_path)
    pool.warm_up("call")
    pool.add("1", "call-0", CALL)
    worker = pool.free("call")
    assert workers.news() == [("warm", "1")] and worker is not None and pool.is_cold(worker)
    pool.warm_up("call")
    pool.warmed("1")
    assert workers.news() == [] and not pool.is_cold(worker)
    pool.remove("1")
    pool.add("2", "call-0", CALL)
    assert workers.news() == [("warm", "2")]


def test_cold_worker_serves_until_a_forked_one_is_warm(tmp_path: object) -> None:
    workers = RecordedWorkers(forks=True)
    pool = make(workers, tmp_path)
    pool.add("1", "call-0", CALL)
    pool.warm_up("call")
    assert workers.news() == [("grow", "call")]
    cold = give(pool.free("call"), "call")
    assert cold.id == "1" and pool.is_cold(cold)
    pool.add("2", "call-1", CALL)
    assert workers.news() == [("warm", "2")]
    pool.warmed("2")
    assert workers.news() == [] and not pool.is_cold(cold)  # it is still at work
    successor = pool.free("call")
    assert successor is not None and successor.id == "2"
    pool.release(cold)
    assert workers.news() == [("retire", "1")]


def test_job_worker_is_started_warm_for_a_page_that_expects_a_job(tmp_path: object) -> None:
    workers = RecordedWorkers()
    pool = make(workers, tmp_path)
    pool.warm_up("job")
    pool.warm_up("job")
    assert workers.news() == [("grow", "job")]
    pool.add("1", "job-0", JOB)
    assert workers.news() == [("warm", "1")]


def test_idle_job_worker_is_let_go_and_a_busy_one_is_not(tmp_path: object) -> None:
    workers = RecordedWorkers()
    pool = make(workers, tmp_path, job_worker_idle_s=60.0)
    pool.add("1", "call-0", CALL)
    pool.add("2", "job-0", JOB)
    worker = give(pool.free("job"), "job")
    pool.tidy({}, worker.idle_since_s + 1000)
    assert workers.news() == []
    pool.release(worker)
    pool.tidy({}, worker.idle_since_s + 59)
    assert workers.news() == []
    pool.tidy({}, worker.idle_since_s + 61)
    assert workers.news() == [("retire", "2")]
    assert pool.free("job") is None


def test_job_goes_to_the_worker_that_has_run_one(tmp_path: object) -> None:
    workers = RecordedWorkers()
    pool = make(workers, tmp_path, job_workers=2)
    pool.add("1", "call-0", CALL)
    pool.add("3", "job-2", JOB)
    pool.release(give(pool.free("job"), "job"))
    pool.add("2", "job-1", JOB)  # asked for earlier, and come later
    used = give(pool.free("job"), "job")
    assert used.id == "3"
    pool.tidy({}, used.idle_since_s + 61)
    assert workers.news() == [("retire", "2")]


def test_job_worker_too_many_is_no_further_place_and_is_let_go(tmp_path: object) -> None:
    """One that was given up because it took too long comes all the same, beside the one asked for in its place."""
    workers = RecordedWorkers()
    pool = make(workers, tmp_path, job_workers=2)
    pool.add("1", "call-0", CALL)
    pool.grow("job", wanted=2)
    pool.tidy({}, now_s=float("inf"))
    pool.grow("job", wanted=2)
    assert workers.news() == [("grow", "job")] * 4
    for number in "234":
        pool.add(number, f"job-{number}", JOB)
    assert workers.news() == [("retire", "2")]
    busy = [give(pool.free("job"), "job") for _ in range(2)]
    pool.add("5", "job-5", JOB)
    assert workers.news() == [("retire", "5")] and pool.free("job") is None
    pool.end(busy[0])
    pool.add("6", "job-6", JOB)  # before the ended one is gone
    assert pool.free("job") is None
    pool.remove(busy[0].id)
    assert pool.free("job") is not None


def test_job_worker_that_holds_much_memory_is_let_go_and_not_counted_as_an_extra_one(tmp_path: object) -> None:
    workers = RecordedWorkers()
    pool = make(workers, tmp_path, worker_recycle_bytes=1000)
    pool.add("1", "call-0", CALL)
    pool.add("2", "job-0", JOB)
    fat = give(pool.free("job"), "job")
    pool.release(fat)
    pool.tidy({"2": 2000}, fat.idle_since_s + 25)
    assert workers.news() == [("retire", "2")]
    assert pool.free("job") is None


def test_call_worker_that_holds_much_memory_is_replaced_once_idle(tmp_path: object) -> None:
    workers = RecordedWorkers()
    pool = make(workers, tmp_path, worker_recycle_bytes=1000)
    pool.add("1", "call-0", CALL)
    fat = give(pool.free("call"), "call")
    pool.tidy({"1": 2000}, fat.idle_since_s + 100)
    assert workers.news() == []
    pool.release(fat)
    pool.tidy({"1": 2000}, fat.idle_since_s + 5)
    assert workers.news() == []
    pool.tidy({"1": 2000}, fat.idle_since_s + 25)
    assert workers.news() == [("grow", "call")]
    assert pool.free("call") is fat  # serves until its successor is there
    pool.add("2", "call-1", CALL)
    assert workers.news() == [("retire", "1")]
    assert [info.name for info in pool.infos()] == ["call-0", "call-1"]


def test_call_worker_that_has_grown_is_replaced_after_a_longer_time(tmp_path: object) -> None:
    workers = RecordedWorkers()
    pool = make(workers, tmp_path)
    pool.add("1", "call-0", CALL)
    megabyte = 2**20
    pool.tidy({"1": 300 * megabyte}, now_s=0.0)
    worker = give(pool.free("call"), "call")
    pool.release(worker)
    pool.tidy({"1": 500 * megabyte}, worker.idle_since_s + 100)
    assert workers.news() == []
    pool.tidy({"1": 390 * megabyte}, worker.idle_since_s + 130)
    assert workers.news() == []
    pool.tidy({"1": 500 * megabyte}, worker.idle_since_s + 130)
    assert workers.news() == [("grow", "call")]


def test_worker_of_a_cluster_that_holds_much_memory_is_ended(tmp_path: object) -> None:
    workers = RecordedWorkers("cluster")
    pool = make(workers, tmp_path, worker_recycle_bytes=1000)
    pool.add("1", "worker", BOTH)
    worker = give(pool.free("call"), "call")
    pool.release(worker)
    pool.tidy({"1": 999}, worker.idle_since_s + START_LIMIT_S)
    assert workers.news() == []
    pool.tidy({"1": 1001}, worker.idle_since_s + START_LIMIT_S)
    assert workers.news() == [("end", "1")]
