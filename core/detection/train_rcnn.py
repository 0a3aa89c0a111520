"""Training of the R-CNN family on the embedded detector's backbone.

    python -m core.detection.train_rcnn --data DIR --out DIR [--minutes 35] [--crop-minutes 8] [--resume FILE.npz]
        [--detector FILE.weights.h5]
    KERAS_BACKEND=jax python -m core.detection.train_rcnn … --processes 12 --minutes 2 --crop-minutes 0

The second form is for an accelerator (`core.runtime.accelerated`), one of the two stages a call; evaluation is left to
a call with `--minutes 0 --crop-minutes 0 --resume FILE`.

The backbone and neck of the embedded detector stay as they are; on their map the proposal network and the head for
regions learn together ("approximate joint training", Ren et al. 2015, section 3.2): regions are what the network
proposes at that moment, objects moved about, and boxes by chance, so that the head also knows proposals of selective
search. Then, for R-CNN proper, a head of the same shape learns on warped crops. Labels, augmentation, the teacher's
boxes and the weights of the background are those of the detector's own training.

A run writes its settings, history, a checkpoint of the moving average every few minutes, and an evaluation.
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

from core.detection.datasets import DetectionArchive, load_archive
from core.detection.embedded import embedded_detector
from core.detection.evaluation import ImageDetections, evaluate
from core.detection.predictions import select
from core.detection.rcnn.coding import HEAD_SPREAD, anchor_grid, encode_boxes
from core.detection.rcnn.forms import CROP_PX, RcnnRunner, copy_of_head, warp_crops
from core.detection.rcnn.losses import proposal_losses, region_losses
from core.detection.rcnn.networks import MAP_STRIDE_PX, MAP_WIDTH, take_from_detector
from core.detection.rcnn.proposing import by_chance, moved_about, proposed
from core.detection.rcnn.roi import POOL_CELLS, roi_align
from core.detection.rcnn.storage import RcnnNetworks
from core.detection.rcnn.targets import anchor_targets, draw_regions
from core.detection.train import EVALUATION_IOU, Batches, Progress, Settings, feeder_of, summary, task_of, truth_of
from core.detection.yolo import build_detector
from core.runtime import accelerated

log = logging.getLogger("train_rcnn")
CROPS_A_PICTURE = 10
AVERAGE_DECAY = 0.998
SAVE_EVERY_S = 180.0
STEPS_A_ROUND = 100
LOWEST_SCORE = 0.02


class RegionBatches(Batches):
    """The detector's batches, with targets for the anchors and the background of each cell of the map."""

    def __len__(self) -> int:
        """Batches in a round."""
        return STEPS_A_ROUND

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """Batch `index` of the round."""
        x, y = super().__getitem__(index)
        rng = np.random.default_rng([self.settings.seed, self.epoch, index, 1])
        side = x.shape[1] // MAP_STRIDE_PX
        known = y["background"][:, : side * side].min(axis=-1)  # (B, cells): the finest grid comes first
        anchors = anchor_grid(side, side, MAP_STRIDE_PX)
        targets = [anchor_targets(anchors, o, b, rng) for o, b in zip(y["objects"], known, strict=True)]
        return x, {
            "objects": y["objects"],
            "background": known,
            "is_object": np.stack([t.is_object for t in targets]),
            "corrections": np.stack([t.corrections for t in targets]),
            "weight": np.stack([t.weight for t in targets]),
        }


