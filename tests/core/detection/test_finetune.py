"""Fine-tuning: what the new network starts from, what its batches hold, and that it learns a class it did not know.

The photographs of one test are the detection archive's (`detection.npz` and `detection.json`), in the folder that
``CNN_WORKBENCH_DETECTION_DATA`` names; without it the test is left out. `bicycles.json` holds the boxes: bicycles are
no class of the detector, and stood unannotated in the photographs that it learned from. They were drawn by
YOLOX-Nano, looked at one by one, and only photographs in which they are right were taken; photographs of the same
bicycle lie on the same side.
"""

import io
import json
import os
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from core.detection import view_tasks
from core.detection.annotated_zip import AnnotatedZip, read_annotated_zip
from core.detection.batch import BatchError
from core.detection.datasets import load_archive
from core.detection.drawn_sets import draw_kites, drawn_zip
from core.detection.embedded import embedded_detector
from core.detection.evaluation import ImageTruth, evaluate
from core.detection.finetune import (
    Example,
    TuningSettings,
    is_backbone,
    keras_file,
    learning_rate,
    make_batch,
    network_of,
    network_with_new_classes,
)
from core.detection.predictions import select
from core.detection.yolo import build_detector
from core.runtime.report import JobCancelled, Report


def test_everything_but_the_classifier_is_the_embedded_network():
    weights = embedded_detector()
    source = build_detector(len(weights.class_names))
    source.load_weights(weights.path)
    network = network_with_new_classes(2)
    same = [layer for layer in source.layers if layer.weights and layer.name != "head_class_logits"]
    assert len(same) > 50 and any(is_backbone(layer.name) for layer in same)
    for layer in same:
        for expected, value in zip(layer.get_weights(), network.get_layer(layer.name).get_weights(), strict=True):
            assert np.array_equal(expected, value)
    assert network.get_layer("head_class_logits").get_weights()[0].shape[-1] == 2


def test_a_network_survives_its_file():
    network = network_with_new_classes(3)
    picture = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    data = keras_file(network)
    again = network_of(data)
    expected, answered = (ops.convert_to_numpy(one(picture, training=False)) for one in (network, again))
    assert expected.shape == (1, 84, 7) and np.allclose(answered, expected, atol=1e-5)
    # A square picture of the network's own size is read as it is: the same numbers come out of the task.
    answer = view_tasks.detect_tuned(picture[0].astype(np.uint8), data, ("a", "b", "c"), 64)
    raw = ops.convert_to_numpy(network(picture.astype(np.uint8).astype(np.float32), training=False))[0]
    assert np.allclose(answer.scores, 1 / (1 + np.exp(-raw[:, 4:])), atol=1e-4) and answer.image_size == (64, 64)


def test_batches_hold_the_boxes_of_what_they_show():
    drawn = draw_kites(1)
    example = Example(drawn.pixels, drawn.boxes_xyxy, drawn.class_ids)
    settings = TuningSettings(batch=6, size_px=128)
    for mosaic in (0.0, 1.0):
        images, objects, background = make_batch([example], 1, settings, np.random.default_rng(0), mosaic)
        assert images.shape == (6, 128, 128, 3) and background.shape == (6, 16 * 16 + 8 * 8 + 4 * 4, 1)
        real = objects[..., 4] >= 0
        assert real.any() and (objects[..., 5] == real).all()
        boxes = objects[real][:, :4]
        assert (boxes >= 0).all() and (boxes <= 128).all() and (boxes[:, 2:] > boxes[:, :2]).all()


def test_the_rate_rises_and_falls():
    rates = [learning_rate(step, step / 100, 1e-3) for step in range(101)]
    assert rates[0] < 1e-4 and max(rates) > 9e-4 and rates[-1] < 2e-5
    assert int(np.argmax(rates)) == 19


def test_too_few_pictures_are_refused():
    with pytest.raises(BatchError, match="at least 5 are needed"):
        view_tasks.fine_tune(drawn_zip("kites", 4))


class StopsAtTheFirstKept(Report):
    """A visitor who stops the learning as soon as there is a detector to keep."""

    kept: bytes | None = None

    def __call__(self, fraction=None, message="", metrics=None, preview=None) -> None:
        if preview is not None:
            self.kept = preview
            raise JobCancelled


