"""Verification against recognition, 1:1 against 1:K: how the chance of a false match grows with the database.

One comparison of two different persons is accepted by mistake with the chance FAR, the false accept rate. A stranger
who is compared with K enrolled persons is taken for one of them with the chance 1 - (1 - FAR)^K, if the comparisons err
independently of each other (Grother, Ngan & Hanaoka 2019, Face Recognition Vendor Test, NISTIR 8271, section 3; real
errors come in lumps, so it is a guide and not a law). Rates are shares in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
MOST_PERSONS = 10**9


@dataclass(frozen=True)
class OneToMany:
    """What a false accept rate means for a database: see `one_to_many`."""

    false_accept: float
    comparisons: int
    false_match: float
    expected_false_matches: float
    needed_false_accept: float
    most_comparisons: float


def false_match_chance(false_accept: float | Doubles, comparisons: int | Doubles) -> Doubles:
    """The chance that a stranger is taken for at least one of the enrolled: 1 - (1 - FAR)^K.

    Worked out so that it is exact for rates of a billionth too.

    >>> round(float(false_match_chance(0.001, 1000)), 4)
    0.6323
    """
    rates = np.asarray(false_accept, np.float64)
    if (rates < 0).any() or (rates > 1).any() or (np.asarray(comparisons) < 0).any():
        raise ValueError(f"expected a rate in 0..1 and a count of at least 0, received {false_accept}, {comparisons}")
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = np.where(np.asarray(comparisons) == 0, 0.0, comparisons * np.log1p(-rates))
    chance: Doubles = -np.expm1(exponent)
    return chance


def false_accept_needed(chance: float, comparisons: int) -> float:
    """The false accept rate at which a stranger among K persons is falsely matched with this chance.

    >>> round(false_accept_needed(0.01, 1000) * 1e5, 3)
    1.005
    """
    if not 0 <= chance < 1 or comparisons < 1:
        raise ValueError(f"expected a chance in 0..1 and a count of at least 1, received {chance}, {comparisons}")
    return float(-np.expm1(np.log1p(-chance) / comparisons))


def most_comparisons(false_accept: float, chance: float) -> float:
    """How many persons a database may have before a stranger is falsely matched with more than this chance.

    Infinite at a rate of zero.

    >>> round(most_comparisons(0.001, 0.01), 2)
    10.05
    """
    if false_accept <= 0:
        return float("inf")
    if false_accept >= 1:
        return 0.0
    return float(np.log1p(-chance) / np.log1p(-false_accept))


def one_to_many(false_accept: float, comparisons: int, allowed_chance: float = 0.01) -> OneToMany:
    """Everything about a rate, a database of `comparisons` photos, and the chance of a false match that is allowed."""
    return OneToMany(
        false_accept,
        comparisons,
        float(false_match_chance(false_accept, comparisons)),
        false_accept * comparisons,
        false_accept_needed(allowed_chance, max(1, comparisons)),
        most_comparisons(false_accept, allowed_chance),
    )


def threshold_for(different: Doubles, rate: float) -> float | None:
    """The largest threshold, in hundredths, that accepts at most this share of the sorted distances `(N,)`.

    None where the share is less than one of them: they are too few to tell.

    >>> threshold_for(np.array([0.5, 0.7, 0.8, 0.9]), 0.25)
    0.69
    """
    accepted = int(rate * len(different) + 1e-9)
    if accepted < 1:
        return None
    limit = float(different[accepted]) if accepted < len(different) else float(different[-1]) + 0.01
    return float(np.ceil(100 * limit) - 1) / 100


def upper_limit(errors: int, trials: int, confidence: float = 0.95) -> float:
    """What a rate is at most, with this confidence, after so many errors in so many trials.

    Clopper & Pearson 1934, one-sided; without an error about 3 in `trials`.

    >>> round(upper_limit(0, 3000), 6)
    0.000998
    """
    if not 0 <= errors <= trials or trials < 1:
        raise ValueError(f"expected 0 <= errors <= trials, received {errors} of {trials}")
    if errors == trials:
        return 1.0
    from scipy.special import betaincinv

    return float(betaincinv(errors + 1, trials - errors, confidence))
