"""What the page of practical advice asks of a worker: five experiments, and what each view opens with.

Plain arguments in, frozen dataclasses back; heavy imports stand inside the functions. Errors of a person's choices
are ValueErrors of one sentence.
"""

from __future__ import annotations

import os

import numpy as np

from core.runtime.report import Report
from core.runtime.settings import load_settings
from core.training.datasets import ImageDataset
from core.training.experiments.program_runs import ProgramComparison, compare_programs
from core.training.experiments.settings import (
    AugmentationSettings,
    EnsembleLook,
    EnsembleResult,
    EnsembleSettings,
    ExperimentResult,
    HogLook,
    HogSettings,
    MultiCropResult,
    MultiCropSettings,
    PictureSample,
    TransferLook,
    TransferResult,
    TransferSettings,
)

SAMPLE = 10
VARIED, VARIATIONS = 3, 5


def _open(data: str, report: Report | None = None) -> ImageDataset:
    from core.training.experiments.data import open_pictures

    if report is not None:
        report(0.0, "Opening the pictures")
    return open_pictures(data, load_settings(os.environ).home / "datasets")


def transfer(settings: TransferSettings, report: Report | None = None) -> TransferResult:
    """Transfer learning against training from scratch; errors as `transfer_experiment`'s."""
    from core.training.experiments.transfer import transfer_experiment

    return transfer_experiment(_open(settings.data, report), settings, report)


def augmentation(settings: AugmentationSettings, report: Report | None = None) -> ExperimentResult:
    """Augmentation on and off; errors as `augmentation_experiment`'s."""
    from core.training.experiments.augmentation_effect import augmentation_experiment

    return augmentation_experiment(_open(settings.data, report), settings, report)


def hog(settings: HogSettings, report: Report | None = None) -> ExperimentResult:
    """HOG and a linear SVM against a network; errors as `hog_experiment`'s."""
    from core.training.experiments.hog import hog_experiment

    return hog_experiment(_open(settings.data, report), settings, report)


def ensemble(settings: EnsembleSettings, report: Report | None = None) -> EnsembleResult:
    """An ensemble against its members; errors as `ensemble_experiment`'s."""
    from core.training.experiments.ensemble import ensemble_experiment

    return ensemble_experiment(_open(settings.data, report), settings, report)


def multi_crop(settings: MultiCropSettings, report: Report | None = None) -> MultiCropResult:
    """Multi-crop at test time; errors as `multi_crop_experiment`'s."""
    from core.training.experiments.multi_crop import multi_crop_experiment

    return multi_crop_experiment(_open(settings.data, report), settings, report)


def sample(data: str, count: int = SAMPLE) -> PictureSample:
    """Training pictures of as many classes as can be; errors as `open_pictures`'s."""
    from core.training.experiments.looks import picture_sample

    return picture_sample(_open(data), count)


def transfer_look(data: str, backbone: str) -> TransferLook:
    """A softmax layer on frozen features and on grey pixels; errors as `open_pictures`'s and `choose_backbone`'s."""
    from core.training.experiments import looks

    return looks.transfer_look(_open(data), backbone)


def hog_look(settings: HogSettings) -> HogLook:
    """An SVM on HOG and on grey pixels; errors as `open_pictures`'s and `hog_features`'."""
    from core.training.experiments import looks

    return looks.hog_look(_open(settings.data), settings)


def ensemble_look(settings: EnsembleSettings) -> EnsembleLook:
    """Three networks trained for a moment, and their mean; errors as `open_pictures`'s."""
    from core.training.experiments import looks

    return looks.ensemble_look(_open(settings.data), settings)


def compare_hog(settings: HogSettings) -> ProgramComparison:
    """A linear SVM's decisions on HOG, by libraries and by hand."""
    from core.training.experiments import snippets

    return compare_programs(snippets.hog_snippets(settings), "Each decides on the same 20 digits, (20, 10) numbers.")


def compare_ensemble(settings: EnsembleSettings) -> ProgramComparison:
    """The mean of networks' probabilities in NumPy, TensorFlow and Keras."""
    from core.training.experiments import snippets

    return compare_programs(
        snippets.ensemble_snippets(settings), "Each averages the same answers, (4, 10) probabilities; Keras in float32."
    )


def compare_crops(settings: MultiCropSettings) -> ProgramComparison:
    """The mean answer to ten crops in NumPy, TensorFlow and Keras."""
    from core.training.experiments import snippets

    return compare_programs(snippets.crop_snippets(settings), "Each answers the same photograph, 10 probabilities.")


def varied(settings: AugmentationSettings, seed: int = 0) -> PictureSample:
    """A few pictures, each with changed versions as training would see them: `varied` (n, versions, H, W, C)."""
    import dataclasses

    from core.training.experiments.augmentation_effect import Augmenter

    few = sample(settings.data, VARIED)
    augmenter = Augmenter(settings, few.images.shape[1:])
    random = np.random.default_rng(seed)
    versions = np.stack([augmenter(few.images, random) for _ in range(VARIATIONS)], axis=1)
    return dataclasses.replace(few, varied=versions)
