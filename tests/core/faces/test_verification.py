"""Distances, thresholds and error rates against loops that count."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_curve

from core.faces.verification import (
    PairDistances,
    best_threshold,
    cross_validated_accuracy,
    distance,
    pair_distances,
)


@pytest.fixture
def labelled() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    is_same = rng.random(400) < 0.5
    return np.where(is_same, rng.normal(0.45, 0.12, 400), rng.normal(0.8, 0.12, 400)).clip(0.01), is_same


def test_distances_are_those_of_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 6, 128)).astype(np.float32)
    np.testing.assert_allclose(pair_distances(a, b), np.diag(cdist(a, b)), rtol=1e-6)
    assert distance(a[0], b[0]) == pytest.approx(cdist(a, b)[0, 0])
    with pytest.raises(ValueError, match="same length"):
        distance(a[0], b[0, :5])
    with pytest.raises(ValueError, match="one shape"):
        pair_distances(a, b[:3])


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.6, 0.61, 5.0])
def test_rates_are_counted(labelled, threshold):
    distances, is_same = labelled
    rates = PairDistances.of(distances, is_same).at(threshold)
    accepted = distances <= threshold
    assert rates.false_accept == pytest.approx((accepted & ~is_same).sum() / (~is_same).sum())
    assert rates.false_reject == pytest.approx((~accepted & is_same).sum() / is_same.sum())
    assert rates.accuracy == pytest.approx((accepted == is_same).mean())


def test_the_curve_is_scikit_learns(labelled):
    distances, is_same = labelled
    false_accepts, true_accepts, cuts = roc_curve(is_same, -distances, drop_intermediate=False)
    accepts, rejects = PairDistances.of(distances, is_same).curve(-cuts[1:])
    np.testing.assert_allclose(accepts, false_accepts[1:], atol=1e-12)
    np.testing.assert_allclose(1 - rejects, true_accepts[1:], atol=1e-12)


def test_equal_error(labelled):
    distances, is_same = labelled
    rates = PairDistances.of(distances, is_same).equal_error()
    assert abs(rates.false_accept - rates.false_reject) < 0.02


def test_no_threshold_is_better_than_the_best(labelled):
    distances, is_same = labelled
    best = best_threshold(distances, is_same)
    right = ((distances <= best) == is_same).sum()
    for tried in np.linspace(0, 1.5, 500):
        assert ((distances <= tried) == is_same).sum() <= right


@pytest.mark.parametrize(
    ("distances", "is_same"),
    [
        ([0.5, 0.5, 0.5], [True, False, False]),  # equal distances cannot be parted
        ([0.2, 0.3], [True, True]),
        ([0.2, 0.3], [False, False]),
    ],
)
def test_best_threshold_of_odd_cases(distances, is_same):
    d, same = np.array(distances), np.array(is_same)
    right = ((d <= best_threshold(d, same)) == same).sum()
    assert right == max(((d <= tried) == same).sum() for tried in (0.0, 0.1, 0.25, 0.4, 0.5, 0.6))


def test_folds_are_judged_with_the_threshold_of_the_others(labelled):
    distances, is_same = labelled
    accuracy = cross_validated_accuracy(distances, is_same)
    assert accuracy <= ((distances <= best_threshold(distances, is_same)) == is_same).mean()
    assert accuracy == cross_validated_accuracy(distances, is_same)
    assert cross_validated_accuracy(np.where(is_same, 0.1, 0.9), is_same) == 1.0
