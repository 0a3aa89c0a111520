"""Face recognition: who of the enrolled persons is on a photograph, 1:K, or "not recognized"."""

import streamlit as st

from pages.parts.gallery import one_to_many, persons, recognize
from pages.parts.gallery.access import open_gallery, said
from pages.parts.header import header, paper_link

VIEWS = {
    "recognize": ("Recognize", recognize.view),
    "persons": ("Persons", persons.view),
    "one_to_many": ("1:1 and 1:K", one_to_many.view),
}

entry = header("face_recognition")
chosen = st.segmented_control(
    "View",
    list(VIEWS),
    format_func=lambda name: VIEWS[name][0],
    default="recognize",
    required=True,
    key="gallery_view",
    bind="query-params",
    persist_state="session",
    label_visibility="collapsed",
)
gallery = open_gallery()
said()
if gallery is not None:
    VIEWS[chosen or "recognize"][1](gallery)
paper_link(entry)