def test_what_was_learned_is_kept_when_it_is_stopped():
    report = StopsAtTheFirstKept()
    with pytest.raises(JobCancelled):
        view_tasks.fine_tune(drawn_zip("kites", 5), steps=8, report=report)
    assert report.kept is not None
    kept = view_tasks.TunedDetector.from_bytes(report.kept)
    assert kept.class_names == ("kite",) and kept.to_bytes() == report.kept
    assert (kept.trained_on, kept.held_out) == (3, 2) and [point[0] for point in kept.history] == [5]
    answer = view_tasks.detect_tuned(draw_kites(1).pixels, kept.keras_file, kept.class_names, kept.size_px)
    assert answer.scores.shape[1] == 1 and np.isfinite(answer.boxes_xyxy).all()


def measured_on(tuned: view_tasks.TunedDetector, pictures: list[np.ndarray], boxes: list[np.ndarray]) -> float:
    """AP@.5 in 0..1 of a detector of one class."""
    truth, found = [], []
    for pixels, boxes_xyxy in zip(pictures, boxes, strict=True):
        answer = view_tasks.detect_tuned(pixels, tuned.keras_file, tuned.class_names, tuned.size_px)
        found.append(select(answer, 0.02, 0.6).detections)
        count = len(boxes_xyxy)
        truth.append(ImageTruth(boxes_xyxy, np.zeros(count, np.int64), np.zeros(count, bool), np.ones(1, bool)))
    return float(evaluate(truth, found, 1).map_50)


@pytest.mark.slow
def test_forty_pictures_teach_a_class_it_did_not_know():
    assert "kite" not in embedded_detector().class_names
    started = time.monotonic()
    tuned = view_tasks.fine_tune(drawn_zip("kites", 40), steps=200)
    elapsed_s = time.monotonic() - started
    drawn = [draw_kites(seed) for seed in range(5000, 5020)]
    map_50 = measured_on(tuned, [one.pixels for one in drawn], [one.boxes_xyxy for one in drawn])
    print(f"AP@.5 {100 * map_50:.1f} on 20 pictures held out, after {elapsed_s:.0f} s")
    assert map_50 >= 0.5 and elapsed_s <= 15 * 60
    assert tuned.held_out == 8 and tuned.trained_on == 32 and tuned.history[-1][0] > 10


Photographs = tuple[list[np.ndarray], list[np.ndarray]]


def bicycles(folder: Path) -> tuple[AnnotatedZip, Photographs]:
    """Forty photographs as the zip of a visitor (COCO), and the pixels and boxes xyxy of twenty others."""
    archive = load_archive(folder)
    place = {record.file_name: index for index, record in enumerate(archive.records)}
    rows = json.loads(Path(__file__).with_name("bicycles.json").read_text(encoding="utf-8"))["pictures"]
    coco = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "bicycle"}]}
    held_out: Photographs = ([], [])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for number, row in enumerate(rows):
            index = place[row["file_name"]]
            pixels = archive.image(index)
            if row["held_out"]:
                boxes = np.array(row["bboxes"], np.float32)
                boxes[:, 2:] += boxes[:, :2]  # x, y, w, h -> x1, y1, x2, y2
                held_out[0].append(pixels)
                held_out[1].append(boxes)
                continue
            height, width = pixels.shape[:2]
            zipped.writestr(
                row["file_name"], archive.jpeg[archive.offsets[index] : archive.offsets[index + 1]].tobytes()
            )
            coco["images"].append({"id": number, "file_name": row["file_name"], "width": width, "height": height})
            for box in row["bboxes"]:
                new = {"id": len(coco["annotations"]), "image_id": number, "category_id": 1, "bbox": box}
                coco["annotations"].append(new)
        zipped.writestr("annotations.json", json.dumps(coco))
    return read_annotated_zip(buffer.getvalue()), held_out


@pytest.mark.slow
@pytest.mark.skipif(
    "CNN_WORKBENCH_DETECTION_DATA" not in os.environ,
    reason="CNN_WORKBENCH_DETECTION_DATA names no folder of photographs",
)
def test_forty_photographs_teach_bicycles():
    assert "bicycle" not in embedded_detector().class_names
    annotated, (pictures, boxes) = bicycles(Path(os.environ["CNN_WORKBENCH_DETECTION_DATA"]))
    assert (len(annotated.annotations.pictures), len(pictures)) == (40, 20)
    started = time.monotonic()
    tuned = view_tasks.fine_tune(annotated)
    elapsed_s = time.monotonic() - started
    map_50 = measured_on(tuned, pictures, boxes)
    print(f"AP@.5 {100 * map_50:.1f} for bicycles on 20 photographs held out, after {elapsed_s:.0f} s")
    assert map_50 >= 0.5 and elapsed_s <= 15 * 60
