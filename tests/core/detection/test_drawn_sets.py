"""Drawn sets: the boxes are where the drawing is, and the same seed gives the same picture."""

import numpy as np
import pytest

from core.detection.annotated_drawing import draw_annotations
from core.detection.boxes import pairwise_iou
from core.detection.drawn_sets import DRAWN_SETS, draw_kites, draw_street, drawn_zip
from core.runtime.images import decode_image


@pytest.mark.parametrize("name", sorted(DRAWN_SETS))
def test_boxes_lie_inside_and_apart(name):
    for seed in range(30):
        drawn = DRAWN_SETS[name].draw(seed)
        height, width = drawn.pixels.shape[:2]
        assert drawn.pixels.dtype == np.uint8 and drawn.boxes_xyxy.dtype == np.float32
        assert len(drawn.boxes_xyxy) == len(drawn.class_ids)
        assert (drawn.boxes_xyxy[:, :2] >= 0).all()
        assert (drawn.boxes_xyxy[:, 2:] <= np.array([width, height])).all()
        assert (drawn.boxes_xyxy[:, 2:] > drawn.boxes_xyxy[:, :2] + 4).all()
        overlap = pairwise_iou(drawn.boxes_xyxy, drawn.boxes_xyxy)
        assert (overlap[~np.eye(len(overlap), dtype=bool)] <= 0.12).all()


@pytest.mark.parametrize("name", sorted(DRAWN_SETS))
def test_a_seed_gives_the_same_picture_and_another_one_another(name):
    draw = DRAWN_SETS[name].draw
    first, again, other = draw(3), draw(3), draw(4)
    assert np.array_equal(first.pixels, again.pixels) and np.array_equal(first.boxes_xyxy, again.boxes_xyxy)
    assert not np.array_equal(first.pixels, other.pixels)
    assert {int(i) for s in range(40) for i in draw(s).class_ids} == set(range(len(DRAWN_SETS[name].class_names)))


def test_a_street_differs_from_its_ground_only_inside_of_its_boxes():
    drawn = draw_street(2)
    ground = np.median(drawn.pixels, axis=1, keepdims=True)  # every row of the ground has one colour
    rows, columns = np.nonzero((np.abs(drawn.pixels - ground) > 40).any(axis=2))
    inside = np.zeros(len(rows), bool)
    for index, (x1, y1, x2, y2) in enumerate(drawn.boxes_xyxy):
        mine = (columns >= x1 - 2) & (columns <= x2 + 2) & (rows >= y1 - 2) & (rows <= y2 + 2)
        inside |= mine
        # The drawing reaches all four sides of its box.
        tight = (columns[mine].min(), rows[mine].min(), columns[mine].max() + 1, rows[mine].max() + 1)
        assert pairwise_iou(np.array([tight]), drawn.boxes_xyxy[index : index + 1])[0, 0] > 0.85
    assert inside.all()


def test_a_set_reads_like_a_zip():
    made = drawn_zip("kites", 4, seed=2)
    assert made.annotations.class_names == ("kite",) and len(made.pictures) == 4
    for index, picture in enumerate(made.annotations.pictures):
        pixels = decode_image(made.pictures[picture.file_name]).pixels
        assert (pixels.shape[1], pixels.shape[0]) == picture.size_px
        expected = draw_kites(20_000 + index)
        assert np.array_equal(picture.boxes_xyxy, expected.boxes_xyxy)
        assert np.abs(pixels.astype(int) - expected.pixels).mean() < 8


def test_annotations_are_drawn_on_a_copy():
    drawn = draw_street(2)
    before = drawn.pixels.copy()
    canvas = draw_annotations(drawn.pixels, drawn.boxes_xyxy, drawn.class_ids, ("a", "b", "c"), grid=3)
    assert np.array_equal(drawn.pixels, before) and max(canvas.shape) >= 900
    plain = draw_annotations(drawn.pixels, np.zeros((0, 4)), np.zeros(0, int), ("a",))
    assert not np.array_equal(canvas, plain)
