"""The trainer: Keras `fit` with reports, checkpoints after every epoch, and a way to go on from the last one.

What is minimised is the notes' cost J = 1/m sum L(y_hat, y), with the cross-entropy as L, by stochastic gradient
descent, with momentum, or by Adam (Kingma and Ba 2015); the learning rate is constant or falls along a cosine
(Loshchilov and Hutter 2017). The validation part is looked at after every epoch; the test part once, at the end.

A run is a folder: `run.json` (settings, history, state), `last.keras` (network and optimiser after the last whole
epoch). Imports Keras and TensorFlow.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from core.runtime.report import Report
from core.training.datasets import ImageDataset
from core.training.evaluation import evaluate_classifier
from core.training.networks import build_classifier
from core.training.runs import TrainingError, TrainingRun, TrainingSettings

# Python sees one loss of so many batches: `fit` spends less time between them.
STEPS_PER_EXECUTION = 20
EVALUATION_BATCH = 500
# Guessing among a thousand classes costs 7: from here no training comes back, and then it is no number at all.
DIVERGED_COST = 1e4


@dataclass
class _State:
    """What `run.json` holds besides the settings."""

    dataset: str
    history: list[dict[str, float]] = field(default_factory=list)
    finished: bool = False


def train(
    dataset: ImageDataset,
    settings: TrainingSettings,
    folder: Path,
    report: Report | None = None,
    *,
    resume: bool = False,
) -> TrainingRun:
    """Train a network and evaluate it on the test part.

    Args:
        dataset: What is learned from, selected on and reported on.
        settings: What is trained and how.
        folder: Where the run is kept; made if it is not there.
        report: Told the loss as it falls and every epoch's numbers.
        resume: Go on after the last whole epoch of the run in `folder`, if it holds one of the same settings.

    Raises:
        TrainingError: If the loss stops being a number, or the run in `folder` has other settings.
    """
    report = report or Report()
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    state = _read_state(folder, settings, dataset) if resume else None
    if state is None:
        state = _State(dataset.name)
        model = _compiled(dataset, settings)
    else:
        model = keras.models.load_model(folder / "last.keras")
    follower = _Follower(model, settings, state, folder, report, _steps(dataset, settings))
    follower.filters.append(_first_filters(model))
    if len(state.history) < settings.epochs:
        model.fit(
            _batches(dataset, settings, len(state.history)),
            validation_data=_plain_batches(dataset, "validation"),
            initial_epoch=len(state.history),
            epochs=settings.epochs,
            steps_per_epoch=_steps(dataset, settings),
            callbacks=[follower],
            shuffle=False,  # the batches come shuffled
            verbose=0,
        )
    report(1.0, "Testing")
    logits = model.predict(_plain_batches(dataset, "test"), verbose=0)
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits)).astype(np.float32)
    state.finished = True
    _write_state(folder, settings, state)
    return TrainingRun(
        settings,
        tuple(state.history),
        np.stack(follower.filters),
        probabilities,
        evaluate_classifier(dataset.labels[dataset.test], probabilities),
        int(model.count_params()),
        time.monotonic() - begun,
    )


def _compiled(dataset: ImageDataset, settings: TrainingSettings) -> keras.Model:
    shape = dataset.images.shape[1:]
    model = build_classifier(settings.network, (shape[0], shape[1], shape[2]), len(dataset.class_names), settings.seed)
    rate: Any = settings.learning_rate
    if settings.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, settings.epochs * _steps(dataset, settings))
    if settings.optimizer == "adam":
        optimizer: Any = keras.optimizers.Adam(rate)
    else:
        optimizer = keras.optimizers.SGD(rate, momentum=0.9 if settings.optimizer == "momentum" else 0.0)
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        steps_per_execution=max(1, min(STEPS_PER_EXECUTION, _steps(dataset, settings) // 5)),
        jit_compile=False,
    )
    return model


def _steps(dataset: ImageDataset, settings: TrainingSettings) -> int:
    return -(-len(dataset.train) // settings.batch)


def _batches(dataset: ImageDataset, settings: TrainingSettings, done: int) -> Any:
    """Batches of the training part without end, in a new order each epoch; a resumed run draws other orders."""
    images, labels = dataset.part("train")
    pictures, answers = tf.constant(images), tf.constant(labels)
    order = tf.data.Dataset.range(len(labels))
    order = order.shuffle(len(labels), seed=settings.seed + 1000 * done, reshuffle_each_iteration=True)
    seeds = tf.data.Dataset.random(seed=settings.seed + 1000 * done).batch(2)

    def take(indices: Any, seed: Any) -> Any:
        batch = tf.cast(tf.gather(pictures, indices), tf.float32)
        if settings.shift_px:
            batch = _shifted(batch, settings.shift_px, seed)
        return batch, tf.gather(answers, indices)

    batches = tf.data.Dataset.zip(order.repeat().batch(settings.batch), seeds)
    return batches.map(take, num_parallel_calls=1).prefetch(4)


def _shifted(batch: Any, most_px: int, seed: Any) -> Any:
    """Each picture (N, H, W, C) moved by up to `most_px` pixels each way; its rim is repeated."""
    height, width = batch.shape[1], batch.shape[2]
    moves = tf.random.stateless_uniform((tf.shape(batch)[0], 2), seed, -most_px, most_px + 1, tf.int32)  # (N, 2)
    rows = tf.clip_by_value(tf.range(height)[None] + moves[:, :1], 0, height - 1)  # (N, H)
    columns = tf.clip_by_value(tf.range(width)[None] + moves[:, 1:], 0, width - 1)  # (N, W)
    return tf.gather(tf.gather(batch, rows, batch_dims=1), columns, axis=2, batch_dims=1)


def _plain_batches(dataset: ImageDataset, part: str) -> Any:
    images, labels = dataset.part(part)
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(EVALUATION_BATCH)
    return batches.map(lambda pictures, answers: (tf.cast(pictures, tf.float32), answers)).prefetch(2)


def _first_filters(model: keras.Model) -> NDArray[np.float32]:
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    return np.asarray(first.get_weights()[0], np.float32)


class _Follower(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports every few batches, and keeps the run after every epoch."""

    def __init__(
        self,
        model: keras.Model,
        settings: TrainingSettings,
        state: _State,
        folder: Path,
        report: Report,
        steps: int,
    ) -> None:
        super().__init__()
        self._network = model
        self._settings = settings
        self._state = state
        self._folder = folder
        self._report = report
        self._steps = steps
        self._began_s = 0.0
        self._epoch = 0
        self.filters: list[NDArray[np.float32]] = []

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch = epoch
        self._began_s = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        loss = float((logs or {})["loss"])  # the mean over the epoch's batches so far
        if not loss < DIVERGED_COST:
            raise TrainingError(
                f"The cost grew beyond all bounds in epoch {self._epoch + 1}: the learning rate "
                f"{self._settings.learning_rate:g} is too large for this network."
            )
        done = self._epoch + (batch + 1) / self._steps
        self._report(
            min(1.0, done / self._settings.epochs),
            f"Epoch {self._epoch + 1} of {self._settings.epochs}",
            {"epoch": done, "loss": loss},
        )

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        numbers = {name: float(value) for name, value in (logs or {}).items()}
        numbers["learning_rate"] = float(keras.ops.convert_to_numpy(self._network.optimizer.learning_rate))
        numbers["seconds"] = time.monotonic() - self._began_s
        self._state.history.append(numbers)
        self.filters.append(_first_filters(self._network))
        partial = self._folder / "partial.keras"
        self._network.save(partial)
        os.replace(partial, self._folder / "last.keras")  # whole or not at all
        _write_state(self._folder, self._settings, self._state)
        self._report(
            (epoch + 1) / self._settings.epochs,
            f"Epoch {epoch + 1} of {self._settings.epochs}",
            {"epoch": float(epoch + 1), **{name: numbers[name] for name in ("accuracy", "val_loss", "val_accuracy")}},
        )


def _write_state(folder: Path, settings: TrainingSettings, state: _State) -> None:
    partial = folder / "run.partial"
    content = {"settings": dataclasses.asdict(settings), **dataclasses.asdict(state)}
    partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(partial, folder / "run.json")


def _read_state(folder: Path, settings: TrainingSettings, dataset: ImageDataset) -> _State | None:
    """The state of an earlier run of the same settings; None where there is none."""
    path = folder / "run.json"
    if not path.is_file() or not (folder / "last.keras").is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kept = TrainingSettings(**content["settings"])
        state = _State(content["dataset"], content["history"], bool(content["finished"]))
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"The run in {folder} cannot be read; start it anew.") from error
    if (kept, state.dataset) != (settings, dataset.name):
        raise TrainingError(f"The run in {folder} was made with other settings or data; it cannot go on with these.")
    return state
