"""Patches of the photographs that scikit-image and scikit-learn carry, to tell which photograph one is from.

A data set of natural pictures that needs no network. Each photograph is a class and is cut into square tiles; a tile
belongs to one part alone (learn, select, report), so no pixel of a test patch was ever trained on. Brightness and
contrast of every patch are drawn anew and its colours are taken away, so that neither gives a photograph away.

Arrays: patches uint8 (N, side, side, 3) with three equal channels, labels int64 (N,).
"""

from __future__ import annotations

import cv2
import numpy as np

from core.runtime.samples import load_sample
from core.training.datasets import ImageDataset, Pictures

PHOTOGRAPHS = (
    *("astronaut", "chelsea", "coffee", "motorcycle", "rocket", "china", "flower", "camera"),
    *("coins", "page", "moon", "brick", "grass", "hubble_deep_field", "retina", "immunohistochemistry"),
)
LABELS = {"hubble_deep_field": "galaxies", "immunohistochemistry": "tissue", "chelsea": "cat", "china": "temple"}
SHORT_SIDE_PX = 384  # every photograph is brought to this size first, so that scale gives none away
TILES_ACROSS = 6


def photograph_patches(per_class: int = 120, side_px: int = 48, seed: int = 0) -> ImageDataset:
    """As many patches of each of the 16 photographs; about 6 tiles of 10 are learned from, 1 selected on, 3 tested.

    Args:
        per_class: Patches of each photograph, 20 or more.
        side_px: Height and width, at most the side of a tile (64).
        seed: Other tiles for the test, other patches; the same seed gives the same.
    """
    random = np.random.default_rng(seed)
    images: list[Pictures] = []
    labels: list[int] = []
    parts: list[int] = []
    for label, name in enumerate(PHOTOGRAPHS):
        grey = cv2.cvtColor(load_sample(name), cv2.COLOR_RGB2GRAY)
        scale = SHORT_SIDE_PX / min(grey.shape)
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=how)
        tile = SHORT_SIDE_PX // TILES_ACROSS
        rows, columns = grey.shape[0] // tile, grey.shape[1] // tile
        share = np.arange(rows * columns) / (rows * columns)
        part_of = random.permutation(np.where(share < 0.6, 0, np.where(share < 0.7, 1, 2)))
        for part, count in enumerate((round(0.6 * per_class), round(0.1 * per_class), round(0.3 * per_class))):
            for place in random.choice(np.flatnonzero(part_of == part), count):
                top = place // columns * tile + random.integers(0, tile - side_px + 1)
                left = place % columns * tile + random.integers(0, tile - side_px + 1)
                images.append(_relit(grey[top : top + side_px, left : left + side_px].astype(np.uint8), random))
                labels.append(label)
                parts.append(part)
    part_of_patch = np.array(parts)
    names = tuple(LABELS.get(name, name) for name in PHOTOGRAPHS)
    together = np.repeat(np.stack(images)[..., None], 3, axis=3)  # (N, side, side) -> (N, side, side, 3)
    splits = [np.flatnonzero(part_of_patch == index) for index in range(3)]
    return ImageDataset("photographs", together, np.array(labels, np.int64), names, *splits)


def _relit(patch: Pictures, random: np.random.Generator) -> Pictures:
    """The patch with mean and spread drawn at random."""
    values = patch.astype(np.float32)
    spread = max(float(values.std()), 4.0)
    lit = (values - values.mean()) / spread * random.uniform(30, 60) + random.uniform(95, 160)
    clipped: Pictures = np.clip(lit, 0, 255).astype(np.uint8)
    return clipped
