"""Scenes for learning to localize: a drawn road with one object, or with none, and its target vector.

The classes are those of the course notes' example: pedestrian, car, motorcycle. A scene is drawn twice as large and
made smaller, so that its edges are soft. The same seeds give the same bytes, and no two splits share a seed.

Arrays: images RGB uint8 (n, 64, 64, 3); targets (n, 8) float32 in the order of `localization.element_names`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.detection.boxes import pairwise_iou
from core.detection.drawing import class_colour, draw_box, draw_labels
from core.detection.drawn_sets import draw_alone
from core.detection.localization import target_vector, vector_box

SCENE_PX = 64
CLASS_NAMES = ("pedestrian", "car", "motorcycle")
# Seeds of the splits lie far apart.
SPLITS = {"train": 0, "validation": 1_000_000, "test": 2_000_000, "new": 3_000_000}
TILE_PX = 160
TRUE_COLOUR = (22, 163, 74)


@dataclass(frozen=True)
class SceneSet:
    """Scenes (n, 64, 64, 3) uint8 and their targets (n, 8) float32."""

    images: NDArray[np.uint8]
    targets: NDArray[np.float32]


def draw_scenes(split: str, count: int, seed: int = 0, empty: float = 0.25) -> SceneSet:
    """The first `count` scenes of a split; `seed` draws others.

    Raises:
        KeyError: If there is no such split.

    >>> draw_scenes("test", 2).targets.shape
    (2, 8)
    """
    first = SPLITS[split] + 10_000_000 * seed
    images = np.empty((count, SCENE_PX, SCENE_PX, 3), np.uint8)
    targets = np.zeros((count, 5 + len(CLASS_NAMES)), np.float32)
    for index in range(count):
        large = 2 * SCENE_PX
        drawn = draw_alone(first + index, (large, large), empty)
        images[index] = cv2.resize(drawn.pixels, (SCENE_PX, SCENE_PX), interpolation=cv2.INTER_AREA)
        box = drawn.boxes_xyxy[0].tolist() if len(drawn.boxes_xyxy) else None
        class_id = int(drawn.class_ids[0]) if box else 0
        targets[index] = target_vector(box, class_id, len(CLASS_NAMES), (large, large))
    return SceneSet(images, targets)


@dataclass(frozen=True)
class SceneScores:
    """How well predictions fit scenes: `iou` (n,) is NaN where there is no object; the others are shares in 0..1.

    `presence` counts scenes whose p_c is on the right side of 0.5, `accuracy` scenes whose whole answer is right: no
    object where there is none, else found and of the right class; `class_accuracy` only the class, where there is an
    object.
    """

    iou: NDArray[np.float64]
    presence: float
    accuracy: float
    class_accuracy: float

    @property
    def mean_iou(self) -> float:
        """Mean IoU over the scenes with an object."""
        known = self.iou[~np.isnan(self.iou)]
        return float(known.mean()) if len(known) else float("nan")


def score_predictions(predictions: NDArray[np.float32], targets: NDArray[np.float32]) -> SceneScores:
    """Compare predictions (n, 8), p_c and classes as probabilities, with targets."""
    has_object = targets[:, 0] == 1
    says_object = predictions[:, 0] >= 0.5
    right_class = predictions[:, 5:].argmax(axis=1) == targets[:, 5:].argmax(axis=1)
    iou = np.full(len(targets), np.nan)
    for index in np.flatnonzero(has_object):
        pair = [np.array([vector_box(vector[index], (1.0, 1.0))]) for vector in (predictions, targets)]
        iou[index] = pairwise_iou(pair[0], pair[1])[0, 0]
    right = np.where(has_object, says_object & right_class, ~says_object)
    return SceneScores(
        iou,
        float((says_object == has_object).mean()),
        float(right.mean()),
        float(right_class[has_object].mean()) if has_object.any() else float("nan"),
    )


def contact_sheet(
    images: NDArray[np.uint8], predictions: NDArray[np.float32], targets: NDArray[np.float32] | None, columns: int = 4
) -> NDArray[np.uint8]:
    """Scenes side by side with the predicted box in its class's colour and the true one dashed in green.

    Without `targets` the vectors are taken for the truth: names stand without a score.
    """
    count = len(images)
    rows = -(-count // columns)
    sheet = np.full((rows * TILE_PX, columns * TILE_PX, 3), 255, np.uint8)
    for index in range(count):
        tile = cv2.resize(images[index], (TILE_PX, TILE_PX), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
        size = (float(TILE_PX), float(TILE_PX))
        if targets is not None and targets[index, 0] == 1:
            draw_box(tile, np.array(vector_box(targets[index], size)), TRUE_COLOUR, 2, dashed=True)
        p_c = float(predictions[index, 0])
        class_id = int(predictions[index, 5:].argmax())
        if p_c >= 0.5:
            box = np.array(vector_box(predictions[index], size))
            draw_box(tile, box, class_colour(class_id), 2)
            draw_labels(tile, box[None], [_label(CLASS_NAMES[class_id], p_c, targets)], [class_colour(class_id)])
        else:
            draw_labels(tile, np.array([[0.0, 30.0, 1.0, 1.0]]), [_label("nothing", 1 - p_c, targets)], [(90, 96, 110)])
        row, column = divmod(index, columns)
        top, left = row * TILE_PX, column * TILE_PX
        sheet[top + 1 : top + TILE_PX - 1, left + 1 : left + TILE_PX - 1] = tile[1:-1, 1:-1]
    return sheet


def _label(name: str, score: float, targets: NDArray[np.float32] | None) -> str:
    return name if targets is None else f"{name} {100 * score:.0f} %"
