"""Data against hand-engineering: HOG features and a linear SVM, pixels and the same SVM, and a network.

The notes' two sources of knowledge (section 3.2): labelled data, and what people put in by hand. Histograms of
oriented gradients are engineered features (Dalal and Triggs 2005), a convolutional network learns its own, and grey
pixels have neither. Each is measured at several shares of the labels.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.runtime.report import Report
from core.training.datasets import ImageDataset, Integers, Pictures
from core.training.experiments.data import grey_pixels, share_of_labels
from core.training.experiments.log import ExperimentLog
from core.training.experiments.settings import CNN, HOG_SVM, PIXEL_SVM, ExperimentError, ExperimentResult, HogSettings

Floats = NDArray[np.float32]

FEATURES_SHARE = 0.1  # of the progress bar


def hog_features(images: Pictures, settings: HogSettings) -> Floats:
    """Histograms of oriented gradients (N, d) of pictures (N, H, W, C), by `skimage.feature.hog`.

    Raises:
        ExperimentError: If no block fits into the pictures.
    """
    from skimage.feature import hog

    if settings.cell_px * settings.block_cells > min(images.shape[1:3]):
        raise ExperimentError(
            f"A block of {settings.block_cells} x {settings.block_cells} cells of {settings.cell_px} px does not fit "
            f"into pictures of {images.shape[1]} x {images.shape[2]} px."
        )
    options = _options(settings)
    if images.shape[3] == 1:
        return np.stack([hog(one[..., 0], **options) for one in images]).astype(np.float32)
    return np.stack([hog(one, channel_axis=2, **options) for one in images]).astype(np.float32)


def hog_picture(image: Pictures, settings: HogSettings) -> NDArray[np.uint8]:
    """The histograms of one picture (H, W, C) drawn as stars of lines, as skimage draws them: grey uint8 (H, W)."""
    from skimage.feature import hog

    grey = image.shape[2] == 1
    pixels = image[..., 0] if grey else image
    _, drawn = hog(pixels, visualize=True, channel_axis=None if grey else 2, **_options(settings))
    drawn = drawn / max(float(drawn.max()), 1e-9)
    stars: NDArray[np.uint8] = (255 * np.sqrt(drawn)).astype(np.uint8)
    return stars


def _options(settings: HogSettings) -> dict[str, Any]:
    return {
        "orientations": settings.orientations,
        "pixels_per_cell": (settings.cell_px, settings.cell_px),
        "cells_per_block": (settings.block_cells, settings.block_cells),
        "block_norm": "L2-Hys",
    }


def svm_accuracy(
    features: Floats, labels: Integers, test_features: Floats, test_labels: Integers, c: float = 1.0
) -> float:
    """The accuracy on test features of a linear support vector machine (one class against the rest)."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        machine = LinearSVC(C=c, random_state=0).fit(features, labels)
    return float(machine.score(test_features, test_labels))


def hog_experiment(dataset: ImageDataset, settings: HogSettings, report: Report | None = None) -> ExperimentResult:
    """Measure all three at every share of the labels with every seed."""
    from core.training.experiments.learner import Learner
    from core.training.networks import build_classifier

    report = report or Report()
    begun = time.monotonic()
    classes = len(dataset.class_names)
    shape = dataset.images.shape[1:]
    used = np.concatenate([dataset.train, dataset.test])
    report(0.0, f"HOG of {len(used):,} pictures")
    parts = []
    for start in range(0, len(used), 100):
        parts.append(hog_features(dataset.images[used[start : start + 100]], settings))
        report(FEATURES_SHARE * min(1.0, (start + 100) / len(used)))
    features = np.zeros((len(dataset.images), parts[0].shape[1]), np.float32)
    features[used] = np.concatenate(parts)
    pixels = grey_pixels(dataset.images)
    learner = Learner(lambda seed: build_classifier(settings.network, (shape[0], shape[1], shape[2]), classes, seed))
    test, test_labels = dataset.test, dataset.labels[dataset.test]
    log = ExperimentLog(report, settings.seeds * len(settings.shares) * settings.steps, FEATURES_SHARE)
    for seed in range(settings.seeds):
        chosen = [share_of_labels(dataset, share, seed) for share in settings.shares]
        for few in chosen:
            labels = dataset.labels[few]
            for method, numbers in ((HOG_SVM, features), (PIXEL_SVM, pixels)):
                right = svm_accuracy(numbers[few], labels, numbers[test], test_labels, settings.svm_c)
                log.keep(method, len(few), seed, right)
        for few in chosen:
            saying = f"Seed {seed + 1} of {settings.seeds}: network on {len(few):,} pictures"
            learner.start(seed)
            learner.train(
                dataset.images[few],
                dataset.labels[few],
                steps=settings.steps,
                batch=settings.batch,
                rate=settings.learning_rate,
                seed=seed,
                check=log.training(settings.steps, saying),
            )
            log.keep(CNN, len(few), seed, learner.accuracy(dataset.images[test], test_labels))
    sizes = (classes, len(dataset.train), len(dataset.test))
    return ExperimentResult(settings, log.measurements, settings.network, *sizes, time.monotonic() - begun)
