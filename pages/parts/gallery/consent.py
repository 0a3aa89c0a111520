"""Consent before the first face is stored, and where the data lie."""

import streamlit as st

from core.faces.gallery import Gallery
from core.faces.gallery_types import Consent
from pages.parts.gallery.access import change, drawn, plain, who


def consent_box(gallery: Gallery) -> None:
    """Ask whether faces may be stored."""
    with st.container(border=True):
        st.markdown(
            ":material/shield_person: **Before the first face is stored.** An encoding is biometric data: enrol only "
            "persons who agreed. Kept are a crop around the face, its encoding, the name, and who enrolled it when, in "
            f"{plain(gallery.store.place())}. {_where(gallery)} Deleting a person deletes all of it."
        )
        st.button(
            "I agree, and so does who is on the photo",
            key="gallery_agree",
            icon=":material/check:",
            type="primary",
            on_click=_agree,
            args=(gallery, drawn()),
        )


def _where(gallery: Gallery) -> str:
    if gallery.store.is_sqlite:
        return "Nothing leaves this machine."
    return "It goes to that database and nowhere else."


def _agree(gallery: Gallery, seen: int) -> None:
    change(
        gallery,
        "agree",
        seen,
        lambda: gallery.give_consent(who()),
        "Noted: faces may be stored now. You can take this back under **Persons**.",
    )


def place_line(gallery: Gallery, consent: Consent | None) -> None:
    """Where the data lie, whose they are, and who agreed."""
    whose = "everybody at this machine" if gallery.owner == "local" else f"you alone ({gallery.owner[5:]})"
    agreed = (
        f"{plain(consent.given_by)} agreed on {consent.given_at:%Y-%m-%d %H:%M} UTC."
        if consent
        else "Nobody agreed yet, so nothing is stored."
    )
    st.caption(
        f":material/database: The gallery lies in {plain(gallery.store.place())} and is seen by {plain(whose)}. "
        f"{_where(gallery)} {agreed}"
    )
