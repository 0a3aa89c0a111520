"""Window positions against a walk over the padded image, one window after the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.convolution.geometry import FilterTooLarge, output_size
from core.convolution.windows import IMAGE, NEVER_READ, PADDING, pixel_kinds, window_positions

PADDINGS = st.one_of(st.sampled_from(["valid", "same"]), st.integers(0, 5))


@given(st.integers(1, 20), st.integers(1, 6), PADDINGS, st.integers(1, 5), st.integers(1, 3))
def test_positions_are_those_of_a_walk_over_the_padded_axis(n, f, padding, stride, dilation):
    try:
        positions = window_positions(n, f, padding=padding, stride=stride, dilation=dilation)
    except FilterTooLarge:
        return
    # A window fits as long as its last tap lies on the padded axis.
    walked = [start for start in range(0, positions.padded, stride) if start + dilation * (f - 1) < positions.padded]
    assert list(positions.starts) == walked
    assert len(walked) == output_size(n, f, padding=padding, stride=stride, dilation=dilation)
    assert positions.left_over == positions.padded - 1 - positions.taps(len(walked) - 1)[-1]
    assert 0 <= positions.left_over < stride or padding == "same"


@given(st.integers(1, 12), st.integers(1, 5), PADDINGS, st.integers(1, 4), st.integers(1, 3))
def test_pixels_never_read_are_those_that_no_tap_touches(n, f, padding, stride, dilation):
    try:
        positions = window_positions(n, f, padding=padding, stride=stride, dilation=dilation)
    except FilterTooLarge:
        return
    touched = np.zeros((positions.padded, positions.padded), bool)
    for row in range(len(positions.starts)):
        for column in range(len(positions.starts)):
            for y in positions.taps(row):
                for x in positions.taps(column):
                    touched[y, x] = True
    image = np.pad(np.ones((n, n), bool), (positions.before, positions.after))
    expected = np.where(touched, np.where(image, IMAGE, PADDING), NEVER_READ)
    np.testing.assert_array_equal(pixel_kinds(positions), expected)


def test_the_stride_example_of_the_notes_leaves_nothing_over():
    positions = window_positions(7, 3, stride=2)
    assert positions.starts == (0, 2, 4)
    assert positions.left_over == 0


def test_filter_larger_than_the_padded_image_is_refused():
    with pytest.raises(FilterTooLarge, match="covers 5 pixels"):
        window_positions(3, 5)
