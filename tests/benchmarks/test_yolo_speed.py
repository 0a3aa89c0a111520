"""The YOLO page against a bare page in Chromium, and a photograph's way to drawn boxes against the network alone.

Ratios of times that are taken in turn in one run, so that a slow minute of the machine slows both sides.
"""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
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
STEPS = 2
FIRST_ANSWER_MS = 180_000
PHOTOGRAPHS = ("astronaut", "chelsea", "motorcycle")


@dataclass(frozen=True)
class Photograph:
    """A file to upload, and what the network says of it."""

    path: Path
    answer: NetworkAnswer


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Photograph]:
    """One photograph with another grain each time: a slider moved back on the next shows what was not shown before."""
    folder = tmp_path_factory.mktemp("photographs")
    original = megapixel("motorcycle").astype(np.int16)
    found = []
    for index in range(-(-(ROUNDS + SKIPPED) // STEPS)):
        grain = np.random.default_rng(index).integers(-2, 3, original.shape)
        pixels = np.clip(original + grain, 0, 255).astype(np.uint8)
        path = folder / f"photograph_{index}.png"
        cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        found.append(Photograph(path, run_network(pixels)))
    return found


@pytest.fixture(scope="module")
def picture(photographs: list[Photograph]) -> Path:
    return photographs[0].path


def lively_confidence(answers: Sequence[NetworkAnswer]) -> float:
    """The highest confidence from which each of the slider's next steps leaves fewer boxes, on every photograph."""
    for start in range(60, 0, -1):
        counts = [
            [len(select(answer, (start + step) / 100).candidates.scores) for step in range(STEPS + 1)]
            for answer in answers
        ]
        if all(len(set(line)) == len(line) for line in counts):
            return start / 100
    raise AssertionError("the network finds too few boxes on this picture to measure a slider with")


def open_both(browser: Browser, server: Server, bare: Server, confidence: float) -> tuple[Page, Page]:
    ours = browser.new_page(viewport={"width": 1366, "height": 768})
    ours.goto(
        f"{server.address}/yolo_detection?image=Your+own+picture…&yolo_layers=Before+NMS&yolo_confidence={confidence}"
    )
    wait_until_idle(ours)
    peer = browser.new_page(viewport={"width": 1366, "height": 768})
    peer.goto(bare.address)
    wait_until_idle(peer)
    return ours, peer


def upload(ours: Page, photograph: Photograph) -> None:
    ours.locator("input[type=file]").set_input_files(str(photograph.path), timeout=FIRST_ANSWER_MS)
    shown = ours.locator(f"img[alt^='{photograph.path.stem} with']")
    expect(shown).to_be_visible(timeout=FIRST_ANSWER_MS)
    wait_until_idle(ours)


@pytest.mark.browser
def test_slider_to_new_boxes(
    browser: Browser, server: Server, bare_server: Server, photographs: list[Photograph]
) -> None:
    ours, peer = open_both(
        browser, server, bare_server, lively_confidence([photograph.answer for photograph in photographs])
    )
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(ROUNDS + SKIPPED):
        if turn % STEPS == 0:
            upload(ours, photographs[turn // STEPS])
        key = "ArrowLeft" if turn // STEPS % 2 else "ArrowRight"
        pair = (
            slider_to_picture_ms(ours, ".st-key-yolo_picture", "Confidence", key),
            slider_to_picture_ms(peer, "[data-testid=stMain]", "Shift", "ArrowRight"),
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
