"""The trainer: epochs in a compiled loop with reports, kept after every epoch, and a way to go on from there.

What is minimised is the notes' cost J = 1/m sum L(y_hat, y), with the cross-entropy as L, by stochastic gradient
descent, with momentum, or by Adam (Kingma and Ba 2015). The learning rate is constant, falls along a cosine
(Loshchilov and Hutter 2017), or is divided by ten after 60 % and 85 % of the steps (He et al. 2016 do so twice).
The validation part is looked at after every epoch; the test part once, at the end.

A run is a folder (`core.training.run_store`). The order of the pictures and what augmentation does to them depend on
seed and epoch alone, so that a run that was stopped goes on as if it had not been. Imports Keras and TensorFlow.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from core.runtime.report import Report
from core.training.datasets import ImageDataset
from core.training.evaluation import evaluate_classifier
from core.training.loop import BatchLoop, Evaluator, forget_kernels, mean_cost, several_devices
from core.training.networks import build_classifier
from core.training.run_store import (
    LAST,
    RunRecord,
    claim,
    epoch_file,
    network_file,
    put_arrays,
    put_file,
    read_record,
    release,
    write_record,
)
from core.training.runs import TrainingError, TrainingRun, TrainingSettings
from core.training.script import training_script

# Guessing among a thousand classes costs 7: from here no training comes back, and then it is no number at all.
DIVERGED_COST = 1e4
STEP_SHARES = (0.6, 0.85)
SHOWN_MISTAKES = 40


@dataclasses.dataclass
class _Curves:
    """What is drawn of a run besides its history: first filters after each epoch, costs of the batches."""

    filters: list[NDArray[np.float32]]
    batch_losses: list[NDArray[np.float32]]


def train(
    dataset: ImageDataset,
    settings: TrainingSettings,
    folder: Path,
    report: Report | None = None,
    *,
    resume: bool = False,
    devices: Sequence[str] | None = None,
    record: RunRecord | None = None,
) -> TrainingRun:
    """Train a network and evaluate it on the test part.

    Args:
        dataset: What is learned from, selected on and reported on.
        settings: What is trained and how.
        folder: Where the run is kept; made if it is not there.
        report: Told the cost of every batch and each epoch's numbers.
        resume: Go on after the last whole epoch of the run in `folder`, if it holds one of the same settings.
        devices: TensorFlow's names of the devices that share each batch; all GPUs of the machine if None.
        record: Name, owner and origin of a new run.

    Raises:
        TrainingError: If the cost stops being a number, the run in `folder` has other settings or cannot be read,
            or another process trains it.
    """
    report = report or Report()
    folder.mkdir(parents=True, exist_ok=True)
    earlier = _earlier(folder, settings, dataset) if resume else None
    claim(folder)
    try:
        return _train(dataset, settings, folder, report, several_devices(devices), record, earlier)
    except TrainingError as error:
        kept = read_record(folder)
        if kept is not None:
            write_record(folder, dataclasses.replace(kept, finished=True, failure=str(error)))
        raise
    finally:
        forget_kernels()
        release(folder)
        if not any(folder.iterdir()):  # it has not begun: the network does not fit the pictures
            folder.rmdir()


def _train(
    dataset: ImageDataset,
    settings: TrainingSettings,
    folder: Path,
    report: Report,
    strategy: Any,
    record: RunRecord | None,
    earlier: RunRecord | None,
) -> TrainingRun:
    began_s = time.monotonic()
    with strategy.scope():
        if earlier is None:
            model, curves = _compiled(dataset, settings), _Curves([], [])
            curves.filters.append(first_filters(model))
            record = dataclasses.replace(
                record or RunRecord(settings, dataset.name),
                settings=settings,
                dataset=dataset.name,
                created_s=time.time(),
                class_names=dataset.class_names,
                sizes=(len(dataset.train), len(dataset.validation), len(dataset.test)),
                parameters=int(model.count_params()),
            )
            put_file(folder / "train.py", training_script(model, settings).encode())
            write_record(folder, record)
        else:
            model, curves = keras.models.load_model(network_file(folder, earlier)), _read_curves(folder, earlier)
            record = earlier
        pictures, labels = dataset.part("train")
        loop, evaluator = BatchLoop(model, pictures, labels, settings, strategy), Evaluator(model)
    before_s = record.seconds
    for epoch in range(len(record.history), settings.epochs):
        numbers = _epoch(epoch, loop, evaluator, dataset, settings, report, curves)
        numbers["learning_rate"] = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
        curves.filters.append(first_filters(model))
        record = _kept(folder, model, curves, record, numbers, before_s + time.monotonic() - began_s)
        report(
            (epoch + 1) / settings.epochs,
            f"Epoch {epoch + 1} of {settings.epochs}",
            {"epoch": float(epoch + 1), **{n: numbers[n] for n in ("loss", "accuracy", "val_loss", "val_accuracy")}},
        )
    report(1.0, "Testing")
    return _tested(dataset, settings, folder, evaluator, record, curves, report)


def _epoch(
    epoch: int,
    loop: BatchLoop,
    evaluator: Evaluator,
    dataset: ImageDataset,
    settings: TrainingSettings,
    report: Report,
    curves: _Curves,
) -> dict[str, float]:
    """One epoch and a look at the validation part."""
    began_s = time.monotonic()
    costs: list[float] = []
    right, seen = 0, 0
    title = f"Epoch {epoch + 1} of {settings.epochs}"
    for some, found in loop.epoch(epoch):
        if not np.all(some < DIVERGED_COST):
            raise TrainingError(
                f"The cost grew beyond all bounds in epoch {epoch + 1}: the learning rate "
                f"{settings.learning_rate:g} is too large for this network."
            )
        right += found
        for cost in some.tolist():
            costs.append(cost)
            done = epoch + len(costs) / loop.steps
            report(min(1.0, done / settings.epochs), title, {"epoch": done, "batch_loss": cost})
    seen = min(len(dataset.train), loop.steps * settings.batch)
    curves.batch_losses.append(np.array(costs, np.float32))
    sizes = np.full(len(costs), settings.batch)
    sizes[-1] = seen - settings.batch * (len(costs) - 1)  # J is the mean over the pictures, not over the batches
    images, labels = dataset.part("validation")
    logits = evaluator.logits(images, report.check)
    return {
        "loss": float(np.average(costs, weights=sizes)),
        "accuracy": right / seen,
        "val_loss": mean_cost(labels, logits),
        "val_accuracy": float(np.mean(logits.argmax(axis=1) == labels)),
        "seconds": time.monotonic() - began_s,
    }


def _kept(
    folder: Path, model: keras.Model, curves: _Curves, record: RunRecord, numbers: dict[str, float], seconds: float
) -> RunRecord:
    """Write what an epoch gave; the record last, since it says how far the other files are."""
    before, after = network_file(folder, record), folder / epoch_file(len(record.history) + 1)
    partial = folder / "partial.keras"
    model.save(partial)
    os.replace(partial, after)  # whole or not at all
    put_arrays(
        folder / "curves.npz", filters=np.stack(curves.filters), batch_losses=np.concatenate(curves.batch_losses)
    )
    # The name may have been changed on the page meanwhile.
    name = (read_record(folder) or record).name
    record = dataclasses.replace(record, name=name, history=(*record.history, numbers), seconds=seconds)
    write_record(folder, record)
    before.unlink(missing_ok=True)
    return record


def _tested(
    dataset: ImageDataset,
    settings: TrainingSettings,
    folder: Path,
    evaluator: Evaluator,
    record: RunRecord,
    curves: _Curves,
    report: Report,
) -> TrainingRun:
    images, labels = dataset.part("test")
    logits = evaluator.logits(images, report.check)
    probabilities = np.asarray(keras.ops.softmax(logits), np.float32)
    evaluation = evaluate_classifier(labels, probabilities)
    shown = evaluation.mistakes[:SHOWN_MISTAKES]
    put_arrays(folder / "result.npz", probabilities=probabilities, labels=labels, shown=shown, images=images[shown])
    os.replace(network_file(folder, record), folder / LAST)
    write_record(folder, dataclasses.replace(record, finished=True, failure="", test_accuracy=evaluation.accuracy))
    return TrainingRun(
        settings,
        record.history,
        np.stack(curves.filters),
        np.concatenate(curves.batch_losses),
        probabilities,
        evaluation,
        record.parameters,
        record.seconds,
    )


def _compiled(dataset: ImageDataset, settings: TrainingSettings) -> keras.Model:
    height, width, channels = dataset.images.shape[1:]
    classes = len(dataset.class_names)
    model = build_classifier(settings.network, (height, width, channels), classes, settings.seed, settings.stack)
    model.compile(
        optimizer=optimizer_of(settings, steps_in_all=settings.epochs * -(-len(dataset.train) // settings.batch)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=False,
    )
    return model


def optimizer_of(settings: TrainingSettings, steps_in_all: int) -> keras.optimizers.Optimizer:
    """The optimiser of a run with its learning rate over time."""
    rate: Any = settings.learning_rate
    schedules = keras.optimizers.schedules
    if settings.schedule == "cosine":
        rate = schedules.CosineDecay(rate, steps_in_all)
    elif settings.schedule == "step":
        after = [round(share * steps_in_all) for share in STEP_SHARES]
        rate = schedules.PiecewiseConstantDecay(after, [rate, rate / 10, rate / 100])
    if settings.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    return keras.optimizers.SGD(rate, momentum=0.9 if settings.optimizer == "momentum" else 0.0)


def first_filters(model: keras.Model) -> NDArray[np.float32]:
    """The weights of the first convolution (f, f, C, n); none (0, 0, 0, 0) where there is no convolution."""
    first = next((layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)), None)
    return np.zeros((0, 0, 0, 0), np.float32) if first is None else np.asarray(first.get_weights()[0], np.float32)


def _read_curves(folder: Path, record: RunRecord) -> _Curves:
    """The curves as far as the record goes: a process that was killed may have written an epoch more."""
    done = len(record.history)
    try:
        with np.load(folder / "curves.npz", allow_pickle=False) as kept:
            filters, losses = kept["filters"], kept["batch_losses"]
    except Exception as error:  # NumPy and zipfile raise a dozen types on damaged files
        raise TrainingError(f"The run in {folder} cannot be read; start it anew.") from error
    steps = len(losses) // max(1, len(filters) - 1)  # of an epoch
    return _Curves(list(filters[: done + 1]), [losses[: done * steps]])


def _earlier(folder: Path, settings: TrainingSettings, dataset: ImageDataset) -> RunRecord | None:
    """The record of an earlier run of the same settings that can go on; None where there is none."""
    record = read_record(folder)
    if record is None or not network_file(folder, record).is_file() or not record.history:
        return None
    if (record.settings, record.dataset) != (settings, dataset.name):
        raise TrainingError(f"The run in {folder} was made with other settings or data; it cannot go on with these.")
    return record
