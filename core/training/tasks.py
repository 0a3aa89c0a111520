"""What this chapter asks of a worker process: train a classifier, show what a data set holds.

Keras and TensorFlow are imported inside the functions.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.runtime.report import Report
from core.runtime.settings import load_settings
from core.training.datasets import ImageDataset, open_dataset
from core.training.runs import Mistakes, TrainedClassifier, TrainingSettings

if TYPE_CHECKING:
    import keras

SHOWN_MISTAKES = 40


def train_classifier(data: str, settings: TrainingSettings, report: Report | None = None) -> TrainedClassifier:
    """Train on a data set by its name or path, and evaluate on its test part; errors as `trainer.train`'s."""
    import keras

    from core.training.trainer import train

    report = report or Report()
    home = load_settings(os.environ).home
    report(0.0, f"Opening {Path(data).stem}")
    dataset = open_dataset(data, folder=home / "datasets")
    folder = home / "runs" / uuid.uuid4().hex[:12]
    run = train(dataset, settings, folder, report)
    shown = run.evaluation.mistakes[:SHOWN_MISTAKES]
    images, labels = dataset.part("test")
    mistakes = Mistakes(
        images[shown], labels[shown], run.probabilities[shown].argmax(axis=1), run.probabilities[shown].max(axis=1)
    )
    kept = folder / "last.keras"
    script = training_script(keras.models.load_model(kept), settings)
    sizes = (len(dataset.train), len(dataset.validation), len(dataset.test))
    return TrainedClassifier(dataset.name, dataset.class_names, sizes, run, mistakes, kept.read_bytes(), script)


def sample_pictures(data: str, count: int = 24) -> tuple[ImageDataset, Mapping[str, int]]:
    """The first pictures of the training part and the sizes of the parts; the data set is cut to those pictures."""
    dataset = open_dataset(data, folder=load_settings(os.environ).home / "datasets")
    few = dataset.train[:count]
    images = dataset.images[few]
    rest = np.arange(count, dtype=np.int64)
    shown = ImageDataset(
        dataset.name, images, dataset.labels[few], dataset.class_names, rest[:-2], rest[-2:-1], rest[-1:]
    )
    sizes = {"training": len(dataset.train), "validation": len(dataset.validation), "test": len(dataset.test)}
    return shown, sizes


def training_script(model: keras.Model, settings: TrainingSettings) -> str:
    """A program that builds and trains the network with Keras alone, from the pictures in a file `data.npz`."""
    from core.architectures.keras_code import keras_code

    rate = f"{settings.learning_rate!r}"
    if settings.schedule == "cosine":
        rate = f"keras.optimizers.schedules.CosineDecay({rate}, EPOCHS * -(-len(x_train) // BATCH))"
    optimizer = {
        "adam": f"keras.optimizers.Adam({rate})",
        "momentum": f"keras.optimizers.SGD({rate}, momentum=0.9)",
        "sgd": f"keras.optimizers.SGD({rate})",
    }[settings.optimizer]
    return "\n".join(
        [
            keras_code(model).strip(),
            "",
            "import numpy as np",
            "",
            f"EPOCHS, BATCH = {settings.epochs}, {settings.batch}",
            f"keras.utils.set_random_seed({settings.seed})",
            'data = np.load("data.npz")  # x_train, y_train, x_test, y_test, as in mnist.npz',
            'x_train, x_test = data["x_train"], data["x_test"]',
            "if x_train.ndim == 3:",
            "    x_train, x_test = x_train[..., None], x_test[..., None]",
            *_trained(settings),
            "trained.compile(",
            f"    optimizer={optimizer},",
            "    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),",
            '    metrics=["accuracy"],',
            ")",
            'trained.fit(x_train, data["y_train"], batch_size=BATCH, epochs=EPOCHS)',
            'print(trained.evaluate(x_test, data["y_test"]))',
            "",
        ]
    )


def _trained(settings: TrainingSettings) -> list[str]:
    """Lines that name what is trained: the network, behind a layer that moves the pictures where the run did."""
    if not settings.shift_px:
        return ["trained = model"]
    return [
        f"shift = {settings.shift_px} / x_train.shape[1], {settings.shift_px} / x_train.shape[2]",
        'move = layers.RandomTranslation(*shift, fill_mode="nearest", interpolation="nearest")',
        "trained = keras.Sequential([keras.Input(x_train.shape[1:]), move, model])",
    ]
