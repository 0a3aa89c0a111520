"""What a visitor waits for comes first: a pause after a new picture, before the rest of the page is sent.

The browser draws what it is sent in batches, and formulas, tables and code take it longer than a picture. Sent in
one go they hold the picture back (measured: twice the time from slider to picture); sent a moment later they do not.
While a slider is dragged the pause is where the next run takes over, so only the picture follows the hand.
"""

import time

import streamlit as st

PAUSE_S = 0.15
LOOK_EVERY_S = 0.01


def picture_first(shown: str, *, key: str) -> None:
    """Call after a picture and before what explains it: pauses where the picture is not the one shown before.

    Args:
        shown: What the picture just handed over shows, such as its hash and the settings that made it.
        key: Unique on the page.
    """
    name = f"_picture_first_{key}"
    if st.session_state.get(name) == shown:
        return
    first = name not in st.session_state
    st.session_state[name] = shown
    end = time.monotonic() + (0.0 if first else PAUSE_S)
    while time.monotonic() < end:
        time.sleep(LOOK_EVERY_S)
        # A look into the state is where Streamlit lets a newer run of the page take over.
        _ = name in st.session_state
