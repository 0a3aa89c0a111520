"""The loop of training as one compiled graph: many batches a call, on one device or on several.

A call of Keras' `fit` comes back to Python after every batch; for small networks that takes as long as the batch.
Here a graph takes the pictures of `steps` batches out of the whole set, changes them, and descends, and gives back
the cost of each. On a CPU convolutions of few channels are computed together with the pooling behind them
(`core.training.pooled_convolution`). On several devices each takes a share of every batch
(`tf.distribute.MirroredStrategy`): gradients are summed, so that a step is the same as that of one device with the
whole batch, but for the order of the sums.

Arrays: pictures uint8 (N, H, W, C), labels int64 (N,), indices int64 (steps, batch), draws float32 (steps, batch, 8).
Imports Keras and TensorFlow.
"""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from core.runtime.one_device import on_one_device
from core.training.augmentation import DRAWS, augmented, epoch_draws
from core.training.pooled_convolution import pooled_convolutions
from core.training.runs import TrainingSettings

BLOCK_S = 0.2  # what a call of the graph may take: so often the job is told, and can be stopped
MOST_STEPS = 32
EVALUATION_BATCH = 500


def several_devices(devices: Sequence[str] | None = None) -> Any:
    """The strategy for these devices, or for all GPUs of this machine; the plain one where there is but one."""
    names = [gpu.name for gpu in tf.config.list_logical_devices("GPU")] if devices is None else list(devices)
    return tf.distribute.MirroredStrategy(names) if len(names) > 1 else tf.distribute.get_strategy()


def forget_kernels() -> None:
    """Let TensorFlow drop the kernels that it keeps for the operations of a training that has ended.

    It keeps one for every operation it has met, and those that make a variable bear the variable's name: each
    training would leave its own. Kernels that are needed again are made again.
    """
    importlib.import_module("tensorflow.python.eager.context").context().clear_kernel_cache()


class BatchLoop:
    """Trains a compiled model on pictures that stay in memory."""

    def __init__(
        self,
        model: keras.Model,
        pictures: NDArray[np.uint8],
        labels: NDArray[np.int64],
        settings: TrainingSettings,
        strategy: Any,
    ) -> None:
        """Take what is trained, and on what; the graph is made with the first block."""
        with tf.device("CPU:0"):
            self._pictures, self._labels = tf.constant(pictures), tf.constant(labels)
        self._settings = settings
        self._count = len(labels)
        self._replicas = int(strategy.num_replicas_in_sync)
        self._block = _compiled_block(model, settings, strategy)
        self._steps = 1  # of the next block: as many as fit into the time

    @property
    def steps(self) -> int:
        """Batches in an epoch: the last may be smaller, but must have a picture for each device."""
        whole, rest = divmod(self._count, self._settings.batch)
        return max(1, whole + (rest >= self._replicas and rest > 0))

    def epoch(self, number: int) -> Iterator[tuple[NDArray[np.float32], int]]:
        """Train an epoch; gives the costs of some batches (n,), and how many of their pictures were right."""
        batch = min(self._settings.batch, self._count)
        order, draws = epoch_draws(self._settings, number, self._count)
        whole = self._count // batch
        done = 0
        while done < whole:
            steps = min(self._steps, whole - done)
            part = slice(done * batch, (done + steps) * batch)
            began_s = time.monotonic()
            yield self._run(order[part].reshape(steps, batch), draws[part], steps)
            spent_s = time.monotonic() - began_s
            done += steps
            # The first blocks make the graph and tell nothing of the pace; the pace grows step by step.
            fitting = int(steps * BLOCK_S / max(spent_s, 1e-4))
            self._steps = max(1, min(MOST_STEPS, fitting, 4 * self._steps))
        rest = order[whole * batch :]
        if len(rest) >= self._replicas:
            yield self._run(rest[None], draws[whole * batch :], 1)

    def _run(
        self, indices: NDArray[np.int64], draws: NDArray[np.float32], steps: int
    ) -> tuple[NDArray[np.float32], int]:
        # A graph takes one kind of array: where no pictures are changed there are draws for none.
        shaped = draws.reshape(steps, -1, DRAWS)
        costs, right = self._block(self._pictures, self._labels, tf.constant(indices), tf.constant(shaped))
        return np.asarray(costs), int(right)


