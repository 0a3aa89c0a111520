"""The verification page in a real browser: the sample pair, and a threshold that turns the verdict by itself."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.end_to_end.conftest import Server, problems_on, wait_until_idle

pytestmark = pytest.mark.browser

# The first answer waits for a worker to load three networks, on a busy machine for a minute or two.
FIRST_ANSWER_MS = 240_000


def test_the_verdict_follows_the_threshold(server: Server, tab: Page) -> None:
    tab.goto(f"{server.address}/face_verification?tau_dlib=0.5")
    expect(tab.get_by_text("Same person:")).to_be_visible(timeout=FIRST_ANSWER_MS)
    wait_until_idle(tab)
    expect(tab.locator("img[alt='First photo: astronaut, 1 face marked']")).to_be_visible()
    expect(tab.locator("img[alt='Second photo: the face as the encoder reads it']")).to_be_visible()
    answered = tab.get_by_text("and encoded in").inner_text()
    assert re.search(r"\d+ \+ \d+ ms", answered)
    slider = tab.get_by_role("slider", name="Threshold")
    slider.press("Home")
    expect(tab.get_by_text("Different persons:")).to_be_visible(timeout=60_000)
    wait_until_idle(tab)
    # The same times: no network ran again.
    assert tab.get_by_text("and encoded in").inner_text() == answered
    assert "tau_dlib=0" in tab.url
    assert problems_on(tab) == []