class CropBatches(Batches):
    """Warped crops around objects and beside them, with class ids (0 is background), corrections and weights."""

    def __len__(self) -> int:
        """Batches in a round."""
        return STEPS_A_ROUND

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """Batch `index` of the round."""
        pictures, y = super().__getitem__(index)
        rng = np.random.default_rng([self.settings.seed, self.epoch, index, 2])
        size = pictures.shape[1]
        side = size // MAP_STRIDE_PX
        known = y["background"][:, : side * side].min(axis=-1)
        crops, ids, corrections, weights = [], [], [], []
        for picture, objects, background in zip(pictures.astype(np.uint8), y["objects"], known, strict=True):
            real = objects[objects[:, 4] >= 0]
            boxes = _crop_boxes(real[:, :4], size, rng)
            overlap = _iou(boxes, real[:, :4])
            owner, best = overlap.argmax(axis=1), overlap.max(axis=1)
            on_object = best >= 0.5
            cell = np.clip((boxes[:, :2] + boxes[:, 2:]) / 2 // MAP_STRIDE_PX, 0, side - 1).astype(int)
            weight = background[cell[:, 1] * side + cell[:, 0]]
            target = boxes.copy()
            class_id = np.zeros(len(boxes), np.int64)
            if len(real):
                target[on_object] = real[owner[on_object], :4]
                class_id[on_object] = real[owner[on_object], 4].astype(np.int64) + 1
                weight[on_object] = real[owner[on_object], 5]
            crops.append(warp_crops(picture, boxes))
            ids.append(class_id)
            weights.append(weight)
            corrections.append(encode_boxes(target, boxes, HEAD_SPREAD))
        return np.concatenate(crops).astype(np.float32), {
            "class_ids": np.concatenate(ids).astype(np.float32),
            "corrections": np.concatenate(corrections).astype(np.float32),
            "weight": np.concatenate(weights).astype(np.float32),
        }


def _iou(boxes: NDArray[Any], truth: NDArray[Any]) -> NDArray[Any]:
    from core.detection.boxes import pairwise_iou

    return pairwise_iou(boxes, truth) if len(truth) else np.zeros((len(boxes), 1))


def _crop_boxes(truth: NDArray[Any], size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Boxes to crop: up to half of them objects moved about, parts and surroundings of objects, and by chance."""
    near = 7 if len(truth) else 0
    sides = 12 * np.exp(rng.uniform(0, np.log(size / 12), (CROPS_A_PICTURE - near, 2)))
    corner = rng.uniform(0, 1, sides.shape) * (size - sides)
    boxes = [np.concatenate([corner, corner + sides], axis=1)]
    if near:
        chosen = truth[rng.integers(len(truth), size=near)].astype(np.float64)
        wide = chosen[:, 2:] - chosen[:, :2]
        strength = np.where(np.arange(near) < 4, 1.0, 3.0)[:, None]  # the last three move far
        middle = (chosen[:, :2] + chosen[:, 2:]) / 2 + rng.normal(0, 0.12, wide.shape) * wide * strength
        half = wide / 2 * np.exp(rng.normal(0, 0.2, wide.shape) * np.minimum(strength, 2.0))
        boxes.append(np.concatenate([middle - half, middle + half], axis=1))
    result = np.concatenate(boxes)
    result[:, :2] = np.clip(result[:, :2], 0, size - 4)
    result[:, 2:] = np.clip(np.maximum(result[:, 2:], result[:, :2] + 4), 0, size)
    return result.astype(np.float32)


class _Training(keras.Model):  # type: ignore[misc]
    """What both trainings share: four named losses."""

    def __init__(self, networks: RcnnNetworks, names: tuple[str, ...], seed: int) -> None:
        super().__init__(name="rcnn_training")
        self.networks = networks
        self.means = [keras.metrics.Mean(name=name) for name in names]
        self.seed = keras.random.SeedGenerator(seed)

    def note(self, *losses: Any) -> Any:
        for mean, loss in zip(self.means, losses, strict=True):
            mean.update_state(loss)
        return sum(losses)


class JointTraining(_Training):
    """Proposal network and head on the frozen backbone's map."""

    def __init__(self, networks: RcnnNetworks, seed: int) -> None:
        """Train `networks`."""
        super().__init__(networks, ("rpn_class_loss", "rpn_box_loss", "head_class_loss", "head_box_loss"), seed)
        self.shared_map, self.rpn, self.head = networks.shared_map, networks.proposal_network, networks.head

    def call(self, x: Any, training: bool = False) -> Any:
        """The map and what the proposal network says."""
        features = self.shared_map(x, training=training)
        return features, *self.rpn(features, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The sum of the four losses."""
        features, objectness, corrections = y_pred
        first = proposal_losses(objectness, corrections, y["is_object"], y["corrections"], y["weight"])
        side = features.shape[1]
        size = side * MAP_STRIDE_PX
        anchors = ops.convert_to_tensor(anchor_grid(side, side, MAP_STRIDE_PX))
        objects = y["objects"]
        candidates = ops.concatenate(
            [
                proposed(ops.stop_gradient(objectness), ops.stop_gradient(corrections), anchors, size),
                moved_about(objects, self.seed, size),
                by_chance(ops.shape(x)[0], self.seed, size),
            ],
            axis=1,
        )
        drawn = draw_regions(ops.stop_gradient(candidates), objects, y["background"], self.seed, MAP_STRIDE_PX, side)
        pooled = roi_align(features, drawn.regions_xyxy, 1 / MAP_STRIDE_PX)
        flat = ops.reshape(pooled, (-1, POOL_CELLS, POOL_CELLS, MAP_WIDTH))
        logits, moves = self.head(flat, training=training)
        second = region_losses(
            logits,
            moves,
            ops.reshape(drawn.class_ids, (-1,)),
            ops.reshape(drawn.corrections, (-1, 4)),
            ops.reshape(drawn.weight, (-1,)),
        )
        return self.note(*first, *second)


class CropTraining(_Training):
    """The head for crops; backbone and mixing layer stay as they are."""

    def __init__(self, networks: RcnnNetworks, seed: int) -> None:
        """Train the crop head of `networks`."""
        super().__init__(networks, ("crop_class_loss", "crop_box_loss"), seed)
        networks.shared_map.trainable = False
        self.shared_map, self.head = networks.shared_map, networks.crop_head

    def call(self, x: Any, training: bool = False) -> Any:
        """Class logits and corrections of crops."""
        whole = ops.tile(ops.convert_to_tensor([[[0.0, 0.0, CROP_PX, CROP_PX]]]), (ops.shape(x)[0], 1, 1))
        pooled = roi_align(self.shared_map(x, training=False), whole, 1 / MAP_STRIDE_PX)
        flat = ops.reshape(pooled, (-1, POOL_CELLS, POOL_CELLS, MAP_WIDTH))
        return self.head(flat, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Class loss and box loss."""
        ids = ops.cast(y["class_ids"], "int32")
        logits, moves = y_pred
        return self.note(*region_losses(logits, moves, ids, y["corrections"], y["weight"]))


class Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Learning rate along a cosine over the minutes, moving average, checkpoints and validation."""

    def __init__(self, average: RcnnNetworks, parts: tuple[str, ...], batches: Batches, minutes: float, out: Path):
        """Train the networks named by `parts` for `minutes`; write to `out`."""
        super().__init__()
        self.average, self.parts, self.batches, self.minutes, self.out = average, parts, batches, minutes, out
        self.started = self.saved = time.monotonic()
        self.steps, self.validate_every = 0, 0
        self.history: list[dict[str, Any]] = []
        self.values: list[NDArray[Any]] = []
        self.validation = [i for i in batches.archive.indices("val") if batches.archive.records[i].exhaustive.any()]

    def fraction(self) -> float:
        """Part of the time that is over, 0..1."""
        return min(1.0, (time.monotonic() - self.started) / (60 * self.minutes))

    def _weights(self, networks: RcnnNetworks) -> list[Any]:
        return [weight for part in self.parts for weight in networks.parts()[part].weights]

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the learning rate for this step."""
        fraction = self.batches.progress.fraction = self.fraction()
        warm = min(1.0, (self.steps + 1) / 100)
        rate = self.batches.settings.peak_rate * warm * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * fraction)))
        self.model.optimizer.learning_rate.assign(rate)
        if fraction >= 1.0:
            self.model.stop_training = True

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move the average towards the weights."""
        self.steps += 1
        if not self.values:
            self.values = [ops.convert_to_numpy(w).astype(np.float32) for w in self._weights(self.model.networks)]
        if self.steps % 4:
            return
        decay = AVERAGE_DECAY**4 * (1 - np.exp(-self.steps / 200))
        for value, weight in zip(self.values, self._weights(self.model.networks), strict=True):
            value += (1 - decay) * (ops.convert_to_numpy(weight) - value)
        if time.monotonic() - self.saved > SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Write the average."""
        for weight, value in zip(self._weights(self.average), self.values, strict=True):
            weight.assign(value)
        self.average.save(self.out / "rcnn.npz")
        self.saved = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Save, and say how far it is."""
        self.save()
        row: dict[str, Any] = {"round": epoch + 1, "steps": self.steps, "parts": list(self.parts)}
        row |= {"size_px": self.batches.size_px, "elapsed_s": round(time.monotonic() - self.started)}
        row |= {name: round(float(value), 4) for name, value in (logs or {}).items()}
        if "head" in self.parts and self.validate_every and (epoch + 1) % self.validate_every == 0:
            runner = RcnnRunner(self.average, self.batches.archive.class_names)
            row["val"] = validate(runner, self.batches.archive, self.validation[::5])
        log.info("%s", row)
        self.history.append(row)


def validate(runner: RcnnRunner, archive: DetectionArchive, indices: list[int]) -> dict[str, Any]:
    """Faster R-CNN on pictures of the archive: mAP and how many true boxes its proposals reach."""
    found: list[ImageDetections] = []
    reached, true = 0, 0
    for index in indices:
        answer = runner.faster(archive.image(index))
        found.append(select(answer.answer, LOWEST_SCORE, EVALUATION_IOU).detections)
        truth = archive.records[index].boxes_xyxy[~archive.records[index].is_crowd]
        if len(truth) and len(answer.regions_xyxy):
            reached += int((_iou(truth, answer.regions_xyxy).max(axis=1) >= 0.5).sum())
        true += len(truth)
    names = archive.class_names
    report = summary(evaluate(truth_of(archive, indices), found, len(names)), names)
    return report | {"images": len(indices), "proposal_recall": round(100 * reached / max(true, 1), 1)}


def optimizer_of(settings: Settings) -> keras.optimizers.Optimizer:
    """What all stages are trained with."""
    return keras.optimizers.AdamW(settings.peak_rate, weight_decay=settings.weight_decay, global_clipnorm=10.0)


def settings_of(args: argparse.Namespace, minutes: float, *stage: Any) -> Settings:
    """The settings of a stage: its minutes, parts, batches, training and sizes."""
    return Settings(
        tuple(stage[-1]), args.batch, args.peak_rate, args.weight_decay, args.mosaic, AVERAGE_DECAY, args.seed,
        minutes, 0, True, args.precision,
    )  # fmt: skip


def fit(training: _Training, batches: Batches, clock: Clock) -> list[dict[str, Any]]:
    """Train until the clock's minutes are over."""
    settings = batches.settings
    training.compile(optimizer_of(settings), jit_compile=False)
    number, size_px = 0, 0
    while clock.fraction() < 1.0:
        batches.start(number)
        if batches.size_px != size_px:
            training.train_function = None  # a graph for each size: the losses want its sides as numbers
            size_px = batches.size_px
        training.fit(batches, initial_epoch=number, epochs=number + 1, callbacks=[clock], verbose=0)
        number += 1
    clock.save()
    return clock.history


