"""The verification page: a pair at first sight, a slider that runs no network, and what cannot be compared."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.faces import tasks
from core.faces.encoders import describe, measured
from core.faces.types import EncodedFace, Face
from pages.parts.faces import answers

PAGE = "face_verification"


def texts(app: AppTest) -> str:
    return "\n".join(
        element.value for element in [*app.markdown, *app.caption, *app.info, *app.success, *app.error, *app.warning]
    )


def encoded(value: float, x: float = 100.0, encoder: str = "dlib", size: float = 80.0) -> EncodedFace:
    box = np.array([x, 50, x + size, 50 + size], np.float32)
    points = np.array([[20, 30], [60, 30], [40, 45], [25, 60], [55, 60]], np.float32) + [x, 50]
    side = describe(encoder).input_px
    encoding = np.zeros(128, np.float32)
    encoding[0] = value
    return EncodedFace(Face(box, points, 0.99, (), "MTCNN"), np.full((side, side, 3), 90, np.uint8), encoding, encoder)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Sizes of the pictures that were looked at; the networks are replaced by ones whose answers are known.

    A picture's faces follow from its width: the changed astronaut of 256 px lies 0.5 from the whole one of 512, the
    cat has no face, the coffee cup three.
    """
    seen: list[tuple[int, int]] = []

    def faces_of_picture(image: np.ndarray, encoder: str, detector: str) -> tasks.FacesOfPicture:
        seen.append(image.shape[:2])
        width = image.shape[1]
        faces: tuple[EncodedFace, ...] = (encoded(1.0 if width == 512 else 1.5, encoder=encoder),)
        if width == 451:
            faces = ()
        if width == 600:
            faces = tuple(encoded(1.0 + n, 20.0 + 90 * n, encoder, 80 - n) for n in range(3))
        return tasks.FacesOfPicture(faces, 12.0, 3.0)

    def encode_faces(
        image: np.ndarray, encoder: str, detector: str, faces: tuple[Face, ...]
    ) -> tuple[EncodedFace, ...]:
        return tuple(encoded(1.0, encoder=encoder) for _ in faces)

    for task in (faces_of_picture, encode_faces):
        task.__module__, task.__qualname__ = tasks.__name__, task.__name__
        monkeypatch.setattr(tasks, task.__name__, task)
    answers._answer.clear()
    answers._encoded.clear()
    yield seen
    answers._answer.clear()
    answers._encoded.clear()


def test_the_sample_pair_is_found_to_be_one_person(open_page):
    answers._answer.clear()
    answers._encoded.clear()
    app = open_page(PAGE)
    assert app.header[0].value == "Face verification"
    assert "**Same person**" in texts(app) and "Found by MTCNN" in texts(app)
    table = app.dataframe[0].value
    assert "dlib ResNet" in table["Encoder"].tolist()
    assert (table["Distance d"] > 0.05).all()
    app.selectbox(key="second").set_value("camera").run()
    assert "**Different persons**" in texts(app)


def test_the_slider_moves_the_verdict_and_runs_no_network(open_page, asked):
    app = open_page(PAGE)
    assert len(asked) == 2
    assert "**Same person**: d = 0.500 ≤ τ" in texts(app)
    app.slider(key="tau_dlib").set_value(0.45).run()
    assert "**Different persons**: d = 0.500 > τ = 0.45" in texts(app)
    assert len(asked) == 2
    known = measured("dlib")
    if known is not None:
        assert f"**FRR {100 * known.pairs.at(0.45).false_reject:.2f} %**" in texts(app)


def test_the_numbers_stand_in_the_formula(open_page, asked):
    app = open_page(PAGE, tau_dlib="0.61")
    app.session_state["face_formula"] = True
    app.run()
    formulas = "\n".join(latex.value for latex in app.latex).replace("&=", "=")
    assert "0.5000" in formulas and r"\tau = 0.61" in formulas and "(1.000 - 1.500)^2" in formulas


def test_no_face_is_said_in_a_sentence(open_page, asked):
    app = open_page(PAGE, second="Chelsea the cat", face_change="As it is")
    assert "No face was found in the second photo: nothing can be compared." in texts(app)
    assert not app.error and not app.dataframe


def test_the_same_photo_twice_proves_nothing(open_page, asked):
    app = open_page(PAGE, face_change="As it is")
    assert "Both are the same picture" in texts(app) and "d = 0.000" in texts(app)


def test_of_several_faces_one_is_chosen(open_page, asked):
    app = open_page(PAGE, second="Coffee cup", face_change="As it is")
    choice = app.selectbox(key="face_of_second")
    assert choice.label == "Face in the second photo (3 were found)"
    assert "d = 0.000" in texts(app)
    choice.set_value(2).run()
    assert "d = 2.000" in texts(app)


def test_a_link_brings_everything_back(open_page, asked):
    app = open_page(PAGE, first="Cameraman (grey)", second="Astronaut", face_change="Blurred", tau_dlib="0.7")
    assert app.selectbox(key="first").value == "camera"
    assert app.selectbox(key="face_change").value == "blurred"
    assert app.slider(key="tau_dlib").value == 0.7


def test_sface_is_offered_and_another_answers_until_then(open_page, asked, tmp_path):
    app = open_page(PAGE, face_encoder="SFace")
    assert "**SFace** is not on this machine yet: 38.7 MB from github.com" in texts(app)
    assert "**Same person**" in texts(app)
