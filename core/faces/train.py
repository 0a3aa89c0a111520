"""Training of the embedded encoder.

    python -m core.faces.train --data DIR --out DIR [--resume FILE] [--minutes 40 | --epochs 30] [--without-teacher]

Two stages on one falling learning rate. First the network learns to tell the persons of the train split apart as a
classifier with a margin (CosFace, Wang et al. 2018), which gives a gradient to every face; then, from `--triplets-from`
of the run on, with the triplet loss and semi-hard negatives (Schroff et al. 2015, FaceNet, section 3.2), for which the
encodings are wanted. Through both stages a *teacher* may show where a face belongs (Hinton et al. 2015, Distilling the
knowledge in a neural network): the encodings that dlib's network gives to the same faces, less their mean, at length
one. Batches hold `--persons` persons with four faces each. What is saved is the moving average of the weights.

`last.weights.h5` is for going on; `face_encoder.npz`, half as many bytes, is what `assets/weights` holds. No validation
face is ever trained on. The last average is what the run gives: nothing is selected on the validation
pairs.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.faces.archive import MARGIN_PX, POINTS, SIDE_PX, TRAIN, VALIDATION, FaceArchive, load_archive
from core.faces.embedded_encoder import pack
from core.faces.losses import cosface_loss, mined_triplet_loss
from core.faces.network import DIMENSIONS, INPUT_PX, build_encoder
from core.faces.verification import best_threshold, cross_validated_accuracy, pair_distances

log = logging.getLogger("train")
FACES_OF_A_PERSON = 4
AVERAGE_EVERY = 4
SAVE_EVERY_S = 180.0
WARM_UP_STEPS = 100
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """What a run was started with."""

    minutes: float | None
    epochs: int
    persons: int
    peak_rate: float
    weight_decay: float
    dropout: float
    cosface_scale: float
    cosface_margin: float
    triplet_margin: float
    triplets_from: float
    teacher_weight: float
    average_decay: float
    seed: int
    precision: str


def disturb(face: NDArray[np.uint8], rng: np.random.Generator) -> Floats:
    """A face (80, 80, 3) as (64, 64, 3) float32 0..255: moved, turned, scaled, mirrored, recoloured, blurred at random.

    The movements are about as large as the errors of a detector's points.
    """
    angle, scale = rng.normal(0, 5.0), float(np.exp(rng.normal(0, 0.05)))
    matrix: NDArray[np.float64] = np.array(
        cv2.getRotationMatrix2D(((SIDE_PX - 1) / 2, (SIDE_PX - 1) / 2), angle, scale), np.float64
    )
    matrix[:, 2] += rng.normal(0, 1.5, 2) - MARGIN_PX
    if rng.random() < 0.5:
        face = np.ascontiguousarray(face[:, ::-1])
    crop = cv2.warpAffine(face, matrix, (INPUT_PX, INPUT_PX), flags=cv2.INTER_LINEAR)
    if rng.random() < 0.2:  # as from a small photograph
        side = int(rng.integers(24, 56))
        small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        crop = cv2.resize(small, (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_LINEAR)
    values = crop.astype(np.float32)
    values = values * float(np.exp(rng.normal(0, 0.15))) + rng.normal(0, 12.0)
    values = values * np.exp(rng.normal(0, 0.05, 3)).astype(np.float32)
    if rng.random() < 0.1:
        values[:] = values.mean(axis=2, keepdims=True)
    if rng.random() < 0.2:  # a part is hidden
        side = int(rng.integers(10, 24))
        top, left = rng.integers(0, INPUT_PX - side, 2)
        values[top : top + side, left : left + side] = rng.uniform(0, 255)
    return np.clip(values, 0, 255).astype(np.float32)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of persons with four faces each, disturbed anew every time."""

    def __init__(
        self, faces: NDArray[np.uint8], persons: NDArray[np.int64], teacher: Floats | None, settings: Settings
    ):
        """Draw from faces (N, 80, 80, 3) of persons (N,) in 0..P-1."""
        super().__init__(workers=1, max_queue_size=8)
        self.faces, self.persons, self.teacher, self.settings = faces, persons, teacher, settings
        self.of_person = [np.flatnonzero(persons == person) for person in range(int(persons.max()) + 1)]
        chances = np.array([len(rows) for rows in self.of_person], np.float64) ** 0.7
        self.chances = chances / chances.sum()
        self.epoch = 0

    def __len__(self) -> int:
        """Batches in an epoch: as many as see each face once on average."""
        return len(self.faces) // (self.settings.persons * FACES_OF_A_PERSON)

    def on_epoch_end(self) -> None:
        """Draw others in the next epoch."""
        self.epoch += 1

    def __getitem__(self, index: int) -> tuple[Floats, dict[str, NDArray[Any]]]:
        """Batch `index` of the epoch."""
        rng = np.random.default_rng([self.settings.seed, self.epoch, index])
        chosen = rng.choice(len(self.of_person), self.settings.persons, replace=False, p=self.chances)
        rows: list[int] = []
        for person in chosen:
            own = self.of_person[person]
            rows += rng.choice(own, FACES_OF_A_PERSON, replace=len(own) < FACES_OF_A_PERSON).tolist()
        x = np.stack([disturb(self.faces[row], rng) for row in rows])
        y: dict[str, NDArray[Any]] = {"person": self.persons[rows].astype(np.int32)}
        if self.teacher is not None:
            y["teacher"] = self.teacher[rows]
        return x, y


