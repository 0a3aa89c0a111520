"""The similarity of five points against scikit-image's, and crops against what a single warp would give."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import SimilarityTransform

from core.faces.alignment import (
    TEMPLATE_112,
    TEMPLATE_DLIB_150,
    align,
    angle_deg_of,
    scale_of,
    similarity_transform,
    warp,
)
from core.faces.types import FaceError


@pytest.mark.parametrize("count", [2, 5, 20])
@pytest.mark.parametrize("seed", range(4))
def test_is_the_least_squares_similarity_of_scikit_image(count, seed):
    rng = np.random.default_rng(seed)
    source, target = rng.normal(50, 30, (count, 2)), rng.normal(80, 20, (count, 2))
    reference = SimilarityTransform.from_estimate(source, target)
    np.testing.assert_allclose(similarity_transform(source, target), reference.params[:2], atol=1e-9)


@given(st.floats(0.05, 20), st.floats(-179, 179), st.floats(-500, 500), st.floats(-500, 500))
@settings(max_examples=50, deadline=None)
def test_finds_back_scale_angle_and_shift(scale, angle_deg, shift_x, shift_y):
    angle = np.radians(angle_deg)
    rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = TEMPLATE_112 @ rotation.T + [shift_x, shift_y]
    found = similarity_transform(TEMPLATE_112, moved)
    assert scale_of(found) == pytest.approx(scale, rel=1e-4)
    assert np.cos(np.radians(angle_deg_of(found) - angle_deg)) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(TEMPLATE_112 @ found[:, :2].T + found[:, 2], moved, atol=1e-2)


def test_never_mirrors():
    mirrored = TEMPLATE_112 * [-1, 1]
    found = similarity_transform(TEMPLATE_112, mirrored)
    assert np.linalg.det(found[:, :2]) > 0


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((5, 2), np.nan)])
def test_refuses_points_that_say_nothing(points):
    with pytest.raises(FaceError):
        similarity_transform(points, TEMPLATE_112)


def test_refuses_arrays_that_are_no_points():
    with pytest.raises(ValueError, match="expected two arrays of points"):
        similarity_transform(np.zeros((5, 3)), np.zeros((5, 3)))


def test_aligning_an_aligned_crop_changes_nothing():
    image = np.random.default_rng(0).integers(0, 256, (150, 150, 3), np.uint8)
    np.testing.assert_array_equal(align(image, TEMPLATE_DLIB_150, TEMPLATE_DLIB_150, 150), image)


def test_points_arrive_where_they_are_wanted():
    """A dot in the picture's eye lies in the crop's eye."""
    image = np.zeros((400, 400, 3), np.uint8)
    points = (TEMPLATE_112 * 2.0 + [60, 40]).astype(np.float32)
    x, y = points[0].round().astype(int)
    cv2.circle(image, (int(x), int(y)), 4, (255, 255, 255), cv2.FILLED)
    crop = align(image, points, TEMPLATE_112, 112).astype(float).sum(axis=2)
    row, column = np.unravel_index(int(crop.argmax()), crop.shape)
    assert abs(column - TEMPLATE_112[0, 0]) < 2 and abs(row - TEMPLATE_112[0, 1]) < 2


def test_shrinking_takes_means_of_areas():
    """A checkerboard of single pixels, shrunk eightfold, is grey; single samples would show patterns."""
    board = np.indices((512, 512)).sum(axis=0) % 2 * 255
    image = np.repeat(board[:, :, None], 3, axis=2).astype(np.uint8)
    crop = warp(image, np.array([[0.125, 0, 0.0], [0, 0.125, 0.0]]), 64)
    assert np.abs(crop[4:-4, 4:-4].astype(int) - 128).max() <= 3


def test_shrinking_moves_nothing():
    """A smooth blob's middle lands where the transform says, to a fifth of a pixel."""
    y, x = np.mgrid[0:300, 0:400]
    blob = 255 * np.exp(-((x - 222.0) ** 2 + (y - 141.0) ** 2) / (2 * 18.0**2))
    image = np.repeat(blob[:, :, None], 3, axis=2).astype(np.uint8)
    matrix = np.array([[0.2, 0.05, 3.0], [-0.05, 0.2, 20.0]])
    crop = warp(image, matrix, 80)[:, :, 0].astype(float)
    rows, columns = np.mgrid[0:80, 0:80]
    middle = np.array([(crop * columns).sum(), (crop * rows).sum()]) / crop.sum()
    np.testing.assert_allclose(middle, matrix @ [222.0, 141.0, 1.0], atol=0.2)
