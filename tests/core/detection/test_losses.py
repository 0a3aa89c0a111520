import numpy as np
import pytest

from core.detection.grid import cell_centres
from core.detection.losses import (
    BOX_WEIGHT,
    Assignment,
    assign,
    assigned_loss,
    detection_loss,
    generalised_iou,
)
from core.detection.predictions import decode_rows
from core.detection.yolo import decode_boxes

SIZE, CLASSES = 64, 3
CELLS = cell_centres(SIZE, SIZE)  # (84, 3)


def some_predictions(seed: int = 0, batch: int = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.5, (batch, len(CELLS), 4 + CLASSES)).astype(np.float32)


def some_objects(batch: int = 2) -> np.ndarray:
    objects = np.zeros((batch, 4, 6), np.float32)
    objects[..., 4] = -1
    objects[0, 0] = [8, 8, 40, 30, 1, 1.0]
    objects[0, 1] = [30, 20, 60, 62, 2, 0.5]
    objects[1, 0] = [5, 30, 25, 50, 0, 1.0]
    return objects


def cells_of(batch: int = 2) -> np.ndarray:
    return np.broadcast_to(CELLS, (batch, *CELLS.shape)).copy()


def total_loss(predictions: np.ndarray, background: np.ndarray | None = None) -> float:
    if background is None:
        background = np.ones((len(predictions), len(CELLS), CLASSES), np.float32)
    parts = detection_loss(predictions, cells_of(len(predictions)), some_objects(len(predictions)), background)
    return float(parts[0]) + BOX_WEIGHT * float(parts[1])


def test_generalised_iou_of_known_pairs():
    first = np.array([[0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 2, 2]], np.float32)
    second = np.array([[0, 0, 2, 2], [2, 0, 3, 1], [1, 1, 3, 3]], np.float32)
    # Equal; a gap of one box width in a hull of three; 1/7 with a hull of 9 around a union of 7.
    np.testing.assert_allclose(np.asarray(generalised_iou(first, second)), [1, -1 / 3, 1 / 7 - 2 / 9], atol=1e-6)


def test_decoding_in_keras_and_in_numpy_agree():
    raw = some_predictions(3, batch=1)
    boxes, scores = decode_rows(raw[0], SIZE)
    np.testing.assert_allclose(np.asarray(decode_boxes(raw, CELLS))[0], boxes, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-raw[0, :, 4:])), rtol=1e-5)


