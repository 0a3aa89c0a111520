"""The playground in a real browser: picking pixels by mouse and keyboard, addresses, bad uploads, the first job."""

import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from playwright.sync_api import BrowserContext, FilePayload, Page, expect

from tests.end_to_end.conftest import Server, problems_on, wait_until_idle
from tests.end_to_end.sent import elements_sent, run_with

pytestmark = pytest.mark.browser

NOTES = "/convolution_playground?input=Notes+6+x+6:+10+%7C+0&filter=Vertical+edges&pad=valid"


def open_page(tab: Page, server: Server, address: str) -> None:
    tab.goto(server.address + address)
    wait_until_idle(tab)


def grid(tab: Page, key: str) -> list[list[str]]:
    """The texts of a number grid."""
    rows = tab.locator(f".st-key-{key} table tr")
    expect(rows.first).to_be_visible()
    return rows.evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.querySelector('input')?.value ?? cell.textContent))"
    )


def field(tab: Page, label: str) -> int:
    return int(tab.get_by_label(label, exact=True).input_value())


def test_notes_examples_come_out_as_printed(tab: Page, server: Server) -> None:
    open_page(tab, server, NOTES)
    assert grid(tab, "output_grid") == [["0", "30", "30", "0"]] * 4
    open_page(tab, server, NOTES.replace("10+%7C+0", "0+%7C+10"))
    assert grid(tab, "output_grid") == [["0", "-30", "-30", "0"]] * 4


def test_a_click_on_an_output_number_shows_its_window(tab: Page, server: Server) -> None:
    open_page(tab, server, NOTES)
    tab.locator(".st-key-output_grid td[data-row='3'][data-column='1']").click()
    expect(tab.get_by_label("Row", exact=True)).to_have_value("3")
    expect(tab.get_by_label("Column", exact=True)).to_have_value("1")
    wait_until_idle(tab)
    assert grid(tab, "window_grid") == [["10", "10", "0"]] * 3
    assert grid(tab, "product_grid") == [["10", "0", "0"]] * 3
    assert "row=3" in tab.url and "col=1" in tab.url


def test_a_click_on_a_photograph_and_the_arrow_keys_move_the_window(tab: Page, server: Server) -> None:
    open_page(tab, server, "/convolution_playground")
    picture = tab.locator(".st-key-output_picture .picture")
    frame = picture.bounding_box()
    assert frame is not None
    tab.mouse.click(frame["x"] + 0.25 * frame["width"], frame["y"] + 0.75 * frame["height"])
    expect(tab.get_by_label("Column", exact=True)).not_to_have_value("256")
    wait_until_idle(tab)
    assert abs(field(tab, "Row") - 384) <= 2
    assert abs(field(tab, "Column") - 128) <= 2
    row = field(tab, "Row")
    picture.press("ArrowDown")
    expect(tab.get_by_label("Row", exact=True)).to_have_value(str(row + 1))
    tab.get_by_label("Row", exact=True).fill("100")
    tab.get_by_label("Row", exact=True).press("Enter")
    wait_until_idle(tab)
    box = tab.locator(".st-key-output_picture svg rect").first
    expect(box).to_have_attribute("y", "100")


def test_the_filter_can_be_typed_into_its_grid(tab: Page, server: Server) -> None:
    open_page(tab, server, NOTES)
    cells = tab.locator(".st-key-kernel_grid td")
    cells.first.click()
    cell = cells.first.locator("input")
    cell.fill("4")
    cell.press("Tab")
    # The field goes along with the focus, forwards and back.
    expect(cells.nth(1).locator("input")).to_be_focused()
    expect(tab.locator(".st-key-kernel_grid input")).to_have_count(1)
    expect(tab.locator(".st-key-output_grid td[data-row='0'][data-column='0']")).to_have_text("30")
    wait_until_idle(tab)
    assert "kernel=4" in tab.url
    cells.nth(1).locator("input").press("Shift+Tab")
    expect(cell).to_be_focused()
    cell.fill("four")
    cell.press("ArrowDown")
    expect(cells.nth(3).locator("input")).to_be_focused()
    expect(tab.get_by_text("is not a number the filter can hold")).to_be_visible()
    wait_until_idle(tab)
    assert grid(tab, "kernel_grid")[0][0] == "4"


