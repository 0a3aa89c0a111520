"""Practical advice in a real browser: an experiment is watched as it fills, stopped, and keeps what it has."""

import pytest
from playwright.sync_api import Page, expect

from tests.end_to_end.conftest import Server, wait_until_idle

pytestmark = pytest.mark.browser


def test_an_experiment_is_stopped_and_keeps_what_it_has(tab: Page, server: Server) -> None:
    tab.goto(
        f"{server.address}/practical_advice?advice_view=Ensemble&ensemble_k=15&ensemble_seeds=10&ensemble_steps=50"
    )
    wait_until_idle(tab, 120_000)
    expect(tab.get_by_text("A first look")).to_be_visible()
    tab.get_by_role("button", name="Measure", exact=True).click()
    expect(tab.get_by_text("So far:")).to_be_visible(timeout=120_000)
    tab.get_by_role("button", name="Stop", exact=True).click()
    expect(tab.get_by_text("Stopped after")).to_be_visible(timeout=60_000)
    expect(tab.get_by_test_id("stPlotlyChart").first).to_be_visible()
    expect(tab.get_by_role("button", name="Every run (CSV)")).to_be_visible()
    expect(tab.get_by_test_id("stException")).to_have_count(0)
