"""Detectors by name through the registry, and files that are none."""

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from core.detection import detect as command
from core.detection.embedded import WeightsError
from core.detection.predictions import letterbox_picture
from core.detection.tasks import run_network
from core.detection.yolox import ModelError, load_yolox, run_yolox
from core.runtime import weights

YOLOX = Path(__file__).parents[4] / "shared" / "data" / "models" / "yolox_nano_coco.onnx"
needs_yolox = pytest.mark.skipif(not YOLOX.is_file(), reason="the YOLOX-Nano file is not in ../shared/data/models")
PICTURE = np.full((40, 60, 3), 90, np.uint8)


def network_of(path: Path, sides: list[int | str], rows: int = 84) -> Path:
    """An ONNX file with an input of `sides` and rows of zeros (1, rows, 85) for every picture."""
    zeros = helper.make_tensor("zeros", TensorProto.FLOAT, [1, rows, 85], [0.0] * rows * 85)
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
        helper.make_node("Constant", [], ["none"], value=zeros),
        helper.make_node("Mul", ["mean", "none"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, sides)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, rows, 85])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_rows_of_a_network_of_any_size_become_boxes_on_the_picture(tmp_path):
    path = network_of(tmp_path / "net.onnx", [1, 3, 64, 64])  # 64 + 16 + 4 cells
    answer = run_network(PICTURE, str(path))
    assert answer.boxes_xyxy.shape == (84, 4) and answer.scores.shape == (84, 80) and not answer.scores.any()
    assert answer.model == "net.onnx" and answer.engine == "ONNX Runtime" and answer.network_ms > 0
    # Zeros mean a box of one stride around the cell's corner: 8 px of the square are 7.5 px of the picture.
    np.testing.assert_allclose(answer.boxes_xyxy[9], np.array([4, 4, 12, 12]) * 60 / 64, rtol=0.02)


def test_a_file_that_was_replaced_is_read_again(tmp_path):
    path = network_of(tmp_path / "net.onnx", [1, 3, 64, 64])
    assert len(run_network(PICTURE, str(path)).scores) == 84
    network_of(path, [1, 3, 32, 32], rows=21)
    assert len(run_network(PICTURE, str(path)).scores) == 21


@pytest.mark.parametrize(
    ("sides", "rows", "words"),
    [
        ([1, 3, 64, 32], 84, "1 x 64 x 32 x 3 where one square"),
        ([1, 3, 60, 60], 84, "where one square"),  # not a multiple of 32
        ([1, 3, "H", "W"], 84, "1 x any x any x 3"),
        ([2, 3, 64, 64], 84, "2 x 64 x 64 x 3"),
        ([1, 5, 64, 64], 84, "no network with one picture"),
        ([1, 3, 64, 64], 50, r"expected rows of shape \(84, 85\)"),
    ],
)
def test_exception_another_kind_of_network(tmp_path, sides, rows, words):
    with pytest.raises(ModelError, match=words):
        run_network(PICTURE, str(network_of(tmp_path / "net.onnx", sides, rows)))


@pytest.mark.parametrize(("name", "title"), [("yolox_nano", "YOLOX-Nano"), ("yolox_s", "YOLOX-S")])
def test_exception_not_fetched(name, title, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(weights, "settings", lambda: type("Settings", (), {"home": tmp_path}))
    with pytest.raises(WeightsError, match=rf"^{title} is not here yet .*weights fetch {name}$"):
        run_network(PICTURE, name)
    cv2.imwrite(str(tmp_path / "a.png"), PICTURE)
    assert command.main([str(tmp_path / "a.png"), "--model", name, "--json", str(tmp_path / "out.json")]) == 2
    assert f"{title} is not here yet" in capsys.readouterr().err


def test_exception_unknown_name():
    with pytest.raises(
        ModelError, match='expected "embedded", .*"faster_rcnn", "yolox_nano", "yolox_s" or an ONNX file'
    ):
        run_network(PICTURE, "yolov9")


def test_a_fetched_model_answers_under_its_name(tmp_path, monkeypatch):
    path = network_of(tmp_path / "net.onnx", [1, 3, 64, 64])
    monkeypatch.setattr(weights, "require", lambda name: path)
    answer = run_network(PICTURE, "yolox_nano")
    assert answer.model == "YOLOX-Nano"
    cv2.imwrite(str(tmp_path / "a.png"), PICTURE)
    out = tmp_path / "out.json"
    assert command.main([str(tmp_path / "a.png"), "--model", "yolox_nano", "--json", str(out)]) == 0
    assert json.loads(out.read_text()) == []


@needs_yolox
def test_onnx_runtime_gives_opencvs_answer():
    """OpenCV's own engine reads the same file: channels first, BGR, one blob."""
    picture = np.random.default_rng(0).integers(0, 256, (300, 500, 3), np.uint8)
    answer = run_yolox(load_yolox(str(YOLOX)), picture, "nano")
    square, _ = letterbox_picture(picture, 416)
    network = cv2.dnn.readNetFromONNX(str(YOLOX))
    network.setInput(cv2.dnn.blobFromImage(square, swapRB=True))
    rows = network.forward().reshape(-1, 85)
    np.testing.assert_allclose(answer.scores, rows[:, 4:5] * rows[:, 5:], rtol=1e-3, atol=1e-5)
