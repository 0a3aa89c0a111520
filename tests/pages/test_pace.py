"""What a page remembers of its last run, given back where only a slider has moved; and who may end a pause."""

import contextvars
import time
from types import SimpleNamespace

import pytest
from streamlit.runtime.scriptrunner_utils.exceptions import RerunException
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequests, ScriptRequestType
from streamlit.runtime.scriptrunner_utils.script_run_context import ThreadState
from streamlit.testing.v1 import AppTest

from pages.parts import pace
from pages.parts.pace import PAUSE_S, picture_first


def script() -> None:
    import streamlit as st

    from pages.parts.pace import remember, unless_more_moved

    st.write(f"before: {unless_more_moved(('strength',), key='test')}")
    strength = st.slider("Strength", 0, 9, key="strength")
    kind = st.selectbox("Kind", ["a", "b"], key="kind")
    if st.toggle("Extra", key="extra"):
        st.slider("Only sometimes", 0, 9, key="sometimes")
    remember(f"{kind}{strength}", ("strength",), key="test")


@pytest.fixture
def app() -> AppTest:
    return AppTest.from_function(script).run()


def said(app: AppTest) -> str:
    assert not app.exception
    return app.markdown[0].value.removeprefix("before: ")


def test_a_first_run_remembers_nothing(app):
    assert said(app) == "None"


def test_a_moved_slider_gives_back_what_was_remembered_before_it_moved(app):
    assert said(app.slider(key="strength").set_value(3).run()) == "a0"
    assert said(app.slider(key="strength").set_value(4).run()) == "a3"


@pytest.mark.parametrize("both", [False, True])
def test_another_widget_that_changes_makes_it_void(app, both):
    if both:
        app.slider(key="strength").set_value(3)
    assert said(app.selectbox(key="kind").set_value("b").run()) == "None"
    assert said(app.slider(key="strength").set_value(5).run()) == ("b3" if both else "b0")


def test_nothing_has_moved_when_the_page_runs_by_itself(app):
    assert said(app.run()) == "None"


def test_a_widget_that_comes_or_goes_makes_it_void(app):
    app.toggle(key="extra").set_value(True).run()
    assert said(app) == "None"
    assert said(app.slider(key="strength").set_value(3).run()) == "a0"
    assert said(app.toggle(key="extra").set_value(False).run()) == "None"


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> ScriptRequests:
    """What Streamlit was asked for while a run of the fragment "mine" is in its pause."""
    asked = ScriptRequests()
    asked._state = ScriptRequestType.CONTINUE  # a run is on
    monkeypatch.setattr(pace, "get_script_run_ctx", lambda **_: SimpleNamespace(script_requests=asked))
    monkeypatch.setattr(pace.st, "session_state", {"_picture_first_test": "before"})
    return asked


def pause() -> None:
    def in_fragment() -> None:
        ThreadState.initialize(fragment_id="mine")
        picture_first("after", key="test")

    contextvars.copy_context().run(in_fragment)


def test_a_pause_ends_where_the_fragments_next_run_waits(requests):
    requests.request_rerun(RerunData(fragment_id="mine", query_string="next"))
    with pytest.raises(RerunException) as ended:
        pause()
    assert ended.value.rerun_data.fragment_id_queue == ["mine"]
    assert ended.value.rerun_data.query_string == "next"


def test_another_fragments_run_lets_this_one_come_to_its_end(requests):
    requests.request_rerun(RerunData(fragment_id="other"))
    pause()
    assert requests.on_scriptrunner_ready().rerun_data.fragment_id_queue == ["other"]


def test_a_pause_is_taken_where_nothing_waits(requests):
    begun = time.monotonic()
    pause()
    assert time.monotonic() - begun >= PAUSE_S
