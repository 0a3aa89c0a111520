"""What a network learns: the patches and images that excite its units, and where it looks for a class."""

import streamlit as st

from pages.parts.features import cam, maps, maximise, patches
from pages.parts.header import header, paper_link

VIEWS = {
    "patches": ("Top patches", patches.view),
    "maximise": ("Image for a unit", maximise.view),
    "cam": ("Grad-CAM", cam.view),
    "maps": ("Feature maps", maps.view),
}

entry = header("learned_features")
chosen = st.segmented_control(
    "View",
    list(VIEWS),
    format_func=lambda name: VIEWS[name][0],
    default="patches",
    required=True,
    key="features_view",
    bind="query-params",
    persist_state="session",
    label_visibility="collapsed",
)
VIEWS[chosen or "patches"][1]()
paper_link(entry)
