"""Training of the decoder that turns normalised features back into pictures.

Contents are crops of training photographs (`imagenette/`, `detection/`), styles crops of `paintings/`, of the styles
that the project draws, of textures among the sample photographs, and now and then of a photograph; half of the styles
are turned, mirrored and given other colours. The loss is that of Huang and Belongie (2017, equations 11 to 13): the
result's deepest features should be those that the decoder was given, its statistics in four layers those of the style;
besides, the notes' style cost, and in one picture of each batch, whose style is itself, the pixels. The encoder is
fixed. Adam with a cosine over the minutes given; a moving average of the weights is saved.

Arrays: batches (B, S, S, 3) float32 in 0..255.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.architectures.embedded_backbone import read_weights, write_weights
from core.runtime import accelerated
from core.runtime.samples import load_sample
from core.runtime.weights import require
from core.style import costs
from core.style.drawn_styles import DRAWN_STYLES, draw_style
from core.style.feed_forward import LEVELS, adaptive_instance_norm, build_decoder, build_encoder, statistics
from core.style.settings import Pixels

log = logging.getLogger("train")
TEXTURES = ("brick", "grass", "immunohistochemistry", "hubble_deep_field", "retina", "flower", "coffee", "china")
STYLE_TAPS = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1")
SAVE_EVERY_S = 120.0
RESUMED_RATE = 6e-4


@dataclass(frozen=True)
class Settings:
    """What a run was started with."""

    minutes: float
    seed: int
    precision: str
    batch: int = 4
    sizes: tuple[tuple[float, int], ...] = ((0.7, 96), (1.0, 128))
    peak_rate: float = 1.5e-3
    style_weight: float = 6.0
    gram_weight: float = 6.0
    pixel_weight: float = 8.0
    variation_weight: float = 1e-5
    average_decay: float = 0.99
    drawn_seeds: int = 2


def on_accelerator(settings: Settings) -> Settings:
    """Settings where steps are many and cheap."""
    sizes = ((0.6, 128), (1.0, 192))
    return replace(settings, batch=16, sizes=sizes, peak_rate=2e-3, average_decay=0.998, drawn_seeds=6)


class Pictures:
    """Contents and styles, drawn at random; the same generator gives the same crops."""

    def __init__(self, data: Path, settings: Settings) -> None:
        """Read the archives; photographs are decoded when drawn."""
        self.archives = []
        with np.load(data / "imagenette" / "imagenette_112.npz", allow_pickle=False) as arrays:
            self.archives.append((arrays["jpeg"], arrays["offsets"], np.flatnonzero(arrays["split"] == 0)))
        splits = json.loads((data / "detection" / "detection.json").read_text(encoding="utf-8"))["images"]
        with np.load(data / "detection" / "detection.npz", allow_pickle=False) as arrays:
            training = np.array([i for i, image in enumerate(splits) if image["split"] == "train"])
            self.archives.append((arrays["jpeg"], arrays["offsets"], training))
        files = sorted((data / "paintings").glob("*.jpg")) + sorted((data / "paintings").glob("*.png"))
        self.paintings = [self._rgb(np.frombuffer(file.read_bytes(), np.uint8)) for file in files]
        self.drawn = [draw_style(name, 384, seed) for name in DRAWN_STYLES for seed in range(settings.drawn_seeds)]
        self.textures = [load_sample(name) for name in TEXTURES]

    @staticmethod
    def _rgb(jpeg: NDArray[np.uint8]) -> Pixels:
        return np.ascontiguousarray(np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1])

    def content(self, size_px: int, rng: np.random.Generator) -> Pixels:
        """A crop of a photograph (S, S, 3)."""
        jpeg, offsets, chosen = self.archives[int(rng.random() < 0.7)]
        index = int(rng.choice(chosen))
        return _crop(self._rgb(jpeg[offsets[index] : offsets[index + 1]]), size_px, rng.uniform(1.0, 1.6), rng)

    def style(self, size_px: int, rng: np.random.Generator) -> Pixels:
        """A crop of a painting, drawn style, texture or photograph (S, S, 3)."""
        kind = rng.random()
        if kind < 0.35 and self.paintings:
            picture = self.paintings[rng.integers(len(self.paintings))]
        elif kind < 0.75:
            picture = self.drawn[rng.integers(len(self.drawn))]
        elif kind < 0.9:
            picture = self.textures[rng.integers(len(self.textures))]
        else:
            return self.content(size_px, rng)
        crop = _crop(picture, size_px, rng.uniform(1.2, 3.0), rng)
        if rng.random() < 0.5:
            crop = np.rot90(crop, int(rng.integers(4)))
            crop = crop[..., rng.permutation(3)]
        return crop


def _crop(picture: Pixels, size_px: int, scale: float, rng: np.random.Generator) -> Pixels:
    """A random square, the picture's shorter side being `scale` times its side."""
    side = max(size_px, round(size_px * scale))
    height, width = picture.shape[:2]
    factor = side / min(height, width)
    size = (max(size_px, round(width * factor)), max(size_px, round(height * factor)))
    larger = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    top, left = rng.integers(0, size[1] - size_px + 1), rng.integers(0, size[0] - size_px + 1)
    crop = larger[top : top + size_px, left : left + size_px]
    return np.asarray(crop[:, ::-1] if rng.random() < 0.5 else crop, np.uint8)


