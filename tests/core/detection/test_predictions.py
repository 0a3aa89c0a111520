import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.detection import detect as command
from core.detection.boxes import pairwise_iou
from core.detection.drawing import class_colour, draw_detections
from core.detection.embedded import WeightsError, embedded_detector
from core.detection.evaluation import ImageDetections
from core.detection.grid import cell_centres
from core.detection.predictions import NetworkAnswer, PictureError, answer_of, decode_rows, letterbox_picture, select
from core.detection.yolox import ModelError, decode_yolox, load_yolox
from core.runtime.inference import OnnxRuntimeEngine
from core.runtime.samples import load_sample

NAMES = ("person", "car", "cat")


def rows_for(boxes: np.ndarray, ids: list[int], scores: list[float], size: int = 64) -> np.ndarray:
    """Raw rows in which the finest cell at each midpoint answers with its box, and no other cell does."""
    cells = cell_centres(size, size)
    raw = np.full((len(cells), 4 + len(NAMES)), -9.0, np.float32)
    for box, class_id, score in zip(boxes, ids, scores, strict=True):
        middle = (box[:2] + box[2:]) / 2
        cell = int(np.abs(cells[:64, :2] - middle).sum(axis=1).argmin())
        x, y, stride = cells[cell]
        raw[cell, :4] = np.log(np.array([x - box[0], y - box[1], box[2] - x, box[3] - y]) / stride)
        raw[cell, 4 + class_id] = np.log(score / (1 - score))
    return raw


def test_answer_lies_on_the_original_picture():
    boxes = np.array([[8.0, 4.0, 40.0, 24.0], [30.0, 6.0, 60.0, 28.0]])
    raw = rows_for(boxes, [0, 2], [0.9, 0.6])
    # A picture of 256 x 128 was scaled by a quarter into the square of 64.
    answer = answer_of(raw, 64, (0.25, 0.25), (256, 128), NAMES, "made")
    found = select(answer, 0.5).detections
    np.testing.assert_allclose(found.boxes_xyxy, boxes * 4, rtol=1e-4)
    assert found.class_ids.tolist() == [0, 2]
    np.testing.assert_allclose(found.scores, [0.9, 0.6], rtol=1e-4)


def crowd_answer() -> NetworkAnswer:
    boxes = np.array([[0, 0, 50, 50], [2, 0, 52, 50], [1, 1, 51, 51], [-20, 60, 30, 120]], np.float32)
    scores = np.array([[0.9, 0, 0], [0.7, 0, 0], [0, 0.8, 0], [0, 0, 0.3]], np.float32)
    return NetworkAnswer(boxes, scores, (100, 100), NAMES, "made")


def test_selection_per_class_and_agnostic():
    apart = select(crowd_answer(), 0.25, 0.5)
    assert apart.detections.class_ids.tolist() == [0, 1, 2]
    assert len(apart.candidates.scores) == 4 and apart.suppression.suppressed_by.tolist() == [-1, -1, 0, -1]
    assert select(crowd_answer(), 0.25, 0.5, agnostic=True).detections.class_ids.tolist() == [0, 2]


def test_selection_by_class_and_confidence():
    assert select(crowd_answer(), 0.25, classes=[1]).detections.class_ids.tolist() == [1]
    assert select(crowd_answer(), 0.85).detections.class_ids.tolist() == [0]
    assert not len(select(crowd_answer(), 0.95).detections.scores)


def test_boxes_are_cut_at_the_border():
    box = select(crowd_answer(), 0.25, classes=[2]).detections.boxes_xyxy[0]
    assert box.tolist() == [0, 60, 30, 100]


def test_letterbox_keeps_the_shape_and_pads_grey():
    picture = np.full((30, 90, 3), 200, np.uint8)
    square, scale = letterbox_picture(picture, 64)
    assert (square[:21] == 200).all() and (square[21:] == 114).all()
    assert scale == pytest.approx((64 / 90, 21 / 30))