def test_a_copied_address_opens_the_same_picture(tab: Page, server: Server, context: BrowserContext) -> None:
    open_page(
        tab, server, "/convolution_playground?image=Coffee+cup&filter=Gabor&angle=45&stride=2&pad=3&border=reflect"
    )
    tab.locator(".st-key-output_picture .picture").press("ArrowRight")
    wait_until_idle(tab)
    time.sleep(0.5)
    wait_until_idle(tab)
    copied = tab.url
    browser = context.browser
    assert browser is not None
    with browser.new_context(viewport={"width": 1366, "height": 768}) as other:
        second = other.new_page()
        second.goto(copied)
        wait_until_idle(second)
        for key in ("window_grid", "kernel_grid", "product_grid"):
            assert grid(second, key) == grid(tab, key)
        assert second.get_by_text("Output ·").inner_text() == tab.get_by_text("Output ·").inner_text()


def test_a_sliders_run_sends_the_picture_first(tab: Page, server: Server) -> None:
    sent = elements_sent(tab)
    open_page(tab, server, "/convolution_playground?filter=Gaussian+blur&size=7")
    before = tab.get_by_text("Output ·").inner_text()
    sent.clear()
    tab.get_by_role("slider", name="Sigma (px)").press("End")
    expect(tab.get_by_text("Output ·")).not_to_have_text(before)
    wait_until_idle(tab)
    run = run_with("slider", sent)
    assert run[0].endswith("output_picture"), run


def test_while_a_slider_is_dragged_only_the_picture_follows(tab: Page, server: Server) -> None:
    sent = elements_sent(tab)
    open_page(tab, server, "/convolution_playground?filter=Gaussian+blur&size=7")
    sent.clear()
    slider = tab.get_by_role("slider", name="Sigma (px)")
    slider.focus()
    for _ in range(12):
        tab.keyboard.press("ArrowRight")
        tab.wait_for_timeout(60)
    expect(slider).to_have_attribute("value", "2.2")
    wait_until_idle(tab)
    pictures = [run for run in sent if any(kind.endswith("output_picture") for kind in run)]
    assert [run for run in pictures if "slider" not in run], sent
    assert "slider" in pictures[-1] and "markdown" in pictures[-1], sent


def test_a_filter_that_became_too_large_can_be_made_smaller_again(tab: Page, server: Server) -> None:
    open_page(tab, server, NOTES.replace("Vertical+edges", "Box+blur") + "&size=7")
    expect(tab.get_by_text("The filter covers 7 x 7 pixels")).to_be_visible()
    size = tab.get_by_role("slider", name="Size f")
    for _ in range(2):
        size.press("ArrowLeft")
    expect(tab.get_by_text("Output · 2 × 2")).to_be_visible()
    wait_until_idle(tab)
    assert problems_on(tab) == []
    expect(tab.get_by_text("The same as a formula")).to_be_visible()
    for _ in range(2):
        size.press("ArrowRight")
    expect(tab.get_by_text("The filter covers 7 x 7 pixels")).to_be_visible()
    expect(tab.get_by_text("The same as a formula")).not_to_be_attached()