def batch_of(pictures: Pictures, settings: Settings, step: int, size_px: int) -> tuple[Any, Any]:
    """Contents and styles of a step (B, S, S, 3); the last picture's style is itself."""
    rng = np.random.default_rng([settings.seed, step])
    contents = np.stack([pictures.content(size_px, rng) for _ in range(settings.batch)])
    styles = np.stack([*(pictures.style(size_px, rng) for _ in range(settings.batch - 1)), contents[-1]])
    return contents.astype(np.float32), styles.astype(np.float32)


class Training:
    """Encoder, decoder and the loss of a batch; `step` takes one with TensorFlow."""

    def __init__(self, backbone: Path, settings: Settings) -> None:
        """Build them; the encoder is fixed."""
        self.settings = settings
        self.names = list(dict.fromkeys([*STYLE_TAPS, *(name for name, _ in LEVELS)]))
        self.encoder = build_encoder(settings.precision, self.names)
        read_weights(self.encoder, backbone)
        self.encoder.trainable = False
        self.decoder = build_decoder(settings.seed, settings.precision)
        self.optimizer = keras.optimizers.Adam(settings.peak_rate, beta_2=0.99, global_clipnorm=5.0)
        self.optimizer.build(self.decoder.trainable_variables)
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            self.step = tf.function(self._step)  # once for each size

    def features(self, image: Any) -> dict[str, Any]:
        """Activations by layer in float32."""
        answers = self.encoder(image, training=False)
        return {name: ops.cast(a, "float32") for name, a in zip(self.names, answers, strict=True)}

    def loss(self, contents: Any, styles: Any) -> tuple[Any, Any]:
        """The loss of a batch and its parts (content, style, gram, pixels)."""
        settings = self.settings
        own, wanted = self.features(contents), self.features(styles)
        given = [adaptive_instance_norm(own[name], *statistics(wanted[name])) for name, _ in LEVELS]
        images = ops.cast(self.decoder(given, training=True), "float32")
        made = self.features(images)
        content = ops.mean(ops.square(made[LEVELS[0][0]] - given[0]))
        style, gram = 0.0, 0.0
        for name in STYLE_TAPS:
            for got, asked in zip(statistics(made[name]), statistics(wanted[name]), strict=True):
                style += ops.mean(ops.square(got - asked))
            positions = made[name].shape[1] * made[name].shape[2]
            for row in range(settings.batch):
                asked, got = costs.gram_matrix(wanted[name][row]), costs.gram_matrix(made[name][row])
                gram += costs.style_cost(asked, got, positions) / settings.batch
        pixels = ops.mean(ops.square((images[-1] - contents[-1]) / 64.0))
        variation = sum(costs.total_variation(images[row]) for row in range(settings.batch))
        outside = ops.mean(ops.square(ops.relu(ops.abs(images - 127.5) - 127.5) / 64.0))
        total = (
            content
            + settings.style_weight * style
            + settings.gram_weight * gram
            + settings.pixel_weight * pixels
            + settings.variation_weight * variation / (settings.batch * 64.0)
            + outside
        )
        return total, ops.stack([content, style, gram, pixels])

    def _step(self, contents: Any, styles: Any) -> Any:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            total, parts = self.loss(contents, styles)
        variables = self.decoder.trainable_variables
        self.optimizer.apply(tape.gradient(total, variables), variables)
        return ops.concatenate([ops.reshape(total, (1,)), parts])


