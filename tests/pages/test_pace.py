"""What a page remembers of its last run is given back only where nothing but a slider has moved since."""

import pytest
from streamlit.testing.v1 import AppTest


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
