"""Style transfer in a browser: a picture at once, and one that forms while its costs fall."""

from playwright.sync_api import expect

SLOW_MS = 240_000


def test_a_picture_at_once_and_one_step_by_step(server, tab):
    tab.goto(f"{server.address}/style_transfer?style_size=96+px&style_steps=20")
    expect(tab.get_by_text("one pass of the embedded feed-forward network")).to_be_visible(timeout=SLOW_MS)
    tab.get_by_text("Step by step", exact=True).click()
    tab.get_by_role("button", name="Make the picture").click()
    expect(tab.get_by_text("20 evaluations in")).to_be_visible(timeout=SLOW_MS)
    expect(tab.get_by_role("button", name="Go on from this picture")).to_be_visible()
