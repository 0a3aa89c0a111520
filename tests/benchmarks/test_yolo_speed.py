"""The YOLO page against a bare page in Chromium, and a photograph's way to drawn boxes against the network alone.

Ratios of times that are taken in turn in one run, so that a slow minute of the machine slows both sides.
"""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from playwright.sync_api import Browser, Page, expect

from core.detection.drawing import draw_detections
from core.detection.predictions import NetworkAnswer, select
from core.detection.tasks import run_network
from core.runtime.images import decode_image, encode_jpeg
from core.runtime.samples import load_sample, megapixel
from tests.benchmarks.test_page_speed import bare_server, slider_to_picture_ms
from tests.end_to_end.conftest import Server, wait_until_idle

__all__ = ["bare_server"]

pytestmark = pytest.mark.benchmark

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "15"))
SLIDER_LIMIT = 1.3
DETECTION_LIMIT = 1.3
SKIPPED = 3  # the first ones fill caches
STEPS = 4
FIRST_ANSWER_MS = 180_000
PHOTOGRAPHS = ("astronaut", "chelsea", "motorcycle")


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "megapixel.png"
    cv2.imwrite(str(path), cv2.cvtColor(megapixel("motorcycle"), cv2.COLOR_RGB2BGR))
    return path


def lively_confidence(answer: NetworkAnswer) -> tuple[float, int]:
    """A confidence from which each of the slider's next steps, at most four, leaves fewer boxes than the one before."""
    for steps in range(STEPS, 0, -1):
        for start in range(60, 1, -1):
            counts = [len(select(answer, (start + step) / 100).candidates.scores) for step in range(steps + 1)]
            if len(set(counts)) == len(counts):
                return start / 100, steps
    raise AssertionError("the network finds too few boxes on this picture to measure a slider with")


def open_both(browser: Browser, server: Server, bare: Server, picture: Path) -> tuple[Page, Page, int]:
    confidence, steps = lively_confidence(run_network(megapixel("motorcycle")))
    ours = browser.new_page(viewport={"width": 1366, "height": 768})
    ours.goto(
        f"{server.address}/yolo_detection?image=Your+own+picture…&yolo_layers=Before+NMS&yolo_confidence={confidence}"
    )
    ours.locator("input[type=file]").set_input_files(str(picture), timeout=FIRST_ANSWER_MS)
    expect(ours.locator("img[alt^='megapixel with']")).to_be_visible(timeout=FIRST_ANSWER_MS)
    wait_until_idle(ours)
    peer = browser.new_page(viewport={"width": 1366, "height": 768})
    peer.goto(bare.address)
    wait_until_idle(peer)
    return ours, peer, steps


@pytest.mark.browser
def test_slider_to_new_boxes(browser: Browser, server: Server, bare_server: Server, picture: Path) -> None:
    ours, peer, steps = open_both(browser, server, bare_server, picture)
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(ROUNDS + SKIPPED):
        key = "ArrowRight" if turn % (2 * steps) < steps else "ArrowLeft"
        pair = (
            slider_to_picture_ms(ours, ".st-key-yolo_picture", "Confidence", key),
            slider_to_picture_ms(peer, "[data-testid=stMain]", "Shift", key),
        )
        if turn >= SKIPPED:
            times[0].append(pair[0])
            times[1].append(pair[1])
    mine, bare = statistics.median(times[0]), statistics.median(times[1])
    print(f"\nslider to new boxes, 1 megapixel: {mine:.0f} ms, bare page {bare:.0f} ms, ratio {mine / bare:.2f}")
    assert mine / bare <= SLIDER_LIMIT


def milliseconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - start)


def detect_and_draw(data: bytes) -> None:
    """All that happens between a photograph's file and the picture with its boxes."""
    pixels = decode_image(data).pixels
    answer = run_network(pixels)
    draw_detections(pixels, select(answer).detections, answer.class_names)


def medians_ms(name: str) -> tuple[float, float, float]:
    """From the file to drawn boxes, the network's call on the decoded picture, and its engine alone."""
    pixels = load_sample(name)
    data = encode_jpeg(pixels, 90)
    rounds = [
        (
            milliseconds(lambda: detect_and_draw(data)),
            milliseconds(lambda: run_network(pixels)),
            run_network(pixels).network_ms,
        )
        for _ in range(3 * ROUNDS + SKIPPED)
    ]
    whole, call, engine = zip(*rounds[SKIPPED:], strict=True)
    return statistics.median(whole), statistics.median(call), statistics.median(engine)


def test_photograph_to_drawn_boxes() -> None:
    """From the bytes of a JPEG to the picture with its boxes, against the call of the network on its pixels."""
    measured = {name: medians_ms(name) for name in PHOTOGRAPHS}
    for name, (whole, call, engine) in measured.items():
        print(
            f"\n{name}: JPEG to drawn boxes {whole:.1f} ms, network call {call:.1f} ms (ratio {whole / call:.2f}), "
            f"engine alone {engine:.1f} ms (ratio {whole / engine:.2f})"
        )
    whole, call, engine = (sum(times[index] for times in measured.values()) for index in range(3))
    print(f"all three: {whole / call:.2f} of the network call, {whole / engine:.2f} of the engine alone")
    assert whole / call <= DETECTION_LIMIT
