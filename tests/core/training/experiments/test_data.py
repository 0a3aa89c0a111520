"""Patches whose tiles never meet in two parts, subsets that grow, and sets that are cut."""

import numpy as np
import pytest

from core.training.datasets import DatasetError, drawn_shapes
from core.training.experiments import photograph_patches as patches
from core.training.experiments.data import (
    as_rgb,
    faces_and_others,
    fewest_of_a_class,
    grey_pixels,
    open_pictures,
    per_class,
    share_of_labels,
)


@pytest.fixture(scope="module")
def shapes():
    return drawn_shapes(240)


def test_no_pixel_of_a_test_patch_was_trained_on(monkeypatch):
    side = patches.SHORT_SIDE_PX
    tile = side // patches.TILES_ACROSS
    # A photograph whose brightness is the number of its tile.
    rows, columns = np.mgrid[0:side, 0:side] // tile
    numbered = np.repeat((rows * patches.TILES_ACROSS + columns).astype(np.uint8)[..., None], 3, axis=2)
    monkeypatch.setattr(patches, "load_sample", lambda name: numbered)
    monkeypatch.setattr(patches, "_relit", lambda patch, random: patch)
    made = patches.photograph_patches(60)
    for label in range(len(patches.PHOTOGRAPHS)):
        tiles = []
        for part in (made.train, made.validation, made.test):
            mine = made.images[part[made.labels[part] == label]]
            assert (mine == mine[:, :1, :1]).all()  # each lies in one tile
            tiles.append(set(mine[:, 0, 0, 0].tolist()))
        assert not (tiles[0] & tiles[1] or tiles[0] & tiles[2] or tiles[1] & tiles[2])


def test_patches_are_the_same_for_a_seed_and_have_all_classes():
    one, other = patches.photograph_patches(20, seed=3), patches.photograph_patches(20, seed=3)
    assert (one.images == other.images).all()
    assert one.images.shape == (16 * 20, 48, 48, 3)
    assert (np.bincount(one.labels[one.test]) == 6).all()
    assert (one.images[..., 0] == one.images[..., 1]).all()  # colour gives no photograph away


def test_faces_and_others():
    made = faces_and_others()
    assert made.images.shape == (200, 48, 48, 1) and (np.bincount(made.labels[made.test]) == 50).all()


def test_subsets_of_a_seed_grow(shapes):
    few, more = per_class(shapes, 2, seed=1), per_class(shapes, 5, seed=1)
    assert set(few) < set(more) <= set(shapes.train)
    assert (np.bincount(shapes.labels[more]) == 5).all()
    assert set(few) != set(per_class(shapes, 2, seed=2))
    tenth, half = share_of_labels(shapes, 0.1, 1), share_of_labels(shapes, 0.5, 1)
    assert set(tenth) < set(half)
    assert set(share_of_labels(shapes, 1.0, 1)) == set(shapes.train)


def test_every_class_keeps_a_picture(shapes):
    assert (np.bincount(shapes.labels[share_of_labels(shapes, 0.001, 0)]) == 1).all()


def test_a_class_with_too_few_gives_all_it_has(shapes):
    most = fewest_of_a_class(shapes)
    assert len(per_class(shapes, 10**6, 0)) == len(shapes.train) and most > 20


def test_large_sets_are_cut(monkeypatch, shapes):
    from core.training.experiments import data

    monkeypatch.setattr(data, "MOST_TRAINING", 50)
    monkeypatch.setattr(data, "MOST_TEST", 10)
    made = open_pictures("shapes")
    assert (len(made.train), len(made.test)) == (50, 10)


def test_small_pictures_are_refused(tmp_path):
    side = np.zeros((40, 8, 8), np.uint8)
    labels = np.arange(40) % 2
    np.savez(tmp_path / "small.npz", x_train=side, y_train=labels, x_test=side, y_test=labels)
    with pytest.raises(DatasetError, match="at least 28 px"):
        open_pictures(str(tmp_path / "small.npz"))


def test_grey_pictures_become_rgb_of_a_size():
    assert as_rgb(np.full((2, 32, 32, 1), 7, np.uint8), 64).shape == (2, 64, 64, 3)
    same = np.zeros((1, 48, 48, 3), np.uint8)
    assert as_rgb(same, 48) is same


def test_grey_pixels_are_means_over_squares(shapes):
    images = shapes.images[:3]
    expected = images.reshape(3, 16, 2, 16, 2, 3).mean(axis=(2, 4, 5)).reshape(3, 256) / 255
    np.testing.assert_allclose(grey_pixels(images), expected, atol=1e-5)