@pytest.mark.parametrize(
    ("height", "width"),
    [
        (512, 512),  # halved once, nothing left to interpolate
        (500, 741),  # an odd side: its last column is left over
        (1531, 907),  # halved twice, portrait
        (300, 451),  # less than twice as large
        (60, 90),  # smaller than the square
    ],
)
def test_letterbox_is_close_to_the_mean_over_areas(height, width):
    picture = cv2.resize(load_sample("motorcycle"), (width, height), interpolation=cv2.INTER_AREA)
    square, scale = letterbox_picture(picture, 256)
    new_width, new_height = round(256 * width / max(height, width)), round(256 * height / max(height, width))
    smooth = cv2.INTER_AREA if max(height, width) > 256 else cv2.INTER_LINEAR
    means = cv2.resize(picture, (new_width, new_height), interpolation=smooth).astype(int)
    assert np.abs(square[:new_height, :new_width] - means).mean() < 8  # of 255 levels
    assert (square[new_height:] == 114).all() and (square[:, new_width:] == 114).all()
    assert scale == pytest.approx((new_width / width, new_height / height), rel=4 / min(height, width))


@pytest.mark.parametrize(("name", "thing"), [("astronaut", "person"), ("chelsea", "cat"), ("motorcycle", "motorcycle")])
def test_boxes_are_those_of_a_picture_scaled_by_areas(name, thing):
    detector = embedded_detector()
    engine = OnnxRuntimeEngine(detector.onnx)
    picture = load_sample(name)
    height, width = picture.shape[:2]
    square, scale = letterbox_picture(picture, detector.input_px)
    new_height, new_width = (round(side * detector.input_px / max(height, width)) for side in (height, width))
    means = np.full_like(square, 114)
    means[:new_height, :new_width] = cv2.resize(picture, (new_width, new_height), interpolation=cv2.INTER_AREA)
    found = []
    for one, by in ((square, scale), (means, (new_width / width, new_height / height))):
        raw = engine(one[None].astype(np.float32))[0]
        answer = answer_of(raw, detector.input_px, by, (width, height), detector.class_names, "embedded")
        found.append(select(answer, 0.3).detections)
    assert [detector.class_names[class_id] for class_id in found[0].class_ids] == [thing]
    assert (found[1].class_ids == found[0].class_ids).all()
    assert np.diag(pairwise_iou(found[0].boxes_xyxy, found[1].boxes_xyxy)).min() > 0.95
    assert np.abs(found[0].scores - found[1].scores).max() < 0.1


def test_letterbox_of_a_strip():
    picture = np.full((4, 3000, 3), 200, np.uint8)
    square, scale = letterbox_picture(picture, 64)
    assert (square[0] == 200).all() and (square[1:] == 114).all()
    assert scale == (64 / 3000, 1 / 4)


def test_scores_are_the_logistic_function_however_large():
    raw = np.zeros((21, 6), np.float32)
    raw[:, 4:] = [[-1e6, 1e6]] * 20 + [[-2.0, 3.0]]
    _, scores = decode_rows(raw, 32)
    assert scores.dtype == np.float32 and scores[0] == pytest.approx([0, 1], abs=1e-20)
    assert scores[-1] == pytest.approx([1 / (1 + np.exp(2)), 1 / (1 + np.exp(-3))], rel=1e-6)


