"""The app as a visitor meets it: first visits by deep link, every page in every shape, ten visitors at once."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from pages.parts.routes import HOME, Route, available_routes
from tests.end_to_end.conftest import (
    CHROMIUM_FLAGS,
    Server,
    find_chromium,
    problems_on,
    start_server,
    stop_server,
    wait_until_idle,
)

pytestmark = pytest.mark.browser

PAGES = [entry for entry in available_routes() if entry is not HOME]
SHAPES = {
    "wide and light": (1366, 768, "light"),
    "narrow and dark": (390, 844, "dark"),
}


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    running = start_server(tmp_path)
    yield running
    stop_server(running)


def test_a_first_visit_by_deep_link_shows_the_right_page(fresh_server: Server, tab: Page) -> None:
    seen: list[str] = []
    tab.on("dialog", lambda dialog: seen.append(dialog.message))
    tab.goto(f"{fresh_server.address}/pooling")
    deadline = time.monotonic() + 120
    heading = tab.get_by_role("heading", name="Pooling", exact=True)
    while not heading.is_visible():
        seen += tab.get_by_role("dialog").all_inner_texts() + problems_on(tab)
        assert time.monotonic() < deadline, "the page did not appear"
        time.sleep(0.02)
    wait_until_idle(tab)
    seen += tab.get_by_role("dialog").all_inner_texts() + problems_on(tab)
    assert seen == []
    expect(tab.get_by_test_id("stSidebarNav").get_by_role("link", name="Convolution playground")).to_be_visible()
    assert "/pooling" in tab.url


@pytest.fixture(scope="module")
def windows(browser: Browser) -> Iterator[dict[str, BrowserContext]]:
    """A window of each shape. They stay open, so that the app's scripts are fetched once, not again for every page."""
    with ExitStack() as opened:
        yield {
            shape: opened.enter_context(
                browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            )
            for shape, (width, height, scheme) in SHAPES.items()
        }


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("entry", PAGES, ids=lambda entry: entry.stem)
def test_every_page_opens_with_a_result_and_no_error(
    windows: dict[str, BrowserContext], server: Server, entry: Route, shape: str
) -> None:
    with windows[shape].new_page() as tab:
        tab.goto(f"{server.address}/{entry.stem}")
        wait_until_idle(tab, 60_000)
        expect(tab.get_by_role("heading", name=entry.title, exact=True)).to_be_visible()
        assert problems_on(tab) == []
        # Nothing is wider than the screen: a page is never scrolled sideways.
        sideways = tab.evaluate(
            "() => { const main = document.querySelector('[data-testid=stMain]');"
            " return main.scrollWidth - main.clientWidth }"
        )
        assert sideways <= 1


def test_home_leads_to_every_page(server: Server, tab: Page) -> None:
    tab.goto(server.address)
    wait_until_idle(tab)
    main = tab.get_by_test_id("stMain")
    for entry in PAGES:
        link = main.get_by_role("link", name=entry.title)
        expect(link).to_be_visible()
        expect(link).to_have_attribute("href", re.compile(entry.stem))
    pictures = main.locator("img")
    assert pictures.count() >= len(PAGES)
    assert all(pictures.evaluate_all("images => images.map(image => image.complete && image.naturalWidth > 0)"))


def visit_and_move_sliders(address: str, seconds: float, number: int, problems: list[str]) -> None:
    """One visitor: opens the playground and moves the slider until the time is up."""
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=CHROMIUM_FLAGS)
        tab = browser.new_page(viewport={"width": 1000, "height": 700})
        tab.set_default_timeout(90_000)
        try:
            tab.goto(f"{address}/convolution_playground?filter=Gaussian+blur&size=7&image=Coffee+cup")
            wait_until_idle(tab, 90_000)
            slider = tab.get_by_role("slider").nth(number % 2)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
                    slider.press(key)
                    tab.wait_for_timeout(400)
                problems += problems_on(tab)
        except Exception as error:  # noqa: BLE001 (any failure of a visitor is the finding)
            problems.append(f"visitor {number}: {error}")
        finally:
            browser.close()


def resident_bytes(server: Server) -> int:
    return int(psutil.Process(server.process.pid).memory_info().rss)


@pytest.mark.slow
def test_ten_visitors_for_two_minutes_leave_no_error_and_no_memory_behind(fresh_server: Server) -> None:
    if find_chromium() is None:
        pytest.skip("no Chromium found")
    problems: list[str] = []
    # A first round loads modules and fills the bounded caches; what is measured is what visitors leave behind.
    visit_and_move_sliders(fresh_server.address, 10, 0, problems)
    time.sleep(20)
    before = resident_bytes(fresh_server)
    visitors = [
        threading.Thread(target=visit_and_move_sliders, args=(fresh_server.address, 120, number, problems))
        for number in range(10)
    ]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert problems == []
    # A session that was closed is kept for a moment in case the visitor comes back.
    deadline = time.monotonic() + 180
    while resident_bytes(fresh_server) - before > 100 * 2**20 and time.monotonic() < deadline:
        time.sleep(5)
    left = resident_bytes(fresh_server) - before
    print(f"memory after ten visitors: {left / 2**20:+.0f} MB")
    assert left < 100 * 2**20
