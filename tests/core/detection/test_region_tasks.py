"""The embedded R-CNN family through the door that the page and the command use."""

import json
import tomllib

import numpy as np
import pytest

from core.detection import detect, region_tasks
from core.detection.boxes import pairwise_iou
from core.detection.drawn_sets import drawn_zip
from core.detection.embedded import WEIGHTS_FOLDER
from core.detection.predictions import PictureError, select
from core.detection.proposals_samples import KNOWN_OBJECTS
from core.detection.rcnn.forms import CROP_PX, best_proposals, warp_crops
from core.detection.rcnn.results import FORMS, STAGES
from core.detection.tasks import run_network
from core.runtime import weights
from core.runtime.images import encode_png
from core.runtime.report import JobCancelled, Report
from core.runtime.samples import load_sample


@pytest.fixture(scope="module")
def searched():
    return region_tasks.search(load_sample("motorcycle"))


def test_manifest_card_and_history_tell_the_same():
    rows = tomllib.loads((WEIGHTS_FOLDER / "manifest.toml").read_text(encoding="utf-8"))["weights"]
    row = next(row for row in rows if row["name"] == region_tasks.NAME)
    assert (WEIGHTS_FOLDER / row["file"]).stat().st_size < 20_000_000
    card = (WEIGHTS_FOLDER / row["card"]).read_text(encoding="utf-8")
    history = json.loads((WEIGHTS_FOLDER / row["history"]).read_text(encoding="utf-8"))
    assert f"{history['evaluation']['map_50']}" in card
    for form, measured in row["measured"].items():
        assert measured["map_50"] == history["forms"]["forms"][form]["map_50"]
        assert str(measured["map_50"]) in card


def test_faster_r_cnn_is_measured_at_sixty_percent_of_yolo_or_more():
    measured = weights.describe(region_tasks.NAME).facts["measured"]
    assert measured["faster_rcnn"]["map_50"] >= 0.6 * measured["embedded"]["map_50"]
    times = [measured[form]["ms"] for form in ("embedded", "faster_rcnn", "fast_rcnn", "rcnn")]
    assert times == sorted(times)


@pytest.mark.parametrize("form", ["faster_rcnn", "fast_rcnn"])
def test_the_cat_is_found(form):
    answer = run_network(load_sample("chelsea"), form)
    found = select(answer, 0.2, 0.45).detections
    names = [answer.class_names[class_id] for class_id in found.class_ids]
    assert "cat" in names
    iou = pairwise_iou(found.boxes_xyxy[[names.index("cat")]], np.array([KNOWN_OBJECTS["chelsea"]["cat"]], float))
    assert iou[0, 0] > 0.4


def test_stages_are_timed_and_the_crop_form_reports_and_stops(searched):
    image = load_sample("motorcycle")
    answer = region_tasks.run_form(image, "rcnn", 130, found=searched)
    assert [stage.name for stage in answer.stages] == ["selective search", "crops warped", "backbone on every crop"]
    assert answer.regions_xyxy.shape == (130, 4)
    assert answer.answer.scores.shape == (130, 11)
    fast, faster, yolo = region_tasks.quick_forms(image, 130, "max", searched)
    assert fast.regions_xyxy.shape == (130, 4)
    assert 1 <= len(faster.regions_xyxy) <= 150
    assert yolo.total_ms > 0
    assert {stage.name for form in (answer, fast, faster, yolo) for stage in form.stages} == set(STAGES)
    assert region_tasks.MOST_REGIONS >= len(faster.regions_xyxy)
    stopped = Report()
    stopped._cancelled.set()
    with pytest.raises(JobCancelled):
        region_tasks.crop_form(image, "hash", 130, searched, stopped)


def test_no_proposal_gives_no_box():
    runner = region_tasks._runner()
    none = np.zeros((0, 4), np.float32)
    for answer in (runner.fast(load_sample("chelsea"), none, 0.0), runner.slow(load_sample("chelsea"), none, 0.0)):
        assert len(select(answer.answer).detections.scores) == 0


def test_the_shared_map_covers_the_picture():
    shared = region_tasks.shared_features(load_sample("motorcycle"))  # 741 x 500
    assert shared.features.shape == (22, 32, region_tasks.MAP_CHANNELS)
    assert shared.features.min() >= 0
    assert shared.regions_xyxy[:, 2].max() <= 741.5


def test_annotated_pictures_are_evaluated_with_every_form():
    annotated = drawn_zip("collages", 2)
    result = region_tasks.evaluate_forms(annotated, most=40, fingerprint="f")
    assert [run.form for run in result.runs] == list(region_tasks.ALL_FORMS)
    assert all(len(run.found) == 2 for run in result.runs)
    assert result.search_recall[1] == sum(len(p.class_ids) for p in annotated.annotations.pictures)
    assert result.fingerprint == "f"


def test_crops_are_stretched_with_their_surroundings():
    image = np.zeros((40, 80, 3), np.uint8)
    image[10:30, 20:60] = (10, 200, 30)
    crop = warp_crops(image, np.array([[20, 10, 60, 30]]))[0]
    assert crop.shape == (CROP_PX, CROP_PX, 3)
    assert (crop[8:-8, 8:-8] == (10, 200, 30)).all()
    assert (crop[0] == 0).all()  # the surroundings
    assert (warp_crops(image, np.array([[0, 0, 80, 40]]))[0][0] == 114).all()  # outside of the picture


def test_the_best_proposals_do_not_overlap_much_and_stay_inside():
    rng = np.random.default_rng(0)
    count = 32 * 32 * 12
    scores, moves = rng.normal(0, 1, count).astype(np.float32), rng.normal(0, 0.1, (count, 4)).astype(np.float32)
    boxes = best_proposals(scores, moves, 256, (256, 170))
    assert len(boxes) == 150
    assert boxes[:, 3].max() <= 170
    assert np.triu(pairwise_iou(boxes, boxes), k=1).max() <= 0.7 + 1e-6


@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_picture_is_refused(form):
    with pytest.raises(PictureError):
        run_network(np.zeros((4, 4), np.uint8), form)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="expected one of rcnn"):
        region_tasks.run_form(load_sample("chelsea"), "mask_rcnn")


def test_the_command_writes_the_same_rows_for_a_form(tmp_path):
    picture = tmp_path / "cat.png"
    picture.write_bytes(encode_png(load_sample("chelsea")))
    out = tmp_path / "found.json"
    code = detect.main([str(picture), "--model", "faster_rcnn", "--confidence", "0.2", "--json", str(out)])
    assert code == 0
    rows = json.loads(out.read_text())
    assert {"file_name", "category", "bbox", "score"} == set(rows[0])
    assert rows[0]["file_name"] == "cat.png"
