"""Verification: two encodings, their distance, a threshold, and how often it errs.

d(img1, img2) = || f(img1) - f(img2) ||, the Euclidean distance of two encodings; "same person" if d <= tau (Taigman et
al. 2014, DeepFace; Schroff et al. 2015, FaceNet, section 4). On labelled pairs the false accept rate is the share of
pairs of different persons that are called the same, the false reject rate the share of pairs of one person that are
called different. Encodings are (D,) or (N, D) float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.faces.types import Floats

Doubles = NDArray[np.float64]
Booleans = NDArray[np.bool_]

FOLDS = 10


def distance(first: Floats, second: Floats) -> float:
    """The Euclidean distance of two encodings (D,).

    Raises:
        ValueError: If they have not the same number of dimensions.

    >>> distance(np.array([3.0, 0.0], np.float32), np.array([0.0, 4.0], np.float32))
    5.0
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"expected two encodings of the same length, received shapes {first.shape} and {second.shape}")
    return float(np.linalg.norm(first.astype(np.float64) - second.astype(np.float64)))


def pair_distances(first: Floats, second: Floats) -> Doubles:
    """The distances (N,) of encodings (N, D) row by row.

    >>> pair_distances(np.eye(2, dtype=np.float32), np.zeros((2, 2), np.float32)).tolist()
    [1.0, 1.0]
    """
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"expected two arrays (N, D) of one shape, received {first.shape} and {second.shape}")
    lengths: Doubles = np.linalg.norm(first.astype(np.float64) - second.astype(np.float64), axis=1)
    return lengths


@dataclass(frozen=True)
class ErrorRates:
    """Shares in 0..1 at a threshold: false accepts and false rejects, and the share of right answers."""

    threshold: float
    false_accept: float
    false_reject: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class PairDistances:
    """The distances of labelled pairs, each kind sorted: `same` (N,) and `different` (M,)."""

    same: Doubles
    different: Doubles

    @staticmethod
    def of(distances: Doubles, is_same: Booleans) -> PairDistances:
        """From distances (N,) and labels (N,)."""
        return PairDistances(np.sort(distances[is_same]), np.sort(distances[~is_same]))

    def at(self, threshold: float) -> ErrorRates:
        """What a threshold makes of these pairs.

        >>> PairDistances(np.array([0.1, 0.7]), np.array([0.5, 0.9])).at(0.6)
        ErrorRates(threshold=0.6, false_accept=0.5, false_reject=0.5, accuracy=0.5)
        """
        accepted_same = int(np.searchsorted(self.same, threshold, side="right"))
        accepted_different = int(np.searchsorted(self.different, threshold, side="right"))
        right = accepted_same + len(self.different) - accepted_different
        return ErrorRates(
            threshold,
            accepted_different / max(1, len(self.different)),
            1 - accepted_same / max(1, len(self.same)),
            right / max(1, len(self.same) + len(self.different)),
        )

    def curve(self, thresholds: Doubles) -> tuple[Doubles, Doubles]:
        """False accept and false reject rates (T,) at thresholds (T,)."""
        accepts = np.searchsorted(self.different, thresholds, side="right") / max(1, len(self.different))
        rejects = 1 - np.searchsorted(self.same, thresholds, side="right") / max(1, len(self.same))
        return accepts.astype(np.float64), rejects.astype(np.float64)

    def equal_error(self) -> ErrorRates:
        """The rates at the threshold where false accepts and false rejects are nearest to each other."""
        candidates = np.unique(np.concatenate([self.same, self.different]))
        accepts, rejects = self.curve(candidates)
        return self.at(float(candidates[int(np.abs(accepts - rejects).argmin())]))


def best_threshold(distances: Doubles, is_same: Booleans) -> float:
    """The threshold with the most right answers on labelled pairs; the middle of the best gap.

    >>> best_threshold(np.array([0.1, 0.2, 0.8, 0.9]), np.array([True, True, False, False]))
    0.5
    """
    order = np.argsort(distances, kind="stable")
    d, same = distances[order], is_same[order]
    # Right answers when the threshold lies just above the first k distances.
    right = np.concatenate([[0], np.cumsum(same)]) + (~same).sum() - np.concatenate([[0], np.cumsum(~same)])
    # A threshold cannot part two equal distances.
    possible = np.concatenate([[True], d[1:] > d[:-1], [True]])
    best = np.flatnonzero(possible & (right == right[possible].max()))
    k = int(best[len(best) // 2])
    if k == 0:
        return float(d[0]) - 1e-6
    return float(d[-1]) if k == len(d) else float((d[k - 1] + d[k]) / 2)


def cross_validated_accuracy(distances: Doubles, is_same: Booleans, folds: int = FOLDS, seed: int = 0) -> float:
    """The share of right answers when each tenth is judged with the threshold that is best on the other nine.

    Huang et al. 2007, Labeled Faces in the Wild, section 3; the folds hold as many pairs of each kind.
    """
    rng = np.random.default_rng(seed)
    fold = np.empty(len(distances), np.int64)
    for kind in (True, False):
        rows = rng.permutation(np.flatnonzero(is_same == kind))
        fold[rows] = np.arange(len(rows)) % folds
    right = 0
    for number in range(folds):
        held = fold == number
        threshold = best_threshold(distances[~held], is_same[~held])
        right += int(((distances[held] <= threshold) == is_same[held]).sum())
    return right / len(distances)
