"""Training of the embedded window classifier.

    python -m core.detection.train_windows --data DIR --out DIR [--minutes 8 | --steps 4000]
    KERAS_BACKEND=jax python -m core.detection.train_windows --data DIR --out DIR --processes 4 --minutes 2

The second form is for an accelerator (`core.runtime.accelerated`), without the looking through; a call of the first
form with `--resume DIR/run.weights.h5` adds that.

It learns from square crops around annotated objects and from windows of background, drawn anew for every batch, and
three times in the run looks through training photographs as it will be used, keeps the background windows that it
takes for objects, and learns from those too (hard negative mining: Felzenszwalb et al. 2010, section 4.4). The
normalisations that it learns with are folded into the convolutions at the end. Validation photographs are looked at
for measuring only; the last weights are kept, whatever they measure.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import time
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.detection.augmentation import recolour
from core.detection.datasets import DetectionArchive, load_archive
from core.detection.evaluation import ImageTruth, evaluate
from core.detection.sliding_windows import WINDOW_PX, ScoreMap, at_level, pyramid_levels, select_windows
from core.detection.sliding_windows_network import (
    build_window_classifier,
    fold_normalisation,
    fully_convolutional,
    softmax,
    unfold_normalisation,
)
from core.detection.train_windows_data import CLASS_NAMES, GROUPS, SMALL_PART_CHANCE, Image, Scenes, Square
from core.runtime import accelerated

log = logging.getLogger("train_windows")
MINING_AT = (0.05, 0.35, 0.65)
MINED_SHARE = 0.4
# How much of a batch shows objects, and how their classes are drawn: with the cube root of how many there are.
OBJECTS_SHARE = 0.55
BALANCE = 1 / 3
STEPS_PER_EPOCH = 150
EVALUATION_LEVELS = {"largest_px": 288, "count": 5, "factor": 0.7}
# Sources whose photographs are annotated well enough for a window without a box to be background.
BACKGROUND_SOURCES = ("voc2012", "highway")


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of objects and background, drawn anew for each."""

    def __init__(self, scenes: Scenes, batch: int, per_epoch: int, seed: int):
        """Draw from `scenes`."""
        super().__init__(workers=1, max_queue_size=8)
        self.scenes, self.batch, self.per_epoch, self.seed, self.epoch = scenes, batch, per_epoch, seed, 0
        chances = np.array([len(objects) for objects in scenes.objects]) ** BALANCE
        self.up_to = np.cumsum(chances / chances.sum())

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self.per_epoch

    def _object(self, rng: np.random.Generator) -> tuple[int, int, Square]:
        while True:
            group = min(int(np.searchsorted(self.up_to, rng.random())), len(GROUPS) - 1)
            index, box = self.scenes.objects[group][int(rng.integers(len(self.scenes.objects[group])))]
            square = self.scenes.object_square(index, box, rng)
            if square is not None:
                return group, index, square

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Batch `index` of the epoch."""
        rng = np.random.default_rng([self.seed, self.epoch, index])
        x = np.empty((self.batch, WINDOW_PX, WINDOW_PX, 3), np.float32)
        labels = np.zeros(self.batch, np.int32)
        for row in range(self.batch):
            if row < OBJECTS_SHARE * self.batch:
                group, picture, square = self._object(rng)
                labels[row] = 1 + group
            elif self.scenes.mined and rng.random() < MINED_SHARE:
                picture, square = self.scenes.mined[int(rng.integers(len(self.scenes.mined)))]
            else:
                picture, square = self.scenes.background_square(rng)
            x[row] = recolour(self.scenes.crop(picture, square, mirrored=rng.random() < 0.5), rng)
        return x, labels


def cross_entropy(labels: Any, logits: Any) -> Any:
    """Cross-entropy with 5 % label smoothing, in float32 whatever the network computes in."""
    classes = logits.shape[-1]
    labels = ops.reshape(labels, (-1,))
    target = ops.one_hot(ops.cast(labels, "int32"), classes) * 0.95 + 0.05 / classes
    return -ops.mean(ops.sum(target * ops.log_softmax(ops.cast(logits, "float32"), axis=-1), axis=-1))


class Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Warm-up and cosine over the minutes or steps given, a moving average of the weights, and checkpoints."""

    def __init__(self, args: argparse.Namespace, model: keras.Model, average: keras.Model, validation: Any):
        """Write to `args.out`."""
        super().__init__()
        self.args, self.average, self.validation = args, average, validation
        self.started, self.steps = time.monotonic(), 0
        self.values = [np.array(ops.convert_to_numpy(w), np.float32) for w in model.weights]
        self.history: list[dict[str, Any]] = []

    def fraction(self) -> float:
        """How far the run is, 0..1."""
        if self.args.steps:
            return float(min(1.0, self.steps / self.args.steps))
        return float(min(1.0, (time.monotonic() - self.started) / (60 * self.args.minutes)))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the learning rate for this step."""
        self.steps += 1
        done = self.fraction()
        warm = min(1.0, self.steps / 100)
        self.model.optimizer.learning_rate.assign(
            self.args.peak_rate * warm * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * done)))
        )
        if done >= 1.0:
            self.model.stop_training = True

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move the average towards the weights."""
        if self.steps % 4:
            return
        decay = min(self.args.average_decay, (1 + self.steps) / (10 + self.steps)) ** 4
        for value, weight in zip(self.values, self.model.weights, strict=True):
            value += (1 - decay) * (ops.convert_to_numpy(weight) - value)

    def folded(self) -> keras.Model:
        """The averaged network as plain convolutions."""
        self.average.set_weights(self.values)
        return fold_normalisation(self.average, len(GROUPS))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Measure and save."""
        plain = self.folded()
        self.average.save_weights(self.args.out / "run.weights.h5")
        plain.save_weights(self.args.out / "part.weights.h5")
        (self.args.out / "part.weights.h5").replace(self.args.out / "last.weights.h5")
        measured = measure(plain, *self.validation)
        row = {
            "epoch": epoch + 1,
            "steps": self.steps,
            "elapsed_s": round(time.monotonic() - self.started),
            "loss": round(float((logs or {}).get("loss", 0.0)), 4),
            "val_accuracy": measured["accuracy"],
            "val_balanced_accuracy": measured["balanced_accuracy"],
        }
        self.history.append(row)
        log.info("%s", row)
        (self.args.out / "history.json").write_text(json.dumps(self.history, indent=1), encoding="utf-8")


def answers(network: keras.Model, windows: NDArray[Any]) -> NDArray[np.float32]:
    """Probabilities (n, 1 + C) of windows (n, 64, 64, 3)."""
    parts = [
        ops.convert_to_numpy(network(windows[start : start + 128].astype(np.float32), training=False))
        for start in range(0, len(windows), 128)
    ]
    return softmax(np.concatenate(parts))


def validation_windows(archive: DetectionArchive) -> tuple[Image, NDArray[np.int64]]:
    """Windows of the validation photographs, always the same, and their labels, 0 the background.

    Objects are those annotated by hand; background comes from photographs whose annotations are nearly complete.
    """
    scenes = Scenes(archive, archive.indices("val"), use_teacher=False)
    rng = np.random.default_rng(0)
    windows: list[Image] = []
    labels: list[int] = []
    for group, objects in enumerate(scenes.objects):
        for index, box in objects:
            square = scenes.object_square(index, box, None)
            if square is not None:
                windows.append(scenes.crop(index, square))
                labels.append(1 + group)
    for index in scenes.indices:
        if archive.records[index].source in BACKGROUND_SOURCES:
            for _ in range(2):
                try:
                    _, square = scenes.background_square(rng, index)
                except ValueError:  # an object fills the whole photograph
                    continue
                windows.append(scenes.crop(index, square))
                labels.append(0)
    return np.stack(windows), np.array(labels, np.int64)


def measure(network: keras.Model, windows: Image, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Accuracy over all windows, the mean of the classes' recalls, and the confusion (rows: true)."""
    found = answers(network, windows).argmax(axis=-1)
    count = 1 + len(GROUPS)
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (labels, found), 1)
    recalls = confusion.diagonal() / np.maximum(confusion.sum(axis=1), 1)
    return {
        "accuracy": round(float((found == labels).mean()), 4),
        "balanced_accuracy": round(float(recalls.mean()), 4),
        "classes": ["background", *CLASS_NAMES],
        "windows": confusion.sum(axis=1).tolist(),
        "recall": [round(float(value), 3) for value in recalls],
        "confusion": confusion.tolist(),
    }


