"""An ensemble against its members: networks that differ in their seed alone, and the mean of their answers.

Source: the notes' section 3.3, "train several networks independently and average their outputs" (3 to 15 of them);
Hansen and Salamon 1990; Lakshminarayanan et al. 2017, section 2.4.

Arrays: probabilities of members float32 (k, N, classes).
"""

from __future__ import annotations

import itertools
import time

import numpy as np
from numpy.typing import NDArray

from core.runtime.report import Report
from core.training.datasets import ImageDataset
from core.training.experiments.data import per_class
from core.training.experiments.log import ExperimentLog
from core.training.experiments.settings import ENSEMBLE, MEMBER, EnsembleExample, EnsembleResult, EnsembleSettings

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


def ensemble_answer(probabilities: Floats) -> Floats:
    """The mean over the members of their probabilities (k, N, classes): (N, classes).

    >>> ensemble_answer(np.array([[[0.9, 0.1]], [[0.3, 0.7]]], np.float32)).round(2).tolist()
    [[0.6000000238418579, 0.4000000059604645]]
    """
    mean: Floats = probabilities.mean(axis=0)
    return mean


def accuracy(probabilities: Floats, labels: Integers) -> float:
    """The share of answers (N, classes) whose most probable class is the true one."""
    return float(np.mean(probabilities.argmax(axis=-1) == labels))


def disagreement(probabilities: Floats) -> float:
    """The share of pictures for which two members name different classes, mean over the pairs of members."""
    named = probabilities.argmax(axis=2)  # (k, N)
    pairs = itertools.combinations(range(len(named)), 2)
    return float(np.mean([np.mean(named[one] != named[other]) for one, other in pairs]))


def most_disputed(probabilities: Floats, labels: Integers) -> int:
    """The picture that best shows the idea: as many members wrong as can be, and the mean still right.

    Where there is none, the picture whose members disagree most.
    """
    right = probabilities.argmax(axis=2) == labels  # (k, N)
    mean_right = probabilities.mean(axis=0).argmax(axis=1) == labels
    wrong = (~right).sum(axis=0)
    if (mean_right & (wrong > 0)).any():
        return int(np.where(mean_right, wrong, -1).argmax())
    return int(probabilities.std(axis=0).sum(axis=1).argmax())


def ensemble_experiment(
    dataset: ImageDataset, settings: EnsembleSettings, report: Report | None = None
) -> EnsembleResult:
    """Train the members of one ensemble after another, and measure each member and the mean of the first 1 to k."""
    from core.training.experiments.learner import Learner
    from core.training.networks import build_classifier

    begun = time.monotonic()
    classes = len(dataset.class_names)
    shape = dataset.images.shape[1:]
    learner = Learner(lambda seed: build_classifier(settings.network, (shape[0], shape[1], shape[2]), classes, seed))
    test_images, test_labels = dataset.part("test")
    log = ExperimentLog(report, settings.seeds * settings.members * settings.steps)
    disagreements: list[float] = []
    times_s: list[float] = []
    example: EnsembleExample | None = None
    for seed in range(settings.seeds):
        few = per_class(dataset, settings.per_class, seed)
        answers: list[Floats] = []
        for member in range(settings.members):
            saying = f"Ensemble {seed + 1} of {settings.seeds}, network {member + 1} of {settings.members}"
            number = seed * settings.members + member  # every network of all ensembles starts elsewhere
            learner.start(number)
            learner.train(
                dataset.images[few],
                dataset.labels[few],
                steps=settings.steps,
                batch=settings.batch,
                rate=settings.learning_rate,
                seed=number,
                check=log.training(settings.steps, saying),
            )
            started = time.monotonic()
            answers.append(learner.probabilities(test_images))
            times_s.append(time.monotonic() - started)
            at = float(member + 1)
            together = ensemble_answer(np.stack(answers))
            log.keep(MEMBER, at, seed, accuracy(answers[-1], test_labels))
            log.keep(ENSEMBLE, at, seed, accuracy(together, test_labels))
        stacked = np.stack(answers)  # (k, N, classes)
        disagreements.append(disagreement(stacked))
        if example is None:
            index = most_disputed(stacked, test_labels)
            example = EnsembleExample(
                test_images[index], int(test_labels[index]), dataset.class_names, stacked[:, index]
            )
    return EnsembleResult(
        settings,
        log.measurements,
        settings.network,
        classes,
        len(dataset.train),
        len(dataset.test),
        time.monotonic() - begun,
        float(np.mean(disagreements)),
        1000 * float(np.median(times_s)),
        example,
    )
