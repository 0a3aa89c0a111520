"""Transfer learning against training from scratch, as the training pictures grow fewer.

Source: Yosinski et al. 2014, How transferable are features in deep neural networks?; the advice of the notes, section
3.1. Three ways with the same pictures: a network trained from scratch; the backbone's features, frozen, under a new
softmax layer; and that layer together with the backbone's upper layers, trained on with a small learning rate.
Imports Keras and TensorFlow.
"""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np

from core.runtime.report import Report
from core.training.datasets import ImageDataset
from core.training.experiments import backbone as backbones
from core.training.experiments.data import as_rgb, fewest_of_a_class, per_class
from core.training.experiments.learner import Learner
from core.training.experiments.log import ExperimentLog
from core.training.experiments.settings import FROZEN, SCRATCH, TUNED, TransferResult, TransferSettings
from core.training.experiments.softmax_layer import fit_softmax_layer
from core.training.networks import build_classifier

FEATURES_SHARE = 0.15  # of the progress bar


def transfer_experiment(
    dataset: ImageDataset, settings: TransferSettings, report: Report | None = None
) -> TransferResult:
    """Measure all three ways at every number of pictures with every seed; errors as `choose_backbone`'s."""
    report = report or Report()
    begun = time.monotonic()
    chosen = backbones.choose_backbone(settings.backbone)
    classes = len(dataset.class_names)
    counts = sorted({min(count, fewest_of_a_class(dataset)) for count in settings.per_class})
    picked = [{count: per_class(dataset, count, seed) for count in counts} for seed in range(settings.seeds)]

    network = backbones.load(chosen)
    lower = backbones.lower_part(chosen, network)
    used = np.unique(np.concatenate([dataset.test, *(chosen_at[counts[-1]] for chosen_at in picked)]))
    report(0.0, f"Features of {len(used):,} pictures by the {chosen.label}")
    maps = backbones.answers(
        lower,
        as_rgb(dataset.images[used], chosen.input_px),
        lambda share: report(FEATURES_SHARE * share * 0.8),
    )
    place = np.zeros(len(dataset.images), np.int64)
    place[used] = np.arange(len(used))
    plain = (np.zeros((network.output_shape[-1], classes), np.float32), np.zeros(classes, np.float32))
    upper = backbones.upper_part(chosen, network, classes, plain)
    trained_upper = upper.get_weights()[:-2]
    features = backbones.answers(_without_head(upper), maps, lambda share: report(FEATURES_SHARE * (0.8 + 0.2 * share)))

    shape = dataset.images.shape[1:]
    scratch = Learner(lambda seed: build_classifier(settings.network, (shape[0], shape[1], shape[2]), classes, seed))
    tuner = Learner(lambda seed: upper, dtype="float32", frozen_statistics=True)
    test_images, test_labels = dataset.part("test")
    work = settings.seeds * len(counts) * (settings.steps + settings.tuning_steps)
    log = ExperimentLog(report, work, FEATURES_SHARE)
    for seed, chosen_at in enumerate(picked):
        heads = {}
        for count in counts:
            few = chosen_at[count]
            heads[count] = fit_softmax_layer(features[place[few]], dataset.labels[few], classes)
            log.keep(FROZEN, count, seed, heads[count].accuracy(features[place[dataset.test]], test_labels))
        for count in counts:
            few, labels = chosen_at[count], dataset.labels[chosen_at[count]]
            saying = f"Seed {seed + 1} of {settings.seeds}, {count} pictures a class"
            tuner.start_from([*trained_upper, heads[count].weights, heads[count].biases])
            tuner.train(
                maps[place[few]],
                labels,
                steps=settings.tuning_steps,
                batch=settings.batch,
                rate=settings.tuning_rate,
                seed=seed,
                check=log.training(settings.tuning_steps, f"{saying}: fine-tuning"),
            )
            log.keep(TUNED, count, seed, tuner.accuracy(maps[place[dataset.test]], test_labels))
            scratch.start(seed)
            scratch.train(
                dataset.images[few],
                labels,
                steps=settings.steps,
                batch=settings.batch,
                rate=settings.learning_rate,
                seed=seed,
                check=log.training(settings.steps, f"{saying}: from scratch"),
            )
            log.keep(SCRATCH, count, seed, scratch.accuracy(test_images, test_labels))
    answered = f"{chosen.label}, which learned {chosen.learned}"
    sizes = (classes, len(dataset.train), len(dataset.test))
    return TransferResult(
        settings,
        log.measurements,
        answered,
        *sizes,
        time.monotonic() - begun,
        network.output_shape[-1],
        (
            (FROZEN, (network.output_shape[-1] + 1) * classes),
            (TUNED, int(sum(np.prod(weight.shape) for weight in upper.trainable_weights))),
            (SCRATCH, int(scratch.model.count_params())),
        ),
    )


def _without_head(upper: keras.Model) -> Any:
    return keras.Model(upper.inputs[0], upper.get_layer("average").output, name="features")