def look(network: keras.Model, picture: Image) -> list[ScoreMap]:
    """Score maps of a photograph by the convolutional form."""
    height, width = picture.shape[:2]
    maps = []
    for level in pyramid_levels(width, height, **EVALUATION_LEVELS):  # type: ignore[arg-type]
        batch = at_level(picture, level)[None].astype(np.float32)
        maps.append(ScoreMap(level, softmax(ops.convert_to_numpy(network(batch, training=False))[0])))
    return maps


def mine(network: keras.Model, scenes: Scenes, count: int, seed: int, turn: int) -> list[tuple[int, Square]]:
    """Windows of background in `count` training photographs that the network takes for an object."""
    rng = np.random.default_rng([seed, 1 + turn])
    convolutional = fully_convolutional(network)
    mined: list[tuple[int, Square]] = []
    for index in rng.permutation(scenes.indices)[:count]:
        found = select_windows(look(convolutional, scenes.picture(int(index))), 0.5, 0.4).detections
        for box in found.boxes_xyxy[np.argsort(-found.scores)][:12]:
            square = (float(box[0]), float(box[1]), float(box[2] - box[0]))
            if scenes.is_background(int(index), square, rng):
                mined.append((int(index), square))
    return mined


def measure_detection(network: keras.Model, archive: DetectionArchive) -> dict[str, Any]:
    """Average precision of the boxes after suppression, on validation photographs where a class is annotated fully."""
    members = [[archive.class_names.index(name) for name in names] for names in GROUPS.values()]
    group_of = {class_id: group for group, ids in enumerate(members) for class_id in ids}
    convolutional = fully_convolutional(network)
    truth, found = [], []
    for index in archive.indices("val"):
        record = archive.records[index]
        exhaustive = np.array([record.exhaustive[ids].all() for ids in members])
        if not exhaustive.any():
            continue
        known = np.array([int(class_id) in group_of for class_id in record.class_ids], np.bool_)
        ids = np.array([group_of[int(class_id)] for class_id in record.class_ids[known]], np.int64)
        truth.append(ImageTruth(record.boxes_xyxy[known], ids, record.is_crowd[known], exhaustive))
        found.append(select_windows(look(convolutional, archive.image(index)), 0.1, 0.3).detections)
    measured = evaluate(truth, found, len(GROUPS))
    return {
        "photographs": len(truth),
        "map_50": round(100 * measured.map_50, 2),
        "ap_50": {
            name: round(100 * float(measured.average_precision[i, 0]), 1)
            for i, name in enumerate(CLASS_NAMES)
            if measured.true_boxes[i]
        },
        "true_boxes": {name: int(measured.true_boxes[i]) for i, name in enumerate(CLASS_NAMES)},
    }


