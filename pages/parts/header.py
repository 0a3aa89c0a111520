"""The head of every page, and the guard that brings a first visit by deep link to the right page.

While a folder `pages/` stands beside the entry point, the first visit to a fresh server runs the page's script by
itself, without the entry point and so without navigation. `header` notices (the entry point sets a flag in the
session), declares the navigation, and runs the app again: the visitor sees the right page at once.
"""

import streamlit as st

from pages.parts.routes import Route, navigation_by_chapter, route

ENTERED = "_entered_through_app"


def mark_entered() -> None:
    """Remember in this session that the entry point has run."""
    st.session_state[ENTERED] = True


def header(stem: str) -> Route:
    """Draw a page's title and its topic in two sentences; first line of every page script."""
    if not st.session_state.get(ENTERED):
        st.navigation(navigation_by_chapter(), position="hidden")
        st.rerun()
    entry = route(stem)
    st.header(entry.title, anchor=False)
    st.caption(entry.topic)
    return entry


def paper_link(entry: Route) -> None:
    """Draw the link to the paper behind the page."""
    if entry.paper:
        st.caption(f":material/article: Read more: [{entry.paper}]({entry.paper_url})")
