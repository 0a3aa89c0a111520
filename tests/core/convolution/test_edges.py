"""Gradient and edges against OpenCV and SciPy, and on steps whose direction is known."""

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage import data

from core.convolution.operation import canny, edge_map, gradient, luminance


@pytest.fixture(scope="module")
def photograph():
    return data.astronaut()[:200, :240]


def test_sobel_and_scharr_gradients_are_opencv_s(photograph):
    grey = luminance(photograph)

    for pair, function in (("sobel", cv2.Sobel), ("scharr", cv2.Scharr)):
        field = gradient(grey, pair)
        gx, gy = function(grey, cv2.CV_32F, 1, 0), function(grey, cv2.CV_32F, 0, 1)
        np.testing.assert_allclose(field.gx, gx, atol=0.01)
        np.testing.assert_allclose(field.gy, gy, atol=0.01)
        np.testing.assert_allclose(field.magnitude, np.sqrt(gx**2 + gy**2), atol=0.02)
        strong = field.magnitude > 50  # where the gradient is small, its direction means nothing
        degrees = cv2.phase(gx, gy, angleInDegrees=True)
        turned = (field.direction_deg - degrees + 180) % 360 - 180
        assert np.abs(turned[strong]).max() < 0.5  # OpenCV's own angle is that coarse


def test_prewitt_gradient_is_scipy_s(photograph):
    grey = luminance(photograph)
    field = gradient(grey, "prewitt")

    np.testing.assert_allclose(field.gx, ndimage.prewitt(grey, axis=1, mode="mirror"), atol=0.01)
    np.testing.assert_allclose(field.gy, ndimage.prewitt(grey, axis=0, mode="mirror"), atol=0.01)


@pytest.mark.parametrize(("turns", "direction_deg"), [(0, 0), (3, 90), (2, 180), (1, -90)])
def test_the_direction_points_to_the_bright_side(turns, direction_deg):
    step = np.rot90(np.tile(np.repeat([0.0, 255.0], 5), (10, 1)), turns)  # turns of 90 degrees to the left

    field = gradient(step, "sobel")

    assert abs(field.direction_deg[field.magnitude > 0]).mean() == pytest.approx(abs(direction_deg))
    assert field.direction_deg[field.magnitude > 0][0] == pytest.approx(direction_deg)


def test_a_mirrored_border_draws_no_edge():
    assert gradient(np.full((8, 8), 200, np.uint8), "scharr").magnitude.max() == 0
    assert gradient(np.full((8, 8), 200, np.uint8), "scharr", border="zero").magnitude.max() > 0


def test_luminance_is_opencv_s(photograph):
    grey = luminance(photograph)

    assert grey.dtype == np.float32
    np.testing.assert_allclose(grey, photograph @ np.array([0.299, 0.587, 0.114]), atol=0.01)
    np.testing.assert_allclose(grey, cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY), atol=0.51)


def test_a_threshold_leaves_what_is_above():
    np.testing.assert_array_equal(edge_map(np.array([[1.0, 2.0], [3.0, 4.0]]), 2.0), [[False, False], [True, True]])


def test_canny_is_opencv_s(photograph):
    grey = cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY)

    expected = cv2.Canny(grey, 100, 200, L2gradient=True) > 0

    np.testing.assert_array_equal(canny(grey, 100, 200), expected)
    assert 0 < canny(photograph, 100, 200).mean() < 0.3
    assert not canny(grey, 5000, 5000).any()


def test_what_has_no_gradient_is_refused(photograph):
    with pytest.raises(ValueError, match=r"\(H, W\)"):
        gradient(photograph, "sobel")
    with pytest.raises(ValueError, match="roberts"):
        gradient(photograph[..., 0], "roberts")
    with pytest.raises(ValueError, match="must not be above"):
        canny(photograph, 3, 2)
    with pytest.raises(ValueError, match="uint8"):
        canny(photograph / 255, 1, 2)
    with pytest.raises(ValueError, match=r"\(H, W, 3\)"):
        luminance(photograph[..., 0])
