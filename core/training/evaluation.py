"""What a classifier gets right and wrong: accuracy, confusion matrix, per-class table, its worst mistakes.

Arrays: labels int64 (N,), probabilities float32 (N, classes) with rows that add up to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float32]


class EvaluationError(ValueError):
    """Labels and probabilities that do not belong together."""


@dataclass(frozen=True)
class ClassScore:
    """Of one class: pictures of it, the share of its predictions that are right, and of it that are found."""

    count: int
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where both are."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


@dataclass(frozen=True)
class ClassifierEvaluation:
    """`confusion` (classes, classes) counts pictures by true class (row) and predicted class (column).

    `mistakes` are the indices of the wrong answers, the surest first.
    """

    accuracy: float
    confusion: Integers
    classes: tuple[ClassScore, ...]
    mistakes: Integers


def evaluate_classifier(labels: Integers, probabilities: Floats) -> ClassifierEvaluation:
    """Compare answers with the truth.

    Raises:
        EvaluationError: If the shapes differ or there is no picture.

    >>> evaluate_classifier(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]], np.float32)).confusion.tolist()
    [[1, 0], [1, 0]]
    """
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not labels.size:
        raise EvaluationError(
            f"expected labels (N,) and probabilities (N, classes), received {labels.shape} and {probabilities.shape}"
        )
    count = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    right, true, claimed = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    scores = tuple(
        ClassScore(
            int(true[one]),
            float(right[one] / claimed[one]) if claimed[one] else 0.0,
            float(right[one] / true[one]) if true[one] else 0.0,
        )
        for one in range(count)
    )
    wrong = np.flatnonzero(predicted != labels)
    surest = np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")
    return ClassifierEvaluation(float(right.sum() / len(labels)), confusion, scores, wrong[surest].astype(np.int64))
