"""The way to the visitor's gallery: whose it is, who changes it, what was said, and when others changed it."""

import re
import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from core.faces.gallery import Gallery, local_person
from core.faces.gallery_store import open_store
from core.faces.gallery_types import GalleryError, GalleryUnavailable
from core.faces.types import FaceError
from core.runtime.weights import WeightsError
from pages.parts.compute import owner

SAID = "_gallery_said"
SEEN = "_gallery_seen"
DONE = "_gallery_done"
SHOWN_FOR_S = 8.0
LOOK_EVERY_S = 3.0
ICONS = {"success": ":material/check_circle:", "error": ":material/error:", "info": ":material/info:"}


def plain(text: str) -> str:
    r"""A text that people typed, so that Markdown shows it letter for letter.

    Every sign that means something is escaped; a colon is followed by an invisible joiner, since `:name:` would
    become an icon or an emoji even where it is escaped.

    >>> plain("**a** <b>")
    '\\*\\*a\\*\\* \\<b\\>'
    """
    escaped = re.sub(r"([!-/;-@\[-`{-~])", r"\\\1", " ".join(text.split()))
    return escaped.replace(":", ":\u2060")


def persons_text(count: int) -> str:
    """A number of persons in words.

    >>> persons_text(1), persons_text(1200)
    ('1 person', '1,200 persons')
    """
    return "1 person" if count == 1 else f"{count:,} persons"


def photos_text(count: int) -> str:
    """A number of photos in words.

    >>> photos_text(1), photos_text(1200)
    ('1 photo', '1,200 photos')
    """
    return "1 photo" if count == 1 else f"{count:,} photos"


def who() -> str:
    """Who changes the gallery: the one who signed in, or whoever sits at this machine."""
    if st.user.get("is_logged_in", False):
        return str(st.user.get("email") or st.user.get("name") or st.user.get("sub"))
    return local_person()


def open_gallery() -> Gallery | None:
    """The visitor's gallery; where the database cannot be used say why and answer None."""
    try:
        gallery = Gallery(open_store(), owner())
        st.session_state[SEEN] = gallery.changes()
    except GalleryUnavailable as error:
        st.error(plain(str(error)), icon=":material/database_off:")
        return None
    return gallery


def say(kind: str, sentence: str) -> None:
    """Keep a sentence in Markdown for the top of the page; to be called in a callback."""
    st.session_state[SAID] = (kind, sentence, time.monotonic())


def said() -> None:
    """Show what the last action left to say, for a while: a run that another one interrupts would lose it."""
    kind, sentence, since = st.session_state.get(SAID, ("", "", 0.0))
    if kind and time.monotonic() - since < SHOWN_FOR_S:
        getattr(st, kind)(sentence, icon=ICONS[kind])


def drawn() -> int:
    """Which state of the gallery this run of the page shows, as a number for `change`."""
    return int(st.session_state.get(SEEN, 0))


def change(gallery: Gallery, key: str, seen: int, action: Callable[[], Any], done: str | Callable[[Any], str]) -> bool:
    """Change the gallery in a callback, and say what came of it; whether it was done.

    Streamlit may call a callback twice, when its run is interrupted by another one. A change that was made from this
    button (`key`) as it was drawn for this state (`seen`) is not made again.
    """
    if st.session_state.get(DONE) == (key, seen):
        return True
    try:
        result = action()
        st.session_state[DONE] = (key, seen)
        st.session_state[SEEN] = gallery.changes()  # our own change is no news to `follow_changes`
    except (GalleryError, FaceError, WeightsError) as error:
        say("error", plain(str(error)))
        return False
    say("success", done if isinstance(done, str) else done(result))
    return True


@st.fragment(run_every=LOOK_EVERY_S)
def follow_changes(gallery: Gallery) -> None:
    """Run the page again when somebody else changed the gallery."""
    try:
        changes = gallery.changes()
    except GalleryUnavailable:
        return  # the page's next run says so
    if changes != st.session_state.get(SEEN):
        st.session_state[SEEN] = changes
        st.rerun()
