"""Pretraining of the detector's backbone as a classifier of small pictures.

    python -m core.detection.pretrain --data DIR --out DIR [--minutes 15]
    KERAS_BACKEND=jax python -m core.detection.pretrain --data DIR --out DIR --processes 12 [--minutes 1]

The second form is for an accelerator (`core.runtime.accelerated`).

Two kinds of pictures share the backbone, each with a head of its own (a backbone that can already tell things
apart needs far fewer detection epochs: Girshick et al. 2014, section 2.3): the photographs of
`imagenette/imagenette_112.npz` (ten classes), and crops of the training photographs of `detection/` around
annotated boxes and around what the teacher saw, with the object's name. Validation photographs are never
cropped.

Arrays: batches (B, S, S, 3) float32 in 0..255; labels int32 (B,), -1 where a picture says nothing about a
head.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.detection.datasets import decode_rgb, load_archive
from core.detection.yolo import build_backbone, build_classifier
from core.runtime import accelerated

log = logging.getLogger("pretrain")
MIN_CROP_PX = 16
TEACHER_SCORE = 0.3
Pictures = list[NDArray[np.uint8]]


def load_photographs(folder: Path, split: int) -> tuple[Pictures, NDArray[np.int32], int]:
    """Pictures, labels and the number of classes of a split (0 train, 1 validation)."""
    with np.load(folder / "imagenette_112.npz", allow_pickle=False) as arrays:
        jpeg, offsets, labels = arrays["jpeg"], arrays["offsets"], arrays["label"]
        chosen = np.flatnonzero(arrays["split"] == split)
        classes = len(arrays["class_names"])
    pictures = [decode_rgb(jpeg[offsets[i] : offsets[i + 1]], str(i)) for i in chosen]
    return pictures, labels[chosen].astype(np.int32), classes


def load_crops(folder: Path, size_px: int) -> tuple[Pictures, NDArray[np.int32], int]:
    """Square crops around the objects of the training photographs, their labels, and the number of classes.

    Names are those of the archive and all that the teacher knows; a teacher's box over an annotated one is
    left out.
    """
    archive = load_archive(folder)
    position = {record.image_id: index for index, record in enumerate(archive.records)}
    wanted: dict[int, list[tuple[NDArray[np.float32], str]]] = {i: [] for i in archive.indices("train")}
    for index, objects in wanted.items():
        record = archive.records[index]
        for box, class_id in zip(record.boxes_xyxy, record.class_ids, strict=True):
            objects.append((box, archive.class_names[class_id]))
    for seen in json.loads((folder / "teacher_boxes.json").read_text(encoding="utf-8")):
        index = position[seen["image_id"]]
        if index not in wanted or seen["score"] < TEACHER_SCORE:
            continue
        x, y, w, h = seen["bbox"]
        centre = np.array([x + w / 2, y + h / 2])
        if all(np.abs((b[:2] + b[2:]) / 2 - centre).max() > 0.2 * max(w, h) for b, _ in wanted[index]):
            wanted[index].append((np.array([x, y, x + w, y + h], np.float32), seen["category"]))
    names = sorted({name for objects in wanted.values() for _, name in objects})
    pictures: Pictures = []
    labels: list[int] = []
    for index, objects in wanted.items():
        image = archive.image(index) if objects else None
        for box, name in objects:
            side = float((box[2:] - box[:2]).max())
            if image is None or side < MIN_CROP_PX:
                continue
            centre = (box[:2] + box[2:]) / 2
            scale = size_px / (1.25 * side)  # a quarter of context around the object
            shift = size_px / 2 - scale * centre
            matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
            crop = cv2.warpAffine(
                image, matrix, (size_px, size_px), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
            )
            pictures.append(np.asarray(crop, np.uint8))
            labels.append(names.index(name))
    return pictures, np.array(labels, np.int32), len(names)


def augment(picture: NDArray[np.uint8], size_px: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A random part of the picture (35 to 100 % of its area), mirrored half of the time, in other light."""
    height, width = picture.shape[:2]
    area, ratio = rng.uniform(0.35, 1.0), np.exp(rng.uniform(-0.28, 0.28))
    h = int(min(height, height * np.sqrt(area * ratio)))
    w = int(min(width, width * np.sqrt(area / ratio)))
    top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
    part = picture[top : top + h, left : left + w]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    part = np.asarray(cv2.resize(part, (size_px, size_px), interpolation=cv2.INTER_LINEAR), np.uint8)
    gain = rng.uniform(0.7, 1.3) * rng.uniform(0.9, 1.1, 3)
    levels = np.arange(256)[:, None] * gain + rng.uniform(-15, 15)  # (256, 3)
    table = np.clip(levels, 0, 255).astype(np.uint8)
    return np.stack([table[part[..., c], c] for c in range(3)], axis=-1)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Mixed batches: a third photographs, two thirds crops, drawn anew for every batch."""

    def __init__(self, sources: list[tuple[Pictures, NDArray[np.int32]]], size_px: int, batch: int, seed: int):
        """Draw from `sources` (photographs, crops)."""
        super().__init__(workers=1, max_queue_size=8)
        self.sources, self.size_px, self.batch, self.seed = sources, size_px, batch, seed
        self.epoch = 0

    def __len__(self) -> int:
        """Batches in an epoch."""
        return sum(len(pictures) for pictures, _ in self.sources) // self.batch

    def on_epoch_end(self) -> None:
        """Other pictures in the next epoch."""
        self.epoch += 1

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], dict[str, NDArray[np.int32]]]:
        """Batch `index` of the epoch."""
        rng = np.random.default_rng([self.seed, self.epoch, index])
        x = np.empty((self.batch, self.size_px, self.size_px, 3), np.float32)
        labels = np.full((2, self.batch), -1, np.int32)
        for row in range(self.batch):
            kind = int(row * 3 >= self.batch)
            pictures, known = self.sources[kind]
            chosen = rng.integers(len(pictures))
            x[row] = augment(pictures[chosen], self.size_px, rng)
            labels[kind, row] = known[chosen]
        return x, {"photographs": labels[0], "crops": labels[1]}


def masked_cross_entropy(labels: Any, logits: Any) -> Any:
    """Cross-entropy with 5 % label smoothing over the rows whose label is not -1."""
    classes = logits.shape[-1]
    known = ops.cast(labels >= 0, "float32")
    target = ops.one_hot(ops.maximum(labels, 0), classes) * 0.95 + 0.05 / classes
    loss = -ops.sum(target * ops.log_softmax(logits, axis=-1), axis=-1)
    return ops.sum(loss * known) / ops.maximum(ops.sum(known), 1.0)


class Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Warm-up, then cosine over the minutes given; saves after every epoch and stops when time is up."""

    def __init__(self, minutes: float, peak_rate: float, out: Path, validation: Any):
        """Run for `minutes`."""
        super().__init__()
        self.budget_s, self.peak_rate, self.out, self.validation = minutes * 60, peak_rate, out, validation
        self.started, self.steps = time.monotonic(), 0
        self.backbone = build_backbone()
        self.history: list[dict[str, float]] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the learning rate for this step."""
        self.steps += 1
        progress = min(1.0, (time.monotonic() - self.started) / self.budget_s)
        rate = self.peak_rate * min(1.0, self.steps / 100) * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * progress)))
        self.model.optimizer.learning_rate.assign(rate)
        if progress >= 1.0:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Measure and save."""
        x, y = self.validation
        answers = np.concatenate(
            [
                ops.convert_to_numpy(self.model(x[i : i + 100], training=False)["photographs"])
                for i in range(0, len(x), 100)
            ]
        )
        accuracy = float((answers.argmax(-1) == y).mean())
        elapsed = time.monotonic() - self.started
        self.history.append({"epoch": epoch, "elapsed_s": round(elapsed), "val_accuracy": accuracy, **(logs or {})})
        log.info("epoch %d, %.0f s: %s, validation accuracy %.3f", epoch, elapsed, logs, accuracy)
        for layer in self.backbone.layers:
            layer.set_weights(self.model.get_layer(layer.name).get_weights())
        self.backbone.save_weights(self.out / "backbone.weights.h5")
        (self.out / "pretrain_history.json").write_text(json.dumps(self.history, indent=1), encoding="utf-8")
        if elapsed > self.budget_s:
            self.model.stop_training = True


