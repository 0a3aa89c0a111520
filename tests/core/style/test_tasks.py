"""Transfers as jobs: they queue, are stopped within a second with their picture kept, and scale a large upload."""

import time

import cv2
import numpy as np
import pytest

from core.runtime.images import decode_image
from core.runtime.inline import InlineEngine
from core.runtime.samples import load_sample
from core.runtime.settings import load_settings
from core.style import tasks
from core.style.drawn_styles import draw_style
from core.style.settings import STYLE_LAYERS, TransferSettings

LONG = TransferSettings(
    size_px=48, steps=5000, backbone="random", levels=1, optimizer="adam", lambdas=dict.fromkeys(STYLE_LAYERS[:3], 0.3)
)
PATIENCE_S = 120.0


@pytest.fixture
def engine(tmp_path):
    home = {"CNN_WORKBENCH_HOME": str(tmp_path), "CNN_WORKBENCH_JOB_WORKERS": "1"}
    engine = InlineEngine(load_settings(home))
    yield engine
    engine.close()


def seen(engine, job_id, condition):
    """The job as soon as it is so."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        job = engine.job(job_id, owner="ada")
        if condition(job):
            return job
        time.sleep(0.01)
    raise AssertionError(f"after {PATIENCE_S:.0f} s still {job}")


def submit(engine, title):
    content, style = np.ascontiguousarray(load_sample("chelsea")[:200, 100:300]), draw_style("mosaic", 64)
    return engine.submit(tasks.run_transfer, content, [style], [1.0], LONG, owner="ada", title=title)


@pytest.mark.alone
def test_a_second_transfer_waits_and_the_first_is_stopped_within_a_second_with_its_picture(engine):
    first, second = submit(engine, "First"), submit(engine, "Second")
    running = seen(engine, first, lambda job: job.metrics and job.preview is not None)
    waiting = engine.job(second, owner="ada")
    assert (running.state, waiting.state, waiting.queue_position) == ("running", "queued", 1)
    asked_at = time.monotonic()
    engine.cancel(first)
    stopped = seen(engine, first, lambda job: job.state == "cancelled")
    assert time.monotonic() - asked_at < 1.0
    assert stopped.preview.shape == (48, 48, 3) and stopped.metrics
    seen(engine, second, lambda job: job.state == "running" and job.metrics)
    engine.cancel(second)
    seen(engine, second, lambda job: job.state == "cancelled")


def test_an_upload_of_6000_pixels_is_scaled_when_decoded_and_it_is_said():
    made = np.tile(np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8), (67, 100, 1))  # (4020, 6000, 3)
    data = cv2.imencode(".jpg", made)[1].tobytes()
    decoded = decode_image(data, max_side_px=2048)
    assert max(decoded.pixels.shape) == 2048
    assert any("6,000" in note or "6000" in note for note in decoded.notes)
    small = TransferSettings(size_px=48, steps=2, backbone="random", levels=1)
    result = tasks.run_transfer(decoded.pixels, [decoded.pixels[:40, :40]], [1.0], small)
    assert max(result.image.shape) == 48 and any("scaled from 2048" in note for note in result.notes)


@pytest.mark.parametrize(
    "odd", [np.full((1, 1, 3), 200, np.uint8), np.zeros((40, 40, 3), np.uint8)], ids=["pixel", "black"]
)
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_a_style_without_a_pattern_gives_a_picture_at_once(odd, strength):
    content = np.ascontiguousarray(load_sample("chelsea")[:200, 100:300])
    result = tasks.stylise_fast(content, [odd], [1.0], 64, strength)
    assert result.image.shape == (64, 64, 3) and result.image.dtype == np.uint8 and result.image.std() > 0


def test_every_colour_setting_takes_a_uniform_style():
    from dataclasses import replace

    content = np.ascontiguousarray(load_sample("chelsea")[:200, 100:300])
    for colour in ("style", "luminance", "histogram"):
        settings = replace(LONG, steps=3, optimizer="lbfgs", colour=colour)
        result = tasks.run_transfer(content, [np.full((1, 1, 3), 90, np.uint8)], [1.0], settings)
        assert np.isfinite(result.last.total) and result.image.std() > 0