def bad_files() -> list[FilePayload]:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    jpeg = cv2.imencode(".jpg", noise)[1].tobytes()
    huge = bytearray(cv2.imencode(".png", noise)[1].tobytes())
    huge[16:24] = (30_000).to_bytes(4, "big") * 2
    return [
        FilePayload(name="empty.png", mimeType="image/png", buffer=b""),
        FilePayload(name="text.png", mimeType="image/png", buffer=b"no picture at all"),
        FilePayload(name="cut.jpg", mimeType="image/jpeg", buffer=jpeg[: len(jpeg) // 2]),
        FilePayload(name="huge.png", mimeType="image/png", buffer=bytes(huge)),
    ]


def test_bad_files_get_one_sentence_and_a_good_one_is_shown(tab: Page, server: Server) -> None:
    open_page(tab, server, "/convolution_playground?image=Your+own+picture…")
    upload = tab.locator("input[type=file]")
    for file in bad_files():
        upload.set_input_files(file)
        alert = tab.get_by_test_id("stAlert")
        expect(alert).to_be_visible()
        wait_until_idle(tab)
        sentence = alert.inner_text()
        assert 20 < len(sentence) < 300 and "Traceback" not in sentence, sentence
        expect(tab.get_by_text("Output ·")).to_be_visible()
        tab.get_by_role("button", name="Remove").first.click()
        expect(alert).to_have_count(0)
    good = cv2.imencode(".png", np.full((40, 60, 3), 90, np.uint8))[1].tobytes()
    upload.set_input_files(FilePayload(name="mine.png", mimeType="image/png", buffer=good))
    expect(tab.get_by_text("Input · 40 × 60 × 3")).to_be_visible()


def test_a_filter_larger_than_the_image_is_told(tab: Page, server: Server) -> None:
    open_page(tab, server, "/convolution_playground?input=Own+matrix&matrix=1+2;+3+4&pad=valid")
    alert = tab.get_by_test_id("stAlert")
    expect(alert).to_be_visible()
    assert "Traceback" not in alert.inner_text()
    open_page(tab, server, "/convolution_playground?input=Own+matrix&matrix=1+x;+3+4")
    expect(tab.get_by_test_id("stAlert").first).to_be_visible()
    expect(tab.get_by_text("Output ·")).to_be_visible()


def test_the_three_programs_run_and_agree(tab: Page, server: Server) -> None:
    open_page(tab, server, NOTES)
    tab.get_by_text("The same as code").click()
    tab.get_by_role("button", name="Run all and compare").click()
    expect(tab.get_by_test_id("stDataFrame")).to_have_count(2, timeout=120_000)
    assert problems_on(tab) == []


def test_learn_the_filter_finds_sobel_and_its_result_survives_leaving_the_page(tab: Page, server: Server) -> None:
    open_page(tab, server, "/convolution_playground?view=Learn+the+filter")
    tab.get_by_role("button", name="Start learning").click()
    expect(tab.get_by_role("progressbar").first).to_be_visible(timeout=60_000)
    tab.get_by_role("link", name="Home").click()
    expect(tab.get_by_role("heading", name="CNN Workbench")).to_be_visible()
    tab.get_by_role("link", name="Convolution playground").first.click()
    expect(tab.get_by_text("every weight is within")).to_be_visible(timeout=120_000)
    assert problems_on(tab) == []


def test_learning_can_be_stopped(tab: Page, server: Server) -> None:
    address = "/convolution_playground?view=Learn+the+filter&preparation=As+it+is&steps=32000"
    open_page(tab, server, address)
    tab.get_by_role("button", name="Start learning").click()
    stop = tab.locator(".st-key-learning_stop button")
    expect(tab.get_by_text("Learned so far")).to_be_visible(timeout=120_000)
    stop.click()
    expect(tab.get_by_text("Stopped after")).to_be_visible(timeout=60_000)


def test_the_server_never_loads_tensorflow(tab: Page, server: Server) -> None:
    open_page(tab, server, "/convolution_playground")
    mapped = Path(f"/proc/{server.process.pid}/maps")
    if not mapped.exists():
        pytest.skip("needs /proc")
    assert "tensorflow" not in mapped.read_text()
    assert psutil.Process(server.process.pid).memory_info().rss < 700 * 2**20
