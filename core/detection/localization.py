"""Localization: a box and a class as one target vector, and the loss of a prediction of it.

The course notes (4.1) write what is in an image as y = [p_c, b_x, b_y, b_h, b_w, c_1 ... c_n]: whether there is an
object, the midpoint, height and width of its box in fractions of the image, and one number a class. Where there is no
object everything but p_c is "don't care" and takes no part in the loss. The loss is the sum of squared differences,
or, as the notes say, logistic regression for p_c; with it goes softmax cross-entropy for the classes, and the box
stays squared.

Arrays: target and prediction vectors (5 + n,) float64 in the notes' order, b_h before b_w; boxes xyxy in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Corners = tuple[float, float, float, float]
LossKind = Literal["squared", "logistic"]
LOSS_KINDS: tuple[LossKind, ...] = ("squared", "logistic")
BOX_NAMES = ("b_x", "b_y", "b_h", "b_w")
MAX_CLASSES = 8
MAX_NAME_LENGTH = 24
# A logarithm of nothing has no end: probabilities stay this far from 0 and 1, as Keras' losses keep them.
EPSILON = 1e-7


class LocalizationError(ValueError):
    """Class names, vectors or settings that cannot be used; the message is a sentence for the person."""


def parse_class_names(text: str) -> tuple[str, ...]:
    """Names of classes from a line with commas.

    Raises:
        LocalizationError: If there is none, there are more than eight, one is too long or there twice.

    >>> parse_class_names("pedestrian, car,  motorcycle")
    ('pedestrian', 'car', 'motorcycle')
    """
    names = tuple(name for part in text.split(",") if (name := " ".join(part.split())))
    if not names:
        raise LocalizationError("There is no class: write at least one name, several with commas between them.")
    if len(names) > MAX_CLASSES:
        raise LocalizationError(f"There are {len(names)} classes; at most {MAX_CLASSES} are drawn.")
    if any(len(name) > MAX_NAME_LENGTH for name in names):
        raise LocalizationError(f"A class has a name of at most {MAX_NAME_LENGTH} letters.")
    if len(set(names)) < len(names):
        raise LocalizationError("Each class has a name of its own; one is there twice.")
    return names


def element_names(class_count: int) -> tuple[str, ...]:
    """The names of the vector's elements as the notes write them.

    >>> element_names(2)
    ('p_c', 'b_x', 'b_y', 'b_h', 'b_w', 'c_1', 'c_2')
    """
    return ("p_c", *BOX_NAMES, *(f"c_{index}" for index in range(1, class_count + 1)))


def target_vector(
    box_xyxy: Sequence[float] | None, class_id: int, class_count: int, image_size: tuple[float, float]
) -> Floats:
    """The notes' y of a box in an image (width, height); of no object where the box is None.

    Raises:
        LocalizationError: If the class is unknown, or the box has no area or its midpoint outside the image.

    >>> target_vector((20, 10, 60, 90), 1, 3, (100, 100)).tolist()
    [1.0, 0.4, 0.5, 0.8, 0.4, 0.0, 1.0, 0.0]
    >>> target_vector(None, 0, 2, (100, 100)).tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    width, height = image_size
    y = np.zeros(5 + class_count)
    if box_xyxy is None:
        return y
    if not 0 <= class_id < class_count:
        raise LocalizationError(f"expected a class of 0..{class_count - 1}, received {class_id}")
    left, top, right, bottom = (float(value) for value in box_xyxy)
    if not (right > left and bottom > top and np.isfinite([left, top, right, bottom]).all()):
        raise LocalizationError(f"expected a box with an area, received {tuple(box_xyxy)}")
    middle = (left + right) / 2 / width, (top + bottom) / 2 / height
    if not (0 <= middle[0] <= 1 and 0 <= middle[1] <= 1):
        raise LocalizationError("expected a box whose midpoint lies in the image")
    y[0], y[1:3], y[3], y[4] = 1.0, middle, (bottom - top) / height, (right - left) / width
    y[5 + class_id] = 1.0
    return y


