"""The training lab in a real browser: a run is watched, and stays when the page is left."""

import pytest
from playwright.sync_api import Page, expect

from tests.end_to_end.conftest import Server, wait_until_idle

pytestmark = pytest.mark.browser


def test_a_run_is_trained_and_looked_at(tab: Page, server: Server) -> None:
    tab.goto(f"{server.address}/training_lab?lab_epochs=2")
    wait_until_idle(tab, 60_000)
    tab.get_by_role("button", name="Train", exact=True).click()
    expect(tab.get_by_role("progressbar").first).to_be_visible(timeout=60_000)
    tab.get_by_role("link", name="Pooling").first.click()
    expect(tab.get_by_role("heading", name="Pooling")).to_be_visible()
    tab.get_by_role("link", name="Training lab").first.click()
    expect(tab.get_by_text("of 359 test pictures rightly")).to_be_visible(timeout=180_000)
    tab.get_by_role("tab", name="First filters").click()
    expect(tab.get_by_text("full colour at")).to_be_visible(timeout=60_000)
    tab.get_by_role("tab", name="Take home").click()
    expect(tab.get_by_role("button", name="Training script (.py)")).to_be_visible(timeout=60_000)
    expect(tab.get_by_test_id("stException")).to_have_count(0)