def feeder_of(batches: Batches, processes: int) -> accelerated.Feeder:
    """Processes that make a batch from its step."""
    for index in batches.scenes.indices:
        batches.scenes.picture(index)  # decoded here, the processes share it

    def make(step: int) -> accelerated.Batch:
        batches.epoch = step
        x, labels = batches[0]
        return x.astype(np.uint8), labels

    return accelerated.Feeder(make, batches.batch * WINDOW_PX**2 * 3, processes)


def train_on_accelerator(
    model: keras.Model, average: keras.Model, feeder: accelerated.Feeder, args: argparse.Namespace
) -> None:
    """Train for the minutes given; write the moving average, with and without normalisations, and the history."""
    averaged = [weight for weight in model.weights if weight.dtype == "float32"]

    def save(values: accelerated.Values, history: list[dict[str, float]]) -> None:
        found = {weight.path: value for weight, value in zip(averaged, values, strict=True)}
        for weight in average.weights:
            if weight.path in found:  # all but the state of a random generator
                weight.assign(found[weight.path])
        average.save_weights(args.out / "run.weights.h5")
        fold_normalisation(average, len(GROUPS)).save_weights(args.out / "last.weights.h5")
        (args.out / "history.json").write_text(json.dumps(history, indent=1), encoding="utf-8")

    schedule = accelerated.Schedule(args.minutes, args.peak_rate, average_decay=args.average_decay)
    accelerated.train(model, averaged, feeder, lambda step, _: step, schedule, save)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="train the embedded window classifier")
    parser.add_argument("--data", type=Path, required=True, help="folder with detection.npz and detection.json")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--steps", type=int, default=0, help="length in steps, in place of minutes")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--peak-rate", type=float, default=3e-3)
    parser.add_argument("--weight-decay", type=float, default=0.02)
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--average-decay", type=float, default=0.998)
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--resume", type=Path, help="run.weights.h5 of an earlier run to go on from")
    start.add_argument("--start", type=Path, help="weights as they are published, to go on from")
    parser.add_argument(
        "--mined-from", type=int, default=300, help="photographs looked through for hard background, each time"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=0, help="that make batches for an accelerator (Keras on JAX)")
    parser.add_argument(
        "--precision",
        choices=("float32", "mixed_bfloat16"),
        default="float32",
        help="mixed_bfloat16 is faster only where the processor multiplies it (AMX, AVX512-BF16), elsewhere far slower",
    )
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    archive = load_archive(args.data)
    scenes = Scenes(archive, archive.indices("train"), use_teacher=True, small_part_chance=SMALL_PART_CHANCE)
    counts = {name: len(objects) for name, objects in zip(CLASS_NAMES, scenes.objects, strict=True)}
    log.info("objects: %s", counts)
    batches = Batches(scenes, args.batch, STEPS_PER_EPOCH, args.seed)
    # Processes are forked before anything runs on the device.
    feeder = feeder_of(batches, args.processes) if args.processes else None
    validation = validation_windows(archive)
    keras.config.set_dtype_policy(args.precision)
    model = build_window_classifier(len(GROUPS), normalised=True, dropout=args.dropout, seed=args.seed)
    keras.config.set_dtype_policy("float32")  # what is validated and saved is what people run
    average = build_window_classifier(len(GROUPS), normalised=True, dropout=args.dropout, seed=args.seed)
    config = {name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()}
    config |= {
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "python": platform.python_version(),
        "parameters": fold_normalisation(average, len(GROUPS)).count_params(),
        "objects": counts,
    }
    (args.out / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    if args.resume:
        model.load_weights(args.resume)
        average.load_weights(args.resume)
    model.compile(
        keras.optimizers.AdamW(args.peak_rate, weight_decay=args.weight_decay, global_clipnorm=5.0),
        loss=cross_entropy,
        jit_compile=False,
    )
    if args.start:
        plain = build_window_classifier(len(GROUPS))
        plain.load_weights(args.start)
        model.set_weights(unfold_normalisation(plain, len(GROUPS), batches[0][0], args.dropout).get_weights())
        average.set_weights(model.get_weights())
    if feeder is not None:
        train_on_accelerator(model, average, feeder, args)
        return
    clock = Clock(args, model, average, validation)
    epoch = turns = 0
    while clock.fraction() < 1.0:
        batches.epoch = epoch
        model.fit(batches, initial_epoch=epoch, epochs=epoch + 1, callbacks=[clock], verbose=0)
        epoch += 1
        if args.mined_from and turns < len(MINING_AT) and MINING_AT[turns] <= clock.fraction() < 1.0:
            scenes.mined += mine(clock.folded(), scenes, args.mined_from, args.seed, turns)
            turns += 1
            log.info("%d hard windows of background", len(scenes.mined))
    plain = clock.folded()
    plain.save_weights(args.out / "last.weights.h5")
    report = {"windows": measure(plain, *validation), "detection": measure_detection(plain, archive)}
    (args.out / "evaluation.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    log.info("%s", json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