def feeder_of(batches: Batches, processes: int) -> accelerated.Feeder:
    """Processes that make a batch from the number of its step."""

    def make(step: int) -> accelerated.Batch:
        batches.epoch = step
        x, y = batches[0]
        return x.astype(np.uint8), y

    return accelerated.Feeder(make, batches.batch * batches.size_px**2 * 3, processes)


def train_on_accelerator(
    model: keras.Model, feeder: accelerated.Feeder, minutes: float, peak_rate: float, out: Path
) -> None:
    """Train for `minutes`, and write the backbone's moving average and the history."""
    backbone = build_backbone()

    def save(values: accelerated.Values, history: list[dict[str, float]]) -> None:
        found = {weight.path: value for weight, value in zip(model.weights, values, strict=True)}
        for weight in backbone.weights:
            weight.assign(found[weight.path])
        backbone.save_weights(out / "part.weights.h5")
        (out / "part.weights.h5").replace(out / "backbone.weights.h5")
        (out / "pretrain_history.json").write_text(json.dumps(history, indent=1), encoding="utf-8")

    schedule = accelerated.Schedule(minutes, peak_rate)
    accelerated.train(model, model.weights, feeder, lambda step, _: step, schedule, save)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="pretrain the detector's backbone")
    parser.add_argument("--data", type=Path, required=True, help="folder with detection/ and imagenette/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peak-rate", type=float, default=3e-3)
    parser.add_argument("--processes", type=int, default=0, help="that make batches for an accelerator (Keras on JAX)")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    keras.utils.set_random_seed(args.seed)
    photographs, photograph_labels, photograph_classes = load_photographs(args.data / "imagenette", 0)
    crops, crop_labels, crop_classes = load_crops(args.data / "detection", 128)
    log.info("%d photographs, %d crops of %d classes", len(photographs), len(crops), crop_classes)
    held, held_labels, _ = load_photographs(args.data / "imagenette", 1)
    batches = Batches([(photographs, photograph_labels), (crops, crop_labels)], args.size, args.batch, args.seed)
    # Processes are forked before anything runs on the device.
    feeder = feeder_of(batches, args.processes) if args.processes else None
    model = build_classifier({"photographs": photograph_classes, "crops": crop_classes})
    model.compile(
        keras.optimizers.AdamW(args.peak_rate, weight_decay=0.03),
        loss={"photographs": masked_cross_entropy, "crops": masked_cross_entropy},
        loss_weights={"photographs": 0.5, "crops": 1.0},
        jit_compile=False,
    )
    if feeder is not None:
        train_on_accelerator(model, feeder, args.minutes, args.peak_rate, args.out)
        return
    validation = (
        np.stack([cv2.resize(p, (args.size, args.size)) for p in held]).astype(np.float32),
        held_labels,
    )
    clock = Clock(args.minutes, args.peak_rate, args.out, validation)
    model.fit(batches, epochs=1000, callbacks=[clock], verbose=0)


if __name__ == "__main__":
    main()
