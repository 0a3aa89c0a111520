"""Pooling against Keras, the places of the maxima against counting, and shifts on maps that are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.convolution.geometry import FilterTooLarge
from core.convolution.pooling import cosine_similarity, pool, relative_change, shift_response
from tests.core.convolution.cases import few_examples, many_examples


@st.composite
def pooling_cases(draw):
    """An input with few different values, so that maxima are often shared, and a window that fits."""
    height, width = draw(st.integers(1, 13)), draw(st.integers(1, 13))
    depth = draw(st.sampled_from([0, 1, 3, 5]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.uint8, np.float32, np.int64]))
    x = rng.integers(0, 5, (height, width, depth) if depth else (height, width)).astype(dtype)
    if dtype != np.uint8:
        x = x - dtype(3)  # negative values too
    return x, draw(st.integers(1, min(height, width))), draw(st.integers(1, 5))


@few_examples
@given(case=pooling_cases(), mode=st.sampled_from(["max", "average"]))
def test_pooling_equals_keras(case, mode):
    import keras

    x, f, s = case
    layer = (keras.layers.MaxPooling2D if mode == "max" else keras.layers.AveragePooling2D)(f, s)
    batch = np.atleast_3d(x).astype(np.float32)[None]

    result = pool(x, f, s, mode)

    assert result.output.dtype == np.float32
    np.testing.assert_allclose(result.output, np.asarray(layer(batch))[0].reshape(result.output.shape), atol=1e-5)
    assert (result.input_values, result.output_values) == (x.size, result.output.size)
    assert result.parameters == layer.count_params() == 0


@many_examples
@given(case=pooling_cases())
def test_every_maximum_is_the_first_of_its_window(case):
    x, f, s = case
    result = pool(x, f, s, "max")
    maps = np.atleast_3d(x)
    rows, columns = (np.atleast_3d(a) for a in (result.rows, result.columns))

    for row, column, channel in np.ndindex(rows.shape):
        window = maps[row * s : row * s + f, column * s : column * s + f, channel]
        i, j = np.unravel_index(np.argmax(window), window.shape)  # NumPy's is the first in reading order
        assert rows[row, column, channel] == row * s + i
        assert columns[row, column, channel] == column * s + j


def test_windows_wider_than_a_byte_can_count():
    x = np.zeros((300, 300))
    x[298, 299] = 1

    result = pool(x, 300, 1, "max")

    assert (result.rows[0, 0], result.columns[0, 0]) == (298, 299)


def test_average_pooling_knows_no_places():
    result = pool(np.arange(16).reshape(4, 4), 2, 2, "average")

    np.testing.assert_array_equal(result.output, [[2.5, 4.5], [10.5, 12.5]])
    assert result.rows is None
    assert result.columns is None


def test_the_input_is_left_as_it_was():
    x = np.random.default_rng(0).random((8, 8)).astype(np.float32)
    before = x.copy()

    pool(x, 1, 1, "max").output[:] = 7
    pool(x, 3, 2, "average")

    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("axis", ["horizontal", "vertical"])
def test_a_shift_is_cut_from_the_picture_itself(axis):
    rng = np.random.default_rng(0)
    x = rng.random((20, 24, 3))
    responses = shift_response(x, 3, f=2, s=2, axis=axis)
    turned = x if axis == "horizontal" else x.transpose(1, 0, 2)
    width = turned.shape[1] - 3

    assert [response.shift_px for response in responses] == [1, 2, 3]
    for response in responses:
        old, new = turned[:, :width], turned[:, response.shift_px : response.shift_px + width]
        assert response.unpooled_change == pytest.approx(np.linalg.norm(new - old) / np.linalg.norm(old), rel=1e-5)
        pooled_old, pooled_new = (pool(part, 2, 2, "max").output for part in (old, new))
        change = np.linalg.norm(pooled_new - pooled_old) / np.linalg.norm(pooled_old)
        assert response.pooled_change == pytest.approx(change, rel=1e-5)
        assert response.pooled_cosine == pytest.approx(cosine_similarity(pooled_old, pooled_new), rel=1e-5)


def test_pooling_makes_an_edge_map_less_sensitive_to_position():
    from skimage import data

    from core.convolution.operation import gradient, luminance

    edges = gradient(luminance(data.astronaut()), "sobel").magnitude

    for response in shift_response(edges, 3, f=4, s=4):
        assert response.pooled_change < 0.8 * response.unpooled_change
        assert response.pooled_cosine > response.unpooled_cosine


def test_a_map_that_is_the_same_everywhere_does_not_change():
    (response,) = shift_response(np.full((8, 8), 3.0), 1)

    assert (response.unpooled_change, response.pooled_change) == (0, 0)
    assert response.pooled_cosine == pytest.approx(1)


@pytest.mark.parametrize(
    ("a", "b", "change", "cosine"),
    [
        ([0, 0], [0, 0], 0, 1),
        ([0, 0], [1, 0], np.inf, 0),
        ([1, 0], [0, 1], np.sqrt(2), 0),
        ([1, 0], [-1, 0], 2, -1),
    ],
)
def test_changes_and_angles(a, b, change, cosine):
    assert relative_change(np.array(a), np.array(b)) == pytest.approx(change)
    assert cosine_similarity(np.array(a), np.array(b)) == pytest.approx(cosine)


def test_what_cannot_be_pooled_is_refused():
    with pytest.raises(FilterTooLarge):
        pool(np.zeros((4, 9)), 5, 1, "max")
    with pytest.raises(ValueError, match=r"received \(4,\)"):
        pool(np.zeros(4), 2, 2, "max")
    with pytest.raises(ValueError, match="median"):
        pool(np.zeros((4, 4)), 2, 2, "median")
    with pytest.raises(ValueError, match="at least 1"):
        pool(np.zeros((4, 4)), 2, 0, "max")
    for shift_px in (0, 7):
        with pytest.raises(ValueError, match=f"shift of {shift_px} pixels"):
            shift_response(np.zeros((8, 8)), shift_px)
