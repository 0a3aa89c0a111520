"""The architecture explorer in a real browser: the diagram answers the mouse and the keyboard."""

import pytest
from playwright.sync_api import Page, expect

from tests.end_to_end.conftest import Server, wait_until_idle

pytestmark = pytest.mark.browser


def node(tab: Page, text: str):
    return tab.locator(".st-key-diagram g.node", has_text=text).first


def test_a_click_on_the_diagram_chooses_its_layer_and_opens_a_block(tab: Page, server: Server) -> None:
    tab.goto(f"{server.address}/architecture_explorer?network=VGG-16")
    expect(node(tab, "block5")).to_be_visible(timeout=120_000)
    wait_until_idle(tab, 120_000)
    node(tab, "block5").click()
    expect(tab.get_by_role("heading", name="block5_conv1")).to_be_visible()
    expect(node(tab, "block5_conv3")).to_be_visible()
    node(tab, "block5_conv3").focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="block5_conv3")).to_be_visible()
    wait_until_idle(tab)
    assert "layer=block5_conv3" in tab.url
