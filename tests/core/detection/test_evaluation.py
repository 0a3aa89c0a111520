import contextlib
import io

import numpy as np
import pytest

from core.detection.evaluation import EvaluationError, ImageDetections, ImageTruth, evaluate

CLASSES = 3


def scene(seed: int, images: int = 40) -> tuple[list[ImageTruth], list[ImageDetections]]:
    """Images with crowds, with tied scores, without truth, without detections, and without either."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for index in range(images):
        count = 0 if index % 7 == 0 else int(rng.integers(1, 8))
        corner = rng.uniform(0, 200, (count, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(8, 90, (count, 2))], axis=1)
        ids = rng.integers(0, CLASSES, count)
        crowd = rng.random(count) < 0.15
        near = np.repeat(boxes, 2, axis=0) + rng.uniform(-3.5, 3.5, (2 * count, 4))
        far = rng.uniform(0, 200, (4, 2))
        guesses = np.concatenate([near, np.concatenate([far, far + 40], axis=1)])
        guess_ids = np.concatenate([np.repeat(ids, 2), rng.integers(0, CLASSES, 4)])
        if index % 5 == 0:
            guesses, guess_ids = guesses[:0], guess_ids[:0]
        scores = rng.integers(1, 20, len(guesses)) / 20  # many ties
        truth.append(ImageTruth(boxes, ids, crowd, np.ones(CLASSES, bool)))
        found.append(ImageDetections(guesses, guess_ids, scores))
    return truth, found


def coco_average_precision(truth: list[ImageTruth], found: list[ImageDetections]) -> np.ndarray:
    """Average precision (classes, thresholds) by pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def xywh(box: np.ndarray) -> list[float]:
        return [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]

    annotations, results = [], []
    for image_id, (true, detections) in enumerate(zip(truth, found, strict=True)):
        for box, class_id, crowd in zip(true.boxes_xyxy, true.class_ids, true.is_crowd, strict=True):
            x = xywh(box)
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image_id, "category_id": int(class_id), "bbox": x}
                | {"area": x[2] * x[3], "iscrowd": int(crowd)}
            )
        rows = zip(detections.boxes_xyxy, detections.class_ids, detections.scores, strict=True)
        for box, class_id, score in rows:
            results.append(
                {"image_id": image_id, "category_id": int(class_id), "bbox": xywh(box), "score": float(score)}
            )
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = {
            "info": {},
            "images": [{"id": index} for index in range(len(truth))],
            "categories": [{"id": index, "name": str(index)} for index in range(CLASSES)],
            "annotations": annotations,
        }
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 2]  # (thresholds, recalls, classes)
    return precision.mean(axis=1).T


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_agrees_with_pycocotools(seed):
    truth, found = scene(seed)
    ours = evaluate(truth, found, CLASSES)
    expected = coco_average_precision(truth, found)
    np.testing.assert_allclose(ours.average_precision, expected, atol=1e-6)
    assert ours.map_50_95 == pytest.approx(expected.mean(), abs=1e-6)
    assert 0.05 < ours.map_50 < 0.95


def test_curve_of_a_known_case():
    # Three detections: right, wrong, right; two true boxes.
    boxes = np.array([[0, 0, 10, 10], [50, 50, 60, 60]])
    truth = [ImageTruth(boxes, np.zeros(2, int), np.zeros(2, bool), np.ones(1, bool))]
    guesses = np.array([[0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60]])
    found = [ImageDetections(guesses, np.zeros(3, int), np.array([0.9, 0.8, 0.7]))]
    curve = evaluate(truth, found, 1).curves_50[0]
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3])
    np.testing.assert_allclose(curve.recall, [0.5, 0.5, 1])
    np.testing.assert_allclose(curve.scores, [0.9, 0.8, 0.7])


def test_a_class_that_is_not_exhaustive_is_left_out():
    truth, found = scene(0, 6)
    blind = [ImageTruth(t.boxes_xyxy, t.class_ids, t.is_crowd, np.array([True, False, True])) for t in truth]
    result = evaluate(blind, found, CLASSES)
    assert np.isnan(result.average_precision[1]).all() and result.true_boxes[1] == 0
    full = evaluate(truth, found, CLASSES)
    np.testing.assert_array_equal(result.average_precision[[0, 2]], full.average_precision[[0, 2]])


def test_exception_images_that_do_not_fit():
    truth, found = scene(0, 3)
    with pytest.raises(EvaluationError, match="3 images, received 2"):
        evaluate(truth, found[:2], CLASSES)
    with pytest.raises(EvaluationError, match="differ in number"):
        evaluate(truth[:1], [ImageDetections(np.zeros((2, 4)), np.zeros(2, int), np.zeros(1))], CLASSES)
    with pytest.raises(EvaluationError, match="finite"):
        evaluate(truth[:1], [ImageDetections(np.zeros((1, 4)), np.zeros(1, int), np.array([np.nan]))], CLASSES)
