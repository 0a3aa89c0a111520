"""Training of the embedded detector.

    python -m core.detection.train --data DIR --out DIR [--backbone FILE] [--resume FILE] [--minutes 75 |
    --epochs 60]
    KERAS_BACKEND=jax python -m core.detection.train … --processes 12 --precision mixed_bfloat16 --minutes 6

The second form is for an accelerator (`core.runtime.accelerated`): no checkpoint is chosen there, the last average
is kept.

A backbone from `core.detection.pretrain` shortens the way; `--resume` goes on from weights of an earlier run,
for instance those in `assets/weights`. The learning rate warms up and falls along a cosine (Loshchilov and
Hutter 2017) over the epochs or the minutes given; what is evaluated and saved is the moving average of all
weights. The last quarter of a run sees no mosaics. Validation photographs are never trained on; the best
average on all of them is kept.

Everything is Keras, so any Keras backend can run it.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.detection.augmentation import compose, inside, letterbox, mosaic_windows, random_placement, recolour
from core.detection.datasets import DetectionArchive, load_archive
from core.detection.evaluation import Evaluation, ImageDetections, ImageTruth, evaluate
from core.detection.grid import cell_centres
from core.detection.labels import Labels, teaching_labels
from core.detection.losses import BOX_WEIGHT, detection_loss
from core.detection.predictions import answer_of, letterbox_picture, select
from core.detection.yolo import build_backbone, build_detector
from core.runtime import accelerated

log = logging.getLogger("train")
MAX_OBJECTS = 32
# How often a source is drawn, times its size: those with complete annotations teach most.
SOURCE_WEIGHTS = {"voc2012": 1.2, "highway": 1.2, "coco": 1.3, "web_animals": 1.2}
OTHER_WEIGHT = 0.7
AVERAGE_EVERY = 4
SAVE_EVERY_S = 180.0
# Suppression before evaluation; average precision likes it milder than eyes do.
EVALUATION_IOU = 0.6
# Single pictures only after this part of a run, as the detector will see them.
MOSAIC_UNTIL = 0.75
# On an accelerator smaller pictures, if any, come before this part of a run.
LARGEST_FROM = 0.5


@dataclass
class Progress:
    """How far a run is, 0..1; the clock writes it, the batches read it."""

    fraction: float = 0.0


@dataclass(frozen=True)
class Settings:
    """What a run was started with."""

    sizes_px: tuple[int, ...]
    batch: int
    peak_rate: float
    weight_decay: float
    mosaic: float
    average_decay: float
    seed: int
    minutes: float | None
    epochs: int
    use_teacher: bool
    precision: str = "float32"


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Augmented batches, drawn anew for every epoch, prepared in a thread beside the training."""

    def __init__(self, archive: DetectionArchive, indices: list[int], settings: Settings, progress: Progress):
        """Draw from the images at `indices`."""
        super().__init__(workers=1, max_queue_size=6)
        self.archive, self.settings, self.progress = archive, settings, progress
        self.indices = np.array(indices)
        self.labels = {i: teaching_labels(archive.records[i], settings.use_teacher) for i in indices}
        weights = np.array([SOURCE_WEIGHTS.get(archive.records[i].source, OTHER_WEIGHT) for i in indices])
        self.chances = weights / weights.sum()
        self.epoch, self.size_px = 0, settings.sizes_px[0]
        self._decoded: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.indices) // self.settings.batch

    def start(self, epoch: int) -> None:
        """Draw other pictures in this epoch, of the size that it is time for: small ones first."""
        sizes = self.settings.sizes_px
        self.epoch = epoch
        self.size_px = sizes[min(int(self.progress.fraction * len(sizes)), len(sizes) - 1)]

    def _picture(self, index: int) -> NDArray[np.uint8]:
        if index not in self._decoded:
            self._decoded[index] = self.archive.image(index)
        return self._decoded[index]

    def decode(self) -> None:
        """Decode all pictures at once, for processes to share."""
        with ThreadPoolExecutor() as threads:
            self._decoded.update(zip(self.indices, threads.map(self.archive.image, self.indices), strict=True))

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """Batch `index` of the epoch."""
        rng = np.random.default_rng([self.settings.seed, self.epoch, index])
        size = self.size_px
        cells = cell_centres(size, size)
        count, classes = self.settings.batch, len(self.archive.class_names)
        x = np.empty((count, size, size, 3), np.float32)
        objects = np.zeros((count, MAX_OBJECTS, 6), np.float32)
        objects[..., 4] = -1
        background = np.empty((count, len(cells), classes), np.float32)
        mosaic_chance = self.settings.mosaic if self.progress.fraction < MOSAIC_UNTIL else 0.0
        for row in range(count):
            mosaic = rng.random() < mosaic_chance
            windows = mosaic_windows(size, rng) if mosaic else [(0, 0, size, size)]
            parts: list[tuple[NDArray[np.uint8], Labels, Any]] = []
            for window in windows:
                chosen = int(rng.choice(self.indices, p=self.chances))
                picture = self._picture(chosen)
                height, width = picture.shape[:2]
                if not mosaic and rng.random() < 0.25:
                    place = letterbox(width, height, size)
                else:
                    place = random_placement(width, height, window, rng, mosaic)
                parts.append((picture, self.labels[chosen], place))
            canvas = compose(parts, size, cells)
            x[row] = recolour(canvas.image, rng)
            background[row] = canvas.background
            order = np.argsort(-canvas.weights, kind="stable")
            for spare in order[MAX_OBJECTS:]:  # no room to learn it: neither object nor background
                background[row, inside(cells, canvas.boxes_xyxy[spare]), canvas.class_ids[spare]] = 0.0
            order = order[:MAX_OBJECTS]
            objects[row, : len(order), :4] = canvas.boxes_xyxy[order]
            objects[row, : len(order), 4] = canvas.class_ids[order]
            objects[row, : len(order), 5] = canvas.weights[order]
        tiled = np.broadcast_to(cells, (count, *cells.shape))
        return x, {"objects": objects, "background": background, "cells": np.ascontiguousarray(tiled)}


