"""The pictures of the experiments: what the packages carry and the project draws, the lab's data sets, the user's own.

Large data sets are cut, so that an experiment takes minutes. Subsets grow: the pictures of 5 a class are among those
of 10 a class of the same seed, so that only the amount of data changes along a curve.

Arrays: pictures uint8 (N, H, W, C), labels int64 (N,), choices int64 indices into both.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.training.datasets import DatasetError, ImageDataset, Integers, Pictures, open_dataset, stratified_split
from core.training.experiments.photograph_patches import photograph_patches

PHOTOGRAPHS, FACES = "photographs", "faces"
MOST_TRAINING, MOST_TEST = 6000, 1000
FACE_SIDE_PX = 48
SMALLEST_SIDE_PX = 28
PIXEL_SIDE_PX = 16


def open_pictures(name: str, folder: Path | None = None, seed: int = 0) -> ImageDataset:
    """A data set by its name: "photographs", "faces", or any that `datasets.open_dataset` knows; cut where large.

    Raises:
        DatasetError: If it cannot be opened, or its pictures are smaller than 28 px.
    """
    if name == PHOTOGRAPHS:
        return photograph_patches(seed=seed)
    if name == FACES:
        return faces_and_others(seed)
    dataset = open_dataset(name, seed, folder)
    side = min(dataset.images.shape[1:3])
    if side < SMALLEST_SIDE_PX:
        raise DatasetError(f"The experiments need pictures of at least {SMALLEST_SIDE_PX} px; these have {side}.")
    return _cut(dataset, seed)


def faces_and_others(seed: int = 0) -> ImageDataset:
    """The 100 faces and 100 other patches of 25 x 25 px that scikit-image carries, enlarged to 48 x 48.

    Source: `skimage.data.lfw_subset`, of Labeled Faces in the Wild (Huang et al. 2007).
    """
    from skimage.data import lfw_subset

    small = np.clip(lfw_subset() * 255, 0, 255).astype(np.uint8)  # (200, 25, 25), the first 100 are faces
    side = (FACE_SIDE_PX, FACE_SIDE_PX)
    images = np.stack([cv2.resize(one, side, interpolation=cv2.INTER_CUBIC) for one in small])[..., None]
    labels = np.repeat(np.array([0, 1], np.int64), 100)
    rest, test = stratified_split(labels, 0.5, seed)
    learn, select = stratified_split(labels[rest], 0.1, seed)
    return ImageDataset(FACES, images, labels, ("face", "other"), rest[learn], rest[select], test)


def _cut(dataset: ImageDataset, seed: int) -> ImageDataset:
    random = np.random.default_rng(seed)

    def fewer(part: Integers, most: int) -> Integers:
        return part if len(part) <= most else np.sort(random.choice(part, most, replace=False))

    train, test = fewer(dataset.train, MOST_TRAINING), fewer(dataset.test, MOST_TEST)
    return dataclasses.replace(dataset, train=train, test=test)


def per_class(dataset: ImageDataset, count: int, seed: int) -> Integers:
    """Indices of at most `count` training pictures of each class, as the seed draws them."""
    shuffled = np.random.default_rng(seed).permutation(dataset.train)
    labels = dataset.labels[shuffled]
    chosen = [shuffled[labels == label][:count] for label in np.unique(labels)]
    return np.concatenate(chosen)


def share_of_labels(dataset: ImageDataset, share: float, seed: int) -> Integers:
    """Indices of a share (over 0, at most 1) of the training pictures of each class, one at least of each."""
    shuffled = np.random.default_rng(seed).permutation(dataset.train)
    labels = dataset.labels[shuffled]
    members = [shuffled[labels == label] for label in np.unique(labels)]
    return np.concatenate([some[: max(1, round(share * len(some)))] for some in members])


def grey_pixels(images: Pictures, side_px: int = PIXEL_SIDE_PX) -> NDArray[np.float32]:
    """Brightness of each picture on a grid of side_px x side_px, 0..1: (N, side_px ** 2). Raw pixels, made few."""
    grey = images.mean(axis=3).astype(np.float32) / 255  # (N, H, W, C) -> (N, H, W)
    small = [cv2.resize(one, (side_px, side_px), interpolation=cv2.INTER_AREA) for one in grey]
    return np.stack(small).reshape(len(images), -1).astype(np.float32)


def fewest_of_a_class(dataset: ImageDataset) -> int:
    """How many training pictures the smallest class has."""
    return int(np.bincount(dataset.labels[dataset.train], minlength=len(dataset.class_names)).min())


def as_rgb(images: Pictures, side_px: int) -> Pictures:
    """Pictures of three channels and one size, (N, side_px, side_px, 3)."""
    three = np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images
    if three.shape[1:3] == (side_px, side_px):
        return three
    enlarged = side_px > min(three.shape[1:3])
    how = cv2.INTER_LINEAR if enlarged else cv2.INTER_AREA
    return np.stack([cv2.resize(one, (side_px, side_px), interpolation=how) for one in three])
