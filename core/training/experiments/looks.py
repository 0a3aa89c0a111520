"""First looks: what a view shows as it opens, measured in a second or two on a few pictures."""

from __future__ import annotations

import dataclasses

import numpy as np

from core.training.datasets import ImageDataset, Integers
from core.training.experiments.data import as_rgb, fewest_of_a_class, grey_pixels, per_class, share_of_labels
from core.training.experiments.hog import hog_features, hog_picture, svm_accuracy
from core.training.experiments.settings import (
    EnsembleLook,
    EnsembleSettings,
    HogLook,
    HogSettings,
    PictureSample,
    TransferLook,
)
from core.training.experiments.softmax_layer import fit_softmax_layer

SHOWN = 10
PICTURES_A_CLASS = 5
MOST_TRAINING = 200
MOST_TEST = 160
SHOWN_STARS = 6
LABEL_SHARE = 0.1
MEMBERS, STEPS = 3, 100


def picture_sample(dataset: ImageDataset, count: int = SHOWN) -> PictureSample:
    """Training pictures of as many classes as can be."""
    classes = len(dataset.class_names)
    chosen = per_class(dataset, -(-count // classes), 0)
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(count, len(chosen))).round().astype(int)]
    names = tuple(dataset.class_names[label] for label in dataset.labels[chosen])
    sizes = (classes, len(dataset.train), len(dataset.test), fewest_of_a_class(dataset))
    return PictureSample(dataset.images[chosen], names, *sizes)


def transfer_look(dataset: ImageDataset, backbone: str) -> TransferLook:
    """One softmax layer on frozen features and on pixels; errors as `choose_backbone`'s."""
    from core.training.experiments import backbone as backbones

    chosen = backbones.choose_backbone(backbone)
    classes = len(dataset.class_names)
    count = max(1, min(PICTURES_A_CLASS, fewest_of_a_class(dataset), MOST_TRAINING // classes))
    few, test = per_class(dataset, count, 0), _some(dataset.test, MOST_TEST)
    used = np.concatenate([few, test])
    network = backbones.load(chosen)
    maps = backbones.answers(network, as_rgb(dataset.images[used], chosen.input_px))
    numbers = {
        "frozen": maps.mean(axis=(1, 2)),  # (n, h, w, d) -> (n, d)
        "pixels": grey_pixels(dataset.images[used]),
    }
    right = {}
    for name, values in numbers.items():
        layer = fit_softmax_layer(values[: len(few)], dataset.labels[few], classes)
        right[name] = layer.accuracy(values[len(few) :], dataset.labels[test])
    return TransferLook(
        picture_sample(dataset),
        count,
        len(test),
        right["frozen"],
        right["pixels"],
        numbers["frozen"].shape[1],
        numbers["pixels"].shape[1],
        f"{chosen.label}, which learned {chosen.learned}",
    )


def hog_look(dataset: ImageDataset, settings: HogSettings) -> HogLook:
    """An SVM on HOG and on pixels, with a tenth of the labels; errors as `hog_features`'."""
    few, test = share_of_labels(dataset, LABEL_SHARE, 0), _some(dataset.test, 2 * MOST_TEST)
    few = _some(few, 3 * MOST_TRAINING)
    used = np.concatenate([few, test])
    numbers = {
        "hog": hog_features(dataset.images[used], settings),
        "pixels": grey_pixels(dataset.images[used]),
    }
    right = {
        name: svm_accuracy(
            values[: len(few)], dataset.labels[few], values[len(few) :], dataset.labels[test], settings.svm_c
        )
        for name, values in numbers.items()
    }
    shown = picture_sample(dataset, SHOWN_STARS).images
    return HogLook(
        shown,
        np.stack([hog_picture(one, settings) for one in shown]),
        len(few),
        len(test),
        right["hog"],
        right["pixels"],
        numbers["hog"].shape[1],
        numbers["pixels"].shape[1],
        dataset.images.shape[1],
    )


def ensemble_look(dataset: ImageDataset, settings: EnsembleSettings) -> EnsembleLook:
    """Three of the networks, trained for a moment, and what their mean makes of a picture that they dispute."""
    from core.training.experiments.ensemble import ensemble_experiment

    fewer = dataclasses.replace(settings, members=MEMBERS, steps=STEPS, seeds=1)
    small = dataclasses.replace(dataset, test=_some(dataset.test, 2 * MOST_TEST))
    result = ensemble_experiment(small, fewer)
    by_method = {(one.method, one.x): one.value for one in result.measurements}
    assert result.example is not None  # noqa: S101 - there is one of every run that ended
    return EnsembleLook(
        tuple(by_method["member", float(index)] for index in range(1, MEMBERS + 1)),
        by_method["ensemble", float(MEMBERS)],
        settings.per_class,
        STEPS,
        len(small.test),
        result.example,
    )


def _some(indices: Integers, most: int) -> Integers:
    """At most so many of the indices, drawn at random, always the same."""
    return indices if len(indices) <= most else np.random.default_rng(0).choice(indices, most, replace=False)
