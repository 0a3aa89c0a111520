"""1 x 1 convolutions, bottlenecks, Inception modules and residual blocks on their own."""

import keras
import numpy as np
import pytest

from core.architectures import tasks
from core.architectures.one_by_one import count_bottleneck, measure_bottleneck
from core.architectures.summary import summarise_model

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(1, 1, 1), (6, 5, 192), (28, 28, 3)])
@pytest.mark.parametrize("filters", [1, 32])
def test_a_1x1_convolution_is_a_dense_layer_per_pixel(shape: tuple, filters: int) -> None:
    maps = RNG.normal(size=shape).astype(np.float32)
    found = tasks.one_by_one_equivalence(maps, filters, seed=1)
    assert found.maps.shape == (*shape[:2], filters)
    assert max(found.convolution_difference, found.dense_difference) < 1e-5
    expected = np.einsum("hwc,cf->hwf", maps.astype(np.float64), found.kernel) + found.bias
    np.testing.assert_allclose(found.maps, expected, atol=1e-5)


def test_maps_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"array \(H, W, C\)"):
        tasks.one_by_one_equivalence(np.zeros((3, 3), np.float32), 2)
    with pytest.raises(ValueError, match="at least one filter"):
        tasks.one_by_one_equivalence(np.zeros((3, 3, 1), np.float32), 0)


def test_the_numbers_of_the_course() -> None:
    cost = tasks.inception_cost(measure=False)
    assert round(cost.direct_multiply_adds / 1e6) == 120
    assert round(cost.bottleneck_multiply_adds / 1e6, 1) == 12.4
    assert [layer.multiply_adds for layer in cost.bottleneck] == [2_408_448, 10_035_200]
    assert cost.counted_ratio == pytest.approx(9.68, abs=0.01) and cost.measured_ratio is None


@pytest.mark.parametrize(
    "sizes", [(28, 28, 192, 32, 5, 16), (7, 9, 5, 3, 1, 2), (13, 12, 64, 8, 3, 64), (5, 5, 1, 1, 7, 1)]
)
def test_counts_are_those_of_built_layers(sizes: tuple[int, ...]) -> None:
    cost = count_bottleneck(*sizes)
    height, width, channels, filters, size, reduced = sizes
    inputs = keras.Input((height, width, channels))
    direct = keras.layers.Conv2D(filters, size, padding="same", use_bias=False)(inputs)
    reduce = keras.layers.Conv2D(reduced, 1, use_bias=False)(inputs)
    expand = keras.layers.Conv2D(filters, size, padding="same", use_bias=False)(reduce)
    for output, layers in ((direct, cost.direct), (expand, cost.bottleneck)):
        summary = summarise_model(keras.Model(inputs, output))
        assert summary.multiply_adds == sum(layer.multiply_adds for layer in layers)
        assert summary.parameters == sum(layer.weights for layer in layers)
        assert summary.layers[-1].output_shape == layers[-1].output_shape


def test_both_ways_are_measured() -> None:
    cost = measure_bottleneck(count_bottleneck(14, 14, 64, 16, 5, 4), seconds=0.2)
    assert cost.runs >= 3 and cost.direct_ms > 0 and cost.bottleneck_ms > 0
    assert cost.measured_ratio == pytest.approx(cost.direct_ms / cost.bottleneck_ms)


def test_sizes_out_of_range() -> None:
    with pytest.raises(ValueError, match="The bottleneck is at least 1; got 0"):
        tasks.inception_cost(reduced=0)
    with pytest.raises(ValueError, match="multiply-adds and 200,000,000 values are run"):
        tasks.inception_cost(height=4000, width=4000)
    assert tasks.inception_cost(height=4000, width=4000, measure=False).counted_ratio > 9


def test_branches_of_module_3a() -> None:
    summary = tasks.inception_module_summary()
    shapes = {row.name: row.output_shape for row in summary.layers}
    assert shapes["inception_output"] == (28, 28, 256)
    assert shapes["inception_5x5_reduce"] == (28, 28, 16) and shapes["inception_pool_proj"] == (28, 28, 32)
    assert summary.parameters == 163_696
    with pytest.raises(ValueError, match="six widths"):
        tasks.inception_module_summary((1, 2, 3, 4, 5, 0))


@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
@pytest.mark.parametrize("seed", range(3))
def test_a_zeroed_block_is_the_identity(kind: str, seed: int) -> None:
    found = tasks.zero_block_identity(kind, width=8, height=7, columns=6, seed=seed)
    assert found.residual_difference == 0.0 and found.plain_output == 0.0
    assert found.negative_difference > 1.0
    assert len(found.zeroed_layers) == {"basic": 2, "bottleneck": 3}[kind]
    assert found.shape == (7, 6, 8 if kind == "basic" else 32)


def test_identity_and_convolution_blocks_have_the_shapes_of_resnet_50() -> None:
    identity = tasks.residual_block_summary("bottleneck", 64, (56, 56, 256))
    assert identity.name == "identity block" and identity.layers[-1].output_shape == (56, 56, 256)
    assert identity.parameters == 71_168
    convolution = tasks.residual_block_summary("bottleneck", 128, (56, 56, 256), strides=2)
    assert convolution.name == "convolution block" and convolution.layers[-1].output_shape == (28, 28, 512)
    assert convolution.parameters == 381_952
    padded = tasks.residual_block_summary("basic", 64, (32, 32, 32), strides=2, shortcuts="A")
    assert padded.layer("block_0_pad").output_shape == (16, 16, 64) and padded.layer("block_0_pad").parameters == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"kind": "dense"}, 'A block is "basic" or "bottleneck"'),
        ({"width": 0}, "at least 1"),
        ({"strides": 3}, "stride is 1 or 2"),
        ({"shortcuts": "D"}, 'options are "A", "B" and "C"'),
        ({"kind": "basic", "width": 8, "shortcuts": "A", "strides": 2}, "cannot take 256 channels down to 8"),
        ({"input_shape": (10**4, 10**4, 64)}, "50 million values"),
    ],
)
def test_blocks_that_cannot_be_built(arguments: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        tasks.residual_block_summary(**arguments)