def vector_box(vector: NDArray[Any], image_size: tuple[float, float]) -> Corners:
    """The box of a vector as xyxy in pixels of an image (width, height), cut off at its borders.

    >>> vector_box(np.array([1, 0.5, 0.5, 0.5, 0.25, 1]), (100, 100))
    (37.5, 25.0, 62.5, 75.0)
    """
    width, height = image_size
    x, y, tall, wide = (float(value) for value in vector[1:5])
    return (
        min(max((x - wide / 2) * width, 0.0), width),
        min(max((y - tall / 2) * height, 0.0), height),
        min(max((x + wide / 2) * width, 0.0), width),
        min(max((y + tall / 2) * height, 0.0), height),
    )


@dataclass(frozen=True)
class LocalizationLoss:
    """A prediction's loss, element by element.

    `terms` (5 + n,) sum to `total`; `counts` (5 + n,) is false for elements that take no part; `gradient` (5 + n,) is
    that of the total by each element of the prediction; `prediction` is what was compared: for the logistic loss p_c
    and the classes are kept off 0 and 1, and the classes sum to 1 as a softmax's do.
    """

    kind: LossKind
    prediction: Floats
    terms: Floats
    counts: NDArray[np.bool_]
    gradient: Floats

    @property
    def total(self) -> float:
        """The loss E(ŷ, y)."""
        return float(self.terms.sum())


def normalised_classes(values: NDArray[Any]) -> Floats:
    """Class outputs in 0..1 brought to sum to 1; equal shares where all are 0.

    >>> normalised_classes(np.array([0.5, 1.5])).tolist()
    [0.25, 0.75]
    """
    clipped = np.maximum(np.asarray(values, np.float64), EPSILON)
    return np.asarray(clipped / clipped.sum())


def localization_loss(target: NDArray[Any], prediction: NDArray[Any], kind: LossKind = "squared") -> LocalizationLoss:
    """The loss of the notes (4.1), in both of its cases: with an object (y_1 = 1) and without (y_1 = 0).

    Raises:
        LocalizationError: If the vectors do not fit together, hold no finite numbers, or p_c of the target is not
            0 or 1.

    >>> y = np.array([1, 0.5, 0.5, 0.4, 0.2, 1, 0])
    >>> round(localization_loss(y, np.array([0.8, 0.5, 0.6, 0.4, 0.2, 0.9, 0.1])).total, 4)
    0.07
    >>> round(localization_loss(np.zeros(7), np.array([0.8, 0.5, 0.6, 0.4, 0.2, 0.9, 0.1])).total, 4)
    0.64
    """
    y, given = np.asarray(target, np.float64), np.asarray(prediction, np.float64)
    if y.shape != given.shape or y.ndim != 1 or len(y) < 6:
        raise LocalizationError(f"expected two vectors of 5 + n numbers, received {y.shape} and {given.shape}")
    if not (np.isfinite(y).all() and np.isfinite(given).all()):
        raise LocalizationError("expected finite numbers in both vectors")
    if y[0] not in (0.0, 1.0):
        raise LocalizationError(f"expected p_c of 0 or 1 in the target, received {y[0]:g}")
    if kind not in LOSS_KINDS:
        raise LocalizationError(f"expected a loss of {LOSS_KINDS}, received {kind!r}")
    counts = np.full(len(y), bool(y[0]))
    counts[0] = True
    used = given.copy()
    terms, gradient = (used - y) ** 2, 2 * (used - y)
    if kind == "logistic":
        used[0] = p = float(np.clip(given[0], EPSILON, 1 - EPSILON))
        used[5:] = classes = normalised_classes(given[5:])
        terms[0] = -np.log(p) if y[0] else -np.log(1 - p)
        gradient[0] = (p - y[0]) / (p * (1 - p))
        terms[5:] = -y[5:] * np.log(classes)
        # By the outputs before they are brought to sum to 1: -y_i / c_i + 1 / sum.
        total = np.maximum(given[5:], EPSILON).sum()
        gradient[5:] = (-y[5:] / classes + y[5:].sum()) / total
    return LocalizationLoss(kind, used, np.where(counts, terms, 0.0), counts, np.where(counts, gradient, 0.0))
