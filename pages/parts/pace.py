"""What a visitor waits for comes first: the new picture, then a pause, then the rest of the page.

The browser draws what it is sent in batches, and controls, formulas, tables and code take it longer than a picture.
Sent in one go they hold the picture back (measured: twice the time from slider to picture); sent a moment later they
do not. While a slider is dragged the pause is where the next run takes over, so only the picture follows the hand.
Streamlit alone would not let it: it interrupts a fragment for a run of the whole page, never for the fragment's own
next one (`ScriptRequests.on_scriptrunner_yield`).

A page may go further and draw the picture before its own controls, where it knows that nothing but a slider has moved
since the last run: `remember` keeps what the picture was made of, `unless_more_moved` gives it back.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner_utils.exceptions import RerunException, StopException
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequestType
from streamlit.runtime.scriptrunner_utils.script_run_context import ThreadState, get_script_run_ctx

PAUSE_S = 0.15
LOOK_EVERY_S = 0.01


@dataclass(frozen=True)
class _Kept:
    """What was remembered, where the sliders stood then, and every other keyed widget of the page."""

    value: Any
    sliders: dict[str, Any]
    others: dict[str, Any]


def picture_first(shown: str, *, key: str) -> None:
    """Call after a picture and before the rest: pauses where the picture is not the one shown before.

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
        # A look into the state is where Streamlit lets a newer run of the whole page take over.
        _ = name in st.session_state
        _give_way_to_this_fragment()


def _give_way_to_this_fragment() -> None:
    """End this run of a fragment where its next one waits already, as Streamlit does for a run of the whole page."""
    context = get_script_run_ctx(suppress_warning=True)
    fragment = ThreadState.get().fragment_id if context is not None else None
    if context is None or fragment is None or context.script_requests is None:
        return
    requests = context.script_requests
    # Another fragment's run leaves this one to its end: nobody else would draw the rest.
    waiting = requests._state is ScriptRequestType.RERUN and fragment in requests._rerun_data.fragment_id_queue
    if not waiting:
        return
    request = requests.on_scriptrunner_ready()
    if request.type is ScriptRequestType.RERUN:
        raise RerunException(request.rerun_data)
    raise StopException


def remember(value: Any, sliders: Collection[str], *, key: str) -> None:
    """Keep what the picture was made of; call it when every control has been drawn."""
    st.session_state[f"_made_of_{key}"] = _Kept(value, *_states(sliders))


def unless_more_moved(sliders: Collection[str], *, key: str) -> Any | None:
    """What was remembered, if one of these sliders has moved since and no other widget; else None."""
    kept = st.session_state.get(f"_made_of_{key}")
    if not isinstance(kept, _Kept):
        return None
    at, others = _states(sliders)
    return kept.value if at.keys() == kept.sliders.keys() and at != kept.sliders and others == kept.others else None


def _states(sliders: Collection[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    # What pages keep for themselves begins with an underscore; it follows from the widgets.
    states = {str(name): value for name, value in st.session_state.items() if not str(name).startswith("_")}
    return {name: states.pop(name) for name in sliders if name in states}, states
