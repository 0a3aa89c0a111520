"""The entry point: routes the pages by chapter and shows which device computes. Nothing heavy is imported here."""

import streamlit as st

from pages.parts.compute import device_chip, warm_up_soon
from pages.parts.header import mark_entered
from pages.parts.routes import PROJECT_FOLDER, navigation_by_chapter

st.set_page_config(
    page_title="CNN Workbench",
    page_icon=str(PROJECT_FOLDER / "assets" / "icon.png"),
    layout="wide",
    initial_sidebar_state=250,
    menu_items={"About": "See, use and train convolutional networks on images of your own."},
)
mark_entered()
st.logo(
    str(PROJECT_FOLDER / "assets" / "logo_wide.svg"),
    size="large",
    icon_image=str(PROJECT_FOLDER / "assets" / "logo.svg"),
)
# A long formula scrolls on a phone instead of being cut off. The sidebar is a layer of its own: the browser would
# otherwise sort its links, each clipped, into the page's layers again whenever a picture changes.
st.html(
    "<style>.katex-display { overflow-x: auto; overflow-y: hidden; padding: 0.2rem 0; }"
    "[data-testid=stSidebarContent] { will-change: transform; }</style>"
)
current_page = st.navigation(navigation_by_chapter(), position="sidebar", expanded=True)
with st.sidebar:
    device_chip()
current_page.run()
warm_up_soon()
