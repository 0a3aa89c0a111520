"""Curves at any threshold: equal to the evaluation at its own thresholds, and to a count by hand."""

import numpy as np
import pytest

from core.detection.curves import as_truth, average_precision, precision_recall, shared_classes
from core.detection.evaluation import IOU_THRESHOLDS, EvaluationError, ImageDetections, ImageTruth, evaluate


def random_images(seed: int, images: int = 25, classes: int = 3):
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(images):
        count = int(rng.integers(0, 6))
        corner, size = rng.uniform(0, 80, (count, 2)), rng.uniform(5, 40, (count, 2))
        boxes = np.concatenate([corner, corner + size], axis=1)
        ids = rng.integers(0, classes, count)
        truth.append(ImageTruth(boxes, ids, np.zeros(count, bool), rng.random(classes) > 0.1))
        near = np.repeat(boxes, 2, axis=0) + rng.normal(0, 4, (2 * count, 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        ids = np.where(rng.random(2 * count) < 0.8, np.repeat(ids, 2), rng.integers(0, classes, 2 * count))
        # Scores of few values make ties.
        found.append(ImageDetections(near, ids, np.round(rng.random(2 * count), 1)))
    return truth, found


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_the_evaluation_at_all_its_thresholds(seed):
    truth, found = random_images(seed)
    measured = evaluate(truth, found, 3)
    for class_id in range(3):
        for column, threshold in enumerate(IOU_THRESHOLDS):
            curve = precision_recall(truth, found, class_id, float(threshold))
            expected = measured.average_precision[class_id, column]
            assert average_precision(curve) == pytest.approx(expected, abs=1e-9)
        fifty = measured.curves_50[class_id]
        curve = precision_recall(truth, found, class_id, 0.5)
        assert np.allclose(curve.recall, fifty.recall) and np.allclose(curve.precision, fifty.precision)


def test_a_stricter_threshold_finds_no_more():
    truth, found = random_images(9)
    areas = [average_precision(precision_recall(truth, found, 0, t)) for t in np.linspace(0.1, 0.95, 18)]
    assert areas[0] > areas[-1] and all(a >= b - 1e-9 for a, b in zip(areas, areas[1:], strict=False))


def test_numbers_that_do_not_fit_are_refused():
    truth, found = random_images(0, images=2)
    with pytest.raises(EvaluationError, match="2 images, received 1"):
        precision_recall(truth, found[:1], 0, 0.5)
    with pytest.raises(EvaluationError, match="threshold"):
        precision_recall(truth, found, 0, 1.5)


def test_a_class_without_objects_has_an_empty_curve():
    truth = [ImageTruth(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0, bool), np.ones(1, bool))]
    found = [ImageDetections(np.array([[0, 0, 5, 5.0]]), np.array([0]), np.array([0.9]))]
    curve = precision_recall(truth, found, 0, 0.5)
    assert len(curve.recall) == 0 and average_precision(curve) == 0


def test_classes_are_matched_by_name_and_others_left_out():
    shared = shared_classes(["kite", "Motorbike", "cat "], ["person", "cat", "motorcycle"])
    assert shared == {1: 2, 2: 1}
    boxes = np.arange(12, dtype=float).reshape(3, 4)
    truth = as_truth(boxes, np.array([0, 1, 2]), shared, 3)
    assert truth.class_ids.tolist() == [2, 1] and truth.exhaustive.tolist() == [False, True, True]
    assert np.array_equal(truth.boxes_xyxy, boxes[1:])
