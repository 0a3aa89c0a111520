import numpy as np
import pytest

from core.detection.boxes import BoxError
from core.detection.targets import decode_targets, encode_targets

ANCHORS = np.array([[20.0, 60.0], [60.0, 20.0]])  # standing and lying, as the notes' pedestrian and car
BOXES = np.array([[40.0, 20.0, 60.0, 80.0], [20.0, 40.0, 80.0, 60.0]])  # both midpoints in the middle


def test_two_objects_in_one_cell_go_to_the_anchor_of_their_shape():
    target = encode_targets(BOXES, np.array([0, 1]), 3, (100, 100), (3, 3), ANCHORS)
    assert target.values.shape == (3, 3, 2, 8)
    assert target.placed.all() and target.anchors.tolist() == [0, 1]
    assert target.rows.tolist() == [1, 1] and target.columns.tolist() == [1, 1]
    assert target.values[..., 0].sum() == 2
    np.testing.assert_allclose(target.values[1, 1, 0], [1, 0.5, 0.5, 0.6, 1.8, 1, 0, 0])
    np.testing.assert_allclose(target.values[1, 1, 1], [1, 0.5, 0.5, 1.8, 0.6, 0, 1, 0])


def test_third_object_in_the_same_place_is_told():
    boxes = np.concatenate([BOXES, BOXES[:1] + 1])
    target = encode_targets(boxes, np.array([0, 1, 2]), 3, (100, 100), (3, 3), ANCHORS)
    assert target.placed.tolist() == [True, True, False]


def test_decode_gives_the_annotation_back():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 200, (12, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 80, (12, 2))], axis=1)
    ids = rng.integers(0, 4, 12)
    target = encode_targets(boxes, ids, 4, (300, 300), (19, 19), ANCHORS)
    found, found_ids, scores = decode_targets(target.values, (300, 300))
    assert target.placed.all() and (scores == 1).all()
    order, expected = np.lexsort(found.T), np.lexsort(boxes.T)
    np.testing.assert_allclose(found[order], boxes[expected])
    np.testing.assert_array_equal(found_ids[order], ids[expected])


def test_no_object_no_target():
    target = encode_targets(np.zeros((0, 4)), np.zeros(0), 3, (100, 100), (3, 3), ANCHORS)
    assert not target.values.any() and decode_targets(target.values, (100, 100))[0].shape == (0, 4)


@pytest.mark.parametrize(
    ("boxes", "ids"),
    [
        (BOXES, [0]),  # a class id is missing
        (BOXES, [0, 3]),  # a class that is not there
        ([[10, 10, 10, 20], [0, 0, 5, 5]], [0, 0]),  # no width
        ([[90, 90, 200, 200], [0, 0, 5, 5]], [0, 0]),  # midpoint outside
    ],
)
def test_exception_bad_annotations(boxes, ids):
    with pytest.raises(BoxError, match="expected"):
        encode_targets(np.array(boxes), np.array(ids), 3, (100, 100), (3, 3), ANCHORS)
