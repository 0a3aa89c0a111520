"""Activations against a model that ends at the layer, and mosaics against their maps."""

import keras
import numpy as np
import psutil
import pytest

from core.architectures import catalog, tasks
from core.architectures.activations import MAX_MAPS, prepare_image, preprocessing_of, tile_maps

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (50, 70, 3), dtype=np.uint8)


def test_maps_are_the_outputs_of_the_layer() -> None:
    found = tasks.layer_activations("resnet20_cifar", "conv3_block2_add", PICTURE, seed=3)
    model = catalog.build("resnet20_cifar", seed=3)
    _, batch = prepare_image(PICTURE, (32, 32, 3), "unit")
    expected = keras.Model(model.inputs[0], model.get_layer("conv3_block2_add").output)(batch, training=False)
    np.testing.assert_allclose(found.maps, expected[0], rtol=1e-5, atol=1e-6)
    assert found.maps.shape == (16, 16, 32) and found.maps.dtype == np.float32
    assert (found.network, found.weights) == ("ResNet-20 (CIFAR)", "random initialisation, seed 3")
    assert found.input_pixels.shape == (32, 32, 3) and found.input_pixels.dtype == np.uint8


def test_only_the_weights_on_the_way_are_made() -> None:
    tasks.layer_activations("lenet5", "c1", PICTURE)
    before = psutil.Process().memory_info().rss
    found = tasks.layer_activations("vgg16", "block2_pool", PICTURE, input_shape=(64, 64, 3))
    assert found.maps.shape == (16, 16, 128)
    # the dense layers alone have half a gigabyte
    assert psutil.Process().memory_info().rss - before < 150 * 2**20


def test_layers_without_rows_and_columns() -> None:
    found = tasks.layer_activations("lenet5", "f6", PICTURE)
    assert found.maps.shape == (1, 1, 84) and found.input_pixels.shape == (32, 32, 1)
    with pytest.raises(ValueError, match="has no layer 'f7'"):
        tasks.layer_activations("lenet5", "f7", PICTURE)


def test_a_file_answers_with_its_own_weights(tmp_path) -> None:
    inputs = keras.Input((8, 8, 3))
    layer = keras.layers.Conv2D(2, 1, kernel_initializer="ones", use_bias=False, name="sum")
    keras.Model(inputs, layer(inputs)).save(tmp_path / "sum.keras")
    content = (tmp_path / "sum.keras").read_bytes()
    found = tasks.layer_activations(content, "sum", np.full((20, 20, 3), 255, np.uint8))
    np.testing.assert_allclose(found.maps, 3.0, rtol=1e-6)
    assert found.weights == "weights of the file"


def test_images_are_scaled_as_the_network_wants_them() -> None:
    white, black = np.full((4, 4, 3), 255, np.uint8), np.zeros((4, 4, 3), np.uint8)
    assert prepare_image(white, (4, 4, 3), "unit")[1].max() == 1.0
    # LeCun et al., section III.A: background -0.1, foreground 1.175
    assert prepare_image(white, (4, 4, 1), "lenet")[1].mean() == pytest.approx(-0.1, abs=1e-6)
    assert prepare_image(black, (4, 4, 1), "lenet")[1].mean() == pytest.approx(1.175)
    caffe = prepare_image(white, (4, 4, 3), "vgg16")[1][0, 0, 0]
    np.testing.assert_allclose(caffe, 255.0 - np.array([103.939, 116.779, 123.68]), rtol=1e-6)
    assert preprocessing_of("VGG16") == "vgg16" and preprocessing_of(b"file") == "unit"


@pytest.mark.parametrize(
    ("pixels", "shape", "sentence"),
    [
        (PICTURE.astype(float), (4, 4, 3), "RGB uint8"),
        (PICTURE[..., 0], (4, 4, 3), "RGB uint8"),
        (PICTURE, (4, 4, 2), "H x W x 1 or H x W x 3"),
        (PICTURE, (100,), "H x W x 1 or H x W x 3"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(pixels: np.ndarray, shape: tuple, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        prepare_image(pixels, shape, "unit")


@pytest.mark.parametrize(
    ("shape", "columns"), [((5, 7, 6), None), ((5, 7, 6), 4), ((1, 1, 84), None), ((30, 20, 1), 3), ((9, 9, 17), 1)]
)
def test_each_map_is_where_the_mosaic_says(shape: tuple, columns: int | None) -> None:
    maps = RNG.normal(size=shape).astype(np.float32)
    mosaic = tile_maps(maps, columns, largest_side_px=400)
    assert mosaic.shown == mosaic.channels == shape[2] <= mosaic.rows * mosaic.columns
    assert max(mosaic.pixels.shape) <= 400
    zoom = mosaic.tile_height // shape[0]
    for channel in range(shape[2]):
        row, column = mosaic.origin(channel)
        tile = mosaic.pixels[row : row + mosaic.tile_height : zoom, column : column + mosaic.tile_width : zoom]
        one = maps[..., channel]
        spread = one.max() - one.min()
        expected = np.rint(255 * (one - one.min()) / spread) if spread else np.full(one.shape, 127)
        np.testing.assert_allclose(tile, expected, atol=1)
        assert (mosaic.low[channel], mosaic.high[channel]) == (one.min(), one.max())


def test_a_shared_scale_keeps_maps_comparable() -> None:
    maps = np.stack([np.full((2, 2), value, np.float32) for value in (0.0, 0.5, 1.0)], axis=-1)
    mosaic = tile_maps(maps, 3, 12, shared_scale=True)
    assert [int(mosaic.pixels[mosaic.origin(i)]) for i in range(3)] == [0, 128, 255]
    own = tile_maps(maps, 3, 12)
    assert [int(own.pixels[own.origin(i)]) for i in range(3)] == [127, 127, 127]


def test_large_stacks_are_shrunk_or_cut() -> None:
    mosaic = tile_maps(RNG.normal(size=(112, 112, 64)).astype(np.float32), largest_side_px=400)
    assert max(mosaic.pixels.shape) <= 400 and mosaic.tile_height == 49
    many = tile_maps(np.zeros((1, 1, MAX_MAPS + 10), np.float32))
    assert (many.shown, many.channels) == (MAX_MAPS, MAX_MAPS + 10)
    with pytest.raises(ValueError, match=f"Maps 0 to {MAX_MAPS - 1} are shown"):
        many.origin(MAX_MAPS)


def test_values_that_are_no_numbers_do_not_spoil_a_tile() -> None:
    maps = np.array([[0.0, 1.0], [np.nan, np.inf]], np.float32)[..., None]
    mosaic = tile_maps(maps, largest_side_px=2)
    assert mosaic.pixels.tolist() == [[0, 255], [0, 0]]
    with pytest.raises(ValueError, match=r"array \(H, W, C\)"):
        tile_maps(np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match="at least one map"):
        tile_maps(np.zeros((2, 2, 2), np.float32), columns=0)
