"""Region proposals in a real browser: blobs and proposals by deep link, a slider that draws others, a box added."""

import pytest
from playwright.sync_api import Page, expect

from tests.end_to_end.conftest import Server, wait_until_idle

pytestmark = pytest.mark.browser
FIRST_ANSWER_MS = 180_000


def test_proposals_by_deep_link_and_a_slider(server: Server, tab: Page) -> None:
    tab.goto(f"{server.address}/region_proposals?image=Street+%28drawn%29&regions_count=200")
    expect(tab.get_by_text("The first 200 of")).to_be_visible(timeout=FIRST_ANSWER_MS)
    expect(tab.get_by_text("as the segmentation found them")).to_be_visible()
    wait_until_idle(tab)
    joined = tab.get_by_role("slider", name="Regions joined")
    joined.press("End")
    expect(tab.get_by_text("1 region after")).to_be_visible(timeout=60_000)
    tab.get_by_role("button", name="Annotated boxes").click()
    tab.get_by_role("button", name="Add a box").click()
    expect(tab.get_by_text(" of 8", exact=False).first).to_be_visible(timeout=60_000)
