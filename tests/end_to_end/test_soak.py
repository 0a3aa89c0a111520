"""Ten visitors who move sliders for two minutes: nothing breaks, and the memory comes back when they have left."""

import itertools
import time

import psutil
import pytest
from playwright.sync_api import Browser, Page

from tests.end_to_end.conftest import Server, problems_on, start_server, stop_server, wait_until_idle

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SECONDS = 120.0
ALLOWED_MB = 100
# Streamlit keeps a session for two minutes after its browser left, in case it comes back.
FORGOTTEN_AFTER_S = 180.0
# (address, label of the slider that is moved)
VISITS = (
    ("convolution_playground?filter=Gaussian+blur", "Sigma (px)"),
    ("convolution_playground?view=Edges", "Threshold (% of the largest magnitude)"),
    ("pooling?pool_view=Shift", "Shift shown (px)"),
    ("yolo_detection", "Confidence"),
    ("convolution_playground?filter=Gaussian+blur&image=chelsea", "Sigma (px)"),
    ("why_convolutions?part=Under+a+shift", "Shift to the right dx (px)"),
    ("yolo_detection?image=chelsea", "IoU for non-max suppression"),
    ("convolution_playground?filter=Gaussian+blur&image=coffee", "Sigma (px)"),
    ("convolution_playground?view=Edges&image=coins", "Threshold (% of the largest magnitude)"),
    ("sliding_windows", "Score from"),
)


def memory_mb(server: Server) -> float:
    """Memory of the server and its workers that is theirs alone or their part of what is shared, in megabytes."""
    root = psutil.Process(server.process.pid)
    return sum(process.memory_full_info().pss for process in [root, *root.children(recursive=True)]) / 1e6


def settled_mb(server: Server, seconds: float) -> float:
    """The least memory seen within these seconds: workers give back what they took when they are idle."""
    least, end = memory_mb(server), time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(5)
        least = min(least, memory_mb(server))
    return least


def visit(browser: Browser, server: Server, address: str) -> Page:
    tab = browser.new_page(viewport={"width": 1366, "height": 768})
    tab.set_default_timeout(120_000)
    tab.goto(f"{server.address}/{address}")
    wait_until_idle(tab, 180_000)
    return tab


def move(tab: Page, name: str, key: str) -> None:
    tab.get_by_role("slider", name=name).first.press(key)


def test_ten_visitors_for_two_minutes(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    server = start_server(tmp_path_factory.mktemp("soak"))
    try:
        # Everybody once, so that what is loaded once for all (samples, TensorFlow, the detector) is there.
        for address, name in VISITS:
            tab = visit(browser, server, address)
            move(tab, name, "ArrowRight")
            wait_until_idle(tab, 180_000)
            tab.close()
        before = settled_mb(server, FORGOTTEN_AFTER_S)

        tabs = [visit(browser, server, address) for address, _ in VISITS]
        most, moves, end = 0.0, 0, time.monotonic() + SECONDS
        for turn in itertools.count():
            if time.monotonic() > end:
                break
            for tab, (_, name) in zip(tabs, VISITS, strict=True):
                move(tab, name, "ArrowRight" if turn % 6 < 3 else "ArrowLeft")
                moves += 1
            most = max(most, memory_mb(server))
        for tab, (address, _) in zip(tabs, VISITS, strict=True):
            wait_until_idle(tab, 180_000)
            assert problems_on(tab) == [], address
            tab.close()

        deadline = time.monotonic() + FORGOTTEN_AFTER_S
        after = memory_mb(server)
        while after > before + ALLOWED_MB and time.monotonic() < deadline:
            time.sleep(5)
            after = min(after, memory_mb(server))
        print(f"\n{moves} moves; memory {before:.0f} MB before, {most:.0f} MB at most, {after:.0f} MB after")
        assert after <= before + ALLOWED_MB
        assert "Traceback" not in server.log.read_text(errors="replace")
    finally:
        stop_server(server)
