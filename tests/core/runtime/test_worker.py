"""What a worker process does with a request, without any process."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from core.runtime import worker as module
from core.runtime.worker import Outcome, Payload, Request, environment, execute, task_name
from tests.core.runtime import engine_tasks as tasks


def request(task: Any, *args: Any, kind: Any = "job", id: str = "1", **kwargs: Any) -> Request:
    return Request(id, kind, task_name(task), Payload.of((args, kwargs)))


NUMBERS = st_numpy.integer_dtypes() | st_numpy.floating_dtypes() | st_numpy.boolean_dtypes()


@given(st_numpy.arrays(NUMBERS, st_numpy.array_shapes(min_dims=0, min_side=0, max_side=5)), st.text())
def test_payload_gives_the_value_back(array: np.ndarray[Any, Any], text: str) -> None:
    back, same_text = Payload.of((array, text)).copied().load()
    assert same_text == text and back.dtype == array.dtype and back.flags.writeable
    np.testing.assert_array_equal(back, array)


def test_payload_copies_nothing_until_asked() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    payload = Payload.of({"image": image})
    assert np.shares_memory(payload.buffers[0], image) and len(payload.pickled) < 300
    assert payload.nbytes == len(payload.pickled) + image.nbytes
    assert not np.shares_memory(payload.copied().buffers[0], image)


def test_read_only_array_may_be_written_to_after_its_journey() -> None:
    image = np.zeros((4, 4), np.uint8)
    image.flags.writeable = False
    payload = Payload.of(image)
    payload.buffers[0].flags.writeable = False
    assert not np.shares_memory(payload.copied().load(), image)


def test_job_says_that_it_began_and_returns_what_it_reported_last() -> None:
    events: list[dict[str, Any]] = []
    outcome = execute(request(tasks.count_to, 3), events.append)
    assert outcome.state == "done" and outcome.value() == 3
    assert events[0] == {"id": "1", "event": "started"}
    assert outcome.progress is not None and outcome.progress.message == "Step 3"
    assert isinstance(outcome.preview, np.ndarray) and outcome.preview[0, 0, 0] == 2
    sent = [point for event in events[1:] for point in event["metrics"]]
    assert [point["step"] for point in [*sent, *outcome.progress.metrics]] == [0, 1, 2]


def test_job_cancelled_before_it_begins_does_not_begin() -> None:
    module.cancel("early")
    assert execute(request(tasks.divide_by_zero, id="early")).state == "cancelled"
    assert execute(request(tasks.divide_by_zero, id="early")).state == "failed"  # that was then


def test_task_in_a_call_is_given_a_silent_report() -> None:
    assert execute(request(tasks.report_fast, 10, kind="call")).state == "done"


def test_leaving_the_interpreter_is_a_failure_like_any_other() -> None:
    outcome = execute(request(tasks.leave))
    assert (outcome.state, outcome.error_type) == ("failed", "SystemExit")


def test_task_that_is_not_found_is_a_failure() -> None:
    gone = Request("1", "call", "tests.core.runtime.engine_tasks:gone", Payload.of(((), {})))
    assert execute(gone).error.startswith("gone failed with AttributeError")


def test_cancelling_what_never_comes_is_forgotten_in_the_end() -> None:
    for number in range(3000):
        module.cancel(f"never {number}")
    assert len(module._REPORTS._cancelled) <= 1000


def test_environment_sets_threads_where_told() -> None:
    assert environment()["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert "OMP_NUM_THREADS" not in environment()
    assert environment(3)["OMP_NUM_THREADS"] == environment(3)["TF_NUM_INTRAOP_THREADS"] == "3"


def test_preparing_in_the_foreground_leaves_the_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in environment():
        monkeypatch.setenv(name, os.environ.get(name, "kept"))
    before = os.nice(0)
    module.prepare(background=False)
    assert os.nice(0) == before


def test_outcome_without_result_has_no_size() -> None:
    assert Outcome("failed").nbytes == 0 and Outcome("failed").value() is None