def reference_assignment(scores: np.ndarray, boxes: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """One image, in loops: the object of each cell, -1 for background."""
    wishes: dict[int, list[tuple[float, int]]] = {}
    for number, (x1, y1, x2, y2, name, _) in enumerate(objects):
        if name < 0:
            continue
        fits = []
        for cell, (cx, cy, _) in enumerate(CELLS):
            reach_x, reach_y = max((x2 - x1) / 2, 5), max((y2 - y1) / 2, 5)
            inside = abs(cx - (x1 + x2) / 2) < reach_x and abs(cy - (y1 + y2) / 2) < reach_y
            b = boxes[cell]
            shared = max(min(x2, b[2]) - max(x1, b[0]), 0) * max(min(y2, b[3]) - max(y1, b[1]), 0)
            iou = shared / ((x2 - x1) * (y2 - y1) + (b[2] - b[0]) * (b[3] - b[1]) - shared)
            fits.append((scores[cell, int(name)] ** 0.5 * iou**6 if inside else 0.0, cell, iou))
        for fit, cell, iou in sorted(fits, reverse=True)[:10]:
            if fit > 0:
                wishes.setdefault(cell, []).append((iou, number))
    owner = np.full(len(CELLS), -1)
    for cell, wanted in wishes.items():
        owner[cell] = max(wanted)[1]
    return owner


def test_assignment_equals_a_plain_loop():
    predictions, objects = some_predictions(5), some_objects()
    for image in range(2):
        boxes, scores = decode_rows(predictions[image], SIZE)
        result = assign(scores[None], boxes[None], CELLS[None], objects[image][None])
        owner = reference_assignment(scores, boxes, objects[image])
        np.testing.assert_array_equal(np.asarray(result.fit)[0] > 0, owner >= 0)
        for cell in np.flatnonzero(owner >= 0):
            truth = objects[image, owner[cell]]
            np.testing.assert_array_equal(np.asarray(result.boxes_xyxy)[0, cell], truth[:4])
            assert np.asarray(result.scores)[0, cell].argmax() == int(truth[4])
            assert np.asarray(result.weight)[0, cell] == truth[5]


def test_best_cell_of_an_object_has_to_reach_its_own_iou():
    boxes, scores = decode_rows(some_predictions(6)[1], SIZE)
    objects = some_objects()[1][None]
    result = assign(scores[None], boxes[None], CELLS[None], objects)
    responsible = np.flatnonzero(np.asarray(result.fit)[0])
    shared = np.asarray(generalised_iou(boxes[responsible], objects[0, :1, :4]))
    assert 0 < np.asarray(result.fit)[0].max() <= 1
    assert 1 <= len(responsible) <= 10 and shared.shape == (len(responsible),)


def test_gradient_agrees_with_finite_differences():
    """The assignment is held fixed, as training does; central differences in double precision."""
    import tensorflow as tf

    predictions = some_predictions(1).astype(np.float64)
    boxes, scores = zip(*(decode_rows(p.astype(np.float32), SIZE) for p in predictions), strict=True)
    single = assign(np.stack(scores), np.stack(boxes), cells_of(), some_objects())
    fixed = Assignment(*(tf.cast(part, tf.float64) for part in single))
    cells, background = cells_of().astype(np.float64), np.full((2, len(CELLS), CLASSES), 0.7)

    def loss(values: tf.Tensor) -> tf.Tensor:
        class_loss, box_loss = assigned_loss(values, cells, background, fixed)
        return class_loss + BOX_WEIGHT * box_loss

    variable = tf.Variable(predictions)
    with tf.GradientTape() as tape:
        value = loss(variable)
    gradient = tape.gradient(value, variable).numpy()
    assert np.abs(gradient).max() > 1e-3
    rng = np.random.default_rng(0)
    responsible = np.argwhere(fixed.fit.numpy() > 0)
    places = [(*responsible[rng.integers(len(responsible))], rng.integers(0, 7)) for _ in range(25)]
    places += [tuple(rng.integers(0, s) for s in predictions.shape) for _ in range(25)]
    step = 1e-6
    for place in places:
        up, down = predictions.copy(), predictions.copy()
        up[place] += step
        down[place] -= step
        numeric = (loss(tf.constant(up)) - loss(tf.constant(down))).numpy() / (2 * step)
        assert gradient[place] == pytest.approx(numeric, rel=1e-4, abs=1e-7)


def test_no_gradient_where_a_class_is_not_exhaustive():
    import tensorflow as tf

    background = np.ones((2, len(CELLS), CLASSES), np.float32)
    background[0, :, 0] = 0.0  # an object of class 0 may be anywhere in the first image
    predictions = tf.Variable(some_predictions(2))
    with tf.GradientTape() as tape:
        class_loss, _ = detection_loss(predictions, cells_of(), some_objects(), background)
    gradient = tape.gradient(class_loss, predictions).numpy()
    boxes, scores = decode_rows(some_predictions(2)[0], SIZE)
    empty = reference_assignment(scores, boxes, some_objects()[0]) < 0
    assert not gradient[0, empty, 4].any()
    assert (gradient[0, empty, 5:] > 0).all()  # the other classes learn that nothing is there
    assert (gradient[0, ~empty, 4] > 0).all()  # a cell with an object knows that it is not of class 0


def test_loss_falls_when_the_answer_gets_better():
    worse = some_predictions(4)
    better = worse.copy()
    better[..., 4:] -= 4.0
    assert total_loss(better) < total_loss(worse)


def test_images_without_objects_have_only_background():
    predictions = some_predictions(8, batch=1)
    objects = np.zeros((1, 4, 6), np.float32)
    objects[..., 4] = -1
    background = np.ones((1, len(CELLS), CLASSES), np.float32)
    class_loss, box_loss = detection_loss(predictions, cells_of(1), objects, background)
    assert float(box_loss) == 0 and float(class_loss) == pytest.approx(
        np.log1p(np.exp(predictions[..., 4:])).sum(), rel=1e-4
    )
