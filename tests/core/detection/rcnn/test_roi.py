"""RoI pooling and RoI align against loops, against ONNX Runtime's own, and their gradients by finite differences.

`torchvision_cases.npz` was recorded by this project with torchvision 0.29.1 (torch 2.14.1): made maps, made regions,
and what `roi_align`, `roi_pool` and their gradients answered.

ONNX's operators are the ones to which torchvision exports its `roi_align` and `roi_pool`: `half_pixel` is torchvision's
`aligned=True`, `output_half_pixel` is `aligned=False`.
"""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from onnx import TensorProto, helper

from core.detection.rcnn.explain import RegionError, pool_region
from core.detection.rcnn.roi import roi_align, roi_max_pool

# Whole, fractional, tiny, over the border, without area, far outside, and corners that round half up.
REGIONS = np.array(
    [
        [0, 0, 79, 63],
        [3.3, 5.7, 41.9, 50.2],
        [10, 10, 11, 12],
        [-20, -9, 30, 100],
        [16, 24, 16, 24],
        [300, 300, 400, 380],
        [4, 12, 20, 36],
        [60, 40, 95, 75],
    ],
    np.float32,
)
SCALE = 1 / 8


def maps(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (2, 8, 10, channels)).astype(np.float32)


def by_onnx(operator: str, features: np.ndarray, regions: np.ndarray, **attributes) -> np.ndarray:
    """The answer of ONNX Runtime for maps (B, H, W, C) and regions (B, N, 4): (B, N, P, P, C)."""
    batch, count = regions.shape[:2]
    pool = attributes["output_height"] if operator == "RoiAlign" else attributes["pooled_shape"][0]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    flat = regions.reshape(-1, 4)
    owner = np.repeat(np.arange(batch), count)
    fed = {"x": features.transpose(0, 3, 1, 2)}
    if operator == "RoiAlign":
        inputs = [("rois", TensorProto.FLOAT, flat), ("batch", TensorProto.INT64, owner.astype(np.int64))]
    else:
        inputs = [("rois", TensorProto.FLOAT, np.column_stack([owner, flat]).astype(np.float32))]
    names = ["x", *(name for name, _, _ in inputs)]
    fed |= {name: value for name, _, value in inputs}
    node = helper.make_node(operator, names, ["y"], **attributes)
    declared = [x, *(helper.make_tensor_value_info(name, kind, None) for name, kind, _ in inputs)]
    model = helper.make_model(
        helper.make_graph([node], "g", declared, [y]), opset_imports=[helper.make_opsetid("", 16)], ir_version=9
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    answer = session.run(None, fed)[0]  # (BN, C, P, P)
    return answer.transpose(0, 2, 3, 1).reshape(batch, count, pool, pool, -1)


@pytest.fixture(scope="module")
def recorded():
    with np.load(Path(__file__).parent / "torchvision_cases.npz", allow_pickle=False) as cases:
        return dict(cases)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("samples", [1, 2, 3])
def test_align_is_that_of_torchvision(recorded, aligned, samples):
    regions = np.stack([recorded["regions"]] * 2)
    found = roi_align(recorded["features"], regions, SCALE, 7, samples, aligned)
    expected = recorded[f"align_{samples}_{'half' if aligned else 'corner'}"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("pool", [2, 7])
def test_max_pooling_is_that_of_torchvision(recorded, pool):
    regions = np.stack([recorded["regions"]] * 2)
    np.testing.assert_allclose(
        roi_max_pool(recorded["features"], regions, SCALE, pool), recorded[f"max_{pool}"], atol=1e-6
    )


@pytest.mark.parametrize("pooling", ["align", "max"])
def test_gradients_are_those_of_torchvision(recorded, pooling):
    regions = np.stack([recorded["regions"]] * 2)
    x = tf.constant(recorded["features"])
    with tf.GradientTape() as tape:
        tape.watch(x)
        pooled = roi_align(x, regions, SCALE) if pooling == "align" else roi_max_pool(x, regions, SCALE)
        total = tf.reduce_sum(pooled * recorded["gradient_weights"])
    np.testing.assert_allclose(tape.gradient(total, x), recorded[f"gradient_{pooling}"], atol=1e-4)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("samples", [1, 2, 3])
@pytest.mark.parametrize("pool", [1, 4, 7])
def test_align_is_that_of_onnx_runtime(aligned, samples, pool):
    features, regions = maps(), np.stack([REGIONS, REGIONS[::-1]])
    expected = by_onnx(
        "RoiAlign",
        features,
        regions,
        output_height=pool,
        output_width=pool,
        sampling_ratio=samples,
        spatial_scale=SCALE,
        coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
    )
    found = roi_align(features, regions, SCALE, pool, samples, aligned)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_align_is_that_of_plain_loops():
    features, regions = maps(), np.stack([REGIONS, REGIONS[::-1]])
    found = np.asarray(roi_align(features, regions, SCALE))
    for picture in range(2):
        for number, region in enumerate(regions[picture]):
            for channel in range(3):
                expected = pool_region(features[picture, ..., channel], tuple(region), SCALE).mean
                np.testing.assert_allclose(found[picture, number, ..., channel], expected, atol=1e-5)


@pytest.mark.parametrize("longest_bin", [None, 10])
def test_max_pooling_is_that_of_plain_loops(longest_bin):
    features, regions = maps(), np.stack([REGIONS, REGIONS[::-1]])
    found = np.asarray(roi_max_pool(features, regions, SCALE, longest_bin=longest_bin))
    for picture in range(2):
        for number, region in enumerate(regions[picture]):
            for channel in range(3):
                expected = pool_region(features[picture, ..., channel], tuple(region), SCALE).largest
                np.testing.assert_allclose(found[picture, number, ..., channel], expected, atol=1e-6)


def test_max_pooling_is_that_of_onnx_runtime_where_regions_lie_inside():
    features, regions = maps(), np.stack([REGIONS[[0, 1, 2, 6]]] * 2)
    expected = by_onnx("MaxRoiPool", features, regions, pooled_shape=[7, 7], spatial_scale=SCALE)
    np.testing.assert_allclose(roi_max_pool(features, regions, SCALE), expected, atol=1e-6)


def test_a_short_bin_is_enough_for_regions_inside():
    features, regions = maps(), REGIONS[None, [0, 1, 2, 6]]
    whole = roi_max_pool(features[:1], regions, SCALE)
    np.testing.assert_array_equal(roi_max_pool(features[:1], regions, SCALE, longest_bin=10 // 7 + 3), whole)


@pytest.mark.parametrize("pooling", ["align", "max"])
def test_the_gradient_is_that_of_finite_differences(pooling):
    features, regions = maps(1)[:1, :6, :6], REGIONS[None, [0, 1, 3, 6]]
    weights = np.random.default_rng(1).normal(0, 1, (1, 4, 7, 7, 1)).astype(np.float32)

    def value(x):
        pooled = roi_align(x, regions, SCALE) if pooling == "align" else roi_max_pool(x, regions, SCALE)
        return tf.reduce_sum(pooled * weights)

    x = tf.constant(features)
    with tf.GradientTape() as tape:
        tape.watch(x)
        answer = value(x)
    gradient = tape.gradient(answer, x).numpy()
    step = 1e-3
    for row, column in ((0, 0), (2, 3), (5, 5), (1, 4)):
        moved = np.zeros_like(features)
        moved[0, row, column, 0] = step
        slope = (float(value(features + moved)) - float(value(features - moved))) / (2 * step)
        assert gradient[0, row, column, 0] == pytest.approx(slope, abs=5e-3)


@pytest.mark.parametrize("shape", [(8, 10, 3), (1, 8, 10)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="expected maps"):
        roi_align(np.zeros(shape, np.float32), REGIONS[None], SCALE)
    with pytest.raises(ValueError, match="expected maps"):
        roi_max_pool(np.zeros((1, 8, 10, 3), np.float32), REGIONS, SCALE)
    with pytest.raises(RegionError):
        pool_region(np.zeros(shape), (0, 0, 8, 8), SCALE)


def test_the_cell_that_gave_the_largest_value_holds_it():
    channel = maps()[0, ..., 0]
    pooled = pool_region(channel, (3.3, 5.7, 70, 60), SCALE)
    for i in range(7):
        for j in range(7):
            row, column = pooled.came_from[i, j]
            assert channel[row, column] == pooled.largest[i, j]