class EncoderTraining(keras.Model):  # type: ignore[misc]
    """A network together with the directions of the train persons and its losses, for `fit`."""

    def __init__(self, network: keras.Model, persons: int, settings: Settings):
        """Train `network`."""
        super().__init__(name="encoder_training")
        self.network, self.settings = network, settings
        self.directions = self.add_weight(
            name="directions",
            shape=(persons, DIMENSIONS),
            initializer=keras.initializers.RandomNormal(seed=settings.seed),
            dtype="float32",
        )
        # 1 for the classifier, 0 for triplets; a callback moves it.
        self.classifying = self.add_weight(
            name="classifying", shape=(), initializer="ones", trainable=False, dtype="float32"
        )
        self.parts = {
            name: keras.metrics.Mean(name=name) for name in ("classifier", "triplet", "active_share", "teacher")
        }

    def call(self, x: Any, training: bool = False) -> Any:
        """Encodings (B, D)."""
        return self.network(x, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The classifier's loss, or the triplets', and the distance to the teacher."""
        s = self.settings
        cosines = ops.matmul(y_pred, ops.transpose(ops.normalize(self.directions, axis=1)))  # (B, P)
        classifier = cosface_loss(cosines, y["person"], s.cosface_scale, s.cosface_margin)
        triplet, active = mined_triplet_loss(y_pred, y["person"], s.triplet_margin, "semi-hard")
        loss = self.classifying * classifier + (1 - self.classifying) * 10.0 * triplet
        self.parts["classifier"].update_state(classifier)
        self.parts["triplet"].update_state(triplet)
        self.parts["active_share"].update_state(active)
        if "teacher" in y:
            teacher = ops.mean(1 - ops.sum(y["teacher"] * y_pred, axis=1))
            self.parts["teacher"].update_state(teacher)
            loss = loss + s.teacher_weight * teacher
        return loss


def encode_all(network: keras.Model, crops: NDArray[np.uint8], batch: int = 128) -> Floats:
    """Encodings (N, D) of crops (N, 64, 64, 3), the mean of each and its mirror image at length one."""
    parts = []
    for start in range(0, len(crops), batch):
        x = crops[start : start + batch].astype(np.float32)
        both = [ops.convert_to_numpy(network(y, training=False)) for y in (x, x[:, :, ::-1])]
        parts.append(both[0] + both[1])
    encodings = np.concatenate(parts)
    unit: Floats = (encodings / np.linalg.norm(encodings, axis=1, keepdims=True)).astype(np.float32)
    return unit


def validate(network: keras.Model, archive: FaceArchive) -> dict[str, float]:
    """Accuracy on the validation pairs: each tenth with the threshold that is best on the others."""
    rows = archive.indices(VALIDATION)
    inner = slice(MARGIN_PX, MARGIN_PX + INPUT_PX)
    encodings = encode_all(network, archive.faces(rows)[:, inner, inner])
    place = np.full(len(archive.split), -1)
    place[rows] = np.arange(len(rows))
    first, second = (encodings[place[archive.pairs[:, side]]] for side in (0, 1))
    distances = pair_distances(first, second)
    return {
        "accuracy": round(cross_validated_accuracy(distances, archive.is_same), 4),
        "threshold": round(best_threshold(distances, archive.is_same), 4),
    }


def teacher_encodings(faces: NDArray[np.uint8], cache: Path) -> Floats:
    """What dlib's network says of faces (N, 80, 80, 3): its encodings, less their mean, at length one."""
    if not cache.is_file():
        from core.faces.alignment import TEMPLATE_DLIB_150, similarity_transform, warp
        from core.faces.dlib_encoder import encode_aligned

        transform = similarity_transform(POINTS, TEMPLATE_DLIB_150)
        parts = []
        for start in range(0, len(faces), 64):
            crops = np.stack([warp(face, transform, 150) for face in faces[start : start + 64]])
            parts.append(encode_aligned(crops))
            log.info("teacher: %d of %d faces", start + len(crops), len(faces))
        np.save(cache, np.concatenate(parts))
    native = np.load(cache)
    centred = native - native.mean(axis=0)
    unit: Floats = (centred / np.linalg.norm(centred, axis=1, keepdims=True)).astype(np.float32)
    return unit


class Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Learning rate, stage, moving average, validation and checkpoints of a run."""

    def __init__(self, training: EncoderTraining, average: keras.Model, archive: FaceArchive, steps: int, out: Path):
        """Write to `out`; an epoch has `steps` steps."""
        super().__init__()
        self.training, self.average, self.archive, self.out = training, average, archive, out
        self.settings, self.steps_per_epoch = training.settings, steps
        self.started, self.steps, self.saved = time.monotonic(), 0, time.monotonic()
        self.values = [ops.convert_to_numpy(w).copy() for w in training.network.weights]
        self.history: list[dict[str, Any]] = []

    def fraction(self) -> float:
        """How far the run is, 0..1."""
        if self.settings.minutes is not None:
            return min(1.0, (time.monotonic() - self.started) / (60 * self.settings.minutes))
        return min(1.0, self.steps / (self.settings.epochs * self.steps_per_epoch))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the learning rate and the stage for this step."""
        fraction = self.fraction()
        warm = min(1.0, (self.steps + 1) / WARM_UP_STEPS)
        rate = self.settings.peak_rate * warm * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * fraction)))
        self.model.optimizer.learning_rate.assign(rate)
        self.training.classifying.assign(1.0 if fraction < self.settings.triplets_from else 0.0)
        if fraction >= 1.0:
            self.model.stop_training = True

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move the average towards the weights."""
        self.steps += 1
        if self.steps % AVERAGE_EVERY:
            return
        decay = self.settings.average_decay**AVERAGE_EVERY
        decay *= 1 - np.exp(-self.steps / 200)
        for value, weight in zip(self.values, self.training.network.weights, strict=True):
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
        """Save, and look at the validation pairs."""
        row: dict[str, Any] = {
            "epoch": epoch + 1,
            "elapsed_s": round(time.monotonic() - self.started),
            "fraction": round(self.fraction(), 4),
            "stage": "classifier" if self.fraction() < self.settings.triplets_from else "triplets",
        }
        row |= {name: round(float(value), 4) for name, value in (logs or {}).items()}
        self.save()
        if epoch % 2 or self.fraction() >= 1.0:
            row["val"] = validate(self.average, self.archive)
        log.info("%s", row)
        self.history.append(row)
        (self.out / "history.json").write_text(json.dumps(self.history, indent=1), encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="train the embedded face encoder")
    parser.add_argument("--data", type=Path, required=True, help="folder with celeba_aligned_80.npz")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", type=Path, help="weights of an earlier run to go on from")
    parser.add_argument("--minutes", type=float, help="length of the schedule in minutes, in place of epochs")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--persons", type=int, default=32, help="persons in a batch, four faces each")
    parser.add_argument("--peak-rate", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--cosface-scale", type=float, default=24.0)
    parser.add_argument("--cosface-margin", type=float, default=0.2)
    parser.add_argument("--triplet-margin", type=float, default=0.3)
    parser.add_argument("--triplets-from", type=float, default=0.7, help="part of the run after which triplets teach")
    parser.add_argument("--teacher-weight", type=float, default=20.0)
    parser.add_argument("--without-teacher", action="store_true")
    parser.add_argument("--average-decay", type=float, default=0.995)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", choices=("float32", "mixed_bfloat16"), default="float32")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    keras.utils.set_random_seed(args.seed)
    settings = Settings(
        args.minutes,
        args.epochs,
        args.persons,
        args.peak_rate,
        args.weight_decay,
        args.dropout,
        args.cosface_scale,
        args.cosface_margin,
        args.triplet_margin,
        args.triplets_from,
        0.0 if args.without_teacher else args.teacher_weight,
        args.average_decay,
        args.seed,
        args.precision,
    )
    archive = load_archive(args.data)
    rows = archive.indices(TRAIN)
    names, persons = np.unique(archive.identity[rows], return_inverse=True)
    faces = archive.faces(rows)
    teacher = teacher_encodings(faces, args.out / "teacher.npy") if settings.teacher_weight else None
    network = build_encoder(settings.dropout, settings.precision)
    average = build_encoder()  # what is validated and saved is what people run
    if args.resume:
        average.load_weights(args.resume)
        for layer in average.layers:
            network.get_layer(layer.name).set_weights(layer.get_weights())
    facts = {
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "python": platform.python_version(),
        "parameters": average.count_params(),
        "train_faces": len(faces),
        "train_persons": len(names),
    }
    (args.out / "config.json").write_text(json.dumps(asdict(settings) | facts, indent=1), encoding="utf-8")
    batches = Batches(faces, persons.astype(np.int64), teacher, settings)
    training = EncoderTraining(network, len(names), settings)
    optimizer = keras.optimizers.AdamW(settings.peak_rate, weight_decay=settings.weight_decay, global_clipnorm=5.0)
    training.compile(optimizer, jit_compile=False)
    clock = Clock(training, average, archive, len(batches), args.out)
    training.fit(batches, epochs=10**6 if args.minutes else args.epochs, callbacks=[clock], verbose=0)
    clock.save()
    (args.out / "face_encoder.npz").write_bytes(pack(average))
    report = validate(average, archive) | {"steps": clock.steps}
    (args.out / "evaluation.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    log.info("%s", report)


if __name__ == "__main__":
    main()
