import cv2
import numpy as np
import pytest

from core.detection.boxes import BoxError, pairwise_iou
from core.detection.suppression import non_max_suppression, soft_non_max_suppression


def random_boxes(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 500, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(5, 120, (count, 2))], axis=1)


def clustered_boxes(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    objects = random_boxes(12, seed + 100)
    boxes = objects[rng.integers(0, 12, count)] + rng.normal(0, 6, (count, 4))
    return np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)


def plain_loop(boxes: np.ndarray, scores: np.ndarray, ids: np.ndarray, threshold: float) -> list[int]:
    """Ten lines that nobody would write for speed: the reference for the trace."""
    by = [-1] * len(boxes)
    for best in np.argsort(-scores, kind="stable"):
        if by[best] < 0:
            for other in range(len(boxes)):
                worse = scores[other] < scores[best] or (scores[other] == scores[best] and other > best)
                if worse and by[other] < 0 and ids[other] == ids[best]:
                    if pairwise_iou(boxes[best : best + 1], boxes[other : other + 1])[0, 0] > threshold:
                        by[other] = int(best)
    return by


def opencv_keeps(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> set[int]:
    xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return set(np.ravel(cv2.dnn.NMSBoxes(xywh.tolist(), scores.tolist(), 0.0, threshold)).tolist())


def tensorflow_keeps(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> set[int]:
    import tensorflow as tf

    kept = tf.image.non_max_suppression(boxes.astype(np.float32), scores.astype(np.float32), len(boxes), threshold)
    return set(kept.numpy().tolist())


@pytest.mark.parametrize("make", [random_boxes, clustered_boxes])
@pytest.mark.parametrize("threshold", [0.1, 0.45, 0.7])
@pytest.mark.parametrize("classes", [1, 5])
def test_keep_sets_equal_opencv_and_tensorflow(make, threshold, classes):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        boxes, scores = make(900, seed), rng.random(900)
        ids = rng.integers(0, classes, 900)
        kept = set(np.flatnonzero(non_max_suppression(boxes, scores, ids, threshold).keep).tolist())
        apart = boxes + ids[:, None] * 1000.0  # classes that never meet
        assert kept == opencv_keeps(apart, scores, threshold)
        assert kept == tensorflow_keeps(apart, scores, threshold)


def test_class_agnostic_equals_opencv():
    boxes, scores = clustered_boxes(600, 4), np.random.default_rng(4).random(600)
    kept = set(np.flatnonzero(non_max_suppression(boxes, scores, iou_threshold=0.5).keep).tolist())
    assert kept == opencv_keeps(boxes, scores, 0.5)


@pytest.mark.parametrize("make", [random_boxes, clustered_boxes])
def test_trace_equals_a_plain_loop(make):
    rng = np.random.default_rng(7)
    boxes, ids = make(250, 7), rng.integers(0, 2, 250)
    scores = rng.integers(1, 30, 250) / 30  # many ties
    result = non_max_suppression(boxes, scores, ids, 0.4)
    assert result.suppressed_by.tolist() == plain_loop(boxes, scores, ids, 0.4)
    fallen = np.flatnonzero(~result.keep)
    iou = pairwise_iou(boxes, boxes)[fallen, result.suppressed_by[fallen]]
    np.testing.assert_allclose(result.iou[fallen], iou)
    assert sorted(result.picked.tolist()) == np.flatnonzero(result.keep).tolist()
    assert (np.diff(scores[[i for i in result.picked if ids[i] == 0]]) <= 0).all()


def test_exactly_at_the_threshold_stays():
    # IoU is exactly 1/2: greater than the threshold is dropped, equal stays.
    boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 2]])
    assert non_max_suppression(boxes, np.array([0.9, 0.8]), iou_threshold=0.5).keep.all()
    assert non_max_suppression(boxes, np.array([0.9, 0.8]), iou_threshold=0.49).keep.tolist() == [True, False]


def test_nothing_in_nothing_out():
    assert non_max_suppression(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)).keep.shape == (0,)


@pytest.mark.parametrize(
    "arguments",
    [
        (np.zeros((2, 4)), np.zeros(3), None, 0.5),  # one score too many
        (np.zeros((2, 4)), np.zeros(2), np.zeros(3), 0.5),  # one class id too many
        (np.zeros((2, 4)), np.array([0.5, np.nan]), None, 0.5),  # a score that is none
        (np.zeros((2, 4)), np.zeros(2), None, 1.5),  # a threshold that no IoU reaches
        (np.full((2, 4), np.nan), np.zeros(2), None, 0.5),  # boxes that are none
    ],
)
def test_exception_bad_input(arguments):
    with pytest.raises(BoxError, match="expected"):
        non_max_suppression(*arguments)


def soft_loop(boxes, scores, sigma, floor):
    """Bodla et al. 2017, figure 3, line by line."""
    scores, final, waiting = scores.copy(), np.zeros(len(scores)), list(range(len(scores)))
    while waiting:
        best = max(waiting, key=lambda i: scores[i])
        if scores[best] < floor:
            break
        final[best] = scores[best]
        waiting.remove(best)
        for other in waiting:
            iou = pairwise_iou(boxes[best : best + 1], boxes[other : other + 1])[0, 0]
            scores[other] *= np.exp(-(iou**2) / sigma)
    return final


def test_soft_suppression_equals_the_published_loop():
    boxes, scores = clustered_boxes(120, 3), np.random.default_rng(3).random(120)
    result = soft_non_max_suppression(boxes, scores, sigma=0.5, minimum_score=0.05)
    np.testing.assert_allclose(result.scores, soft_loop(boxes, scores, 0.5, 0.05))


def test_soft_suppression_lowers_only_within_a_class():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10]])
    result = soft_non_max_suppression(boxes, np.array([0.9, 0.8]), np.array([0, 1]))
    np.testing.assert_allclose(result.scores, [0.9, 0.8])


def test_exception_unknown_soft_method():
    with pytest.raises(BoxError, match="gaussian"):
        soft_non_max_suppression(np.zeros((1, 4)), np.zeros(1), method="hard")
