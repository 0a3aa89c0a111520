"""The ten crops against the definition of Krizhevsky et al. 2012, written out as a loop."""

import numpy as np
import pytest

from core.training.experiments.crops import WAYS, crop_boxes, mean_over_crops, random_crops, ten_crops


def reference(picture, c):
    """Four corners, the middle, and all of them turned left for right, pixel by pixel."""
    h, w = picture.shape[:2]
    places = [(0, 0), (0, w - c), (h - c, 0), (h - c, w - c), ((h - c) // 2, (w - c) // 2)]
    crops = np.zeros((10, c, c, picture.shape[2]), picture.dtype)
    for index, (top, left) in enumerate(places):
        for row in range(c):
            for column in range(c):
                crops[index, row, column] = picture[top + row, left + column]
                crops[index + 5, row, c - 1 - column] = picture[top + row, left + column]
    return crops


@pytest.mark.parametrize(
    ("height", "width", "crop"),
    [
        (8, 8, 5),  # odd rest
        (7, 10, 4),  # not square
        (6, 6, 6),  # the whole picture ten times
        (256, 256, 224),  # AlexNet's
    ],
)
def test_positions_are_those_of_the_paper(height, width, crop):
    pictures = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    crops = ten_crops(pictures, crop)
    assert crops.shape == (2, 10, crop, crop, 3)
    for one, found in zip(pictures, crops, strict=True):
        assert (found == reference(one, crop)).all()


def test_boxes_cut_out_the_crops():
    picture = np.random.default_rng(1).integers(0, 256, (9, 12, 1), np.uint8)
    for box, crop in zip(crop_boxes(9, 12, 5), ten_crops(picture[None], 5)[0], strict=False):
        left, top, right, bottom = box
        assert (picture[top:bottom, left:right] == crop).all()


@pytest.mark.parametrize("crop", [0, 9])
def test_a_crop_that_does_not_fit_is_refused(crop):
    with pytest.raises(ValueError, match="does not fit"):
        crop_boxes(8, 8, crop)


def test_the_mean_over_crops_is_numpys():
    probabilities = np.random.default_rng(2).dirichlet(np.ones(4), (3, 10)).astype(np.float32)
    np.testing.assert_allclose(mean_over_crops(probabilities, 10), np.mean(probabilities, axis=1), rtol=1e-6)
    np.testing.assert_allclose(mean_over_crops(probabilities, 1), probabilities[:, 4])
    # Five are those that are not mirrored; one and two show the middle alone.
    assert WAYS[5] == (0, 1, 2, 3, 4) and WAYS[2] == (4, 9)


def test_random_crops_are_windows_of_their_picture():
    pictures = np.arange(2 * 6 * 6, dtype=np.uint8).reshape(2, 6, 6, 1)
    cropped = random_crops(pictures, 4, np.random.default_rng(0))
    for picture, crop in zip(pictures, cropped, strict=True):
        windows = [picture[top : top + 4, left : left + 4] for top in range(3) for left in range(3)]
        assert any((crop == one).all() or (crop == one[:, ::-1]).all() for one in windows)
