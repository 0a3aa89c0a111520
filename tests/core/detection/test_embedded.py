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


@pytest.mark.parametrize(
    ("sample", "name", "inside"),
    [
        ("astronaut", "person", (200, 200)),  # a point on the object
        ("chelsea", "cat", (210, 120)),
        ("stereo_motorcycle", "motorcycle", (400, 300)),
    ],
)
def test_finds_what_is_in_the_sample_photographs_and_nothing_else_for_sure(sample, name, inside):
    import skimage.data

    picture = getattr(skimage.data, sample)()
    found = detect(np.ascontiguousarray(picture[0] if isinstance(picture, tuple) else picture)).detections
    names = [embedded_detector().class_names[class_id] for class_id in found.class_ids]
    x1, y1, x2, y2 = found.boxes_xyxy[names.index(name)]
    assert x1 < inside[0] < x2 and y1 < inside[1] < y2
    assert not [n for n, score in zip(names, found.scores, strict=True) if n != name and score > 0.5]


def test_the_same_picture_gives_the_same_answer_and_an_empty_one_gives_no_box():
    picture = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    np.testing.assert_array_equal(run_network(picture).scores, run_network(picture).scores)
    assert not len(detect(np.full((200, 300, 3), 114, np.uint8)).detections.scores)


def test_exception_no_picture():
    with pytest.raises(PictureError, match="RGB picture"):
        run_network(np.zeros((10, 10), np.uint8))
