import numpy as np
import pytest

from core.detection.anchors import cluster_anchors, size_iou
from core.detection.boxes import BoxError, pairwise_iou


def sizes_around(centres: list[tuple[float, float]], count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([np.array(c) * np.exp(rng.normal(0, 0.05, (count, 2))) for c in centres])


def test_size_iou_is_the_iou_of_boxes_at_one_corner():
    rng = np.random.default_rng(1)
    first, second = rng.uniform(1, 50, (20, 2)), rng.uniform(1, 50, (5, 2))
    at_corner = [np.concatenate([np.zeros_like(s), s], axis=1) for s in (first, second)]
    np.testing.assert_allclose(size_iou(first, second), pairwise_iou(*at_corner))


def test_finds_the_shapes_that_are_there():
    centres = [(10.0, 14.0), (40.0, 30.0), (100.0, 220.0)]
    clusters = cluster_anchors(sizes_around(centres, 80), 3)
    np.testing.assert_allclose(clusters.anchor_boxes, centres, rtol=0.06)
    assert np.bincount(clusters.assignment).tolist() == [80, 80, 80]
    assert clusters.mean_iou > 0.9


def test_beats_euclidean_k_means():
    from sklearn.cluster import KMeans

    rng = np.random.default_rng(2)
    sizes = np.exp(rng.normal(3.5, 0.9, (600, 2)))
    euclidean = KMeans(5, n_init=5, random_state=0).fit(sizes).cluster_centers_
    assert cluster_anchors(sizes, 5).mean_iou > size_iou(sizes, euclidean).max(axis=1).mean()


def test_more_anchors_fit_better_and_all_fit_exactly():
    sizes = sizes_around([(10.0, 14.0), (40.0, 30.0)], 10)
    quality = [cluster_anchors(sizes, k).mean_iou for k in (1, 2, 4, 20)]
    assert quality == sorted(quality)
    assert quality[-1] == pytest.approx(1.0)


def test_same_seed_same_anchors():
    sizes = sizes_around([(10.0, 14.0), (40.0, 30.0), (90.0, 20.0)], 30)
    first, second = cluster_anchors(sizes, 4, seed=5), cluster_anchors(sizes, 4, seed=5)
    np.testing.assert_array_equal(first.anchor_boxes, second.anchor_boxes)


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        (np.ones((5, 2)), 2),  # one shape only
        (np.zeros((5, 2)), 1),  # no area
        (np.ones((5, 3)), 1),  # not sizes
        (np.array([[1.0, np.nan]]), 1),  # not a number
        (np.zeros((0, 2)), 1),  # nothing
    ],
)
def test_exception_unusable_sizes(sizes, count):
    with pytest.raises(BoxError, match="expected"):
        cluster_anchors(sizes, count)
