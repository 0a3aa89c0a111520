"""Home: what the workbench is, and a card with a small live picture for every page."""

import streamlit as st

from pages.parts.header import header
from pages.parts.routes import HOME, available_routes, page
from pages.parts.thumbnails import thumbnail

CARDS_IN_A_ROW = 4

header(HOME.stem)
st.markdown(
    "Choose a page, put in a photograph of your own, and move the sliders: every picture and every number is computed "
    "here and now, by code that each page shows. Nothing is uploaded anywhere, and no network is needed. "
    "What is on the screen stands in the page's address: copy it to hand on exactly what you see."
)
chapters: dict[str, list] = {}
for entry in available_routes():
    if entry is not HOME:
        chapters.setdefault(entry.chapter, []).append(entry)
for chapter, entries in chapters.items():
    st.subheader(chapter, anchor=False)
    for start in range(0, len(entries), CARDS_IN_A_ROW):
        columns = st.columns(CARDS_IN_A_ROW)
        for column, entry in zip(columns, entries[start : start + CARDS_IN_A_ROW], strict=False):
            with column.container(border=True, height="stretch"):
                picture = thumbnail(entry.stem)
                if picture is not None:
                    st.image(picture, width="stretch", alt=f"A small picture of the page {entry.title}")
                st.page_link(page(entry), label=f"**{entry.title}**")
                st.caption(entry.topic)
