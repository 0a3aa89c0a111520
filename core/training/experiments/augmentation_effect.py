"""Augmentation on and off: the same network, pictures, order and steps, with and without changed pictures.

Source: the notes' section 3.1; Krizhevsky et al. 2012, section 4.1. Accuracy on the test pictures and on the training
pictures as they are is looked at several times on the way; nothing is chosen by it. Imports Keras and TensorFlow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from core.runtime.report import Report
from core.training.augmentation import DRAWS, augment
from core.training.datasets import ImageDataset, Pictures
from core.training.experiments.data import per_class
from core.training.experiments.learner import Learner
from core.training.experiments.log import ExperimentLog
from core.training.experiments.settings import (
    AUGMENTED,
    AUGMENTED_TRAINING,
    PLAIN,
    PLAIN_TRAINING,
    AugmentationSettings,
    ExperimentResult,
)
from core.training.networks import build_classifier

MOST_LOOKED_AT = 500

Tell = Callable[[int, float], None]


class Augmenter:
    """Changes batches of pictures (N, H, W, C) uint8 as the settings say, through one compiled graph."""

    def __init__(self, settings: AugmentationSettings, shape: tuple[int, ...]) -> None:
        """Take what is changed, and the shape (H, W, C) of a picture."""
        chosen = settings.shift_px, settings.flip, settings.rotate_deg, settings.zoom, settings.colour

        def run(pictures: Any, draws: Any) -> Any:
            changed = augment(tf.cast(pictures, tf.float32), draws, *chosen)
            return tf.cast(tf.clip_by_value(tf.round(changed), 0, 255), tf.uint8)

        arguments = [tf.TensorSpec([None, *shape], tf.uint8), tf.TensorSpec([None, DRAWS], tf.float32)]
        self._run = tf.function(run, input_signature=arguments)

    def __call__(self, pictures: Pictures, random: np.random.Generator) -> Pictures:
        """Each picture once, changed by draws of its own."""
        changed: Pictures = self._run(pictures, random.random((len(pictures), DRAWS), np.float32)).numpy()
        return changed


def augmentation_experiment(
    dataset: ImageDataset, settings: AugmentationSettings, report: Report | None = None
) -> ExperimentResult:
    """Train with every seed, once with the pictures as they are and once changed each time they are seen."""
    begun = time.monotonic()
    classes = len(dataset.class_names)
    shape = dataset.images.shape[1:]
    learner = Learner(lambda seed: build_classifier(settings.network, (shape[0], shape[1], shape[2]), classes, seed))
    augmenter = Augmenter(settings, shape)
    test_images, test_labels = (part[:MOST_LOOKED_AT] for part in _shuffled(dataset))
    looks = [round(settings.steps * (index + 1) / settings.looks) for index in range(settings.looks)]
    ways = ((PLAIN, PLAIN_TRAINING, None), (AUGMENTED, AUGMENTED_TRAINING, augmenter))
    log = ExperimentLog(report, settings.seeds * len(ways) * settings.steps)
    for seed in range(settings.seeds):
        few = per_class(dataset, settings.per_class, seed)
        images, labels = dataset.images[few], dataset.labels[few]
        for method, training, vary in ways:
            saying = f"Seed {seed + 1} of {settings.seeds}, {'with' if vary else 'without'} augmentation"
            tell = log.training(settings.steps, saying)
            looked_at = ((method, test_images, test_labels), (training, images, labels))

            def look(step: int, cost: float, seed: int = seed, tell: Tell = tell, looked_at: Any = looked_at) -> None:
                tell(step, cost)
                if step in looks:
                    for name, pictures, truth in looked_at:
                        log.keep(name, step, seed, learner.accuracy(pictures, truth))

            learner.start(seed)
            learner.train(
                images,
                labels,
                steps=settings.steps,
                batch=settings.batch,
                rate=settings.learning_rate,
                seed=seed,
                vary=vary,
                check=look,
                stop_at=looks,
            )
    sizes = (classes, len(dataset.train), len(test_labels))
    return ExperimentResult(settings, log.measurements, settings.network, *sizes, time.monotonic() - begun)


def _shuffled(dataset: ImageDataset) -> tuple[Pictures, NDArray[np.int64]]:
    """The test part in an order in which its beginning holds all classes."""
    order = np.random.default_rng(0).permutation(dataset.test)
    return dataset.images[order], dataset.labels[order]
