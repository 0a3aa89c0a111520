"""Sizes and receptive fields against built Keras models, counts against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.convolution.geometry import (
    FilterTooLarge,
    ReceptiveField,
    axis_padding,
    covered_size,
    output_size,
    participation_map,
    receptive_field,
    same_padding,
    shrinkage,
)
from tests.core.convolution.cases import few_examples, many_examples

PADDINGS = st.one_of(st.sampled_from(["valid", "same"]), st.integers(0, 6))


@st.composite
def layer_stacks(draw):
    """An input size and up to five (kind, f, s, dilation, padding), as Keras can build them."""
    layers = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["conv", "conv", "pool"]))
        stride = draw(st.integers(1, 3))
        dilation = draw(st.integers(1, 3)) if kind == "conv" and stride == 1 else 1
        layers.append((kind, draw(st.integers(1, 5)), stride, dilation, draw(st.sampled_from(["valid", "same"]))))
    return draw(st.integers(1, 48)), layers


def keras_layer(kind, f, stride, dilation, padding):
    import keras

    if kind == "pool":
        return keras.layers.AveragePooling2D((f, 1), (stride, 1), padding)
    return keras.layers.Conv2D(1, (f, 1), (stride, 1), padding, dilation_rate=(dilation, 1), kernel_initializer="ones")


@few_examples
@given(stack=layer_stacks())
def test_sizes_and_receptive_fields_equal_a_keras_model_and_its_gradient(stack):
    import tensorflow as tf

    n, layers = stack
    size, described = n, []
    values = image = tf.ones((1, n, 1, 1))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(image)
        for kind, f, stride, dilation, padding in layers:
            arguments = {"padding": padding, "stride": stride, "dilation": dilation}
            before, _ = axis_padding(size, f, **arguments)
            try:
                size = output_size(size, f, **arguments)
            except FilterTooLarge:
                assert padding == "valid" and covered_size(f, dilation) > values.shape[1]
                break
            values = keras_layer(kind, f, stride, dilation, padding)(values)
            described.append((f, stride, dilation, before))
            assert values.shape[1] == size
        outputs = tf.unstack(values[0, :, 0, 0])

    fields = receptive_field(described)
    field = fields[-1] if fields else ReceptiveField(1, 1, 0)
    for index in {0, size // 2, size - 1}:
        seen = np.flatnonzero(tape.gradient(outputs[index], image)[0, :, 0, 0].numpy())
        first, last = field.span(index)
        if first >= 0 and last < n:  # the rim of the field counts, since every weight is positive
            assert (seen[0], seen[-1]) == (first, last)
        else:  # part of the field lies in the padding
            assert seen.size == 0 or (seen[0] >= max(first, 0) and seen[-1] <= min(last, n - 1))


@pytest.mark.parametrize(
    ("layers", "sizes", "jumps"),
    [
        ([(3, 1, 1)] * 3, [3, 5, 7], [1, 1, 1]),  # three 3 x 3 layers see 7 x 7 (Simonyan and Zisserman)
        ([(11, 4), (3, 2), (5, 1), (3, 2)], [11, 19, 51, 67], [4, 8, 8, 16]),  # AlexNet up to POOL2
        (
            [(5, 1), (2, 2), (5, 1), (2, 2)],
            [5, 6, 14, 16],
            [1, 2, 2, 4],
        ),  # the schematic network of the notes
        ([(3, 1, 2), (3, 1, 4)], [5, 13], [1, 1]),  # dilations widen without strides
    ],
)
def test_receptive_fields_of_known_networks(layers, sizes, jumps):
    fields = receptive_field(layers)

    assert [field.size for field in fields] == sizes
    assert [field.jump for field in fields] == jumps


def test_a_same_layer_is_centred_on_its_own_pixel():
    (field,) = receptive_field([(3, 1, 1, 1)])

    assert (field.start, field.centre, field.span(4)) == (-1, 0.0, (3, 5))


@pytest.mark.parametrize("layers", [[(3,)], [(3, 1, 1, 0, 0)], [(0, 1)], [(3, 0)], [(3, 1, 0)], [(3, 1, 1, -1)]])
def test_layers_that_mean_nothing_are_refused(layers):
    with pytest.raises(ValueError, match="layer|at least"):
        receptive_field(layers)


@many_examples
@given(
    n=st.integers(1, 40),
    f=st.integers(1, 9),
    stride=st.integers(1, 5),
    dilation=st.integers(1, 4),
    padding=PADDINGS,
)
def test_output_size_counts_the_windows_that_fit(n, f, stride, dilation, padding):
    before, after = axis_padding(n, f, padding=padding, stride=stride, dilation=dilation)
    last = n + before + after - 1
    windows = [first for first in range(0, last + 1, stride) if first + dilation * (f - 1) <= last]

    if windows:
        assert output_size(n, f, padding=padding, stride=stride, dilation=dilation) == len(windows)
    else:
        with pytest.raises(FilterTooLarge, match="filter covers"):
            output_size(n, f, padding=padding, stride=stride, dilation=dilation)
    if padding == "same":
        assert len(windows) == -(-n // stride)
        assert after - before in (0, 1)


@pytest.mark.parametrize(("f", "padding"), [(1, 0), (3, 1), (5, 2), (2, 0.5), (4, 1.5)])
def test_same_padding_is_the_formula_of_the_notes(f, padding):
    assert same_padding(f) == padding
    assert sum(axis_padding(20, f, padding="same")) == 2 * padding


@many_examples
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    f=st.integers(1, 5),
    stride=st.integers(1, 4),
    padding=PADDINGS,
    dilation=st.integers(1, 3),
)
def test_participation_equals_counting(height, width, f, stride, padding, dilation):
    arguments = {"padding": padding, "stride": stride, "dilation": dilation}
    try:
        rows, columns = output_size(height, f, **arguments), output_size(width, f, **arguments)
    except FilterTooLarge:
        return
    top, left = axis_padding(height, f, **arguments)[0], axis_padding(width, f, **arguments)[0]
    counts = np.zeros((height, width), int)
    for row, column, i, j in np.ndindex(rows, columns, f, f):
        y, x = row * stride - top + i * dilation, column * stride - left + j * dilation
        if 0 <= y < height and 0 <= x < width:
            counts[y, x] += 1

    np.testing.assert_array_equal(participation_map(height, width, f, stride, padding, dilation), counts)


def test_shrinkage_ends_where_nothing_is_left():
    assert shrinkage(6, 3, 5) == (6, 4, 2)
    assert shrinkage(6, 3, 2, 1) == (6, 6, 6)
    assert shrinkage(6, 3, 0) == (6,)


@pytest.mark.parametrize(
    "arguments",
    [
        {"n": 0, "f": 3},
        {"n": 6, "f": 0},
        {"n": 6, "f": 3, "stride": 0},
        {"n": 6, "f": 3, "dilation": 0},
        {"n": 6, "f": 3, "padding": -1},
        {"n": 6, "f": 3, "padding": "full"},
    ],
)
def test_sizes_that_mean_nothing_are_refused(arguments):
    with pytest.raises(ValueError, match="at least 1|Padding"):
        output_size(**arguments)
