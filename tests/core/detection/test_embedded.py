"""The weights that come with the project, through the door that the page uses."""

import json
import tomllib

import numpy as np
import pytest

from core.detection.embedded import WEIGHTS_FOLDER, embedded_detector
from core.detection.predictions import PictureError
from core.detection.tasks import detect, run_network


def test_manifest_describes_the_file_and_names_its_card_and_history():
    weights = embedded_detector()
    rows = tomllib.loads((WEIGHTS_FOLDER / "manifest.toml").read_text(encoding="utf-8"))["weights"]
    row = next(row for row in rows if row["name"] == weights.name)
    assert weights.path.stat().st_size < 20_000_000
    assert row["licence"] and row["data_terms"] and row["trained_on"] and row["command"]
    card = (WEIGHTS_FOLDER / row["card"]).read_text(encoding="utf-8")
    history = json.loads((WEIGHTS_FOLDER / row["history"]).read_text(encoding="utf-8"))
    assert f"{history['evaluation']['map_50']}" in card
    assert row["quality"].startswith(f"val mAP@.5 {history['evaluation']['map_50']:.1f}")


def test_the_cat_is_the_best_box_and_lies_where_the_cat_is():
    import skimage.data

    found = detect(skimage.data.chelsea()).detections
    best = int(found.scores.argmax())
    assert embedded_detector().class_names[found.class_ids[best]] == "cat"
    x1, y1, x2, y2 = found.boxes_xyxy[best]
    assert x1 < 210 < x2 and y1 < 120 < y2  # between the eyes


def test_the_same_picture_gives_the_same_answer_and_an_empty_one_gives_no_box():
    picture = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    np.testing.assert_array_equal(run_network(picture).scores, run_network(picture).scores)
    assert not len(detect(np.full((200, 300, 3), 114, np.uint8)).detections.scores)


def test_exception_no_picture():
    with pytest.raises(PictureError, match="RGB picture"):
        run_network(np.zeros((10, 10), np.uint8))
