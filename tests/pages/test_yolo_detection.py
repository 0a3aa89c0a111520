"""The YOLO page's main view: boxes and their table, sliders that run no network, steps, links, exports."""

import io
import json
import time

import cv2
import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.detection import tasks
from core.detection.predictions import NetworkAnswer, select
from core.runtime import weights
from core.runtime.samples import load_sample
from pages.parts import downloads
from pages.parts.yolo import answers
from pages.parts.yolo.detect_picture import LAYERS, boxes_picture, shown_size, step_picture

PAGE = "yolo_detection"


def texts(app: AppTest) -> str:
    return "\n".join(element.value for element in [*app.markdown, *app.caption, *app.info])


def formulas(app: AppTest) -> str:
    return "\n".join(latex.value for latex in app.latex).replace("&=", "=").replace("{,}", ",")


def cat_answer(image: np.ndarray) -> NetworkAnswer:
    """Three boxes over a cat, one over a dog, nothing elsewhere: what follows from it can be told by hand."""
    height, width = image.shape[:2]
    boxes = np.zeros((1344, 4), np.float32)
    scores = np.full((1344, 3), 1e-4, np.float32)
    boxes[:4] = [[0, 0, 100, 100], [10, 0, 110, 100], [0, 30, 100, 130], [150, 100, 250, 200]]
    for row, class_id, score in ((0, 1, 0.9), (1, 1, 0.8), (2, 1, 0.5), (3, 2, 0.4)):
        scores[row, class_id] = score
    return NetworkAnswer(boxes, scores, (width, height), ("person", "cat", "dog"), "made", 7.5, "paper")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were asked; the network is replaced by one whose answer is known."""
    asked: list[str] = []

    def run_network(image: np.ndarray, model: str = tasks.EMBEDDED) -> NetworkAnswer:
        asked.append(model)
        return cat_answer(image)

    run_network.__module__, run_network.__qualname__ = tasks.__name__, "run_network"
    monkeypatch.setattr(tasks, "run_network", run_network)
    answers._answer.clear()
    yield asked
    answers._answer.clear()


def test_the_embedded_network_finds_the_motorcycle(open_page):
    answers._answer.clear()
    app = open_page(PAGE)
    assert app.header[0].value == "YOLO detection"
    table = app.dataframe[0].value
    assert table["Class"].iloc[0] == "motorcycle" and table["Score"].iloc[0] > 0.25
    assert "Answered by **yolo_11**" in texts(app) and "256 × 256 px input" in texts(app)
    assert not app.error


def test_sliders_do_not_run_the_network_again(open_page, calls):
    app = open_page(PAGE)
    assert len(calls) == 1
    assert "**2 objects** · 4 boxes reach a confidence of 0.25, suppression drops 2." in texts(app)
    assert app.dataframe[0].value["Class"].tolist() == ["cat", "dog"]
    app.slider(key="yolo_confidence").set_value(0.45).run()
    assert app.dataframe[0].value["Class"].tolist() == ["cat"]
    app.slider(key="yolo_iou").set_value(0.9).run()
    assert app.dataframe[0].value["Score"].round(2).tolist() == [0.9, 0.8, 0.5]
    app.multiselect(key="yolo_classes").set_value(["dog"]).run()
    app.slider(key="yolo_confidence").set_value(0.2).run()
    assert app.dataframe[0].value["Class"].tolist() == ["dog"]
    assert len(calls) == 1
    app.selectbox(key="image").set_value("chelsea").run()
    assert len(calls) == 2


def test_classes_compete_where_told(open_page, calls, monkeypatch):
    def overlapping(image: np.ndarray, model: str = "") -> NetworkAnswer:
        answer = cat_answer(image)
        answer.boxes_xyxy[3] = answer.boxes_xyxy[0]
        return answer

    overlapping.__module__, overlapping.__qualname__ = tasks.__name__, "run_network"
    monkeypatch.setattr(tasks, "run_network", overlapping)
    app = open_page(PAGE)
    assert app.dataframe[0].value["Class"].tolist() == ["cat", "dog"]
    app.toggle(key="yolo_agnostic").set_value(True).run()
    assert app.dataframe[0].value["Class"].tolist() == ["cat"]


def test_nothing_found_is_said_in_a_sentence(open_page, calls):
    app = open_page(PAGE, yolo_confidence="0.95")
    assert "Nothing reaches a confidence of 0.95. The best guess is cat with 0.90" in texts(app)
    assert not app.dataframe and not app.error
    app = open_page(PAGE, yolo_confidence="0.95", yolo_classes="dog")
    assert "Nothing of the chosen classes reaches" in texts(app) and "best guess is dog with 0.40" in texts(app)


def test_steps_of_suppression(open_page, calls):
    app = open_page(PAGE, yolo_shows="NMS step by step", yolo_iou="0.3")
    assert "**Step 1 of 2** · cat, box 1, is picked, 2 dropped, 1 left" in texts(app)
    table = app.dataframe[0].value
    assert table[""].tolist() == ["picked", "dropped", "dropped"]
    np.testing.assert_allclose(table["IoU"], [1, 90 / 110, 70 / 130], atol=1e-6)
    # Lowered by the first box, the second has less left than the third, which soft-NMS then takes before it.
    second, third = 0.8 * np.exp(-((90 / 110) ** 2) / 0.5), 0.5 * np.exp(-((70 / 130) ** 2) / 0.5)
    assert second < third
    assert table["Soft"].iloc[2] == pytest.approx(third, rel=1e-6) and table["Soft"].iloc[1] < second
    app.number_input(key="yolo_step").set_value(99).run()
    assert "**Step 2 of 2** · dog, box 4, is picked, 0 dropped, 0 left" in texts(app)


def test_layers_tell_what_they_show(open_page, calls):
    app = open_page(PAGE)
    app.pills(key="yolo_layers").set_value(list(LAYERS)).run()
    for layer in LAYERS.values():
        assert f"**{layer.label}**" in texts(app)
    assert "this network has no anchor boxes" in texts(app)
    assert not app.exception and len(calls) == 1


def test_formula_and_code_when_they_are_opened(open_page, calls):
    app = open_page(PAGE, yolo_iou="0.3")
    assert not app.latex and not app.code
    app.session_state["yolo_formula"] = True
    app.run()
    assert r"= 9,000" in formulas(app) and "= 0.818" in formulas(app)
    # The cat's midpoint (50, 50) lies in row 2, column 2 of the 32 x 32 grid: cells are 741 / 32 px wide.
    assert rf"b_x = \frac{{50.0 - 2\cdot23.2}}{{23.2}} = {50 / (741 / 32) - 2:.2f}" in formulas(app)
    app.session_state["yolo_code"] = True
    app.run()
    assert "boxes = np.array([[0.0, 0.0, 100.0, 100.0]" in app.code[0].value and "iou <= 0.3" in app.code[0].value
    app.button(key="yolo_code_run").click().run()
    assert "Of 4 boxes stay: NumPy 2, OpenCV 2, TensorFlow 2." in texts(app)


class Chosen:
    """What `image_input` answers, as far as pictures need it."""

    pixels, name, sha256 = load_sample("chelsea"), "chelsea", "chelsea-of-this-test"


def test_layers_change_the_picture_and_steps_show_their_box():
    answer = cat_answer(Chosen.pixels)
    selection = select(answer, 0.25, 0.3)

    def pixels(encoded: bytes) -> np.ndarray:
        return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR).astype(int)

    plain = pixels(boxes_picture(Chosen, answer, selection, ()))
    assert plain.shape[:2] == shown_size(Chosen) == (599, 900)
    for layer in LAYERS:
        changed = np.abs(pixels(boxes_picture(Chosen, answer, selection, (layer,))) - plain).max(axis=2) > 40
        assert changed.mean() > 0.0002, layer
    steps = [pixels(step_picture(Chosen, answer, selection, number, agnostic=False)) for number in (1, 2)]
    assert (np.abs(steps[0] - steps[1]).max(axis=2) > 40).mean() > 0.005


def test_exports_say_what_the_page_shows(open_page, calls, monkeypatch):
    made: dict[str, bytes] = {}

    def catch(label, make, *, file_name, mime, key):
        made[file_name] = make()

    monkeypatch.setattr(downloads, "_button", catch)
    open_page(PAGE, image="Chelsea the cat")
    rows = json.loads(made["chelsea_detections.json"])
    assert [row["category"] for row in rows] == ["cat", "dog"]
    assert rows[0] == {"file_name": "chelsea", "category": "cat", "bbox": [0, 0, 100, 100], "score": 0.9}
    table = pd.read_csv(io.BytesIO(made["chelsea_detections.csv"]))
    assert table["width"].tolist() == [100, 100] and table["x"].tolist() == [0, 150]
    for name in ("chelsea_detections.png", "chelsea_detections.jpg"):
        pixels = cv2.imdecode(np.frombuffer(made[name], np.uint8), cv2.IMREAD_COLOR)
        assert pixels.shape == load_sample("chelsea").shape
    assert (np.abs(pixels[:, :, ::-1].astype(int) - load_sample("chelsea")) > 60).any()


def test_a_network_that_cannot_answer_is_said(open_page, monkeypatch):
    def run_network(image: np.ndarray, model: str = "") -> NetworkAnswer:
        raise ValueError("the weights of 'yolo_11' are missing")

    run_network.__module__, run_network.__qualname__ = tasks.__name__, "run_network"
    monkeypatch.setattr(tasks, "run_network", run_network)
    answers._answer.clear()
    app = open_page(PAGE)
    assert "are missing" in app.error[0].value
    assert not app.dataframe


def test_a_network_that_is_not_here_can_be_fetched_or_given(open_page, calls, monkeypatch, tmp_path):
    there = {"file": None}
    monkeypatch.setattr(weights, "where", lambda name: there["file"])
    app = open_page(PAGE, yolo_model="YOLOX-Nano, 80 classes")
    assert "**YOLOX-Nano** is not on this machine yet: 3.7 MB from github.com" in texts(app)
    assert calls == [tasks.EMBEDDED] and "Answered by **made**" in texts(app)
    assert not app.error
    app.file_uploader(key="yolo_file_yolox_nano").set_value(("mine.onnx", b"not a network", "application/octet-stream"))
    app.run()
    assert "expected 3,659,407 bytes, received 13" in app.error[0].value
    there["file"] = tmp_path
    app = open_page(PAGE, yolo_model="YOLOX-Nano, 80 classes")
    assert "is not on this machine" not in texts(app) and calls[-1] == "yolox_nano"


def test_a_fetch_that_fails_says_why(open_page, calls, monkeypatch):
    def fetch(name: str, report: object = None) -> None:
        raise weights.WeightsError("YOLOX-Nano could not be fetched: there is no network")

    fetch.__module__, fetch.__qualname__ = weights.__name__, "fetch"
    monkeypatch.setattr(weights, "where", lambda name: None)
    monkeypatch.setattr(weights, "fetch", fetch)
    app = open_page(PAGE, yolo_model="YOLOX-Nano, 80 classes")
    app.button(key="yolo_fetch_yolox_nano").click().run()
    for _ in range(300):
        if app.error:
            break
        time.sleep(0.1)
        app.run()
    assert app.error[0].value == "YOLOX-Nano could not be fetched: there is no network"
    assert app.dataframe[0].value["Class"].tolist() == ["cat", "dog"]
