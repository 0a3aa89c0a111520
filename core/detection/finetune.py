"""Fine-tuning of the embedded detector on a small annotated set of new classes.

The network keeps everything that it knows of edges, parts and boxes; only the last convolution, which names
the classes, is new. It learns together with the neck and the head; the backbone stays frozen, or learns too
where there is more data (transfer learning as the course tells it: replace the last layer, freeze the more the
fewer pictures there are). Pictures held out choose the best state.

Everything is Keras, so any Keras backend can run it. Arrays: pictures RGB uint8 (H, W, 3); boxes xyxy float32
(n, 4) in pixels.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.detection.augmentation import compose, letterbox, mosaic_windows, random_placement, recolour
from core.detection.embedded import embedded_detector
from core.detection.evaluation import Evaluation, ImageDetections, ImageTruth, evaluate
from core.detection.grid import cell_centres
from core.detection.labels import Labels
from core.detection.losses import BOX_WEIGHT, detection_loss
from core.detection.predictions import answer_of, letterbox_picture, select
from core.detection.yolo import build_detector
from core.runtime.one_device import on_one_device

Image = NDArray[np.uint8]
MAX_OBJECTS = 32
WARM_UP_STEPS = 20
MOSAIC_CHANCE = 0.4
MOSAIC_UNTIL = 0.8
AVERAGE_DECAY = 0.95
EVALUATION_IOU = 0.6
LOWEST_SCORE = 0.02


@dataclass(frozen=True)
class Example:
    """A picture with its true boxes and class ids."""

    pixels: Image
    boxes_xyxy: NDArray[np.float32]
    class_ids: NDArray[np.int64]


@dataclass(frozen=True)
class TuningSettings:
    """How long and how fast it learns: steps, whether the backbone stays as it is, pictures a step, peak rate.

    A slow machine stops after `limit_s`, counted from the first step on: before it the graph is built.
    """

    steps: int = 200
    limit_s: float = 780.0
    freeze_backbone: bool = True
    batch: int = 8
    peak_rate: float = 1e-3
    size_px: int = 256
    seed: int = 0


@dataclass(frozen=True)
class TuningPoint:
    """The state at a validation: mAP@.5 in 0..1 on the pictures held out, and the mean loss since the last one.

    `measured` is all that the validation says.
    """

    step: int
    elapsed_s: float
    loss: float
    map_50: float
    measured: Evaluation


# Told after every step: the fraction done, the point of a validation, the loss, the step, and the network where it
# is the best one so far.
Tell = Callable[[float, TuningPoint | None, float, int, keras.Model | None], None]


def network_with_new_classes(class_count: int) -> keras.Model:
    """The embedded detector with a fresh classifier of `class_count` classes; all other weights are its own."""
    weights = embedded_detector()
    source = build_detector(len(weights.class_names))
    source.load_weights(weights.path)
    network = build_detector(class_count)
    for layer in source.layers:
        values = layer.get_weights()
        if values and layer.name != "head_class_logits":
            network.get_layer(layer.name).set_weights(values)
    return network


def is_backbone(name: str) -> bool:
    """Whether a layer of this name belongs to the backbone."""
    return name.startswith(("stem", "stage", "pyramid"))


def make_batch(
    examples: Sequence[Example], class_count: int, settings: TuningSettings, rng: np.random.Generator, mosaic: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Augmented pictures (B, S, S, 3), objects (B, 32, 6) and background weights (B, A, C)."""
    size = settings.size_px
    cells = cell_centres(size, size)
    images = np.empty((settings.batch, size, size, 3), np.float32)
    objects = np.zeros((settings.batch, MAX_OBJECTS, 6), np.float32)
    objects[..., 4] = -1
    background = np.empty((settings.batch, len(cells), class_count), np.float32)
    for row in range(settings.batch):
        in_four = rng.random() < mosaic
        windows = mosaic_windows(size, rng) if in_four else [(0, 0, size, size)]
        parts = []
        for window in windows:
            example = examples[int(rng.integers(len(examples)))]
            height, width = example.pixels.shape[:2]
            plain = not in_four and rng.random() < 0.3
            place = letterbox(width, height, size) if plain else random_placement(width, height, window, rng, in_four)
            parts.append((example.pixels, _labels(example, class_count), place))
        canvas = compose(parts, size, cells)
        images[row] = recolour(canvas.image, rng)
        background[row] = canvas.background
        count = min(len(canvas.boxes_xyxy), MAX_OBJECTS)
        objects[row, :count, :4] = canvas.boxes_xyxy[:count]
        objects[row, :count, 4] = canvas.class_ids[:count]
        objects[row, :count, 5] = canvas.weights[:count]
    return images, objects, background


def _labels(example: Example, class_count: int) -> Labels:
    """Everything in the visitor's pictures is annotated: the absence of a box means background."""
    return Labels(
        example.boxes_xyxy,
        example.class_ids,
        np.ones(len(example.class_ids), np.float32),
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.int64),
        np.ones(class_count, np.float32),
    )


