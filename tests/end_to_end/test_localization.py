"""Localization in a real browser: a box drawn with the mouse becomes the target vector, and its numbers the address."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.end_to_end.conftest import Server, problems_on, wait_until_idle

pytestmark = pytest.mark.browser


def test_a_box_drawn_with_the_mouse_is_the_target_vector(server: Server, tab: Page) -> None:
    tab.goto(f"{server.address}/localization?loc_yx=0.9&loc_yy=0.9&loc_yh=0.1&loc_yw=0.1&loc_hx=0.9&loc_hw=0.1")
    canvas = tab.locator(".boxes svg")
    expect(canvas).to_be_visible(timeout=120_000)
    wait_until_idle(tab, 120_000)
    frame = canvas.bounding_box()
    assert frame is not None
    before = tab.get_by_test_id("stMetricValue").first.inner_text()

    def at(x: float, y: float) -> tuple[float, float]:
        return frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]

    tab.mouse.move(*at(0.2, 0.3))
    tab.mouse.down()
    for part in (0.35, 0.5, 0.6):
        tab.mouse.move(*at(part, part))
    tab.mouse.up()
    # Drawn from (0.2, 0.3) to (0.6, 0.6): its midpoint is (0.4, 0.45).
    expect(tab.get_by_label("b_x", exact=True)).to_have_value(re.compile(r"^0\.(39|40)"), timeout=60_000)
    expect(tab.get_by_label("b_y", exact=True)).to_have_value(re.compile(r"^0\.4[456]"))
    expect(tab.get_by_label("b_w", exact=True)).to_have_value(re.compile(r"^0\.(39|40)"))
    wait_until_idle(tab, 60_000)
    assert "loc_yx=0.4" in tab.url or "loc_yx=0.39" in tab.url
    assert tab.get_by_test_id("stMetricValue").first.inner_text() != before
    assert problems_on(tab) == []


def test_a_click_on_the_score_map_shows_its_window(server: Server, tab: Page) -> None:
    tab.goto(f"{server.address}/sliding_windows?image=Chelsea+the+cat&win_level=2&win_largest=320&win_factor=0.7")
    expect(tab.get_by_text("suppression leaves")).to_be_visible(timeout=180_000)
    wait_until_idle(tab, 120_000)
    shown = tab.locator(".picture").first
    frame = shown.bounding_box()
    assert frame is not None
    # The copy is 224 px wide and 149 high: its middle belongs to the window in row 5, column 10.
    tab.mouse.click(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
    expect(tab.get_by_text("Window in row 5, column 10")).to_be_visible(timeout=60_000)
    wait_until_idle(tab, 60_000)
    assert "win_row=5" in tab.url and "win_col=10" in tab.url
    assert problems_on(tab) == []
