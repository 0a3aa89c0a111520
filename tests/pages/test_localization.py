"""The localization page: vectors and losses with their numbers, boxes dragged, learning to its end, landmarks."""

import time

import numpy as np
import pytest

from core.detection.localization import localization_loss, target_vector
from core.runtime.images import encode_jpeg
from core.runtime.samples import load_sample
from pages.parts import compute

PAGE = "localization"


def texts(app):
    return "\n".join(element.value for element in [*app.markdown, *app.caption, *app.success, *app.info, *app.text])


def formulas(app):
    return "\n".join(latex.value for latex in app.latex)


def finish(app, key: str, limit_s: float = 240.0):
    until = time.monotonic() + limit_s
    while not compute.engine().job(app.session_state[f"_job_{key}"], owner="local").finished:
        assert time.monotonic() < until, "the job did not end"
        time.sleep(0.1)
    app.run()
    assert not app.exception, [problem.value for problem in app.exception]


def test_the_target_vector_and_the_squared_loss(open_page):
    app = open_page(PAGE)
    table = app.dataframe[0].value
    assert table["Element"].tolist()[:6] == ["p_c", "b_x", "b_y", "b_h", "b_w", "c_1 (pedestrian)"]
    assert table["y"].tolist() == ["1.000", "0.520", "0.550", "0.780", "0.860", "0.000", "0.000", "1.000"]
    y = np.array([1, 0.52, 0.55, 0.78, 0.86, 0, 0, 1])
    y_hat = np.array([0.8, 0.6, 0.62, 0.6, 0.7, 0.1, 0.3, 0.6])
    assert app.metric[0].value == f"{np.sum((y - y_hat) ** 2):.4f}"
    assert "(0.8 - 1)^2" in formulas(app) and "(0.6 - 0.52)^2" in formulas(app)


def test_without_an_object_only_p_c_counts(open_page):
    app = open_page(PAGE, loc_there="false", loc_p="0.3")
    assert app.metric[0].value == "0.0900" and app.metric[1].value == "–"
    assert app.dataframe[0].value["y"].tolist() == ["0.000", *["?"] * 7]
    app.number_input(key="loc_hx").set_value(0.1).run()
    assert app.metric[0].value == "0.0900"


def test_the_logistic_loss(open_page):
    app = open_page(PAGE, loc_loss="Logistic and softmax")
    y = np.array([1, 0.52, 0.55, 0.78, 0.86, 0, 0, 1])
    y_hat = np.array([0.8, 0.6, 0.62, 0.6, 0.7, 0.1, 0.3, 0.6])
    assert app.metric[0].value == f"{localization_loss(y, y_hat, 'logistic').total:.4f}"
    assert r"\log 0.8" in formulas(app)


def test_own_classes_get_elements_of_their_own(open_page):
    app = open_page(PAGE, loc_classes="cup, spoon")
    assert app.dataframe[0].value["Element"].tolist()[5:] == ["c_1 (cup)", "c_2 (spoon)"]


@pytest.mark.parametrize(
    ("classes", "sentence"),
    [(" , ", "There is no class"), ("a, a", "there twice"), (", ".join("abcdefghi"), "at most 8")],
)
def test_classes_that_cannot_be_used_get_one_sentence(open_page, classes, sentence):
    app = open_page(PAGE)
    app.text_input(key="loc_classes").set_value(classes).run()
    assert len(app.error) == 1 and sentence in app.error[0].value and not app.exception


def test_a_box_that_reaches_out_is_cut_off(open_page):
    app = open_page(PAGE, loc_yx="0.9", loc_yw="0.6")
    assert "Kept inside" in texts(app)
    expected = target_vector((0.6, 0.16, 1.0, 0.94), 2, 3, (1.0, 1.0))
    assert app.dataframe[0].value["y"].tolist()[1] == f"{expected[1]:.3f}"
    app.number_input(key="loc_yw").set_value(0.0).run()
    assert "no area" in texts(app) and not app.exception


def test_learning_shows_examples_before_it_starts(open_page):
    app = open_page(PAGE, view="Learn to localize")
    assert "with their true boxes" in texts(app) and r"\text{ steps}" in formulas(app)


def test_learning_to_its_result_and_new_scenes(open_page):
    app = open_page(PAGE, view="Learn to localize", loc_scenes="500", loc_epochs="5")
    app.button(key="loc_learn_start").click().run()
    finish(app, "localizer")
    values = {metric.label: metric.value for metric in app.metric}
    assert 0 < float(values["Mean IoU"]) < 1 and values["Answers all right"].endswith("%")
    assert "Classified and localized" in texts(app)
    app.number_input(key="loc_new").set_value(3).run()
    assert not app.exception and not app.error


def test_landmarks_of_the_astronaut(open_page):
    app = open_page(PAGE, view="Landmarks")
    table = app.dataframe[0].value
    assert table["Landmark"].tolist()[2] == "nose"
    assert abs(table["x (px)"][0] - 204) < 6 and abs(table["y (px)"][0] - 100) < 6
    assert "l_{1x}" in formulas(app)


def test_a_picture_without_a_face(open_page):
    app = open_page(PAGE, view="Landmarks", image="Brick wall (grey)")
    assert "No face of at least" in texts(app) and not app.exception


def test_one_landmark_in_the_photographs_that_come_with_the_page(open_page):
    app = open_page(PAGE, view="One landmark, several photos")
    finish(app, "landmarks")
    assert len(app.dataframe[0].value) == 6
    assert r"\sigma(l_{3x})" in formulas(app)


def test_own_photographs_one_of_them_broken(open_page):
    app = open_page(PAGE, view="One landmark, several photos", loc_follow_from="Your own")
    photo = encode_jpeg(load_sample("astronaut"))
    app.file_uploader[0].set_value([("a.jpg", photo, "image/jpeg"), ("b.jpg", photo[:200], "image/jpeg")]).run()
    app.button(key="loc_follow_start").click().run()
    finish(app, "landmarks")
    assert len(app.dataframe[0].value) == 1 and "Left out: b.jpg" in texts(app)
