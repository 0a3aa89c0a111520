"""Face recognition in a real browser with the real networks: consent, one click, recognized, changed, deleted."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.faces.gallery import Gallery
from core.faces.gallery_store import GalleryStore
from tests.end_to_end.conftest import Server, problems_on, wait_until_idle

pytestmark = pytest.mark.browser

# The first answer waits for a worker to load the networks, on a busy machine for minutes.
FIRST_ANSWER_MS = 300_000
WAIT_MS = 60_000


def opened(tab: Page, server: Server, query: str = "") -> Page:
    tab.goto(f"{server.address}/face_recognition?{query}")
    expect(tab.get_by_text("Found by MTCNN")).to_be_visible(timeout=FIRST_ANSWER_MS)
    wait_until_idle(tab, WAIT_MS)
    return tab


def test_from_nobody_to_recognized_and_gone_again(server: Server, tab: Page, browser: Browser) -> None:
    opened(tab, server)
    expect(tab.get_by_text("1 face, not recognized")).to_be_visible()
    picture = tab.locator("img[alt^='astronaut with 1 face']").bounding_box()
    agree = tab.get_by_role("button", name=re.compile("I agree"))
    button, slider = agree.bounding_box(), tab.get_by_role("slider", name="Threshold").bounding_box()
    for box in (picture, button, slider):  # controls and result are in sight together
        assert box is not None and box["y"] + box["height"] <= 768
    agree.click()
    tab.get_by_role("button", name=re.compile("Enrol the sample person")).click(timeout=WAIT_MS)
    expect(tab.get_by_text("at a distance of 0.000")).to_be_visible(timeout=WAIT_MS)
    expect(tab.locator("img[alt='astronaut with 1 face: Astronaut (demo)']")).to_be_visible(timeout=WAIT_MS)
    wait_until_idle(tab, WAIT_MS)
    # The same person in another photograph, by a link that somebody else opens.
    with browser.new_context(viewport={"width": 1366, "height": 768}) as elsewhere:
        other = opened(elsewhere.new_page(), server, "gallery_change=Dark")
        expect(other.get_by_text(re.compile(r"Astronaut \(demo\), at a distance of 0\.[0-5]\d\d"))).to_be_visible()
        # What somebody else changes is seen without a reload.
        home = Path(server.log).parent / "home"
        store = GalleryStore(f"sqlite:///{home / 'faces' / 'gallery.sqlite3'}")
        gallery = Gallery(store)
        person = gallery.persons()[0]
        gallery.rename(person.id, "<b>Eileen</b> :smile:", version=person.version, by="the test")
        expect(other.get_by_text("<b>Eileen</b>").first).to_be_visible(timeout=WAIT_MS)
        wait_until_idle(other, WAIT_MS)
        assert other.locator("b", has_text="Eileen").count() == 0 and problems_on(other) == []
        other.goto(f"{server.address}/face_recognition?gallery_view=Persons")
        other.get_by_role("button", name="Delete", exact=True).click(timeout=WAIT_MS)
        other.get_by_role("button", name="Delete for good").click(timeout=WAIT_MS)
        expect(other.get_by_text("rows, pictures and encodings are gone")).to_be_visible(timeout=WAIT_MS)
        assert gallery.count() == 0
        assert b"Eileen" not in b"".join(path.read_bytes() for path in (home / "faces").iterdir())
        gallery.withdraw_consent()
        store.close()
    assert problems_on(tab) == []
