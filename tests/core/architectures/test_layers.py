"""The layers of the papers against TensorFlow and short NumPy loops."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from core.architectures.classic import LENET_CONNECTIONS, digit_prototypes
from core.architectures.layers import (
    ConnectionTableConv2D,
    EuclideanRBF,
    LocalResponseNormalization,
    PaddedShortcut,
    ScaledTanh,
    TrainableSubsampling,
)

RNG = np.random.default_rng(0)


def batch(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("channels", [1, 3, 8])
@pytest.mark.parametrize("average", [False, True])
def test_response_normalisation_against_tensorflow(size: int, channels: int, average: bool) -> None:
    x = batch(2, 4, 5, channels)
    layer = LocalResponseNormalization(size=size, k=2.0, alpha=0.3, beta=0.75, average=average)
    alpha = 0.3 / size if average else 0.3
    expected = tf.nn.local_response_normalization(x, depth_radius=size // 2, bias=2.0, alpha=alpha, beta=0.75)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)


def test_even_windows_have_no_centre() -> None:
    with pytest.raises(ValueError, match="is odd; got 4"):
        LocalResponseNormalization(size=4)


def test_scaled_tanh_maps_one_to_one() -> None:
    x = np.array([[-1.0, 0.0, 1.0, 3.0]], "float32")
    np.testing.assert_allclose(ScaledTanh()(x), 1.7159 * np.tanh(2 / 3 * x), rtol=1e-6)
    np.testing.assert_allclose(ScaledTanh()(x)[0, ::2], [-1.0, 1.0], atol=1e-4)


def test_subsampling_against_a_loop() -> None:
    x, layer = batch(2, 6, 4, 3), TrainableSubsampling(2)
    layer(x)
    coefficient, bias = batch(3), batch(3)
    layer.set_weights([coefficient, bias])
    expected = np.empty((2, 3, 2, 3), "float32")
    for row in range(3):
        for column in range(2):
            window = x[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            expected[:, row, column] = window.sum(axis=(1, 2)) * coefficient + bias
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_connection_table_is_a_convolution_with_zeros_where_nothing_is_connected() -> None:
    x, layer = batch(2, 9, 8, 6), ConnectionTableConv2D(LENET_CONNECTIONS, 5)
    layer(x)
    kernel, bias = batch(5, 5, 60), batch(16)
    layer.set_weights([kernel, bias])
    dense = np.zeros((5, 5, 6, 16), "float32")
    pair = 0
    for output, seen in enumerate(LENET_CONNECTIONS):
        for channel in seen:
            dense[:, :, channel, output] = kernel[:, :, pair]
            pair += 1
    expected = tf.nn.conv2d(x, dense, 1, "VALID") + bias
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-4)


def test_table_1_of_lenet() -> None:
    assert [len(seen) for seen in LENET_CONNECTIONS] == [3] * 6 + [4] * 9 + [6]
    # "different feature maps are forced to extract different features": no two columns are the same
    assert len({tuple(sorted(seen)) for seen in LENET_CONNECTIONS}) == 16
    # each map of S2 is seen by ten of C3, as the rows of table I
    assert [sum(channel in seen for seen in LENET_CONNECTIONS) for channel in range(6)] == [10] * 6


def test_connection_table_that_names_a_missing_map_is_refused() -> None:
    with pytest.raises(ValueError, match="names input map 7; the input has 6 maps"):
        ConnectionTableConv2D([[0, 7]], 3)(batch(1, 5, 5, 6))


def test_rbf_measures_squared_distances() -> None:
    x, layer = batch(3, 84), EuclideanRBF(digit_prototypes())
    expected = np.square(x[:, None] - np.array(digit_prototypes())[None]).sum(axis=-1)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4)
    assert len(layer.trainable_weights) == 0
    with pytest.raises(ValueError, match="Every prototype has 3 values"):
        EuclideanRBF(digit_prototypes())(batch(1, 3))


def test_prototypes_of_the_digits_differ() -> None:
    rows = np.array(digit_prototypes())
    assert rows.shape == (10, 84) and set(np.unique(rows)) == {-1.0, 1.0}
    differing = (rows[:, None] != rows[None]).sum(axis=-1)
    assert differing[~np.eye(10, dtype=bool)].min() >= 6


@pytest.mark.parametrize(("side", "stride"), [(8, 2), (7, 2), (6, 1)])
def test_padded_shortcut_picks_pixels_and_adds_zeros(side: int, stride: int) -> None:
    x = batch(2, side, side, 3)
    y = np.asarray(PaddedShortcut(5, stride)(x))
    np.testing.assert_array_equal(y[..., :3], x[:, ::stride, ::stride])
    assert (y[..., 3:] == 0).all() and y.shape == (2, -(-side // stride), -(-side // stride), 5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (LocalResponseNormalization(3, 1.5, 0.2, 0.6, True), (6, 6, 4)),
        (ScaledTanh(), (3, 3, 2)),
        (TrainableSubsampling(3), (7, 7, 2)),
        (ConnectionTableConv2D([[0], [0, 1]], 3), (6, 5, 2)),
        (EuclideanRBF([[1.0, -1.0], [0.0, 2.0]]), (2,)),
        (PaddedShortcut(4, 2), (5, 4, 3)),
    ],
)
def test_layers_survive_saving_and_know_their_shapes(layer: keras.layers.Layer, shape: tuple, tmp_path) -> None:
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layer(inputs))
    x = batch(2, *shape)
    before = np.asarray(model(x))
    assert model.output_shape == (None, *before.shape[1:])
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(before, keras.saving.load_model(tmp_path / "model.keras")(x))
