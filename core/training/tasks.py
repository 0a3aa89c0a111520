"""What this chapter asks of a worker process: train a classifier, go on with one, show data and augmentation.

Keras and TensorFlow are imported inside the functions. On a cluster all machines are to see the same data folder.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.runtime.report import Report
from core.runtime.settings import load_settings
from core.training import class_folders, run_store
from core.training.datasets import DatasetError, ImageDataset, open_dataset
from core.training.runs import STACK, TrainedClassifier, TrainingError, TrainingSettings

PREVIEWS = 8


def home_folder() -> Path:
    """The data folder of this process."""
    return load_settings(os.environ).home


def datasets_folder() -> Path:
    """Where data sets are kept."""
    return home_folder() / "datasets"


def train_classifier(
    data: str,
    settings: TrainingSettings,
    owner: str = "local",
    run_id: str = "",
    report: Report | None = None,
) -> TrainedClassifier:
    """Train on a data set by its name or path, and evaluate on its test part; errors as `trainer.train`'s.

    Args:
        data: As for `datasets.open_dataset`.
        settings: What is trained and how.
        owner: Whose run it is.
        run_id: The name of the run in the store; a new one if empty.
        report: Told how far it is.
    """
    from core.training.trainer import train

    report = report or Report()
    report(0.0, "Opening the pictures")
    dataset = open_dataset(data, folder=datasets_folder())
    run_id = run_id or run_store.new_run_id()
    record = run_store.RunRecord(settings, dataset.name, data=data, owner=owner)
    train(dataset, settings, run_store.run_folder(home_folder(), run_id), report, record=record)
    return run_store.load_trained(home_folder(), run_id)


def resume_classifier(run_id: str, owner: str = "local", report: Report | None = None) -> TrainedClassifier:
    """Go on with a run that was stopped, after its last whole epoch; errors as `trainer.train`'s."""
    from core.training.trainer import train

    report = report or Report()
    record = run_store.read_run(home_folder(), run_id).record
    if record.owner != owner:
        raise TrainingError("There is no such run any more.")
    report(0.0, "Opening the pictures")
    dataset = open_dataset(record.data, folder=datasets_folder())
    folder = run_store.run_folder(home_folder(), run_id)
    train(dataset, record.settings, folder, report, resume=True, record=record)
    return run_store.load_trained(home_folder(), run_id)


@dataclass(frozen=True)
class DataSample:
    """A few training pictures (n, H, W, C) with their labels, and the sizes of the three parts."""

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    sizes: Mapping[str, int]
    counts: tuple[int, ...]


def sample_pictures(data: str, count: int = 24) -> DataSample:
    """The first pictures of the training part, the sizes of the parts, and the pictures of each class."""
    return _sample(open_dataset(data, folder=datasets_folder()), count)


def _sample(dataset: ImageDataset, count: int) -> DataSample:
    few = np.random.default_rng(0).permutation(dataset.train)[:count]
    sizes = {"training": len(dataset.train), "validation": len(dataset.validation), "test": len(dataset.test)}
    counts = tuple(np.bincount(dataset.labels, minlength=len(dataset.class_names)).tolist())
    return DataSample(dataset.name, dataset.images[few], dataset.labels[few], dataset.class_names, sizes, counts)


def keep_zip(data: bytes, side_px: int, name: str, owner: str, report: Report | None = None) -> tuple[str, DataSample]:
    """Unpack a zip of class folders in memory and keep its small pictures; the key opens them again as "own:KEY".

    Raises:
        DatasetError: If the zip cannot be used; the text says why.
    """
    report = report or Report()
    report(0.0, "Reading the zip")
    tell = report

    def count(pictures: int) -> None:
        if pictures % 20 == 0:
            tell(None, f"{pictures:,} pictures read")

    dataset = class_folders.read_zip(data, side_px, name, count)
    key = class_folders.own_key(data, side_px, owner)
    report(1.0, "Keeping the pictures")
    class_folders.keep(dataset, class_folders.own_path(datasets_folder(), key))
    return key, _sample(dataset, 24)


def preview_augmentation(
    picture: NDArray[np.uint8], settings: Sequence[TrainingSettings], count: int = PREVIEWS, seed: int = 0
) -> tuple[NDArray[np.uint8], ...]:
    """A picture (H, W, C) as the network would see it in so many epochs: (count, H, W, C) for each of the settings.

    Raises:
        DatasetError: If that is no picture.
    """
    from core.training.augmentation import DRAWS, augmented

    if picture.ndim != 3 or picture.shape[2] not in (1, 3):
        raise DatasetError(f"expected a picture (H, W, 1 or 3), received {picture.shape}")
    draws = np.random.default_rng([seed, 7]).random((count, DRAWS), np.float32)
    many = np.repeat(picture[None].astype(np.float32), count, axis=0)
    seen = [np.asarray(augmented(many, draws, one)) for one in settings]
    return tuple(np.clip(np.rint(one), 0, 255).astype(np.uint8) for one in seen)


def describe_network(settings: TrainingSettings, input_shape: tuple[int, int, int], classes: int) -> int:
    """Count the parameters of a run's network on such pictures.

    Raises:
        NetworkError: If the network does not fit the pictures; the message says where.
    """
    from core.training.networks import build_classifier, stack_before_logits

    if settings.network == STACK:
        stack_before_logits(settings.stack, input_shape)
    model = build_classifier(settings.network, input_shape, classes, settings.seed, settings.stack)
    return int(model.count_params())


def pictures_file(data: str) -> bytes:
    """The pictures of a data set in their parts as an `.npz`, for the program that trains a run again."""
    dataset = open_dataset(data, folder=datasets_folder())
    arrays: dict[str, NDArray[np.generic]] = {}
    for part in ("train", "validation", "test"):
        arrays[f"x_{part}"], arrays[f"y_{part}"] = dataset.part(part)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
