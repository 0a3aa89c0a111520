import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.detection.boxes import (
    BoxError,
    boxes_to_cells,
    cells_to_boxes,
    clip_boxes,
    midpoints_to_xyxy,
    pairwise_iou,
    xywh_to_xyxy,
    xyxy_to_midpoints,
    xyxy_to_xywh,
)


def random_boxes(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 80, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(0.5, 40, (count, 2))], axis=1)


def test_iou_agrees_with_keras():
    first, second = random_boxes(40, 0), random_boxes(60, 1)
    expected = keras.utils.bounding_boxes.compute_iou(
        first.astype(np.float32), second.astype(np.float32), bounding_box_format="xyxy"
    )
    np.testing.assert_allclose(pairwise_iou(first, second), np.asarray(expected), atol=1e-5)


def test_iou_of_the_course_notes_example():
    # Two boxes of 2 x 2 and 1 x 2 that share half of the smaller one.
    assert pairwise_iou(np.array([[0, 0, 2, 2]]), np.array([[1.5, 0, 2.5, 2]]))[0, 0] == pytest.approx(1 / 5)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0, 0, 4, 4], [0, 0, 4, 4], 1.0),  # the same box
        ([0, 0, 4, 4], [4, 0, 8, 4], 0.0),  # touching sides share nothing
        ([0, 0, 4, 4], [1, 1, 3, 3], 0.25),  # one inside the other
        ([2, 2, 2, 2], [2, 2, 2, 2], 0.0),  # no area at all
        ([4, 4, 0, 0], [0, 0, 4, 4], 0.0),  # corners swapped
    ],
)
def test_iou_of_special_pairs(first, second, expected):
    assert pairwise_iou(np.array([first]), np.array([second]))[0, 0] == pytest.approx(expected)


def test_conversions_undo_each_other():
    boxes = random_boxes(50, 2)
    np.testing.assert_allclose(xywh_to_xyxy(xyxy_to_xywh(boxes)), boxes)
    np.testing.assert_allclose(midpoints_to_xyxy(xyxy_to_midpoints(boxes)), boxes)


@given(st.integers(1, 19), st.integers(1, 19), st.integers(0, 1000))
def test_cells_give_the_boxes_back_and_hold_the_midpoint(rows, columns, seed):
    boxes = random_boxes(5, seed)
    cells = boxes_to_cells(boxes, (120.0, 120.0), (rows, columns))
    assert ((cells.fractions[:, :2] >= 0) & (cells.fractions[:, :2] <= 1)).all()
    assert (cells.rows < rows).all() and (cells.columns < columns).all()
    np.testing.assert_allclose(cells_to_boxes(cells, (120.0, 120.0), (rows, columns)), boxes, atol=1e-9)


def test_midpoint_on_the_far_border_belongs_to_the_last_cell():
    cells = boxes_to_cells(np.array([[90, 90, 110, 110]]), (100, 100), (5, 5))
    assert (cells.rows[0], cells.columns[0]) == (4, 4)
    np.testing.assert_allclose(cells.fractions[0], [1, 1, 1, 1])


def test_width_may_exceed_a_cell():
    cells = boxes_to_cells(np.array([[10, 40, 90, 60]]), (100, 100), (5, 5))
    np.testing.assert_allclose(cells.fractions[0], [0.5, 0.5, 4.0, 1.0])


def test_clip_keeps_boxes_in_the_image():
    np.testing.assert_array_equal(clip_boxes(np.array([[-5, 2, 30, 12]]), 20, 10), [[0, 2, 20, 10]])


@pytest.mark.parametrize(
    "bad", [np.zeros((3, 5)), np.array([[0, 0, np.nan, 1]]), np.zeros(4), np.array([[0, 0, np.inf, 1]])]
)
def test_exception_bad_boxes(bad):
    with pytest.raises(BoxError, match="expected"):
        pairwise_iou(bad, np.array([[0, 0, 1, 1]]))


def test_exception_midpoint_outside():
    with pytest.raises(BoxError, match="inside the image"):
        boxes_to_cells(np.array([[200, 0, 210, 10]]), (100, 100), (3, 3))


def test_empty_sets():
    assert pairwise_iou(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)
