"""Grad-CAM: where in a picture a network looks for a class (Selvaraju et al. 2017, section 3, equations 1 and 2).

    alpha_k = mean over i, j of d y_c / d A_ijk          L = ReLU(sum over k of alpha_k A_k)

A are the maps of a layer and y_c is the class's logit, before the softmax. For a network that ends in global average
pooling and one dense layer, alpha is that layer's weight over the number of places, so that L is the class activation
map of Zhou et al. 2016; a test holds it. A detector answers for every cell: its y_c is the largest logit of the
class among all cells.

Three kinds of answers are told apart: `softmax`, logits (classes,) of classes that exclude each other; `sigmoid`,
logits (classes,) of classes that each answer for themselves; `detector`, rows (cells, 4 + classes).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.interpretation.types import ClassActivation, Maps

AnswerKind = Literal["softmax", "sigmoid", "detector"]
SHOWN_CLASSES = 5


def weigh_maps(maps: Maps, gradient: Maps) -> tuple[Maps, Maps]:
    """The heat (rows, columns) and the channel weights (channels,) from maps and gradient (rows, columns, channels).

    >>> heat, alpha = weigh_maps(np.array([[[1.0, 2.0]]], np.float32), np.array([[[3.0, -1.0]]], np.float32))
    >>> heat.tolist(), alpha.tolist()
    ([[1.0]], [3.0, -1.0])
    """
    alpha = gradient.mean(axis=(0, 1))  # (channels,)
    heat = np.maximum((maps * alpha).sum(axis=2), 0.0)  # (rows, columns)
    return heat.astype(np.float32), alpha.astype(np.float32)


def class_scores(raw: Any, kind: AnswerKind) -> NDArray[np.float32]:
    """Probabilities of the classes from logits (classes,), or of a detector from rows (cells, 4 + classes).

    >>> class_scores([0.0, 0.0], "softmax").tolist(), class_scores([0.0], "sigmoid").tolist()
    ([0.5, 0.5], [0.5])
    """
    raw = np.asarray(raw, np.float64)
    if kind != "softmax":
        logits = raw[:, 4:].max(axis=0) if kind == "detector" else raw
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)
    shifted = np.exp(raw - raw.max())
    return np.asarray(shifted / shifted.sum(), np.float32)


def grad_cam(
    maps_and_logits: Any, view: NDArray[np.uint8], layer: str, class_id: int | None, kind: AnswerKind
) -> ClassActivation:
    """Where the network looks for a class in a view (side, side, 3).

    Args:
        maps_and_logits: Gives [maps (1, rows, columns, channels), logits (1, classes) or (1, cells, 4 + classes)] of
            a batch in 0..255, differentiably.
        view: The picture as the network sees it.
        layer: Whose maps they are; handed on.
        class_id: The class; the strongest if None.
        kind: What the logits are.

    Raises:
        ValueError: If there is no such class.
    """
    import tensorflow as tf

    @tf.function(jit_compile=False)  # type: ignore[untyped-decorator]
    def differentiate(x: Any, wanted: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            maps, raw = maps_and_logits(x)
            # (classes,); of a detector the best cell of each class
            logits = tf.reduce_max(raw[0, :, 4:], axis=0) if kind == "detector" else raw[0]
            chosen = tf.where(wanted < 0, tf.argmax(logits, output_type=tf.int32), wanted)
            y = tf.gather(logits, tf.clip_by_value(chosen, 0, tf.shape(logits)[0] - 1))
        return maps, raw, tape.gradient(y, maps), chosen

    x = tf.constant(view[None].astype(np.float32))
    maps, raw, gradient, picked = differentiate(x, tf.constant(-1 if class_id is None else class_id, tf.int32))
    scores, chosen = class_scores(raw[0], kind), int(picked)
    if not 0 <= chosen < len(scores):
        raise ValueError(f"The classes are 0 to {len(scores) - 1}; got {chosen}.")
    heat, alpha = weigh_maps(np.asarray(maps)[0], np.asarray(gradient)[0])
    order = np.argsort(-scores, kind="stable")[:SHOWN_CLASSES]
    return ClassActivation(
        view,
        layer,
        chosen,
        heat,
        alpha,
        tuple(int(i) for i in order),
        tuple(float(scores[i]) for i in order),
    )
