"""Multi-crop at test time: the mean of a network's answers to one, two, five and ten crops of each picture.

Source: the notes' section 3.3; Krizhevsky et al. 2012, section 4.1. The network is trained on crops at random places,
mirrored at random. Imports Keras and TensorFlow.

Arrays: probabilities of crops float32 (N, 10, classes).
"""

from __future__ import annotations

import time

import numpy as np

from core.runtime.report import Report
from core.training.datasets import ImageDataset
from core.training.experiments.crops import WAYS, mean_over_crops, random_crops, ten_crops
from core.training.experiments.data import per_class
from core.training.experiments.learner import Floats, Learner, Pictures
from core.training.experiments.log import ExperimentLog
from core.training.experiments.settings import (
    CROPS,
    CropExample,
    ExperimentError,
    MultiCropResult,
    MultiCropSettings,
)
from core.training.networks import SMALLEST_SIDE_PX, build_classifier


def crop_side_px(dataset: ImageDataset, crop_share: float) -> int:
    """The side of a crop, a share of the pictures' shorter side.

    Raises:
        ExperimentError: If it is too small for the networks.
    """
    side = int(round(crop_share * min(dataset.images.shape[1:3])))
    if side < SMALLEST_SIDE_PX:
        raise ExperimentError(f"Crops of {side} px are too small for these networks: at least {SMALLEST_SIDE_PX} px.")
    return side


def crop_probabilities(learner: Learner, crops: Pictures) -> Floats:
    """The network's answers (N, 10, classes) to the crops (N, 10, c, c, C) of each picture."""
    flat = learner.probabilities(crops.reshape(-1, *crops.shape[2:]))  # (10 N, classes)
    together: Floats = flat.reshape(*crops.shape[:2], -1)
    return together


def multi_crop_experiment(
    dataset: ImageDataset, settings: MultiCropSettings, report: Report | None = None
) -> MultiCropResult:
    """Train a network with every seed, and test it on the means over 1, 2, 5 and 10 crops."""
    begun = time.monotonic()
    classes = len(dataset.class_names)
    crop_px = crop_side_px(dataset, settings.crop_share)
    channels = dataset.images.shape[3]
    learner = Learner(lambda seed: build_classifier(settings.network, (crop_px, crop_px, channels), classes, seed))
    test_images, test_labels = dataset.part("test")
    log = ExperimentLog(report, settings.seeds * settings.steps)
    times_s: list[tuple[float, float]] = []
    example: CropExample | None = None
    for seed in range(settings.seeds):
        few = per_class(dataset, settings.per_class, seed)
        learner.start(seed)
        learner.train(
            dataset.images[few],
            dataset.labels[few],
            steps=settings.steps,
            batch=settings.batch,
            rate=settings.learning_rate,
            seed=seed,
            vary=lambda pictures, random: random_crops(pictures, crop_px, random),
            check=log.training(settings.steps, f"Seed {seed + 1} of {settings.seeds}"),
        )
        crops = ten_crops(test_images, crop_px)  # (N, 10, c, c, C)
        middle = np.ascontiguousarray(crops[:, 4])
        learner.probabilities(middle[:1])  # the graph is made before time is taken
        started = time.monotonic()
        learner.probabilities(middle)
        half_way = time.monotonic()
        answers = crop_probabilities(learner, crops)
        times_s.append((half_way - started, time.monotonic() - half_way))
        for count in WAYS:
            share = float(np.mean(mean_over_crops(answers, count).argmax(axis=1) == test_labels))
            log.keep(CROPS, count, seed, share)
        if example is None:
            index = _rescued(answers, test_labels)
            example = CropExample(test_images[index], int(test_labels[index]), dataset.class_names, answers[index])
    one_s, ten_s = (float(value) for value in np.median(np.array(times_s), axis=0))
    return MultiCropResult(
        settings,
        log.measurements,
        settings.network,
        classes,
        len(dataset.train),
        len(dataset.test),
        time.monotonic() - begun,
        crop_px,
        1000 * one_s,
        1000 * ten_s,
        example,
    )


def _rescued(answers: Floats, labels: np.ndarray) -> int:
    """A picture whose middle crop is answered wrongly and the mean rightly, the surest; else the least sure one."""
    mean = mean_over_crops(answers, 10)
    rescued = (answers[:, 4].argmax(axis=1) != labels) & (mean.argmax(axis=1) == labels)
    if rescued.any():
        return int(np.where(rescued, mean.max(axis=1), -1).argmax())
    return int(answers[:, 4].max(axis=1).argmin())