class Tuning(keras.Model):  # type: ignore[misc]
    """The network with its loss; inputs are the pictures alone."""

    def __init__(self, network: keras.Model, size_px: int):
        """Train `network` at a fixed input size."""
        super().__init__(name="tuning")
        self.network = network
        self.cells = cell_centres(size_px, size_px)

    def call(self, x: Any, training: bool = False) -> Any:
        """Raw predictions."""
        return self.network(x, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Class loss plus weighted box loss."""
        cells = ops.broadcast_to(ops.convert_to_tensor(self.cells), (ops.shape(y_pred)[0], *self.cells.shape))
        class_loss, box_loss = detection_loss(y_pred, cells, y["objects"], y["background"])
        return class_loss + BOX_WEIGHT * box_loss


def detect_with(
    network: keras.Model, pictures: Sequence[Image], class_names: tuple[str, ...], size_px: int
) -> list[ImageDetections]:
    """Detections of pictures by a network, down to a low score, for evaluation."""
    found = []
    for start in range(0, len(pictures), 8):
        part = pictures[start : start + 8]
        squares, scales = zip(*(letterbox_picture(picture, size_px) for picture in part), strict=True)
        batch = np.zeros((8, size_px, size_px, 3), np.float32)  # one shape, so that one graph is built
        batch[: len(part)] = np.stack(squares)
        raw = ops.convert_to_numpy(network.predict_on_batch(batch))
        for rows, scale, picture in zip(raw, scales, part, strict=False):
            size = (picture.shape[1], picture.shape[0])
            answer = answer_of(rows, size_px, scale, size, class_names, "fine-tuned")
            found.append(select(answer, LOWEST_SCORE, EVALUATION_IOU).detections)
    return found


def validate(
    network: keras.Model, examples: Sequence[Example], class_names: tuple[str, ...], size_px: int
) -> Evaluation:
    """Average precision of a network on annotated pictures."""
    every = np.ones(len(class_names), np.bool_)
    truth = [ImageTruth(e.boxes_xyxy, e.class_ids, np.zeros(len(e.class_ids), np.bool_), every) for e in examples]
    found = detect_with(network, [example.pixels for example in examples], class_names, size_px)
    return evaluate(truth, found, len(class_names))


def learning_rate(step: int, fraction: float, peak: float) -> float:
    """A short warm-up, then a cosine down to a hundredth (Loshchilov and Hutter 2017)."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    return float(peak * warm * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * fraction))))


def tune(
    train: Sequence[Example],
    held_out: Sequence[Example],
    class_names: tuple[str, ...],
    settings: TuningSettings,
    tell: Tell,
) -> tuple[keras.Model, list[TuningPoint]]:
    """Train on `train`, keep the averaged weights that do best on `held_out`; `tell` may raise to stop.

    Returns the network with the best weights, and what every validation measured.
    """
    keras.utils.set_random_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    network, best = network_with_new_classes(len(class_names)), build_detector(len(class_names))
    best.set_weights(network.get_weights())
    average = [value.copy() for value in network.get_weights()]
    points: list[TuningPoint] = []
    losses: list[float] = []
    training = _compiled(network, settings)
    started = time.monotonic()
    step, best_merit, fraction = 0, -1.0, 0.0
    best_values = average
    while fraction < 1.0:
        mosaic = MOSAIC_CHANCE if fraction < MOSAIC_UNTIL else 0.0
        images, objects, background = make_batch(train, len(class_names), settings, rng, mosaic)
        training.optimizer.learning_rate.assign(learning_rate(step, fraction, settings.peak_rate))
        losses.append(float(training.train_on_batch(images, {"objects": objects, "background": background})))
        step += 1
        decay = min(AVERAGE_DECAY, (step + 1) / (step + 10))
        average = [decay * a + (1 - decay) * v for a, v in zip(average, network.get_weights(), strict=True)]
        if step == 1:
            started = time.monotonic()
        fraction = min(1.0, max((time.monotonic() - started) / settings.limit_s, step / settings.steps))
        tell(fraction, None, losses[-1], step, None)
        if step % max(5, settings.steps // 10) == 0 and fraction < 1.0:
            best.set_weights(average)
            point = _point(best, held_out, class_names, settings, step, time.monotonic() - started, losses)
            losses = []
            points.append(point)
            if _merit(point) >= best_merit:
                best_merit, best_values = _merit(point), average
            tell(fraction, point, point.loss, step, best if best_values is average else None)
    best.set_weights(average)
    point = _point(best, held_out, class_names, settings, step, time.monotonic() - started, losses)
    points.append(point)
    tell(1.0, point, point.loss, step, None)
    if _merit(point) < best_merit:
        best.set_weights(best_values)
    return best, points


def _merit(point: TuningPoint) -> float:
    """What chooses between states: AP@.5 of a few pictures is coarse, so how well the boxes fit counts as well."""
    return float(np.nan_to_num(point.measured.map_50) + np.nan_to_num(point.measured.map_50_95))


def _point(
    network: keras.Model,
    held_out: Sequence[Example],
    class_names: tuple[str, ...],
    settings: TuningSettings,
    step: int,
    elapsed_s: float,
    losses: list[float],
) -> TuningPoint:
    measured = validate(network, held_out, class_names, settings.size_px)
    loss = float(np.mean(losses)) if losses else float("nan")
    return TuningPoint(step, elapsed_s, loss, 0.0 if np.isnan(measured.map_50) else measured.map_50, measured)


def _compiled(network: keras.Model, settings: TuningSettings) -> Tuning:
    """The network ready for `train_on_batch`.

    A batch of a few pictures says little about means and variances: normalisations keep theirs.
    """
    for layer in network.layers:
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = not is_norm and not (settings.freeze_backbone and is_backbone(layer.name))
    training = Tuning(network, settings.size_px)
    optimizer = keras.optimizers.AdamW(settings.peak_rate, weight_decay=0.01, global_clipnorm=10.0)
    training.compile(on_one_device(optimizer), jit_compile=False)
    return training


def keras_file(network: keras.Model) -> bytes:
    """The network as the bytes of a .keras file, which `keras.saving.load_model` reads in safe mode."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "detector.keras"
        network.save(path)
        return path.read_bytes()


def network_of(data: bytes) -> keras.Model:
    """The network of a .keras file, loaded in safe mode."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "detector.keras"
        path.write_bytes(data)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
