"""Padding, volumes and "Why convolutions" in a real browser: clicks, edits, links to the same picture."""

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.conftest import Server, problems_on, wait_until_idle

pytestmark = pytest.mark.browser


def opened(tab: Page, server: Server, path: str) -> Page:
    tab.goto(f"{server.address}/{path}")
    wait_until_idle(tab)
    return tab


def the_same_elsewhere(tab: Page, browser: Browser, locator: str) -> None:
    """Open the address of a tab in a new browser context and compare a text that the page computes."""
    elsewhere = browser.new_context(viewport={"width": 1366, "height": 768})
    try:
        copy = elsewhere.new_page()
        copy.goto(tab.url)
        wait_until_idle(copy)
        expect(copy.locator(locator).first).to_have_text(
            tab.locator(locator).first.text_content() or "", timeout=60_000
        )
        assert problems_on(copy) == []
    finally:
        elsewhere.close()


def set_number(tab: Page, label: str, value: int) -> None:
    field = tab.get_by_label(label, exact=True).first
    field.fill(str(value))
    field.press("Enter")
    wait_until_idle(tab)


def test_a_changed_padding_is_in_the_address(server: Server, tab: Page, browser: Browser):
    opened(tab, server, "convolution_playground?view=Padding+and+stride")
    set_number(tab, "Stride s", 3)
    expect(tab.get_by_text("8 × 8 padded → 2 × 2 output")).to_be_visible()
    set_number(tab, "Image n (px)", 10)
    expect(tab.get_by_text("10 × 10 padded → 3 × 3 output")).to_be_visible()
    assert "s=3" in tab.url and "n=10" in tab.url
    the_same_elsewhere(tab, browser, "p:has-text('padded →')")


def test_a_click_on_a_dot_frames_its_window(server: Server, tab: Page, browser: Browser):
    opened(tab, server, "convolution_playground?view=Padding+and+stride")
    dots = tab.locator(".js-plotly-plot").first.locator(".scatterlayer .points path")
    expect(dots.nth(10)).to_be_visible(timeout=60_000)
    box = (
        tab.locator(".js-plotly-plot")
        .first.locator(".scatterlayer .trace")
        .nth(1)
        .locator("path.point")
        .nth(9)
        .bounding_box()
    )
    assert box is not None
    # The tenth of 6 x 6 windows is that of row 1, column 3.
    tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(tab.get_by_label("Window row", exact=True)).to_have_value("1", timeout=60_000)
    expect(tab.get_by_label("Window column", exact=True)).to_have_value("3")
    wait_until_idle(tab)
    assert "wrow=1" in tab.url and "wcol=3" in tab.url


def test_a_number_typed_into_a_slice_changes_the_map(server: Server, tab: Page, browser: Browser):
    opened(tab, server, "convolution_playground?view=Volumes&vrow=100&vcol=200")
    before = tab.get_by_text("Σ of the three").inner_text()
    cell = tab.get_by_label("Green slice of the filter, 3 by 3, row 1, column 1")
    cell.click()  # opens the cell's field
    cell.fill("5")
    cell.press("Tab")
    expect(tab.get_by_text("Σ of the three")).not_to_have_text(before, timeout=60_000)
    wait_until_idle(tab)
    assert "slice_g=Your+own" in tab.url and "wg=" in tab.url
    the_same_elsewhere(tab, browser, "p:has-text('Σ of the three')")


def test_a_click_on_a_map_reads_its_numbers(server: Server, tab: Page, browser: Browser):
    opened(tab, server, "convolution_playground?view=Volumes")
    tab.get_by_role("application").filter(has=tab.locator("img[alt='Activation']")).click(position={"x": 30, "y": 20})
    sentence = tab.get_by_text("At row ")
    expect(sentence).not_to_contain_text("At row 239", timeout=60_000)
    wait_until_idle(tab)
    the_same_elsewhere(tab, browser, "p:has-text('At row ')")


def test_a_click_on_a_row_of_the_matrix_shows_its_inputs(server: Server, tab: Page, browser: Browser):
    opened(tab, server, "why_convolutions?part=As+a+matrix")
    picture = tab.locator(".picture.clickable").first
    size = picture.bounding_box()
    assert size is not None
    # Row 11 of 16 is output row 2, column 3.
    tab.mouse.click(size["x"] + size["width"] / 2, size["y"] + 11.5 / 16 * size["height"])
    expect(tab.get_by_label("Output row", exact=True)).to_have_value("2", timeout=60_000)
    expect(tab.get_by_label("Column", exact=True)).to_have_value("3")
    marked = tab.locator("table[aria-label^='The image'] td.marked")
    places = {(int(cell.get_attribute("data-row")), int(cell.get_attribute("data-column"))) for cell in marked.all()}
    # The vertical filter has zeros in its middle column: those inputs have no weight.
    assert places == {(row, column) for row in (2, 3, 4) for column in (3, 5)}
    wait_until_idle(tab)
    the_same_elsewhere(tab, browser, "table[aria-label^='The product']")


def test_a_shift_is_in_the_address(server: Server, tab: Page, browser: Browser):
    opened(tab, server, "why_convolutions?part=Under+a+shift&image=Cameraman+%28grey%29&dx=3")
    expect(tab.get_by_text("Its map moves along: 0 % changed")).to_be_visible()
    set_number(tab, "Stride s", 2)
    expect(tab.get_by_text("Its map changes")).to_be_visible(timeout=60_000)
    the_same_elsewhere(tab, browser, "p:has-text('Its map')")
    the_same_elsewhere(tab, browser, "p:has-text('Its output does not')")


def test_controls_and_result_are_in_sight_together(server: Server, tab: Page):
    for path, result in (
        ("convolution_playground?view=Padding+and+stride", ".js-plotly-plot"),
        ("convolution_playground?view=Volumes", "img[alt='Activation']"),
        ("why_convolutions", ".js-plotly-plot"),
        ("why_convolutions?part=As+a+matrix", "table[aria-label^='The product']"),
        ("why_convolutions?part=Under+a+shift", "img[alt^='Fully connected layer on the shifted']"),
    ):
        opened(tab, server, path)
        tab.locator(result).first.wait_for(timeout=60_000)
        tab.wait_for_timeout(500)
        box = tab.locator(result).first.bounding_box()
        assert box is not None and np.ceil(box["y"] + box["height"]) <= 768, (path, box)
        assert problems_on(tab) == []
