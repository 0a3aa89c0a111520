"""A small trainer for many short trainings: one network, compiled once, that starts anew from each seed.

Keras' `fit` compiles for every network that is built, which takes longer than an experiment's training. Here the
step is compiled once and the weights are put back. What is minimised is the notes' cost J = 1/m sum L(y_hat, y) with
the cross-entropy as L, by Adam (Kingma and Ba 2015) with a learning rate that falls along half a cosine.

Arrays: pictures uint8 (N, H, W, C) or maps float32 of the same axes, labels int64 (N,), probabilities float32
(N, classes). Imports Keras and TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from core.runtime.one_device import on_one_device

Pictures = NDArray[Any]
Integers = NDArray[np.int64]
Floats = NDArray[np.float32]

EVALUATION_BATCH = 256
MAX_STEPS_PER_CALL = 16  # between two calls a stopped job notices it


class Learner:
    """One network of logits and its compiled training step.

    `build` makes the network from a seed: every call the same layers, every seed other weights.
    """

    def __init__(
        self, build: Callable[[int], keras.Model], *, dtype: str = "uint8", frozen_statistics: bool = False
    ) -> None:
        """Build the network; the graphs are made when they are first needed.

        Args:
            build: From a seed to a network that takes pictures 0..255 (N, H, W, C) and answers with logits.
            dtype: Of what it learns from: "uint8" for pictures, "float32" for maps of another network.
            frozen_statistics: Train with the stored statistics of batch normalisation, as fine-tuning does.
        """
        self._build = build
        self.model = build(0)
        self._optimizer = on_one_device(keras.optimizers.Adam(1e-3))
        self._optimizer.build(self.model.trainable_variables)
        self._training = not frozen_statistics
        shape = list(self.model.input_shape[1:])
        stacks = [
            tf.TensorSpec([None, None, *shape], dtype),
            tf.TensorSpec([None, None], tf.int64),
            tf.TensorSpec([None], tf.float32),
        ]
        self._step = tf.function(self._steps, input_signature=stacks)
        self._answer = tf.function(self._softmax, input_signature=[tf.TensorSpec([None, *shape], dtype)])

    def start(self, seed: int) -> None:
        """Weights as drawn from the seed, and an optimiser without memory."""
        self.start_from(self._build(seed).get_weights())

    def start_from(self, weights: list[NDArray[Any]]) -> None:
        """These weights, in the order of `model.get_weights()`, and an optimiser without memory."""
        self.model.set_weights(weights)
        for variable in self._optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))

    def train(
        self,
        images: Pictures,
        labels: Integers,
        *,
        steps: int,
        batch: int,
        rate: float,
        seed: int,
        vary: Callable[[Pictures, np.random.Generator], Pictures] | None = None,
        check: Callable[[int, float], None] | None = None,
        stop_at: Sequence[int] = (),
    ) -> Floats:
        """Train for so many steps from the weights as they are, and give the cost of every step.

        Args:
            images: What is learned from.
            labels: Their classes.
            steps: Batches.
            batch: Pictures in a batch; fewer where there are fewer.
            rate: The first learning rate.
            seed: Decides the order of the pictures, and how they are varied.
            vary: Changes a batch of pictures each time it is seen (augmentation).
            check: Told the steps done and the latest cost every few steps; may end the training by an exception.
            stop_at: Steps after which `check` is called for certain.
        """
        random = np.random.default_rng(seed)
        order = _batches(len(images), min(batch, len(images)), random)
        costs: list[float] = []
        while len(costs) < steps:
            stops = [stop - len(costs) for stop in stop_at if stop > len(costs)]
            count = min(MAX_STEPS_PER_CALL, steps - len(costs), *stops)
            chosen = np.stack([next(order) for _ in range(count)])  # (steps, batch)
            pictures = images[chosen]  # (steps, batch, H, W, C)
            if vary is not None:
                pictures = np.stack([vary(one, random) for one in pictures])
            done = (len(costs) + np.arange(count)) / steps
            rates = (rate * 0.5 * (1 + np.cos(np.pi * done))).astype(np.float32)
            costs += self._step(tf.constant(pictures), tf.constant(labels[chosen]), tf.constant(rates)).numpy().tolist()
            if check is not None:
                check(len(costs), costs[-1])
        return np.array(costs, np.float32)

    def probabilities(self, images: Pictures) -> Floats:
        """The network's answer (N, classes) to pictures, rows add up to 1."""
        starts = range(0, len(images), EVALUATION_BATCH)
        together: Floats = np.concatenate(
            [self._answer(tf.constant(images[at : at + EVALUATION_BATCH])).numpy() for at in starts]
        )
        return together

    def accuracy(self, images: Pictures, labels: Integers) -> float:
        """The share of pictures whose most probable class is the true one."""
        return float(np.mean(self.probabilities(images).argmax(axis=1) == labels))

    def _steps(self, pictures: Any, labels: Any, rates: Any) -> Any:
        costs = tf.TensorArray(tf.float32, tf.shape(rates)[0])
        for index in tf.range(tf.shape(rates)[0]):
            self._optimizer.learning_rate.assign(rates[index])
            with tf.GradientTape() as tape:
                logits = self.model(tf.cast(pictures[index], tf.float32), training=self._training)
                cost = tf.reduce_mean(
                    tf.nn.sparse_softmax_cross_entropy_with_logits(labels[index], tf.cast(logits, tf.float32))
                )
            gradients = tape.gradient(cost, self.model.trainable_variables)
            self._optimizer.apply_gradients(zip(gradients, self.model.trainable_variables, strict=True))
            costs = costs.write(index, cost)
        return costs.stack()

    def _softmax(self, pictures: Any) -> Any:
        return tf.nn.softmax(tf.cast(self.model(tf.cast(pictures, tf.float32), training=False), tf.float32))


def _batches(count: int, batch: int, random: np.random.Generator) -> Iterator[Integers]:
    """Indices of one batch after another; every picture comes once before any comes again."""
    waiting = np.empty(0, np.int64)
    while True:
        while len(waiting) < batch:
            waiting = np.concatenate([waiting, random.permutation(count)])
        yield waiting[:batch]
        waiting = waiting[batch:]
