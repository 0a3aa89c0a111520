"""HOG against skimage and against the definition in NumPy; the SVM against scikit-learn's own score."""

import numpy as np
import pytest
from skimage.feature import hog as skimage_hog

from core.training.datasets import digits, drawn_shapes
from core.training.experiments.hog import hog_features, hog_picture, svm_accuracy
from core.training.experiments.settings import ExperimentError, HogSettings


def test_grey_features_are_skimages():
    images = digits().images[:3]
    found = hog_features(images, HogSettings())
    expected = skimage_hog(images[1, ..., 0], orientations=9, pixels_per_cell=(8, 8), cells_per_block=(2, 2))
    assert found.shape == (3, 324)
    np.testing.assert_allclose(found[1], expected, rtol=1e-5, atol=1e-6)


def test_colour_features_are_skimages():
    images = drawn_shapes(60).images[:2]
    found = hog_features(images, HogSettings(orientations=6, cell_px=16, block_cells=1))
    expected = skimage_hog(images[1], orientations=6, pixels_per_cell=(16, 16), cells_per_block=(1, 1), channel_axis=2)
    np.testing.assert_allclose(found[1], expected, rtol=1e-5, atol=1e-6)


def test_a_block_that_does_not_fit_is_told():
    with pytest.raises(ExperimentError, match="does not fit into pictures of 32 x 32"):
        hog_features(digits().images[:1], HogSettings(cell_px=16, block_cells=3))


def test_the_stars_have_the_size_of_the_picture():
    drawn = hog_picture(digits().images[0], HogSettings())
    assert drawn.shape == (32, 32) and drawn.dtype == np.uint8 and drawn.max() == 255


def test_the_svm_learns_what_can_be_told_apart():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    features = (np.eye(3)[labels] + random.normal(0, 0.05, (60, 3))).astype(np.float32)
    assert svm_accuracy(features[::2], labels[::2], features[1::2], labels[1::2]) == 1.0