def train_on_accelerator(
    training: _Training,
    average: RcnnNetworks,
    parts: tuple[str, ...],
    feeder: accelerated.Feeder,
    settings: Settings,
    out: Path,
) -> None:
    """Train the networks named by `parts` for the settings' minutes; write the moving average and the history."""
    trained = [weight for part in parts for weight in training.networks.parts()[part].weights]
    held = [weight for part in parts for weight in average.parts()[part].weights]

    def save(values: accelerated.Values, history: list[dict[str, float]]) -> None:
        for weight, value in zip(held, values, strict=True):
            weight.assign(value)
        average.save(out / "rcnn.npz")
        (out / "history.json").write_text(json.dumps(history, indent=1), encoding="utf-8")

    schedule = accelerated.Schedule(settings.minutes or 0.0, settings.peak_rate, average_decay=settings.average_decay)
    accelerated.train(training, trained, feeder, lambda *where: task_of(settings, *where), schedule, save)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="train the R-CNN family")
    parser.add_argument("--data", type=Path, required=True, help="folder with detection.npz and detection.json")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--detector", type=Path, help="weights of a detector whose backbone to use (the embedded one's)"
    )
    parser.add_argument("--resume", type=Path, help="weights of an earlier run to go on from")
    parser.add_argument("--minutes", type=float, default=35.0, help="for proposal network and head; 0 leaves them")
    parser.add_argument("--crop-minutes", type=float, default=8.0, help="for the head for crops; 0 leaves it")
    parser.add_argument("--sizes", type=int, nargs="+", default=[192, 224, 256])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--peak-rate", type=float, default=1e-3)
    parser.add_argument("--weight-decay", type=float, default=0.02)
    parser.add_argument("--mosaic", type=float, default=0.35)
    parser.add_argument("--validate-every", type=int, default=6, help="rounds of 100 steps; 0 for at the end only")
    parser.add_argument("--final-every", type=int, default=1, help="evaluate on each so-many-th validation photograph")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=0, help="that make batches for an accelerator (Keras on JAX)")
    parser.add_argument(
        "--precision",
        choices=("float32", "mixed_bfloat16"),
        default="float32",
        help="mixed_bfloat16 is faster only where the processor multiplies it (AMX, AVX512-BF16)",
    )
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    keras.utils.set_random_seed(args.seed)
    archive = load_archive(args.data)
    stages = [
        (args.minutes, ("shared_map", "proposal_network", "head"), RegionBatches, JointTraining, args.sizes),
        (args.crop_minutes, ("crop_head",), CropBatches, CropTraining, [256]),
    ]
    feeder = None
    if args.processes:
        # One stage a call: processes are forked before anything runs on the device.
        stages = [stage for stage in stages if stage[0] > 0][:1]
        first = stages[0][2](archive, archive.indices("train"), settings_of(args, *stages[0]), Progress())
        pictures = args.batch * CROPS_A_PICTURE if "crop_head" in stages[0][1] else args.batch
        feeder = feeder_of(first, args.processes, pictures)
    classes = len(archive.class_names)
    keras.config.set_dtype_policy(args.precision)
    networks = RcnnNetworks(classes)
    keras.config.set_dtype_policy("float32")  # what is validated and saved is what people run
    average = RcnnNetworks(classes)
    if args.resume:
        for each in (networks, average):
            each.load(args.resume)
    else:
        detector = build_detector(classes)
        detector.load_weights(args.detector or embedded_detector().path)
        for each in (networks, average):
            take_from_detector(each.shared_map, detector)
    config = {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items()}
    (args.out / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    history: list[dict[str, Any]] = []
    for stage in stages:
        minutes, parts, batches_of, training_of, _ = stage
        if minutes <= 0:
            continue
        settings = settings_of(args, *stage)
        if feeder is not None:
            if "crop_head" in parts:
                copy_of_head(networks)
                copy_of_head(average)
            training = training_of(networks, args.seed)
            training.compile(optimizer_of(settings), jit_compile=False)
            train_on_accelerator(training, average, parts, feeder, settings, args.out)
            return
        batches = batches_of(archive, archive.indices("train"), settings, Progress())
        if "crop_head" in parts and args.minutes > 0:
            # The head for regions, as it was just trained, is a good start for crops.
            networks.load(args.out / "rcnn.npz")
            copy_of_head(networks)
            copy_of_head(average)
        clock = Clock(average, parts, batches, minutes, args.out)
        clock.validate_every = args.validate_every
        history += fit(training_of(networks, args.seed), batches, clock)
        (args.out / "history.json").write_text(json.dumps(history, indent=1), encoding="utf-8")
    if not history:
        average.save(args.out / "rcnn.npz")  # only measured
    average.load(args.out / "rcnn.npz")
    report = validate(RcnnRunner(average, archive.class_names), archive, archive.indices("val")[:: args.final_every])
    (args.out / "evaluation.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    log.info("%s", json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
