"""Settings and results of learning a similarity; light, so that a page can show them.

A *run* trains one encoder in one way. Encodings are float32 (N, D), pictures uint8 (N, H, W, C), labels int64 (N,).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.faces.verification import PairDistances

Floats = NDArray[np.float32]
Pictures = NDArray[np.uint8]
Integers = NDArray[np.int64]
Way = Literal["random", "semi-hard", "hard", "contrastive", "absolute", "chi-square"]

TRIPLET_WAYS: tuple[Way, ...] = ("random", "semi-hard", "hard")
PAIR_WAYS: tuple[Way, ...] = ("absolute", "chi-square")
WAYS: tuple[Way, ...] = (*TRIPLET_WAYS, "contrastive", *PAIR_WAYS)


@dataclass(frozen=True)
class SimilaritySettings:
    """How an encoder is trained.

    Args:
        ways: One or more ways, each trained from the same start on the same batches.
        steps: Batches of each, 10 to 2,000.
        rate: Learning rate of Adam.
        margin: alpha of the triplet loss (squared distances), or the distance of the contrastive one.
        dimensions: Numbers in an encoding, 2 to 128.
        classes_in_batch: P, how many persons are in a batch.
        pictures_of_class: K, how many pictures of each.
        seed: Of weights and batches.
    """

    ways: tuple[Way, ...] = ("semi-hard",)
    steps: int = 240
    rate: float = 0.002
    margin: float = 0.4
    dimensions: int = 16
    classes_in_batch: int = 7
    pictures_of_class: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        """Hold the ranges.

        Raises:
            ValueError: If a setting is out of range.
        """
        if not self.ways or any(way not in WAYS for way in self.ways):
            raise ValueError(f"The ways are {', '.join(WAYS)}; got {self.ways}.")
        if not 10 <= self.steps <= 2000:
            raise ValueError(f"The steps are 10 to 2,000; got {self.steps}.")
        if not 0 < self.rate <= 0.1 or not 0 < self.margin <= 2:
            raise ValueError(f"Rate in (0, 0.1] and margin in (0, 2] are expected; got {self.rate}, {self.margin}.")
        if not 2 <= self.dimensions <= 128:
            raise ValueError(f"An encoding has 2 to 128 numbers; got {self.dimensions}.")
        if self.classes_in_batch < 2 or self.pictures_of_class < 2:
            raise ValueError("A batch needs at least two classes with two pictures each.")


@dataclass(frozen=True)
class PictureSet:
    """Labelled pictures: some classes are learned from, with pictures kept back; others are never seen.

    `train`, `held_out` and `unseen` are indices: pictures that are learned from, other pictures of the same classes,
    and pictures of classes that training never meets.
    """

    name: str
    pictures: Pictures
    labels: Integers
    class_names: tuple[str, ...]
    train: Integers
    held_out: Integers
    unseen: Integers


@dataclass(frozen=True)
class WayResult:
    """One way of training and what came of it.

    `loss` and `active_share` have one value a step (the share of triplets, or pairs, that still cost something).
    `accuracy_held_out` and `accuracy_unseen` have one a look, at `look_steps`: the share of right answers on pairs of
    new pictures of known classes, and of classes never seen, with the threshold that is best on training pairs.
    `frames` (looks, N, 2) is the map of the encodings at each look, turned so that it moves little.
    """

    way: Way
    loss: Floats
    active_share: Floats
    look_steps: Integers
    accuracy_held_out: Floats
    accuracy_unseen: Floats
    frames: Floats
    threshold: float
    held_out: PairDistances
    unseen: PairDistances
    encodings: Floats
    weights: Floats
    bias: float


@dataclass(frozen=True)
class SimilarityResult:
    """All ways of a job, and the pictures of the map: `pictures` (N, H, W, C) with `labels` (N,), `is_unseen` (N,)."""

    ways: tuple[WayResult, ...]
    pictures: Pictures
    labels: Integers
    is_unseen: NDArray[np.bool_]
    class_names: tuple[str, ...]
    trained_on: int
    data: str

    def way(self, name: str) -> WayResult:
        """The result of one way; the first if it was not trained."""
        return next((way for way in self.ways if way.way == name), self.ways[0])


@dataclass(frozen=True)
class TripletNumbers:
    """One triplet by hand: squared distances, and E = max(d(A, P) - d(A, N) + margin, 0)."""

    positive: float
    negative: float
    margin: float

    @property
    def loss(self) -> float:
        """E(A, P, N)."""
        return max(self.positive - self.negative + self.margin, 0.0)

    @property
    def kind(self) -> str:
        """Easy, semi-hard or hard, as FaceNet calls them.

        >>> TripletNumbers(0.2, 0.9, 0.4).kind, TripletNumbers(0.2, 0.5, 0.4).kind, TripletNumbers(0.2, 0.1, 0.4).kind
        ('easy', 'semi-hard', 'hard')
        """
        if self.negative <= self.positive:
            return "hard"
        return "semi-hard" if self.negative < self.positive + self.margin else "easy"


def triplet_numbers(anchor: Floats, positive: Floats, negative: Floats, margin: float) -> TripletNumbers:
    """Squared distances of three encodings (D,)."""
    first, second, third = (np.asarray(each, np.float64) for each in (anchor, positive, negative))
    return TripletNumbers(float(((first - second) ** 2).sum()), float(((first - third) ** 2).sum()), margin)


def pair_terms(first: Floats, second: Floats, way: Way) -> NDArray[np.float64]:
    """What the binary classifier weighs of two encodings (D,): |f_i - f_j|, or (f_i - f_j)^2 / (f_i + f_j).

    >>> pair_terms(np.array([1.0, 4.0], np.float32), np.array([3.0, 4.0], np.float32), "chi-square").tolist()
    [1.0, 0.0]
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if way == "absolute":
        return np.asarray(np.abs(a - b))
    return np.asarray((a - b) ** 2 / np.maximum(a + b, 1e-6))