class AcceleratedTraining(keras.Model):  # type: ignore[misc]
    """The same loss as a model of pictures (2, B, S, S, 3): contents, then styles."""

    def __init__(self, training: Training) -> None:
        """Share its networks."""
        super().__init__(name="decoder_training")
        self.encoder, self.decoder, self.loss_of = training.encoder, training.decoder, training.loss

    def call(self, x: Any, training: bool = False) -> Any:
        """The loss."""
        return self.loss_of(x[0], x[1])[0]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The loss that `call` answered with."""
        return y_pred


def feeder_of(pictures: Pictures, settings: Settings, processes: int) -> accelerated.Feeder:
    """Processes that make a batch from its step and how far the run is (0..1)."""

    def make(task: tuple[int, float]) -> accelerated.Batch:
        step, fraction = task
        size = next(size for until, size in settings.sizes if fraction < until or until >= 1.0)
        return np.stack(batch_of(pictures, settings, step, size)).astype(np.uint8), np.zeros(0, np.float32)

    largest = max(size for _, size in settings.sizes)
    return accelerated.Feeder(make, 2 * settings.batch * largest**2 * 3, processes)


def train_on_accelerator(training: Training, feeder: accelerated.Feeder, settings: Settings, out: Path) -> None:
    """Train for the settings' minutes; write decoder and encoder, history and evaluation."""
    average = build_decoder()
    model = AcceleratedTraining(training)
    model.compile(training.optimizer, jit_compile=False)

    def save(values: accelerated.Values, history: list[dict[str, float]]) -> None:
        average.set_weights(values)
        write_weights(average, out / "part.npz", "float16", training.encoder)
        (out / "part.npz").replace(out / "style_decoder.npz")
        (out / "history.json").write_text(json.dumps(history, indent=1), encoding="utf-8")

    schedule = accelerated.Schedule(settings.minutes, settings.peak_rate, average_decay=settings.average_decay)
    _, history = accelerated.train(model, training.decoder.weights, feeder, lambda *where: where, schedule, save)
    evaluation = {"settings": asdict(settings), "steps": history[-1]["step"], "resumed": False, "last": history[-1]}
    (out / "evaluation.json").write_text(json.dumps(evaluation, indent=1), encoding="utf-8")


def train_decoder(
    data: Path,
    out: Path,
    minutes: float,
    seed: int,
    precision: str,
    backbone: Path | None,
    resume: Path | None,
    processes: int = 0,
) -> None:
    """Train for `minutes`, and write `style_decoder.npz`, `history.json` and `evaluation.json`.

    With `processes`, which make batches, it runs on an accelerator (`core.runtime.accelerated`).
    """
    cv2.setNumThreads(1)
    keras.utils.set_random_seed(seed)
    settings = Settings(minutes, seed, precision)
    if resume is not None:
        settings = replace(settings, peak_rate=RESUMED_RATE, sizes=((1.0, 96),), seed=seed + 1)
    if processes:
        settings = on_accelerator(settings)
    pictures = Pictures(data, settings)
    # Processes are forked before anything runs on the device.
    feeder = feeder_of(pictures, settings, processes) if processes else None
    training = Training(backbone or require("vgg_imagenette"), settings)
    average = build_decoder()
    if resume is not None:
        read_weights(average, resume)
        training.decoder.set_weights(average.get_weights())
    if feeder is not None:
        train_on_accelerator(training, feeder, settings, out)
        return
    values = [ops.convert_to_numpy(w).astype(np.float32) for w in training.decoder.weights]
    started = saved = time.monotonic()
    fraction = 0.0
    waiting: queue.Queue[tuple[Any, Any]] = queue.Queue(4)
    over = threading.Event()

    def prepare() -> None:
        step = 0
        while not over.is_set():
            size = next(size for until, size in settings.sizes if fraction < until or until >= 1.0)
            batch = batch_of(pictures, settings, step, size)
            step += 1
            while not over.is_set():
                try:
                    waiting.put(batch, timeout=1.0)
                    break
                except queue.Full:
                    continue

    threading.Thread(target=prepare, daemon=True).start()
    history: list[dict[str, Any]] = []
    recent: list[NDArray[np.float32]] = []
    step = 0
    while fraction < 1.0:
        fraction = min(1.0, (time.monotonic() - started) / (60 * minutes))
        rate = settings.peak_rate * min(1.0, (step + 1) / 50) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * fraction)))
        training.optimizer.learning_rate.assign(rate)
        contents, styles = waiting.get()
        recent.append(ops.convert_to_numpy(training.step(*map(ops.convert_to_tensor, (contents, styles)))))
        step += 1
        decay = min(settings.average_decay, step / (step + 10))
        for value, weight in zip(values, training.decoder.weights, strict=True):
            value += (1 - decay) * (ops.convert_to_numpy(weight).astype(np.float32) - value)
        if time.monotonic() - saved > SAVE_EVERY_S or fraction >= 1.0:
            average.set_weights(values)
            write_weights(average, out / "part.npz", "float16", training.encoder)
            (out / "part.npz").replace(out / "style_decoder.npz")
            saved = time.monotonic()
            parts = dict(zip(("loss", "content", "style", "gram", "pixels"), np.mean(recent, 0).tolist(), strict=True))
            row = {"step": step, "elapsed_s": round(saved - started), "size_px": contents.shape[1]}
            history.append(row | {name: round(value, 4) for name, value in parts.items()})
            recent = []
            log.info("%s", history[-1])
            (out / "history.json").write_text(json.dumps(history, indent=1), encoding="utf-8")
    over.set()
    evaluation = {
        "settings": asdict(settings),
        "steps": step,
        "resumed": resume is not None,
        "last": history[-1],
        "parameters": int(average.count_params()),
    }
    (out / "evaluation.json").write_text(json.dumps(evaluation, indent=1), encoding="utf-8")
