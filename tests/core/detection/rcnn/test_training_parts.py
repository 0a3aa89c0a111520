"""Anchors, corrections, targets and losses of the R-CNN family, each against numbers told by hand or a plain loop."""

import keras
import numpy as np
import pytest
from keras import ops

from core.detection.boxes import pairwise_iou
from core.detection.rcnn.coding import (
    ANCHOR_RATIOS,
    ANCHOR_SIDES_PX,
    ANCHORS_PER_CELL,
    HEAD_SPREAD,
    anchor_grid,
    decode_boxes,
    encode_boxes,
)
from core.detection.rcnn.losses import proposal_losses, region_losses, smooth_l1
from core.detection.rcnn.proposing import PROPOSED, by_chance, moved_about, proposed
from core.detection.rcnn.targets import OBJECT_REGIONS, REGIONS_DRAWN, anchor_targets, draw_regions

SIDE, STRIDE = 16, 8
SIZE = SIDE * STRIDE


def objects_of(*rows):
    result = np.zeros((8, 6), np.float32)
    result[:, 4] = -1
    for index, row in enumerate(rows):
        result[index] = row
    return result


def test_anchors_have_their_areas_ratios_and_places():
    anchors = anchor_grid(2, 3, STRIDE).reshape(2, 3, ANCHORS_PER_CELL, 4)
    wide, high = (anchors[..., 2] - anchors[..., 0]), (anchors[..., 3] - anchors[..., 1])
    sides = np.repeat(ANCHOR_SIDES_PX, len(ANCHOR_RATIOS))
    np.testing.assert_allclose((wide * high)[1, 2], sides**2.0, rtol=1e-4)
    np.testing.assert_allclose((high / wide)[0, 1], np.tile(ANCHOR_RATIOS, len(ANCHOR_SIDES_PX)), rtol=1e-4)
    middle = (anchors[1, 2, :, :2] + anchors[1, 2, :, 2:]) / 2
    np.testing.assert_allclose(middle, [[20, 12]] * ANCHORS_PER_CELL, atol=1e-4)
    with pytest.raises(ValueError, match="at least one cell"):
        anchor_grid(0, 3, 8)


@pytest.mark.parametrize("xp", [np, ops])
def test_corrections_lead_back_to_the_boxes(xp):
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 100, (50, 2, 2)).astype(np.float32)
    boxes = np.concatenate([corner[:, 0], corner[:, 0] + 5 + corner[:, 1]], axis=1)
    anchors = boxes[::-1].copy()
    coded = encode_boxes(boxes, anchors, HEAD_SPREAD, xp)
    np.testing.assert_allclose(decode_boxes(coded, anchors, HEAD_SPREAD, xp), boxes, atol=1e-2)


def test_anchor_targets_follow_the_rules():
    anchors = anchor_grid(SIDE, SIDE, STRIDE)
    objects = objects_of([20, 20, 70, 66, 3, 1.0], [90, 90, 100, 99, 1, 0.5])
    background = np.ones(SIDE * SIDE, np.float32)
    background[: SIDE * 4] = 0.0  # nothing is known of the upper quarter
    target = anchor_targets(anchors, objects, background, np.random.default_rng(0))
    iou = pairwise_iou(anchors, objects[:2, :4])
    positive, negative = target.is_object > 0, (target.weight > 0) & (target.is_object == 0)
    best_of_object = (iou >= iou.max(axis=0) - 1e-6).any(axis=1)
    assert ((iou.max(axis=1) >= 0.6) | best_of_object)[positive].all()
    assert (iou[negative].max(axis=1) < 0.3).all()
    assert (np.repeat(background, ANCHORS_PER_CELL)[negative] > 0).all()
    assert (target.weight > 0).sum() == 256
    # Even the object that is smaller than every anchor has one that answers for it.
    small = positive & (iou.argmax(axis=1) == 1) & (iou[:, 1] > 0)
    assert small.any()
    assert set(target.weight[small]) == {0.5}
    decoded = decode_boxes(target.corrections[positive], anchors[positive])
    assert (pairwise_iou(decoded, objects[:2, :4]).max(axis=1) > 0.999).all()


def test_a_picture_without_objects_has_background_alone():
    target = anchor_targets(anchor_grid(4, 4, STRIDE), objects_of(), np.ones(16, np.float32), np.random.default_rng(0))
    assert target.is_object.sum() == 0
    assert (target.weight > 0).any()
    with pytest.raises(ValueError, match="12 anchors"):
        anchor_targets(anchor_grid(4, 4, STRIDE), objects_of(), np.ones(9, np.float32), np.random.default_rng(0))


