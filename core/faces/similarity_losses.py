"""Losses of pairs beside the triplet loss: contrastive, and a binary classifier of two encodings.

Contrastive (Hadsell, Chopra and LeCun 2006, equation 4, without its halves): the same are drawn together, the different
pushed apart until they are `margin` away. Binary classification (Taigman et al. 2014, section 4): a logistic regression
on |f_i - f_j|, or on the chi-square similarity (f_i - f_j)^2 / (f_i + f_j), says whether two pictures are the same.

Everything is `keras.ops`; encodings (B, D), labels (B,), all pairs i < j of a batch.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from core.faces.losses import squared_distances

Tensor = Any


def upper_pairs(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Masks (B, B) of the pairs i < j of the same class, and of different ones, as 0 and 1 float32."""
    numbers = ops.arange(ops.shape(labels)[0])
    upper = ops.cast(numbers[:, None] < numbers[None, :], "float32")
    same = ops.cast(ops.equal(labels[:, None], labels[None, :]), "float32")
    return upper * same, upper * (1.0 - same)


def contrastive_loss(encodings: Tensor, labels: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Mean of d^2 over same pairs plus mean of max(margin - d, 0)^2 over different ones; and the share that costs."""
    distances = ops.sqrt(squared_distances(encodings) + 1e-12)  # (B, B)
    same, different = upper_pairs(labels)
    short = ops.maximum(margin - distances, 0.0)
    loss = _mean(ops.square(distances), same) + _mean(ops.square(short), different)
    return loss, _mean(ops.cast(short > 0, "float32"), different)


def pair_logits(encodings: Tensor, weights: Tensor, bias: Tensor, chi_square: bool) -> Tensor:
    """The classifier's logits (B, B) for all pairs: sum over k of w_k times the pair's term, plus b."""
    first, second = encodings[:, None, :], encodings[None, :, :]  # (B, 1, D), (1, B, D)
    difference = first - second  # (B, B, D)
    if chi_square:
        terms = ops.square(difference) / ops.maximum(first + second, 1e-6)
    else:
        terms = ops.abs(difference)
    return ops.sum(terms * weights, axis=-1) + bias


def pair_loss(encodings: Tensor, labels: Tensor, weights: Tensor, bias: Tensor, chi_square: bool) -> tuple[Any, Any]:
    """Binary cross-entropy over all pairs, same and different counting as much; and the share that is misjudged."""
    logits = pair_logits(encodings, weights, bias, chi_square)
    same, different = upper_pairs(labels)
    loss = _mean(ops.softplus(-logits), same) + _mean(ops.softplus(logits), different)
    wrong = _mean(ops.cast(logits <= 0, "float32"), same) + _mean(ops.cast(logits > 0, "float32"), different)
    return loss, 0.5 * wrong


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    return ops.sum(values * mask) / ops.maximum(ops.sum(mask), 1.0)