def _cpu_form(model: keras.Model) -> AbstractContextManager[None]:
    """Where there is no GPU, whose kernels lack nothing, a graph made in here has narrow convolutions in one piece."""
    return contextlib.nullcontext() if tf.config.list_logical_devices("GPU") else pooled_convolutions(model)


def _compiled_block(model: keras.Model, settings: TrainingSettings, strategy: Any) -> Callable[..., Any]:
    cost = tf.nn.sparse_softmax_cross_entropy_with_logits
    replicas = int(strategy.num_replicas_in_sync)

    def one_step(pictures: Any, labels: Any, indices: Any, draws: Any) -> tuple[Any, Any]:
        size = tf.cast(tf.shape(indices)[0], tf.float32)  # of the whole batch
        if replicas > 1:
            place = tf.distribute.get_replica_context().replica_id_in_sync_group
            indices, draws = indices[place::replicas], draws[place::replicas]
        with tf.device("CPU:0"):
            batch = tf.cast(tf.gather(pictures, indices), tf.float32)  # (n, H, W, C)
            answers = tf.gather(labels, indices)  # (n,)
        if settings.augments:
            batch = augmented(batch, draws, settings)
        with tf.GradientTape() as tape:
            logits = tf.cast(model(batch, training=True), tf.float32)  # (n, classes)
            loss = tf.reduce_sum(cost(answers, logits)) / size
        weights = [weight.value for weight in model.trainable_variables]
        model.optimizer.apply(tape.gradient(loss, weights), model.trainable_variables)
        right = tf.reduce_sum(tf.cast(tf.equal(tf.argmax(logits, axis=1), answers), tf.int32))
        return loss, right

    def block(pictures: Any, labels: Any, indices: Any, draws: Any) -> tuple[Any, Any]:
        steps = tf.shape(indices)[0]
        costs = tf.TensorArray(tf.float32, steps)
        right = tf.constant(0)
        with _cpu_form(model):  # here and not in a step: each device makes its part of the graph in a thread
            for step in tf.range(steps):
                loss, found = strategy.run(one_step, args=(pictures, labels, indices[step], draws[step]))
                costs = costs.write(step, strategy.reduce("SUM", loss, axis=None))
                right += strategy.reduce("SUM", found, axis=None)
        return costs.stack(), right

    with strategy.scope():
        model.optimizer.build(model.trainable_variables)
    if replicas == 1:
        on_one_device(model.optimizer)
    signature = [
        tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8),
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([None, None], tf.int64),
        tf.TensorSpec([None, None, DRAWS], tf.float32),
    ]
    compiled: Callable[..., Any] = tf.function(block, input_signature=signature)
    return compiled


class Evaluator:
    """Answers of a model to many pictures, in batches through one compiled graph."""

    def __init__(self, model: keras.Model) -> None:
        """Take the model; the graph is made with the first batch."""
        shape = [None, *model.input_shape[1:]]

        def answer(pictures: Any) -> Any:
            with _cpu_form(model):
                return tf.cast(model(tf.cast(pictures, tf.float32), training=False), tf.float32)

        self._answer = tf.function(answer, input_signature=[tf.TensorSpec(shape, tf.uint8)])

    def logits(self, pictures: NDArray[np.uint8], tell: Callable[[], None] = lambda: None) -> NDArray[np.float32]:
        """Logits (N, classes); `tell` is called before each batch, and may end the work by an error."""
        parts = []
        for start in range(0, len(pictures), EVALUATION_BATCH):
            tell()
            parts.append(np.asarray(self._answer(pictures[start : start + EVALUATION_BATCH])))
        return np.concatenate(parts)


def mean_cost(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> float:
    """The mean cross-entropy of logits (N, classes).

    >>> round(mean_cost(np.array([0]), np.zeros((1, 4), np.float32)), 4)
    1.3863
    """
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    return float(np.mean(log_sum - shifted[np.arange(len(labels)), labels]))