@pytest.mark.parametrize("bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_exception_no_picture(bad):
    with pytest.raises(PictureError, match="RGB picture"):
        letterbox_picture(bad, 64)


def test_exception_confidence():
    with pytest.raises(PictureError, match=r"confidence in 0\.\.1"):
        select(crowd_answer(), 1.5)


def test_yolox_rows_are_decoded_as_published():
    """In a loop: the cell's corner plus the offset, times the stride; exp of the size, times the stride."""
    rng = np.random.default_rng(0)
    rows = rng.uniform(0, 1, (84, 85)).astype(np.float32)
    boxes, scores = decode_yolox(rows, 64)
    index = 0
    for stride in (8, 16, 32):
        for row in range(64 // stride):
            for column in range(64 // stride):
                x, y, w, h = rows[index, :4]
                middle = np.array([(x + column) * stride, (y + row) * stride])
                half = np.array([np.exp(w), np.exp(h)]) * stride / 2
                np.testing.assert_allclose(boxes[index], [*(middle - half), *(middle + half)], rtol=1e-4, atol=1e-3)
                np.testing.assert_allclose(scores[index], rows[index, 4] * rows[index, 5:], rtol=1e-6)
                index += 1


def test_exception_wrong_yolox_rows(tmp_path):
    with pytest.raises(ModelError, match=r"\(84, 85\)"):
        decode_yolox(np.zeros((84, 15), np.float32), 64)
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match="cannot be read"):
        load_yolox(str(tmp_path / "broken.onnx"))


def test_drawing_changes_only_a_copy_and_marks_the_box():
    picture = np.zeros((100, 100, 3), np.uint8)
    found = ImageDetections(np.array([[20.0, 30.0, 80.0, 90.0]]), np.array([1]), np.array([0.5]))
    drawn = draw_detections(picture, found, NAMES)
    assert not picture.any()
    assert tuple(drawn[60, 20]) == class_colour(1) and not drawn[60, 50].any()


def fake_folder(tmp_path: Path, content: bytes, sha256: str) -> Path:
    (tmp_path / "net.weights.h5").write_bytes(content)
    row = f'[[weights]]\nname = "net"\nfile = "net.weights.h5"\nbytes = {len(content)}\nsha256 = "{sha256}"\n'
    (tmp_path / "manifest.toml").write_text(row + 'classes = ["cat"]\ninput_px = 64\n', encoding="utf-8")
    return tmp_path


def test_exception_changed_weights(tmp_path):
    with pytest.raises(WeightsError, match="is not the file"):
        embedded_detector(fake_folder(tmp_path, b"abc", "0" * 64), "net")
    with pytest.raises(WeightsError, match="no 'other'"):
        embedded_detector(tmp_path, "other")


def test_command_writes_json_and_pictures(tmp_path, monkeypatch):
    folder = tmp_path / "in" / "deep"
    folder.mkdir(parents=True)
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / name), np.full((100, 100, 3), 90, np.uint8))
    (folder / "c.jpg").write_bytes(b"not a picture")
    monkeypatch.setattr(command, "run_network", lambda pixels, model: crowd_answer())
    out, drawn = tmp_path / "out.json", tmp_path / "drawn"
    code = command.main([str(tmp_path / "in"), "--json", str(out), "--draw", str(drawn), "--confidence", "0.85"])
    assert code == 1  # the third file was refused
    assert json.loads(out.read_text()) == [
        {"file_name": f"deep/{n}.png", "category": "person", "bbox": [0, 0, 50, 50], "score": 0.9} for n in "ab"
    ]
    assert sorted(p.name for p in (drawn / "deep").iterdir()) == ["a.jpg", "b.jpg"]


def test_command_says_what_is_missing(tmp_path, capsys):
    assert command.main([str(tmp_path / "none"), "--json", str(tmp_path / "out.json")]) == 2
    assert "no file or folder" in capsys.readouterr().err
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    assert command.main([str(tmp_path / "a.png"), "--model", "none.onnx", "--json", str(tmp_path / "o.json")]) == 2


YOLOX = Path(__file__).parents[4] / "shared" / "data" / "models" / "yolox_nano_coco.onnx"


@pytest.mark.skipif(not YOLOX.is_file(), reason="the YOLOX-Nano file is not in ../shared/data/models")
@pytest.mark.parametrize(
    ("sample", "name"),
    [("astronaut", "person"), ("chelsea", "cat"), ("coffee", "cup"), ("motorcycle", "motorcycle")],
)
def test_yolox_nano_finds_what_is_in_the_sample_photographs(sample, name):
    from core.detection.tasks import run_network

    answer = run_network(sample_picture(sample), str(YOLOX))
    found = select(answer, 0.25).detections
    best = found.class_ids[found.scores.argmax()]
    assert answer.class_names[best] == name or name in {answer.class_names[i] for i in found.class_ids}
    if name == "cat":
        assert pairwise_iou(found.boxes_xyxy[:1], np.array([[60, 0, 420, 300]]))[0, 0] > 0.5


def sample_picture(name: str) -> np.ndarray:
    import skimage.data

    if name == "motorcycle":
        return np.ascontiguousarray(skimage.data.stereo_motorcycle()[0])
    return np.ascontiguousarray(getattr(skimage.data, name)())
