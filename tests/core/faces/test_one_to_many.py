"""The arithmetic of 1:K against a simulation and SciPy."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from core.faces.one_to_many import (
    false_accept_needed,
    false_match_chance,
    most_comparisons,
    one_to_many,
    threshold_for,
    upper_limit,
)


@pytest.mark.parametrize(("rate", "count"), [(0.5, 1), (0.001, 1000), (1e-9, 10**6), (1e-12, 3), (0.03, 40), (0, 9)])
def test_the_chance_is_exact_even_for_tiny_rates(rate, count):
    exact = 1 - (1 - Fraction(rate)) ** count if count <= 1000 else -math.expm1(count * math.log1p(-rate))
    assert float(false_match_chance(rate, count)) == pytest.approx(float(exact), rel=1e-12)


def test_the_chance_agrees_with_a_simulation():
    accepted = np.random.default_rng(0).random((20_000, 50)) < 0.02  # strangers against fifty persons
    assert float(false_match_chance(0.02, 50)) == pytest.approx(accepted.any(axis=1).mean(), abs=0.01)
    assert one_to_many(0.02, 50).expected_false_matches == pytest.approx(accepted.sum(axis=1).mean(), rel=0.02)


def test_edges():
    assert false_match_chance(1.0, 3) == 1 and false_match_chance(0.3, 0) == 0 and false_match_chance(1.0, 0) == 0
    assert false_match_chance(np.array([0.0, 0.1]), np.array([5, 1])).tolist() == pytest.approx([0.0, 0.1])
    assert most_comparisons(0.0, 0.01) == math.inf and most_comparisons(1.0, 0.01) == 0
    for wrong in ((-0.1, 3), (1.1, 3), (0.1, -1)):
        with pytest.raises(ValueError, match="expected a rate"):
            false_match_chance(*wrong)
    for wrong in ((1.0, 3), (-0.1, 3), (0.1, 0)):
        with pytest.raises(ValueError, match="expected a chance"):
            false_accept_needed(*wrong)


@pytest.mark.parametrize(("chance", "count"), [(0.01, 1), (0.01, 1000), (0.5, 10**6), (0.0, 7)])
def test_the_needed_rate_gives_the_chance_back(chance, count):
    needed = false_accept_needed(chance, count)
    assert float(false_match_chance(needed, count)) == pytest.approx(chance, rel=1e-9)
    if needed > 0:
        assert most_comparisons(needed, chance) == pytest.approx(count)
    assert one_to_many(0.1, count, chance).needed_false_accept == needed


def test_a_threshold_accepts_no_more_than_the_share():
    different = np.sort(np.random.default_rng(1).normal(1.3, 0.1, 3000))
    for rate in (0.001, 0.01, 0.2, 1.0):
        threshold = threshold_for(different, rate)
        assert (different <= threshold).mean() <= rate
        assert (different <= threshold + 0.011).mean() > rate or rate == 1.0
    assert threshold_for(different, 1 / 3001) is None


@pytest.mark.parametrize(("errors", "trials"), [(0, 3000), (1, 3000), (7, 100), (99, 100), (100, 100)])
def test_upper_limits_agree_with_scipy(errors, trials):
    limit = upper_limit(errors, trials)
    if errors < trials:
        assert limit == pytest.approx(stats.beta.ppf(0.95, errors + 1, trials - errors))
        assert stats.binom.cdf(errors, trials, limit) == pytest.approx(0.05, rel=1e-6)
    else:
        assert limit == 1.0
    with pytest.raises(ValueError, match="errors"):
        upper_limit(trials + 1, trials)