class DetectorTraining(keras.Model):  # type: ignore[misc]
    """A network together with its loss, for `fit`."""

    def __init__(self, network: keras.Model):
        """Train `network`."""
        super().__init__(name="detector_training")
        self.network = network
        self.class_loss = keras.metrics.Mean(name="class_loss")
        self.box_loss = keras.metrics.Mean(name="box_loss")

    def call(self, x: Any, training: bool = False) -> Any:
        """Raw predictions, in float32 for the loss whatever the network computes in."""
        return ops.cast(self.network(x, training=training), "float32")

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Class loss plus weighted box loss."""
        class_loss, box_loss = detection_loss(y_pred, y["cells"], y["objects"], y["background"])
        self.class_loss.update_state(class_loss)
        self.box_loss.update_state(box_loss)
        return class_loss + BOX_WEIGHT * box_loss


def truth_of(archive: DetectionArchive, indices: list[int]) -> list[ImageTruth]:
    """What evaluation compares with."""
    records = [archive.records[i] for i in indices]
    return [ImageTruth(r.boxes_xyxy, r.class_ids, r.is_crowd, r.exhaustive) for r in records]


def detect_all(
    network: keras.Model, archive: DetectionArchive, indices: list[int], size_px: int, batch: int = 16
) -> list[ImageDetections]:
    """Detections of archive images, letterboxed to a square of `size_px`, down to scores of 0.02."""
    found: list[ImageDetections] = []
    for start in range(0, len(indices), batch):
        chosen = indices[start : start + batch]
        pictures = [archive.image(index) for index in chosen]
        squares, scales = zip(*(letterbox_picture(picture, size_px) for picture in pictures), strict=True)
        x = np.zeros((batch, size_px, size_px, 3), np.float32)
        x[: len(chosen)] = np.stack(squares)
        raw = ops.convert_to_numpy(network.predict_on_batch(x))
        for rows, scale, picture in zip(raw, scales, pictures, strict=False):
            size = (picture.shape[1], picture.shape[0])
            answer = answer_of(rows, size_px, scale, size, archive.class_names, "training")
            found.append(select(answer, confidence=0.02, iou_threshold=EVALUATION_IOU).detections)
    return found


def summary(evaluation: Evaluation, names: tuple[str, ...]) -> dict[str, Any]:
    """Numbers of an evaluation in percent, for people and for JSON."""
    percent = 100 * evaluation.average_precision
    known = evaluation.true_boxes > 0
    return {
        "map_50": round(100 * evaluation.map_50, 2),
        "map_50_95": round(100 * evaluation.map_50_95, 2),
        "ap_50": {name: round(float(percent[i, 0]), 1) for i, name in enumerate(names) if known[i]},
        "true_boxes": {name: int(evaluation.true_boxes[i]) for i, name in enumerate(names) if known[i]},
    }


def full_report(network: keras.Model, archive: DetectionArchive, indices: list[int], size_px: int) -> dict[str, Any]:
    """Validation over all images, and over the images of each source."""
    found = detect_all(network, archive, indices, size_px)
    truth, names = truth_of(archive, indices), archive.class_names
    report = {"size_px": size_px, **summary(evaluate(truth, found, len(names)), names), "sources": {}}
    for source in sorted({archive.records[i].source for i in indices}):
        rows = [row for row, i in enumerate(indices) if archive.records[i].source == source]
        part = evaluate([truth[r] for r in rows], [found[r] for r in rows], len(names))
        if part.true_boxes.any():
            report["sources"][source] = {"images": len(rows), **summary(part, names)}
    return report


class Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Learning rate, moving average, validation and checkpoints of a run."""

    def __init__(
        self,
        network: keras.Model,
        average: keras.Model,
        batches: Batches,
        out: Path,
        validate_every: int,
    ):
        """Write to `out`."""
        super().__init__()
        self.network, self.average, self.batches = network, average, batches
        self.archive, self.settings, self.progress = batches.archive, batches.settings, batches.progress
        self.out, self.validate_every, self.steps_per_epoch = out, validate_every, len(batches)
        indices = self.archive.indices("val")
        self.validation = [i for i in indices if self.archive.records[i].exhaustive.any()]
        self.started, self.steps, self.best = time.monotonic(), 0, -1.0
        self.saved = self.started
        # A short run would otherwise be over before its rate is reached.
        counted = self.settings.minutes is None
        self.warm_up = min(150, max(1, self.settings.epochs * len(batches) // 10)) if counted else 150
        self.values = [ops.convert_to_numpy(w).copy() for w in network.weights]
        self.history: list[dict[str, Any]] = []

    def is_done(self) -> bool:
        """Whether the minutes or epochs are over."""
        return self._fraction() >= 1.0

    def _fraction(self) -> float:
        if self.settings.minutes is not None:
            return min(1.0, (time.monotonic() - self.started) / (60 * self.settings.minutes))
        return min(1.0, self.steps / (self.settings.epochs * self.steps_per_epoch))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the learning rate for this step."""
        fraction = self._fraction()
        self.progress.fraction = fraction
        warm = min(1.0, (self.steps + 1) / self.warm_up)
        rate = self.settings.peak_rate * warm * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * fraction)))
        self.model.optimizer.learning_rate.assign(rate)
        if fraction >= 1.0:
            self.model.stop_training = True

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move the average towards the weights."""
        self.steps += 1
        if self.steps % AVERAGE_EVERY:
            return
        decay = self.settings.average_decay**AVERAGE_EVERY
        decay *= 1 - np.exp(-self.steps / 300)
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        for value, weight in zip(self.values, self.network.weights, strict=True):
            value += (1 - decay) * (ops.convert_to_numpy(weight) - value)
        if time.monotonic() - self.saved > SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Write the average to `last.weights.h5`; an interrupted write leaves the earlier file."""
        self.average.set_weights(self.values)
        self.average.save_weights(self.out / "part.weights.h5")
        (self.out / "part.weights.h5").replace(self.out / "last.weights.h5")
        self.saved = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Save, and validate every few epochs."""
        row: dict[str, Any] = {
            "epoch": len(self.history) + 1,
            "size_px": self.batches.size_px,
            "elapsed_s": round(time.monotonic() - self.started),
            "fraction": self.progress.fraction,
        }
        row |= {name: round(float(value), 4) for name, value in (logs or {}).items()}
        self.save()
        done = self.is_done()
        if done or (epoch + 1) % self.validate_every == 0:
            chosen = self.validation if done else self.validation[::2]
            found = detect_all(self.average, self.archive, chosen, 288)
            names = self.archive.class_names
            row["val"] = summary(evaluate(truth_of(self.archive, chosen), found, len(names)), names)
            if row["val"]["map_50"] > self.best:
                self.best = row["val"]["map_50"]
                self.average.save_weights(self.out / "best.weights.h5")
        log.info("%s", row)
        self.history.append(row)
        (self.out / "history.json").write_text(json.dumps(self.history, indent=1), encoding="utf-8")
        if done:
            self.model.stop_training = True


def feeder_of(batches: Batches, processes: int, batch: int | None = None) -> accelerated.Feeder:
    """Processes that make a batch from its step, its side in pixels, and how far the run is (0..1)."""
    batches.decode()

    def make(task: tuple[int, int, float]) -> accelerated.Batch:
        batches.epoch, batches.size_px, batches.progress.fraction = task
        x, y = batches[0]
        return x.astype(np.uint8), y

    largest = max(batches.settings.sizes_px)
    return accelerated.Feeder(make, (batch or batches.settings.batch) * largest**2 * 3, processes)


def task_of(settings: Settings, step: int, fraction: float) -> tuple[int, int, float]:
    """Step, side in pixels (the last one for the last half of the run), and fraction."""
    sizes = settings.sizes_px
    turn = int(2 * fraction * (len(sizes) - 1)) if fraction < LARGEST_FROM else len(sizes) - 1
    return step, sizes[turn], fraction


def train_on_accelerator(
    training: DetectorTraining, average: keras.Model, feeder: accelerated.Feeder, settings: Settings, out: Path
) -> None:
    """Train for the settings' minutes; write the moving average to `last.weights.h5`, and the history."""
    if settings.minutes is None:
        raise ValueError("on an accelerator the length of a run is given in minutes")

    def save(values: accelerated.Values, history: list[dict[str, float]]) -> None:
        average.set_weights(values)
        average.save_weights(out / "part.weights.h5")
        (out / "part.weights.h5").replace(out / "last.weights.h5")
        (out / "history.json").write_text(json.dumps(history, indent=1), encoding="utf-8")

    schedule = accelerated.Schedule(
        settings.minutes, settings.peak_rate, average_decay=settings.average_decay, warm_up=600
    )
    accelerated.train(
        training, training.network.weights, feeder, lambda *where: task_of(settings, *where), schedule, save
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="train the embedded detector")
    parser.add_argument("--data", type=Path, required=True, help="folder with detection.npz and detection.json")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--backbone", type=Path, help="weights of a pretrained backbone")
    parser.add_argument("--resume", type=Path, help="weights of a detector to go on from")
    parser.add_argument("--minutes", type=float, help="length of the schedule in minutes, in place of epochs")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--sizes", type=int, nargs="+", default=[192, 224, 256])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--peak-rate", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=0.03)
    parser.add_argument("--mosaic", type=float, default=0.35)
    parser.add_argument("--average-decay", type=float, default=0.9985)
    parser.add_argument("--validate-every", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--precision",
        choices=("float32", "mixed_bfloat16"),
        default="float32",
        help="what the steps are computed in; mixed is about 1.3 times faster on processors with bfloat16 units",
    )
    parser.add_argument("--without-teacher", action="store_true")
    parser.add_argument("--processes", type=int, default=0, help="that make batches for an accelerator (Keras on JAX)")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    keras.utils.set_random_seed(args.seed)
    settings = Settings(
        tuple(args.sizes),
        args.batch,
        args.peak_rate,
        args.weight_decay,
        args.mosaic,
        args.average_decay,
        args.seed,
        args.minutes,
        args.epochs,
        not args.without_teacher,
        args.precision,
    )
    archive = load_archive(args.data)
    progress = Progress()
    batches = Batches(archive, archive.indices("train"), settings, progress)
    # Processes are forked before anything runs on the device.
    feeder = feeder_of(batches, args.processes) if args.processes else None
    keras.config.set_dtype_policy(settings.precision)
    network = build_detector(len(archive.class_names))
    keras.config.set_dtype_policy("float32")  # what is validated and saved is what people run
    average = build_detector(len(archive.class_names))
    if args.resume:
        network.load_weights(args.resume)
    elif args.backbone:
        backbone = build_backbone()
        backbone.load_weights(args.backbone)
        for layer in backbone.layers:
            network.get_layer(layer.name).set_weights(layer.get_weights())
    (args.out / "config.json").write_text(
        json.dumps(
            {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items()}
            | {
                "backend": keras.backend.backend(),
                "keras": keras.__version__,
                "python": platform.python_version(),
                "parameters": network.count_params(),
            },
            indent=1,
        ),
        encoding="utf-8",
    )
    training = DetectorTraining(network)
    optimizer = keras.optimizers.AdamW(args.peak_rate, weight_decay=args.weight_decay, global_clipnorm=10.0)
    training.compile(optimizer, jit_compile=False)
    if feeder is not None:
        train_on_accelerator(training, average, feeder, settings, args.out)
        return
    clock = Clock(network, average, batches, args.out, args.validate_every)
    if args.resume and (args.resume.parent / "history.json").is_file():
        clock.history = json.loads((args.resume.parent / "history.json").read_text(encoding="utf-8"))
    epoch = 0
    while not clock.is_done():
        # One call an epoch: Keras takes the shape of all batches of a call from the first ones.
        batches.start(epoch)
        training.fit(batches, initial_epoch=epoch, epochs=epoch + 1, callbacks=[clock], verbose=0)
        epoch += 1
    average.load_weights(args.out / "last.weights.h5")
    report = full_report(average, archive, archive.indices("val"), 288)
    (args.out / "evaluation.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    log.info("%s", json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
