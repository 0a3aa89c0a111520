"""Pictures that are none, or next to none, on the pages on localization, windows and proposals: one sentence each."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.runtime.images import encode_png
from tests.pages.conftest import watch_jobs

OWN = "Your own picture…"
VIEWS = [
    ("localization", "Box and loss"),
    ("localization", "Landmarks"),
    ("sliding_windows", "Score map and boxes"),
    ("sliding_windows", "One by one or convolutional"),
    ("sliding_windows", "MTCNN's first stage"),
    ("region_proposals", "Selective search"),
    ("region_proposals", "R-CNN, Fast, Faster"),
    ("region_proposals", "RoI pooling"),
]


def given(app: AppTest, name: str, data: bytes) -> AppTest:
    return app.file_uploader[0].upload(name, data, "image/png").run()


def finished(app: AppTest) -> AppTest:
    """The page when the jobs that begin by themselves are done."""
    while any(button.label == "Stop" for button in app.button):
        watch_jobs(app)  # the first of them loads the networks
    return app


@pytest.mark.parametrize(("stem", "view"), VIEWS)
def test_a_text_that_calls_itself_a_picture_is_refused_in_a_sentence(open_page, stem, view):
    app = given(open_page(stem, view=view, image=OWN), "notes.png", b"These are notes, not a picture.")
    assert not app.exception
    assert app.error
    assert all("Traceback" not in error.value for error in app.error)


@pytest.mark.parametrize(("stem", "view"), VIEWS)
def test_a_picture_of_one_pixel_leaves_the_page_alive(open_page, stem, view):
    pixel = encode_png(np.full((1, 1, 3), 90, np.uint8))
    app = finished(given(open_page(stem, view=view, image=OWN), "pixel.png", pixel))
    assert not app.exception, [problem.value for problem in app.exception]
    assert all("Traceback" not in error.value and "Error(" not in error.value for error in app.error)


def test_a_picture_without_a_face_says_so(open_page):
    flat = encode_png(np.full((120, 160, 3), 128, np.uint8))
    app = given(open_page("localization", view="Landmarks", image=OWN), "wall.png", flat)
    assert not app.exception
    assert "No face" in app.info[0].value
