"""Training of the embedded backbone as a classifier of the ten classes of Imagenette.

The network is trained with batch normalisation (Ioffe and Szegedy, 2015), which is folded into the convolutions
whenever weights are written. Pictures grow during the run (48, 64, then 96 px); random resized crops, mirror images,
mild colour, grey squares; label smoothing; AdamW with a warm-up and a cosine over the minutes given; what is evaluated
and saved is a moving average of the weights. Some validation pictures are looked at during the run for the log only:
no weights are chosen by it, the last ones are kept.

Arrays: batches (B, S, S, 3) float32 in 0..255; labels int32 (B,).
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.architectures.embedded_backbone import (
    CLASS_NAMES,
    INPUT_PX,
    build_backbone,
    fold_batch_norm,
    normalise_activations,
    read_weights,
    write_weights,
)
from core.runtime import accelerated

log = logging.getLogger("train")
AVERAGE_EVERY = 4
SAVE_EVERY_S = 150.0
RESUMED_RATE = 1e-3  # of AdamW, where a run goes on from weights
STATISTICS_BATCHES = 6
LOOK_EVERY = 3  # saves between two looks at validation pictures
LOOK_PICTURES = 200
# On an accelerator: the part of batches that is mixed, of those the part that is cut; Beta's parameter for the others.
MIXED, CUT, BLEND = 0.6, 0.5, 0.4


@dataclass(frozen=True)
class Settings:
    """What a run was started with."""

    minutes: float
    seed: int
    precision: str
    # (until this part of the run, pixels)
    sizes: tuple[tuple[float, int], ...] = ((0.3, 48), (0.7, 64), (1.0, 96))
    batch: int = 64
    peak_rate: float = 2e-3
    weight_decay: float = 0.05
    smoothing: float = 0.1
    average_decay: float = 0.998
    smallest_area: float = 0.3
    erased: float = 0.5  # part of the pictures in which a square is made grey (DeVries and Taylor, 2017)


def on_accelerator(settings: Settings) -> Settings:
    """Settings where a run sees every picture hundreds of times; batches are mixed there too (`mix`)."""
    sizes = ((0.8, 96), (1.0, 112))
    return replace(settings, batch=128, peak_rate=3e-3, sizes=sizes, smallest_area=0.25, average_decay=0.9995)


class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Keras's layer, computed by TensorFlow's fused kernel while training: half of the time of a step on a CPU."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """(N, H, W, C), normalised over all but the last axis."""
        if not training or keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        gamma, beta = ops.convert_to_tensor(self.gamma), ops.convert_to_tensor(self.beta)
        answer, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, tf.cast(gamma, tf.float32), tf.cast(beta, tf.float32), epsilon=self.epsilon, is_training=True
        )[:3]
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + tf.stop_gradient(new) * (1.0 - self.momentum))
        return answer


def normalisation(name: str) -> keras.layers.Layer:
    """The layer after a convolution, its statistics in float32 under any policy."""
    return FusedBatchNormalization(momentum=0.95, epsilon=1e-3, dtype=_policy(), name=name)


_POLICY = ["float32"]


def _policy() -> str:
    return _POLICY[0]


def load_split(folder: Path, split: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """RGB pictures (N, 112, 112, 3) and labels (N,) of a split (0 train, 1 validation)."""
    with np.load(folder / "imagenette_112.npz", allow_pickle=False) as arrays:
        jpeg, offsets, labels = arrays["jpeg"], arrays["offsets"], arrays["label"]
        chosen = np.flatnonzero(arrays["split"] == split)
    pictures = [
        np.asarray(cv2.imdecode(jpeg[offsets[i] : offsets[i + 1]], cv2.IMREAD_COLOR))[:, :, ::-1] for i in chosen
    ]
    return np.stack(pictures).astype(np.uint8), labels[chosen].astype(np.int32)


def augment(
    picture: NDArray[np.uint8], size_px: int, smallest_area: float, rng: np.random.Generator, erased: float = 0.0
) -> NDArray[np.uint8]:
    """A random part of the picture, mirrored half of the time, in slightly other light: (size_px, size_px, 3).

    With probability `erased` a square of a quarter to a half of the side, somewhere in it, becomes grey.
    """
    height, width = picture.shape[:2]
    area, ratio = rng.uniform(smallest_area, 1.0), np.exp(rng.uniform(-0.28, 0.28))
    h, w = int(min(height, height * np.sqrt(area * ratio))), int(min(width, width * np.sqrt(area / ratio)))
    top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
    part = picture[top : top + h, left : left + w]
    method = cv2.INTER_AREA if h > size_px else cv2.INTER_LINEAR
    part = np.asarray(cv2.resize(part, (size_px, size_px), interpolation=method), np.uint8)
    if rng.random() < 0.5:
        part = part[:, ::-1]
    gain = rng.uniform(0.8, 1.2) * rng.uniform(0.93, 1.07, 3)
    levels = np.arange(256)[:, None] * gain + rng.uniform(-12, 12)  # (256, 3)
    table = np.clip(levels, 0, 255).astype(np.uint8)
    answer = np.stack([table[part[..., c], c] for c in range(3)], axis=-1)
    if erased and rng.random() < erased:
        side = int(rng.integers(size_px // 4, size_px // 2 + 1))
        top, left = rng.integers(0, size_px - side + 1, 2)
        answer[top : top + side, left : left + side] = 128
    return answer


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Augmented batches, shuffled anew for every epoch."""

    def __init__(self, pictures: NDArray[np.uint8], labels: NDArray[np.int32], settings: Settings):
        """Draw from the training split."""
        super().__init__(workers=1, max_queue_size=6)
        self.pictures, self.labels, self.settings = pictures, labels, settings
        self.epoch, self.size_px = 0, settings.sizes[0][1]
        self.order = np.arange(len(labels))

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.labels) // self.settings.batch

    def start(self, epoch: int, fraction: float) -> None:
        """Shuffle for this epoch, and take the size that it is time for."""
        self.epoch = epoch
        self.order = np.random.default_rng([self.settings.seed, epoch]).permutation(len(self.labels))
        self.size_px = next(size for until, size in self.settings.sizes if fraction < until or until >= 1.0)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Batch `index` of the epoch: pictures, and their labels (B,)."""
        settings = self.settings
        rng = np.random.default_rng([settings.seed, self.epoch, index])
        rows = self.order[index * settings.batch : (index + 1) * settings.batch]
        x = np.stack(
            [augment(self.pictures[i], self.size_px, settings.smallest_area, rng, settings.erased) for i in rows]
        )
        return x.astype(np.float32), self.labels[rows]


def accuracy_of(model: keras.Model, pictures: NDArray[np.uint8], labels: NDArray[np.int32]) -> float:
    """Part of the pictures whose most probable class is the right one."""
    right = 0
    for start in range(0, len(labels), 50):
        answer = model(pictures[start : start + 50].astype(np.float32), training=False)
        right += int((ops.convert_to_numpy(answer).argmax(-1) == labels[start : start + 50]).sum())
    return right / len(labels)


def mix(
    pictures: NDArray[np.float32], targets: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pictures (B, S, S, 3) mixed with others of the batch, and their targets (B, classes) in the same proportion.

    Half of the time a rectangle is cut out and pasted (CutMix: Yun et al., 2019, section 3), else all pixels are
    blended (mixup: Zhang et al., 2018, section 2); the part that is the first picture's is uniform in the former and
    drawn from Beta(0.4, 0.4) in the latter.
    """
    other = rng.permutation(len(pictures))
    size = pictures.shape[1]
    if rng.random() < CUT:
        side = np.sqrt(1 - rng.random()) * size
        y, x = rng.uniform(0, size, 2)
        top, left = (int(max(0, v - side / 2)) for v in (y, x))
        bottom, right = (int(min(size, v + side / 2)) for v in (y, x))
        mixed = pictures.copy()
        mixed[:, top:bottom, left:right] = pictures[other, top:bottom, left:right]
        part = 1 - (bottom - top) * (right - left) / size**2
    else:
        part = float(rng.beta(BLEND, BLEND))
        mixed = part * pictures + (1 - part) * pictures[other]
    return mixed.astype(np.float32), (part * targets + (1 - part) * targets[other]).astype(np.float32)


class Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Learning rate, moving average, log and checkpoints of a run that lasts the minutes given."""

    def __init__(self, settings: Settings, batches: Batches, held: tuple[Any, Any], out: Path):
        """Write to `out`."""
        super().__init__()
        self.settings, self.batches, self.held, self.out = settings, batches, held, out
        self.average = build_backbone(include_top=True, normalisation=_float32_normalisation)
        self.values: list[NDArray[np.float32]] = []
        self.started = self.saved = time.monotonic()
        self.steps = self.saves = self.epochs = 0
        self.history: list[dict[str, Any]] = []

    @property
    def fraction(self) -> float:
        """Part of the run that is over."""
        return min(1.0, (time.monotonic() - self.started) / (60 * self.settings.minutes))

    def on_train_begin(self, logs: Any = None) -> None:
        """Start the average at the first weights."""
        self.values = self.values or [ops.convert_to_numpy(w).astype(np.float32) for w in self.model.weights]

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the learning rate of this step."""
        warm = min(1.0, (self.steps + 1) / 100)
        rate = self.settings.peak_rate * warm * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * self.fraction)))
        self.model.optimizer.learning_rate.assign(rate)
        if self.fraction >= 1.0:
            self.model.stop_training = True

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move the average towards the weights."""
        self.steps += 1
        if self.steps % AVERAGE_EVERY:
            return
        decay = self.settings.average_decay**AVERAGE_EVERY * (1 - np.exp(-self.steps / 200))
        for value, weight in zip(self.values, self.model.weights, strict=True):
            value += (1 - decay) * (ops.convert_to_numpy(weight).astype(np.float32) - value)

    def folded(self) -> keras.Model:
        """The averaged network without batch normalisation."""
        self.average.set_weights(self.values)
        return fold_batch_norm(self.average)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Log, and save every few minutes."""
        row = {
            "epoch": epoch + 1,
            "size_px": self.batches.size_px,
            "elapsed_s": round(time.monotonic() - self.started),
            "training_loss": round(float((logs or {}).get("loss", float("nan"))), 4),
        }
        if time.monotonic() - self.saved > SAVE_EVERY_S or self.fraction >= 1.0:
            folded = self.folded()
            if self.saves % LOOK_EVERY == 0:
                row["val_accuracy_of_200"] = accuracy_of(
                    folded, *(part[:: len(part) // LOOK_PICTURES] for part in self.held)
                )
            self.saves += 1
            write_weights(folded, self.out / "part.npz", "float32")
            (self.out / "part.npz").replace(self.out / "last.npz")
            self.saved = time.monotonic()
        log.info("%s", row)
        self.history.append(row)
        (self.out / "history.json").write_text(json.dumps(self.history, indent=1), encoding="utf-8")
        size, self.epochs = self.batches.size_px, epoch + 1
        self.batches.start(epoch + 1, self.fraction)
        if self.fraction >= 1.0 or self.batches.size_px != size:
            self.model.stop_training = True


def _float32_normalisation(name: str) -> keras.layers.Layer:
    return FusedBatchNormalization(momentum=0.95, epsilon=1e-3, dtype="float32", name=name)


class InFloat32(keras.losses.Loss):  # type: ignore[misc]
    """Cross-entropy with smoothed labels, of probabilities."""

    def __init__(self, smoothing: float):
        """Smooth by this much."""
        super().__init__(name="cross_entropy")
        self.smoothing = smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Labels (N,) or targets (N, classes), and probabilities (N, classes), to (N,)."""
        classes = y_pred.shape[-1]
        if len(y_true.shape) < 2 or y_true.shape[-1] == 1:
            y_true = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), classes)
        target = y_true * (1 - self.smoothing) + self.smoothing / classes
        return -ops.sum(target * ops.log(ops.cast(y_pred, "float32") + 1e-7), axis=-1)


def unfold_batch_norm(folded: keras.Model, network: keras.Model, batches: list[NDArray[np.float32]]) -> None:
    """Gives a network with batch normalisation the function of one without: the reverse of `fold_batch_norm`.

    With mean m and variance v of what a convolution y = W x answers on the batches (B, S, S, 3), and bias b:
    gamma = sqrt(v + epsilon), beta = b + m, so that gamma (y - m) / sqrt(v + epsilon) + beta = y + b. The kernel is
    first scaled to the size of random ones (He et al., 2015), which batch normalisation takes back: without that the
    steps of the optimiser would be too large or too small for it. A run that goes on without batch normalisation
    learns far worse.
    """
    for layer in folded.layers:
        if not isinstance(layer, keras.layers.Conv2D):
            if layer.weights:
                network.get_layer(layer.name).set_weights(layer.get_weights())
            continue
        kernel, bias = layer.get_weights()
        scale = np.sqrt(2 / np.prod(kernel.shape[:3])) / kernel.std()
        convolution, normalised = network.get_layer(layer.name), network.get_layer(f"{layer.name}_bn")
        convolution.set_weights([kernel * scale])
        until = keras.Model(network.inputs, convolution.output)
        answers = np.concatenate(
            [ops.convert_to_numpy(until(x, training=False)).reshape(-1, kernel.shape[-1]) for x in batches]
        ).astype(np.float64)
        mean, variance = answers.mean(axis=0), answers.var(axis=0)
        deviation = np.sqrt(variance + normalised.epsilon)
        normalised.set_weights([deviation / scale, bias + mean / scale, mean, variance])


def train_backbone(
    data: Path, out: Path, minutes: float, seed: int, precision: str, resume: Path | None = None, processes: int = 0
) -> dict[str, Any]:
    """Train for `minutes`, or go on for them from the weights of an earlier run, at a lower rate.

    With `processes`, which make batches, it runs on an accelerator (`core.runtime.accelerated`).

    Writes `vgg_imagenette.npz`, `history.json` and `evaluation.json` to `out`, and returns the last.
    """
    cv2.setNumThreads(1)
    keras.utils.set_random_seed(seed)
    settings = Settings(minutes, seed, precision)
    if resume is not None:
        settings = replace(settings, sizes=((0.72, 64), (1.0, 96)), peak_rate=RESUMED_RATE)
    if processes:
        settings = on_accelerator(settings)
    pictures, labels = load_split(data / "imagenette", 0)
    held = load_split(data / "imagenette", 1)
    batches = Batches(pictures, labels, settings)
    batches.start(0, 0.0)
    # Processes are forked before anything runs on the device.
    feeder = feeder_of(batches, processes) if processes else None
    _POLICY[0] = precision
    network = build_backbone(include_top=True, seed=seed, dtype=precision, normalisation=normalisation)
    if resume is not None:
        folded = build_backbone(include_top=True)
        read_weights(folded, resume)
        unfold_batch_norm(folded, network, [batches[i][0] for i in range(STATISTICS_BATCHES)])
    network.compile(
        keras.optimizers.AdamW(settings.peak_rate, weight_decay=settings.weight_decay, clipnorm=2.0),
        loss=InFloat32(settings.smoothing),
        jit_compile=False,
    )
    if feeder is not None:
        folded, steps = train_on_accelerator(network, feeder, settings, out)
        return finish(folded, settings, pictures, held, out, steps)
    clock = Clock(settings, batches, held, out)
    while clock.fraction < 1.0:
        # One call for each size: `fit` holds on to the shape of the first batch that it sees.
        network.fit(batches, initial_epoch=clock.epochs, epochs=10_000, callbacks=[clock], verbose=0)
        network.stop_training = False
    return finish(clock.folded(), settings, pictures, held, out, clock.steps)


def feeder_of(batches: Batches, processes: int) -> accelerated.Feeder:
    """Processes that make a batch from its step and how far the run is (0..1)."""
    one_hot = np.eye(len(CLASS_NAMES), dtype=np.float32)

    def make(task: tuple[int, float]) -> accelerated.Batch:
        step, fraction = task
        epoch, index = divmod(step, len(batches))
        batches.start(epoch, fraction)
        x, labels = batches[index]
        rng = np.random.default_rng([batches.settings.seed, epoch, index, 1])
        y = one_hot[labels]
        if rng.random() < MIXED:
            x, y = mix(x, y, rng)
        return np.rint(x).astype(np.uint8), y

    largest = max(size for _, size in batches.settings.sizes)
    return accelerated.Feeder(make, batches.settings.batch * largest**2 * 3, processes)


def train_on_accelerator(
    network: keras.Model, feeder: accelerated.Feeder, settings: Settings, out: Path
) -> tuple[keras.Model, int]:
    """Train for the settings' minutes: the averaged network without batch normalisation, and the steps taken."""
    average = build_backbone(include_top=True, normalisation=_float32_normalisation)

    def save(values: accelerated.Values, history: list[dict[str, float]]) -> None:
        average.set_weights(values)
        write_weights(fold_batch_norm(average), out / "part.npz", "float32")
        (out / "part.npz").replace(out / "last.npz")
        (out / "history.json").write_text(json.dumps(history, indent=1), encoding="utf-8")

    schedule = accelerated.Schedule(settings.minutes, settings.peak_rate, average_decay=settings.average_decay)
    values, history = accelerated.train(network, network.weights, feeder, lambda *where: where, schedule, save)
    average.set_weights(values)
    return fold_batch_norm(average), int(history[-1]["step"])


def finish(
    folded: keras.Model,
    settings: Settings,
    pictures: NDArray[np.uint8],
    held: tuple[NDArray[np.uint8], NDArray[np.int32]],
    out: Path,
    steps: int,
) -> dict[str, Any]:
    """Normalise the activations, write the weights in half precision, and evaluate what was written."""
    few = held[0][:20].astype(np.float32)
    before = ops.convert_to_numpy(folded(few, training=False))
    sample = np.random.default_rng(settings.seed).permutation(len(pictures))[:500]
    normalise_activations(folded, (pictures[sample[i : i + 50]].astype(np.float32) for i in range(0, 500, 50)))
    write_weights(folded, out / "vgg_imagenette.npz")
    written = build_backbone(include_top=True)
    read_weights(written, out / "vgg_imagenette.npz")
    evaluation = {
        "settings": asdict(settings),
        "steps": steps,
        "size_px": INPUT_PX,
        "val_pictures": len(held[1]),
        "val_accuracy": accuracy_of(written, *held),
        "largest_change_by_half_precision": float(np.abs(ops.convert_to_numpy(written(few)) - before).max()),
        "parameters": int(written.count_params()),
    }
    (out / "evaluation.json").write_text(json.dumps(evaluation, indent=1), encoding="utf-8")
    log.info("%s", evaluation)
    return evaluation
