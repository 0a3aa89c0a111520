"""Reports: nothing is lost that counts, whatever the pace; histories keep their shape."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.runtime.report import MAX_PREVIEW_BYTES, JobCancelled, MetricHistory, Progress, Report


@given(count=st.integers(0, 3000), limit=st.integers(2, 50))
def test_history_is_even_ordered_bounded_and_keeps_both_ends(count: int, limit: int) -> None:
    history = MetricHistory(limit)
    history.extend({"step": step} for step in range(count))
    steps = [int(point["step"]) for point in history.points()]
    assert len(steps) <= limit + 1
    if count <= limit:
        assert steps == list(range(count))
        return
    assert steps[0] == 0 and steps[-1] == count - 1
    gaps = np.diff(steps)
    assert len(set(gaps[:-1])) <= 1 and 0 < gaps[-1] <= gaps[0]
    assert len(steps) >= limit // 2


def test_rare_metrics_survive_frequent_ones() -> None:
    history = MetricHistory(limit=100)
    for batch in range(100_000):
        history.add({"loss": batch})
        if batch % 10_000 == 0:
            history.add({"accuracy": batch})
    points = history.points()
    assert [point["accuracy"] for point in points if "accuracy" in point] == list(range(0, 100_000, 10_000))
    assert [next(iter(point.values())) for point in points] == sorted(next(iter(p.values())) for p in points)


def test_history_of_ever_new_names_stays_bounded() -> None:
    history = MetricHistory(limit=10)
    for number in range(5000):
        history.add({f"name {number}": 1.0})
    assert len(history.points()) <= 16 * 11 + 11


def test_all_metrics_arrive_in_order_and_previews_are_the_latest() -> None:
    sent: list[Progress] = []
    report = Report(sent.append, interval_s=0.005)
    for step in range(300):
        report(step / 300, f"Step {step}", metrics={"step": step}, preview=bytes([step % 256]))
        if step % 50 == 0:
            time.sleep(0.01)
    last = report.close()
    metrics = [point["step"] for news in [*sent, last] for point in news.metrics]
    assert metrics == list(range(300))
    assert (last.fraction, last.message, last.preview) == (299 / 300, "Step 299", 300)
    assert report.latest_preview() == (300, bytes([299 % 256]))
    assert 3 <= len(sent) < 100


def test_what_was_said_last_is_sent_though_the_task_falls_silent() -> None:
    sent: list[Progress] = []
    report = Report(sent.append, interval_s=0.05)
    report(0.1)
    report(0.2, "Silence follows")
    deadline_s = time.monotonic() + 30
    while (not sent or sent[-1].message != "Silence follows") and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert sent[-1].fraction == 0.2 and sent[-1].message == "Silence follows"


def test_nothing_is_sent_after_closing() -> None:
    sent: list[Progress] = []
    report = Report(sent.append, interval_s=0.001)
    for step in range(100):
        report(metrics={"step": step})
    report.close()
    count = len(sent)
    time.sleep(0.05)
    assert len(sent) == count


def test_what_is_left_out_stays_as_it_was() -> None:
    report = Report(lambda news: None, interval_s=10)
    report(0.5, "Half way")
    report(metrics={"loss": np.float32(0.25)})
    last = report.close()
    assert (last.fraction, last.message) == (0.5, "Half way")


def test_preview_array_is_a_copy() -> None:
    report = Report(lambda news: None, interval_s=10)
    picture = np.zeros((2, 2, 3), np.uint8)
    report(preview=picture)
    picture[:] = 9
    np.testing.assert_array_equal(report.latest_preview()[1], np.zeros((2, 2, 3)))


def test_cancelled_report_raises_and_passes_through_ordinary_handlers() -> None:
    cancelled = threading.Event()
    report = Report(lambda news: None, cancelled)
    report(0.1)
    assert not report.cancelled
    cancelled.set()
    assert report.cancelled
    with pytest.raises(JobCancelled):
        try:
            report(0.2)
        except Exception:
            pytest.fail("a cancellation was caught as an ordinary error")


@pytest.mark.parametrize("fraction", [-0.1, 1.1, 50.0])
def test_fraction_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="A fraction lies between 0 and 1; received"):
        Report(lambda news: None)(fraction)


def test_preview_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="A preview has at most 33,554,432 bytes; received 33,554,433."):
        Report(lambda news: None)(preview=bytes(MAX_PREVIEW_BYTES + 1))
