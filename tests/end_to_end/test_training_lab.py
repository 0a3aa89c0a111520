"""The training lab in a real browser: a run is watched and stays, outlives its server, and zips are read."""

import io
import json
import os
import signal
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from core.runtime.images import encode_png
from tests.end_to_end.conftest import Server, start_server, stop_server, wait_until_idle

pytestmark = pytest.mark.browser
PATIENCE_MS = 600_000


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    end_s = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < end_s:
        time.sleep(0.05)
    return condition()


def test_a_run_is_trained_and_looked_at(tab: Page, server: Server) -> None:
    tab.goto(f"{server.address}/training_lab?lab_epochs=2")
    wait_until_idle(tab, 60_000)
    tab.get_by_role("button", name="Train", exact=True).click()
    expect(tab.get_by_role("progressbar").first).to_be_visible(timeout=60_000)
    tab.get_by_role("link", name="Pooling").first.click()
    expect(tab.get_by_role("heading", name="Pooling")).to_be_visible()
    tab.get_by_role("link", name="Training lab").first.click()
    expect(tab.get_by_text("of 359 test pictures rightly")).to_be_visible(timeout=PATIENCE_MS)
    tab.get_by_role("tab", name="First filters").click()
    expect(tab.get_by_text("full colour at")).to_be_visible(timeout=60_000)
    tab.get_by_role("tab", name="Take home").click()
    expect(tab.get_by_role("button", name="Training script (.py)")).to_be_visible(timeout=60_000)
    expect(tab.get_by_test_id("stException")).to_have_count(0)


def epochs_done(home: Path) -> int:
    done = 0
    for path in home.glob("runs/*/run.json"):
        done = max(done, len(json.loads(path.read_text())["history"]))
    return done


def test_a_run_is_offered_after_its_server_was_killed(tab: Page, tmp_path: Path) -> None:
    first = start_server(tmp_path)
    try:
        tab.goto(f"{first.address}/training_lab?lab_epochs=50")
        wait_until_idle(tab, 60_000)
        tab.get_by_role("button", name="Train", exact=True).click()
        assert wait_until(lambda: epochs_done(tmp_path / "home") >= 2, 600)
        seen = epochs_done(tmp_path / "home")
    finally:
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
    second = start_server(tmp_path)
    try:
        tab.goto(f"{second.address}/training_lab")
        wait_until_idle(tab, 60_000)
        done = epochs_done(tmp_path / "home")
        assert seen <= done < 50
        expect(tab.get_by_text(f"was stopped after {done} of 50 epochs")).to_be_visible()
        tab.get_by_role("button", name="Go on").click()
        expect(tab.get_by_text("50 epochs in")).to_be_visible(timeout=PATIENCE_MS)
        expect(tab.get_by_text("of 359 test pictures rightly")).to_be_visible()
    finally:
        stop_server(second)


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return buffer.getvalue()


def test_a_zip_is_read_or_refused_in_a_sentence(tab: Page, server: Server) -> None:
    random = np.random.default_rng(0)
    pictures = {
        f"{name}/{index}.png": encode_png(random.integers(0, 256, (20, 30, 3), np.uint8))
        for name in ("night", "day")
        for index in range(6)
    }

    def choose(name: str, content: bytes) -> None:
        file = {"name": name, "mimeType": "application/zip", "buffer": content}
        tab.locator("input[type=file]").first.set_input_files(file)
        wait_until_idle(tab, 60_000)
        tab.get_by_role("button", name="Read the zip").click()

    tab.goto(f"{server.address}/training_lab?lab_data=Your+own%2C+as+a+zip%E2%80%A6")
    wait_until_idle(tab, 60_000)
    choose("evil.zip", zipped({**pictures, "../../evil.png": b"x"}))
    expect(tab.get_by_text("leads out of it")).to_be_visible(timeout=PATIENCE_MS)
    choose("mine.zip", zipped(pictures))
    expect(tab.get_by_text("8 pictures to learn from, 2 to look at")).to_be_visible(timeout=PATIENCE_MS)
    expect(tab.get_by_test_id("stException")).to_have_count(0)
