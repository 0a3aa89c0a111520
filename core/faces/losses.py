"""What an encoding is trained with: triplet loss with three ways of mining, and a classifier's loss with a margin.

Schroff et al. 2015, FaceNet, sections 3.1 and 3.2: with squared distances d of encodings of length one,
E(A, P, N) = max(d(A, P) - d(A, N) + alpha, 0). Which negatives are taken decides what is learned: *random* ones are
mostly easy and teach nothing, the *hard* one is the nearest of the batch, a *semi-hard* one is farther than the
positive but within the margin. CosFace (Wang et al. 2018, section 3.2) is the loss of a classifier over the persons
whose right answer is made harder by a margin on the cosine.

Everything is `keras.ops`. Encodings are (B, D) of length one, labels (B,) whole numbers.
"""

from __future__ import annotations

from typing import Any, Literal

from keras import ops

Mining = Literal["random", "semi-hard", "hard"]
Tensor = Any

FAR = 1e6  # farther than any two encodings of length one


def squared_distances(encodings: Tensor) -> Tensor:
    """All squared Euclidean distances (B, B) among encodings (B, D)."""
    lengths = ops.sum(ops.square(encodings), axis=1)  # (B,)
    products = ops.matmul(encodings, ops.transpose(encodings))  # (B, B)
    return ops.maximum(lengths[:, None] - 2 * products + lengths[None, :], 0.0)


def triplet_loss(positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """E(A, P, N) = max(d(A, P) - d(A, N) + margin, 0) of squared distances, elementwise."""
    return ops.maximum(positive - negative + margin, 0.0)


def mined_triplet_loss(
    encodings: Tensor, labels: Tensor, margin: float, mining: Mining, noise: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The mean loss over all pairs (A, P) of a batch with one mined N each, and the share of them that is above zero.

    Args:
        encodings: (B, D) of length one.
        labels: (B,) persons.
        margin: alpha.
        mining: where no semi-hard negative is left, the farthest negative is taken, as FaceNet's code does.
        noise: (B, B) random numbers in 0..1 that choose the negatives of "random".
    """
    distances = squared_distances(encodings)  # (B, B)
    same = ops.equal(labels[:, None], labels[None, :])  # (B, B)
    different = ops.logical_not(same)
    pairs = ops.cast(ops.logical_and(same, ops.logical_not(_eye_like(distances))), distances.dtype)  # (A, P)
    if mining == "hard":
        nearest = ops.min(ops.where(different, distances, FAR), axis=1)  # (B,)
        negative = ops.broadcast_to(nearest[:, None], ops.shape(distances))  # (A, P)
    elif mining == "random":
        if noise is None:
            raise ValueError("random mining needs numbers to choose by; received no noise")
        chosen = ops.argmax(ops.where(different, noise, -1.0), axis=1)  # (B,)
        negative = ops.take_along_axis(distances, chosen[:, None], axis=1)  # (B, 1)
        negative = ops.broadcast_to(negative, ops.shape(distances))
    else:
        farther = ops.logical_and(different[:, None, :], distances[:, None, :] > distances[:, :, None])  # (A, P, N)
        nearest_farther = ops.min(ops.where(farther, distances[:, None, :], FAR), axis=2)  # (A, P)
        farthest = ops.max(ops.where(different, distances, 0.0), axis=1)[:, None]  # (A, 1)
        negative = ops.where(ops.any(farther, axis=2), nearest_farther, farthest)
    losses = triplet_loss(distances, negative, margin) * pairs
    count = ops.maximum(ops.sum(pairs), 1.0)
    return ops.sum(losses) / count, ops.sum(ops.cast(losses > 0, losses.dtype)) / count


def _eye_like(square: Tensor) -> Tensor:
    numbers = ops.arange(ops.shape(square)[0])
    return ops.equal(numbers[:, None], numbers[None, :])


def cosface_loss(cosines: Tensor, labels: Tensor, scale: float, margin: float) -> Tensor:
    """Mean cross-entropy of cosines (B, C) with the persons' directions, the right one lowered by `margin`."""
    target = ops.one_hot(ops.cast(labels, "int32"), cosines.shape[-1], dtype=cosines.dtype)  # (B,) -> (B, C)
    logits = scale * (cosines - margin * target)
    return ops.mean(ops.logsumexp(logits, axis=1) - ops.sum(target * logits, axis=1))
