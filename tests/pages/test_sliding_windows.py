"""The sliding windows page: the map, a window of it, three ways measured, and MTCNN's first stage."""

import time

import numpy as np

from core.runtime.images import encode_png
from pages.parts import compute

PAGE = "sliding_windows"


def texts(app):
    return "\n".join(element.value for element in [*app.markdown, *app.caption, *app.success, *app.info])


def formulas(app):
    return "\n".join(latex.value for latex in app.latex)


def test_the_score_map_and_its_windows(open_page):
    app = open_page(PAGE)
    assert r"\frac{138 - 64}{8} \right\rfloor + 1 = 10" in formulas(app)
    assert "**650 windows** in 5 sizes" in texts(app) and "suppression leaves **1**" in texts(app)
    answers = app.dataframe[0].value
    assert answers["Class"][0] == "background" and abs(answers["Probability"].sum() - 1) < 1e-5


def test_another_window_and_another_class(open_page):
    app = open_page(PAGE, win_row="2", win_col="3", win_class="Person")
    assert "Window in row 2, column 3" in texts(app)
    app.number_input(key="win_row").set_value(900).run()
    assert "Window in row 9, column 3" in texts(app)


def test_a_threshold_moves_boxes_only(open_page):
    app = open_page(PAGE)
    app.slider(key="win_score").set_value(0.2).run()
    many = texts(app)
    app.slider(key="win_score").set_value(0.99).run()
    assert texts(app) != many and "0.99" in texts(app)


def test_a_picture_too_narrow_gets_one_sentence(open_page):
    app = open_page(PAGE, image="Your own picture…")
    narrow = encode_png(np.zeros((6, 600, 3), np.uint8))
    app.file_uploader[0].upload("narrow.png", narrow, "image/png").run()
    assert len(app.error) == 1 and "too narrow" in app.error[0].value and not app.exception


def test_three_ways_to_their_times(open_page):
    app = open_page(PAGE, view="One by one or convolutional", win_side="96")
    assert r"\longrightarrow" in formulas(app) and app.metric[2].label == "Counted ratio"
    app.button(key="win_start").click().run()
    until = time.monotonic() + 240
    while not compute.engine().job(app.session_state["_job_windows"], owner="local").finished:
        assert time.monotonic() < until
        time.sleep(0.1)
    app.run()
    assert not app.exception
    times, differences = app.dataframe[0].value, app.dataframe[1].value
    assert times["Way"].tolist() == ["one by one", "in batches", "convolutional"]
    assert differences["Largest difference"].max() < 1e-5


def test_the_first_stage_of_mtcnn(open_page):
    app = open_page(PAGE, view="MTCNN's first stage")
    assert "proposals" in texts(app) and "cut out and looked at one by one" in texts(app)


def test_the_score_of_mtcnns_first_stage_asks_nothing_anew(open_page, monkeypatch):
    app = open_page(PAGE, view="MTCNN's first stage")
    before = texts(app)

    def refuse(task, *args, **kwargs):
        raise AssertionError(f"{task.__name__} was asked again")

    monkeypatch.setattr(compute.engine(), "call", refuse)
    app.slider(key="win_face_score").set_value(0.97).run()
    assert not app.exception
    assert texts(app) != before and "reach 0.97" in texts(app)
