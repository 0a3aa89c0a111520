"""Colours of maps: zero in the middle, symmetry, limits, and what is no number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.convolution.display import (
    DIVERGING_COLOURS,
    absolute_to_rgb,
    clipped_to_rgb,
    direction_to_rgb,
    mask_to_rgb,
    natural_display,
    signed_to_rgb,
)
from core.convolution.filters import FILTERS, filter_kernel
from tests.core.convolution.cases import many_examples

ZERO, LOWEST, HIGHEST = DIVERGING_COLOURS[5], DIVERGING_COLOURS[0], DIVERGING_COLOURS[-1]


@many_examples
@given(numbers=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20))
def test_zero_is_always_the_colour_in_the_middle(numbers):
    shown = signed_to_rgb(np.array([[0.0, *numbers]]))

    assert tuple(shown[0, 0]) == ZERO
    for number, colour in zip(numbers, shown[0, 1:].astype(int), strict=True):
        if colour.tolist() != list(ZERO):  # red above zero, blue below
            assert (colour[0] > colour[2]) == (number > 0)


def test_the_ends_of_the_palette_are_the_largest_values():
    shown = signed_to_rgb(np.array([[-4.0, 4.0, 2.0, -2.0]]))

    assert tuple(shown[0, 0]) == LOWEST
    assert tuple(shown[0, 1]) == HIGHEST
    assert shown.dtype == np.uint8


def test_what_is_beyond_the_limit_keeps_the_colour_of_the_limit():
    shown = signed_to_rgb(np.array([[-9.0, 1.0, 9.0]]), limit=1.0)

    assert [tuple(colour) for colour in shown[0]] == [LOWEST, HIGHEST, HIGHEST]


def test_the_palette_gets_darker_towards_both_ends():
    ramp = signed_to_rgb(np.linspace(-1, 1, 201)[None])[0] @ np.array([0.299, 0.587, 0.114])

    assert (np.diff(ramp[:101]) >= -1e-9).all()
    assert (np.diff(ramp[100:]) <= 1e-9).all()


def test_several_channels_show_the_strongest():
    values = np.array([[[1.0, -3.0, 2.0], [0.0, 3.0, -1.0]]])

    np.testing.assert_array_equal(signed_to_rgb(values), signed_to_rgb(np.array([[-3.0, 3.0]])))
    np.testing.assert_array_equal(signed_to_rgb(values[..., :1], 3.0), signed_to_rgb(values[..., 0], 3.0))


@many_examples
@given(numbers=st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=12))
def test_absolute_and_clipped_are_their_formulas(numbers):
    values = np.array([numbers], np.float32)
    largest = np.abs(values).max()
    largest = largest if largest > 1e-30 else 1.0  # weaker maps are shown as zero

    np.testing.assert_allclose(absolute_to_rgb(values)[..., 0], np.abs(values) / largest * 255, atol=0.51)
    np.testing.assert_allclose(clipped_to_rgb(values)[..., 0], np.clip(values, 0, 255), atol=0.51)
    assert (np.ptp(absolute_to_rgb(values), axis=2) == 0).all()


def test_three_channels_stay_colours_where_they_are_a_picture():
    image = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)

    np.testing.assert_array_equal(clipped_to_rgb(image), image)
    np.testing.assert_array_equal(clipped_to_rgb(image.astype(np.float64) - 0.2), image)
    assert absolute_to_rgb(image, limit=255).tolist() == image.tolist()
    assert absolute_to_rgb(image[..., :2]).shape == (5, 6, 3)


@pytest.mark.parametrize("function", [signed_to_rgb, absolute_to_rgb, clipped_to_rgb])
def test_what_is_no_number_is_shown_as_zero(function):
    values = np.array([[np.nan, np.inf, -np.inf, 0.0, 8.0]])

    shown = function(values)

    assert (shown[0, :3] == shown[0, 3]).all()
    assert (shown[0, 4] != shown[0, 3]).any()


@pytest.mark.parametrize("function", [signed_to_rgb, absolute_to_rgb, clipped_to_rgb, mask_to_rgb])
def test_a_map_of_zeros_is_shown_and_an_empty_one_refused(function):
    assert np.ptp(function(np.zeros((3, 4))), axis=(0, 1)).max() == 0
    with pytest.raises(ValueError, match="received"):
        function(np.zeros((0, 4)))
    with pytest.raises(ValueError, match="received"):
        function(np.zeros(4))


def test_directions_are_hues_and_opposite_ones_differ():
    directions = np.array([[0.0, 180.0, -180.0, 90.0, 90.0]])

    shown = direction_to_rgb(directions, np.array([[4.0, 4.0, 4.0, 4.0, 0.0]])).astype(int)

    assert shown[0, 0].argmax() == 0  # red
    np.testing.assert_array_equal(shown[0, 1], shown[0, 2])
    assert np.abs(shown[0, 0] - shown[0, 1]).max() > 200
    assert shown[0, 4].max() == 0  # nothing where there is no gradient
    with pytest.raises(ValueError, match="share a shape"):
        direction_to_rgb(directions, np.ones((2, 2)))


def test_filters_that_keep_brightness_are_shown_as_pictures():
    shown_as_pictures = {name for name in FILTERS if natural_display(filter_kernel(name, 5)) == "clipped"}

    assert shown_as_pictures == {"box", "gaussian", "sharpen", "emboss", "identity"}
