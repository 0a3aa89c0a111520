"""What a step compares a picture with, in the same form for every engine that computes it.

Arrays are float32. Importing this module imports nothing that computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class StyleTarget:
    """What one layer's Gram matrix is to become.

    With several styles the weighted sum of the squared distances to their Gram matrices is the squared distance to
    the weighted mean `gram` (n_C, n_C) plus `spread`, which no picture changes. `weight` is beta times lambda.
    """

    gram: Floats
    spread: float
    weight: float


@dataclass(frozen=True)
class Targets:
    """All that J compares with: activations (n_H, n_W, n_C) of the content, Gram matrices by layer, and the weights."""

    content_layer: str
    content: Floats
    alpha: float
    styles: Mapping[str, StyleTarget]
    gamma: float


class Step(Protocol):
    """J's parts and gradient at a picture (H, W, 3) in 0..255."""

    def __call__(self, picture: Floats) -> tuple[Floats, Floats]:
        """The costs of content, variation and each layer's style, unweighted (2 + layers,); the gradient (H, W, 3)."""
        ...


def mean_gram(grams: Sequence[Floats], weights: Sequence[float]) -> tuple[Floats, float]:
    """The weighted mean of matrices and the weighted sum of their squared distances to it; the weights sum to one.

    >>> mean, spread = mean_gram([np.zeros((1, 1), np.float32), np.full((1, 1), 4, np.float32)], [0.75, 0.25])
    >>> float(mean[0, 0]), spread
    (1.0, 3.0)
    """
    mean = np.tensordot(np.asarray(weights, np.float64), np.stack(grams).astype(np.float64), axes=1)
    spread = sum(weight * float(np.sum((gram - mean) ** 2)) for weight, gram in zip(weights, grams, strict=True))
    return mean.astype(np.float32), spread