def test_regions_are_drawn_with_classes_corrections_and_weights():
    objects = np.stack([objects_of([20, 20, 70, 66, 3, 0.7]), objects_of()])
    seed = keras.random.SeedGenerator(1)
    candidates = ops.concatenate([moved_about(objects, seed, SIZE), by_chance(2, seed, SIZE)], axis=1)
    background = np.ones((2, SIDE * SIDE), np.float32)
    background[1] = 0.0
    drawn = draw_regions(candidates, objects, background, seed, STRIDE, SIDE)
    regions, ids, corrections, weight = (ops.convert_to_numpy(part) for part in drawn)
    assert regions.shape == (2, REGIONS_DRAWN, 4)
    iou = pairwise_iou(regions[0], objects[0, :1, :4])[:, 0]
    counted = weight[0] > 0
    np.testing.assert_array_equal(ids[0][counted], np.where(iou[counted] >= 0.5, 4, 0))
    assert 1 <= (ids[0][counted] > 0).sum() <= OBJECT_REGIONS
    np.testing.assert_allclose(weight[0][counted & (ids[0] > 0)], 0.7)
    on_object = counted & (ids[0] > 0)
    decoded = decode_boxes(corrections[0][on_object], regions[0][on_object], HEAD_SPREAD)
    np.testing.assert_allclose(decoded, np.tile(objects[0, :1, :4], (on_object.sum(), 1)), atol=0.05)
    assert weight[1].sum() == 0  # nothing is known of the second picture


def test_proposals_are_the_best_and_do_not_repeat():
    anchors = anchor_grid(SIDE, SIDE, STRIDE)
    rng = np.random.default_rng(0)
    score = rng.normal(0, 1, (1, len(anchors))).astype(np.float32)
    boxes = ops.convert_to_numpy(proposed(score, np.zeros((1, len(anchors), 4), np.float32), anchors, SIZE))[0]
    assert boxes.shape == (PROPOSED, 4)
    best = np.clip(anchors[score[0].argmax()], 0, SIZE)
    np.testing.assert_allclose(boxes[0], best, atol=1e-3)
    assert boxes.min() >= 0
    assert boxes.max() <= SIZE
    overlap = np.triu(pairwise_iou(boxes[:20], boxes[:20]), k=1)
    assert overlap.max() <= 0.7 + 1e-5


def test_losses_are_those_of_plain_formulas():
    rng = np.random.default_rng(0)
    difference = np.array([-2.0, -0.05, 0.0, 0.3, 1.5])
    expected = np.where(np.abs(difference) < 1, difference**2 / 2, np.abs(difference) - 0.5)
    np.testing.assert_allclose(smooth_l1(difference), expected)
    score, moves = rng.normal(0, 2, 6).astype(np.float32), rng.normal(0, 1, (6, 4)).astype(np.float32)
    is_object, weight = np.array([1, 0, 0, 1, 0, 1], np.float32), np.array([1, 1, 0, 0.5, 1, 0], np.float32)
    entropy, boxes = proposal_losses(score, moves, is_object, np.zeros((6, 4), np.float32), weight)
    chance = 1 / (1 + np.exp(-score))
    plain = -(is_object * np.log(chance) + (1 - is_object) * np.log(1 - chance))
    assert float(entropy) == pytest.approx((plain * weight).sum() / weight.sum(), rel=1e-4)
    distance = np.where(np.abs(moves) < 1 / 9, 4.5 * moves**2, np.abs(moves) - 1 / 18).sum(axis=1)
    assert float(boxes) == pytest.approx((distance * is_object * weight).sum() / weight.sum(), rel=1e-4)
    logits = rng.normal(0, 1, (6, 4)).astype(np.float32)
    ids = np.array([0, 1, 2, 3, 0, 1])
    entropy, boxes = region_losses(logits, moves, ids, np.zeros((6, 4), np.float32), weight)
    plain = -np.log(np.exp(logits)[np.arange(6), ids] / np.exp(logits).sum(axis=1))
    assert float(entropy) == pytest.approx((plain * weight).sum() / weight.sum(), rel=1e-4)
    distance = np.where(np.abs(moves) < 1, moves**2 / 2, np.abs(moves) - 0.5).sum(axis=1)
    assert float(boxes) == pytest.approx((distance * (ids > 0) * weight).sum() / weight.sum(), rel=1e-4)
