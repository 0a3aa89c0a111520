"""Two boxes compared: every number against counted pixels, Keras's loss, and the code on the page."""

import keras
import numpy as np
import pytest

from core.detection.boxes import BoxError
from core.detection.losses import generalised_iou
from core.detection.overlap import compare_boxes, overlap_snippets

PAIRS = [
    ((10, 20, 60, 70), (30, 40, 90, 55)),  # they cross
    ((0, 0, 40, 40), (10, 10, 20, 20)),  # one inside the other
    ((0, 0, 10, 10), (50, 60, 70, 80)),  # apart
    ((0, 0, 10, 10), (10, 0, 20, 10)),  # side by side, sharing a border and no area
    ((5, 5, 25, 45), (5, 5, 25, 45)),  # the same
]


def counted(box):
    mask = np.zeros((100, 100), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_every_area_is_the_number_of_pixels(first, second):
    both = compare_boxes(first, second)
    a, b = counted(first), counted(second)
    assert both.first_area == a.sum() and both.second_area == b.sum()
    assert both.shared_area == (a & b).sum() and both.union_area == (a | b).sum()
    rows, columns = np.nonzero(a | b)
    assert both.hull_area == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert both.iou == pytest.approx((a & b).sum() / (a | b).sum())
    assert (both.shared_xyxy is None) == (not (a & b).any())
    if both.shared_xyxy:
        assert np.array_equal(counted(tuple(int(v) for v in both.shared_xyxy)), a & b)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_generalised_iou_is_the_one_of_the_loss(first, second):
    tensors = [keras.ops.convert_to_tensor([box], "float32") for box in (first, second)]
    expected = float(keras.ops.convert_to_numpy(generalised_iou(*tensors))[0])
    assert compare_boxes(first, second).giou == pytest.approx(expected, abs=1e-6)


def test_a_value_that_is_no_number_is_refused():
    with pytest.raises(BoxError, match="finite"):
        compare_boxes((0, 0, float("nan"), 1), (0, 0, 1, 1))


@pytest.mark.parametrize("library", ["NumPy", "TensorFlow", "Keras"])
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_code_gives_the_same_number(library, first, second):
    names: dict[str, object] = {}
    exec(overlap_snippets(first, second)[library], names)  # noqa: S102
    assert float(names["result"]) == pytest.approx(compare_boxes(first, second).iou, abs=1e-6)
