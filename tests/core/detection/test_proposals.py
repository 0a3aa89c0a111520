"""Selective search: regions, grouping against a plain loop, and that it reaches objects."""

import itertools

import numpy as np
import pytest

from core.detection.predictions import PictureError
from core.detection.proposals import Strategy, different, recall_of, selective_search, strategies_at
from core.detection.proposals_drawing import draw_blobs, draw_proposals
from core.detection.proposals_grouping import MEASURES, group, regions_after
from core.detection.proposals_regions import measure_regions, segment
from core.detection.proposals_samples import KNOWN_OBJECTS
from core.runtime.samples import load_sample


@pytest.fixture(scope="module")
def scene():
    """A small picture of flat shapes with a little noise, and its first regions."""
    rng = np.random.default_rng(3)
    image = np.full((60, 80, 3), 90, np.uint8)
    image[10:30, 10:40] = (200, 40, 40)
    image[35:55, 20:70] = (40, 60, 200)
    image[35:45, 30:50] = (60, 200, 60)
    image = np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
    labels = segment(image, scale=20, smallest_px=10)
    return image, measure_regions(image, labels)


def reference_group(image, regions, measures):
    """The grouping as the paper tells it: masks of pixels, all pairs looked at anew after every merge."""
    labels, size = regions.labels, regions.labels.size
    alive = {i: {"colour": regions.colours[i].astype(float), "texture": regions.textures[i].astype(float)} for i in
             range(len(regions.sizes_px))}  # fmt: skip
    masks = {i: labels == i for i in alive}

    def box_area(mask):
        rows, columns = np.nonzero(mask)
        return (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)

    def touch(a, b):
        grown = np.zeros_like(a)
        grown[1:] |= a[:-1]
        grown[:-1] |= a[1:]
        grown[:, 1:] |= a[:, :-1]
        grown[:, :-1] |= a[:, 1:]
        return (grown & b).any()

    def alike(a, b):
        both = masks[a].sum() + masks[b].sum()
        parts = {
            "colour": np.minimum(alive[a]["colour"], alive[b]["colour"]).sum(),
            "texture": np.minimum(alive[a]["texture"], alive[b]["texture"]).sum(),
            "size": 1 - both / size,
            "fill": 1 - (box_area(masks[a] | masks[b]) - both) / size,
        }
        return sum(parts[name] for name in measures)

    scores, new = [], len(alive)
    while len(alive) > 1:
        pairs = [(a, b) for a, b in itertools.combinations(alive, 2) if touch(masks[a], masks[b])]
        a, b = max(pairs, key=lambda pair: alike(*pair))
        scores.append(alike(a, b))
        weights = masks[a].sum(), masks[b].sum()
        joined = {
            name: (weights[0] * alive[a][name] + weights[1] * alive[b][name]) / sum(weights)
            for name in ("colour", "texture")
        }
        masks[new] = masks[a] | masks[b]
        del alive[a], alive[b]
        alive[new] = joined
        new += 1
    return np.array(scores), masks


@pytest.mark.parametrize("measures", [MEASURES, ("texture", "size", "fill"), ("colour", "fill")])
def test_grouping_is_that_of_a_plain_loop(scene, measures):
    image, regions = scene
    found = group(regions, measures)
    scores, masks = reference_group(image, regions, measures)
    np.testing.assert_allclose(found.similarity, scores, atol=1e-4)
    for region, mask in masks.items():
        rows, columns = np.nonzero(mask)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert found.boxes_xyxy[region].tolist() == box
        assert found.sizes_px[region] == mask.sum()


def test_the_parts_of_a_merge_sum_to_its_similarity(scene):
    found = group(scene[1])
    np.testing.assert_allclose(found.parts.sum(axis=1), found.similarity, atol=1e-5)


def test_histograms_and_neighbours_of_two_halves():
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, 4:] = 255
    labels = np.zeros((8, 8), np.int32)
    labels[:, 4:] = 1
    regions = measure_regions(image, labels)
    np.testing.assert_allclose(regions.colours.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(regions.textures.sum(axis=1), 1, atol=1e-6)
    assert regions.sizes_px.tolist() == [32, 32]
    assert regions.boxes_xyxy.tolist() == [[0, 0, 4, 8], [4, 0, 8, 8]]
    assert regions.neighbours.tolist() == [[0, 1]]
    assert np.minimum(regions.colours[0], regions.colours[1]).sum() == pytest.approx(2 / 3)  # hue, saturation


def test_regions_after_merges(scene):
    regions = scene[1]
    grouping = group(regions)
    steps = len(grouping.merged)
    for merges in (0, 1, steps // 2, steps):
        labels = regions_after(regions.labels, grouping, merges)
        assert len(np.unique(labels)) == grouping.first_regions - merges


def test_the_search_reaches_the_known_objects_of_a_sample():
    found = selective_search(load_sample("motorcycle"))
    assert recall_of(found.proposals_xyxy, np.array(list(KNOWN_OBJECTS["motorcycle"].values()))).all()
    assert len(found.proposals_xyxy) <= 1500
    assert found.proposals_xyxy.min() >= 0
    assert found.proposals_xyxy[:, 2].max() <= 741.5


def test_the_search_is_the_same_each_time_and_keeps_its_limit(scene):
    first, second = (selective_search(scene[0], most=7) for _ in range(2))
    assert np.array_equal(first.proposals_xyxy, second.proposals_xyxy)
    assert len(first.proposals_xyxy) == 7


def test_a_flat_picture_has_one_region():
    found = selective_search(np.full((40, 40, 3), 7, np.uint8))
    assert found.grouping.first_regions == 1
    assert found.proposals_xyxy.tolist() == [[0, 0, 40, 40]]


def test_no_two_proposals_are_nearly_equal():
    boxes = np.array([[0, 0, 100, 100], [0, 0, 99, 100], [0, 0, 50, 100]], np.float32)
    assert different(boxes).tolist() == boxes[[0, 2]].tolist()


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(PictureError):
        selective_search(image)


def test_wrong_settings_are_refused(scene):
    with pytest.raises(ValueError, match="strategy"):
        selective_search(scene[0], strategies=())
    with pytest.raises(ValueError, match="colour"):
        selective_search(scene[0], strategies=(Strategy("rgb", 50.0, ("shape",)),))
    with pytest.raises(ValueError, match="labels"):
        measure_regions(scene[0], np.zeros((2, 2), np.int32))
    assert len(strategies_at(80.0)) == 4


def test_pictures_of_blobs_and_proposals(scene):
    image, regions = scene
    blobs = draw_blobs(image, regions.labels)
    assert blobs.dtype == np.uint8
    assert blobs.shape[1] == 900
    boxes = np.array([[10.0, 10, 40, 30]])
    drawn = draw_proposals(image, boxes, boxes, np.array([1.0]))
    assert drawn.shape[1] == 900
    assert not np.array_equal(drawn, draw_proposals(image, boxes, boxes, np.array([0.1])))
