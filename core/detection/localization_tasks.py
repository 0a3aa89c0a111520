"""What the localization page asks of a worker: learn to localize on drawn scenes, and answer for new ones.

Keras is imported when a function needs it, so that a page can read this module.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.detection.localization import LocalizationError, LossKind
from core.detection.localization_scenes import (
    CLASS_NAMES,
    SCENE_PX,
    SceneScores,
    SceneSet,
    contact_sheet,
    draw_scenes,
    score_predictions,
)
from core.detection.localization_snippets import compare_losses as compare_losses
from core.runtime.images import content_hash, encode_jpeg
from core.runtime.one_device import on_one_device
from core.runtime.report import Report

VALIDATION_SCENES, TEST_SCENES, SHOWN = 200, 500, 8
# The longest that a run may take, whatever was asked for.
TIME_LIMIT_S = 170.0
BATCH = 32


@dataclass(frozen=True)
class LocalizerSettings:
    """How a localizer learns: the number of scenes and how often each is seen."""

    scenes: int = 2000
    epochs: int = 20
    learning_rate: float = 0.002
    loss: LossKind = "logistic"
    seed: int = 0


@dataclass(frozen=True)
class TrainedLocalizer:
    """A localizer after training, and what it says about test scenes, which took part in nothing before.

    `history` holds (epoch, seconds, loss, mean IoU, accuracy) of each epoch on the validation scenes; `ended` is
    "epochs" or "time".
    """

    settings: LocalizerSettings
    keras_file: bytes
    parameters: int
    history: tuple[tuple[int, float, float, float, float], ...]
    test: SceneScores
    shown: SceneSet
    shown_predictions: NDArray[np.float32]
    seconds: float
    ended: str


def train_localizer(settings: LocalizerSettings, report: Report | None = None) -> TrainedLocalizer:
    """Draw scenes, learn on them, and measure on others; a job of at most three minutes.

    Raises:
        LocalizationError: If there are too few scenes or epochs.
    """
    if settings.scenes < BATCH or settings.epochs < 1:
        raise LocalizationError(f"expected at least {BATCH} scenes and one epoch; received {settings}")
    tell = report or Report()
    started = time.monotonic()
    tell(0.0, f"Drawing {settings.scenes:,} scenes")
    train = _drawn(settings.scenes, tell)
    validation, test = draw_scenes("validation", VALIDATION_SCENES), draw_scenes("test", TEST_SCENES)
    tell(0.0, "Loading Keras and building the graph")
    import keras
    from keras import ops

    from core.detection.localization_network import batch_loss, build_localizer

    model = build_localizer(len(CLASS_NAMES), SCENE_PX, settings.seed)
    # Small networks spend their time between the steps: several steps a call.
    steps = settings.scenes // BATCH
    total = steps * settings.epochs
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, total, alpha=0.02)
    optimizer = on_one_device(keras.optimizers.Adam(rate))
    model.compile(optimizer, loss=batch_loss(settings.loss), jit_compile=False, steps_per_execution=4)
    history: list[tuple[int, float, float, float, float]] = []
    ended = "epochs"

    def answer(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = [
            ops.convert_to_numpy(model(images[i : i + 100].astype(np.float32), training=False))
            for i in range(0, len(images), 100)
        ]
        return np.concatenate(parts)

    class Follower(keras.callbacks.Callback):  # type: ignore[misc]
        """Tells of every step, and shows the validation scenes after every epoch."""

        def __init__(self) -> None:
            super().__init__()
            self.epoch = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            nonlocal ended
            done = min(self.epoch * steps + batch + 1, total)
            tell(done / total, f"Epoch {self.epoch + 1} of {settings.epochs}")
            if time.monotonic() - started > TIME_LIMIT_S:
                ended, self.model.stop_training = "time", True

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch + 1
            found = answer(validation.images)
            scores = score_predictions(found, validation.targets)
            loss = float((logs or {}).get("loss", np.nan))
            history.append((epoch + 1, time.monotonic() - started, loss, scores.mean_iou, scores.accuracy))
            sheet = contact_sheet(validation.images[:SHOWN], found[:SHOWN], validation.targets[:SHOWN])
            tell(
                metrics={"step": epoch + 1, "loss": loss, "mean IoU": scores.mean_iou, "accuracy": scores.accuracy},
                preview=encode_jpeg(sheet, 85),
            )

    # Keras draws its own order; the scenes stay in memory as bytes and become floats in the batch.
    sequence = _batches(train, settings.seed)
    model.fit(sequence, epochs=settings.epochs, callbacks=[Follower()], verbose=0)
    found = answer(test.images)
    return TrainedLocalizer(
        settings,
        _saved(model),
        int(model.count_params()),
        tuple(history),
        score_predictions(found, test.targets),
        SceneSet(test.images[:SHOWN], test.targets[:SHOWN]),
        found[:SHOWN],
        time.monotonic() - started,
        ended,
    )


def _drawn(count: int, report: Report) -> SceneSet:
    """Training scenes, with a look at the report now and then, so that a cancelled job ends at once."""
    parts = []
    step = 250
    for first in range(0, count, step):
        report.check()
        parts.append(draw_scenes("train", min(step, count - first), seed=first // step + 1))
    return SceneSet(np.concatenate([p.images for p in parts]), np.concatenate([p.targets for p in parts]))


def _batches(scenes: SceneSet, seed: int) -> Any:
    """Batches for `fit`, in another order in every epoch, half of the scenes mirrored."""
    import keras

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.rng = np.random.default_rng(seed)
            self.order = self.rng.permutation(len(scenes.images))

        def __len__(self) -> int:
            return len(scenes.images) // BATCH

        def on_epoch_end(self) -> None:
            self.order = self.rng.permutation(len(scenes.images))

        def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            chosen = self.order[index * BATCH : (index + 1) * BATCH]
            images = scenes.images[chosen].astype(np.float32)
            targets = scenes.targets[chosen].copy()
            mirrored = self.rng.random(len(chosen)) < 0.5
            images[mirrored] = images[mirrored, :, ::-1]
            turned = mirrored & (targets[:, 0] == 1)
            targets[turned, 1] = 1 - targets[turned, 1]  # b_x
            return images, targets

    return Batches()


def _saved(model: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "localizer.keras"
        model.save(path, include_optimizer=False)
        return path.read_bytes()


# The last network asked, with the hash of its file.
_loaded: dict[str, Any] = {}


def localize(keras_file: bytes, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What a trained localizer says about scenes (n, 64, 64, 3): vectors (n, 8).

    Raises:
        LocalizationError: If the images are not of its size.
    """
    if images.ndim != 4 or images.shape[1:] != (SCENE_PX, SCENE_PX, 3):
        raise LocalizationError(f"expected images (n, {SCENE_PX}, {SCENE_PX}, 3), received {images.shape}")
    from keras import ops

    name = content_hash(keras_file)
    if name not in _loaded:
        import keras

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "localizer.keras"
            path.write_bytes(keras_file)
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        _loaded.clear()
        _loaded[name] = model
    found: NDArray[np.float32] = ops.convert_to_numpy(_loaded[name](images.astype(np.float32), training=False))
    return found
