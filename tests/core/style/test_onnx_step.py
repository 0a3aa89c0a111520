"""The step as a graph of ONNX operators against TensorFlow's tape and against finite differences."""

import cv2
import numpy as np
import pytest

from core.style.settings import STYLE_LAYERS, TransferSettings

# Of two values that are equal but for rounding, one engine takes the first as the maximum and another the second.
OTHER_PLACE = 0.05


def picture(height, width, blur):
    noise = np.random.default_rng(height * width).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), blur)


def problems(settings, shape=(48, 71), styles=2):
    """The same problem on both engines, and a picture (H, W, 3) to ask for."""
    from core.runtime.inference import ONNX_RUNTIME, TENSORFLOW
    from core.style.problem import TransferProblem

    content = picture(*shape, 3)
    patterns = [picture(40 + 16 * index, 64, 1) for index in range(styles)]
    weights = list(range(1, styles + 1))
    by_engine = [
        TransferProblem(content, patterns, weights, settings, engine=engine) for engine in (ONNX_RUNTIME, TENSORFLOW)
    ]
    at = (content + np.random.default_rng(0).normal(0, 10, content.shape)).clip(0, 255).astype(np.float32)
    return *by_engine, at


def relative(first, second):
    return float(np.abs(first - second).max() / np.abs(second).max())


@pytest.mark.parametrize(
    ("shape", "styles", "values"),
    [
        ((64, 64), 1, {"pooling": "average"}),  # as the app does by default
        ((64, 64), 1, {"pooling": "max"}),
        ((47, 71), 2, {"pooling": "average"}),  # rows and columns that no window of a pool holds; two styles
        ((47, 71), 2, {"pooling": "max"}),
        ((33, 32), 3, {"content_layer": "block5_conv2"}),  # the content is compared at the deepest layer
        ((40, 40), 1, {"content_layer": "block1_conv2", "lambdas": {"block2_conv1": 1.0}}),
        ((40, 40), 1, {"lambdas": dict.fromkeys(STYLE_LAYERS, 0.0)}),  # no style at all
        ((40, 40), 1, {"alpha": 0.0, "gamma": 0.0}),
        ((40, 40), 1, {"beta": 0.0}),
    ],
)
def test_costs_and_gradient_are_the_tapes(shape, styles, values):
    ours, tape, at = problems(TransferSettings(backbone="random", **values), shape, styles)
    costs, gradient = ours(at)
    expected, expected_gradient = tape(at)
    assert costs.total == pytest.approx(expected.total, rel=1e-4)
    assert costs.content == pytest.approx(expected.content, rel=1e-4)
    assert costs.variation == pytest.approx(expected.variation, rel=1e-5)
    assert dict(costs.style) == pytest.approx(dict(expected.style), rel=1e-4)
    assert gradient.shape == at.shape and gradient.dtype == np.float32
    assert relative(gradient, expected_gradient) < (OTHER_PLACE if values.get("pooling") == "max" else 1e-5)


@pytest.mark.parametrize(("pooling", "tolerance"), [("average", 1e-5), ("max", OTHER_PLACE)])
def test_vgg_19_with_its_own_preprocessing_is_differentiated_too(monkeypatch, pooling, tolerance):
    from core.style import backbones

    model = backbones._vgg("vgg19", pooling, None)
    monkeypatch.setattr(backbones, "load", lambda backbone, pooling="max": model)
    ours, tape, at = problems(TransferSettings(backbone="vgg19", pooling=pooling), (35, 50))
    (costs, gradient), (expected, expected_gradient) = ours(at), tape(at)
    assert costs.total == pytest.approx(expected.total, rel=1e-4)
    assert relative(gradient, expected_gradient) < tolerance


@pytest.mark.parametrize("shape", [(8, 12), (7, 9)])
def test_the_gradient_of_a_maximum_goes_to_its_place(shape):
    import keras

    from core.style.onnx_step import OnnxStep
    from core.style.tape_step import TapeStep
    from core.style.targets import Targets

    inputs = keras.Input((None, None, 3))
    first = keras.layers.Conv2D(3, 1, activation="relu", name="identity")(inputs)
    pooled = keras.layers.MaxPooling2D(2)(first)
    network = keras.Model(inputs, keras.layers.Conv2D(2, 3, padding="same", activation="relu", name="deep")(pooled))
    rng = np.random.default_rng(1)
    network.get_layer("identity").set_weights([np.eye(3).reshape(1, 1, 3, 3), np.zeros(3)])
    network.get_layer("deep").set_weights([rng.integers(-2, 3, (3, 3, 3, 2)), np.zeros(2)])
    # Whole numbers, all different: float32 is exact here, and no two values of a window are equal.
    at = rng.permutation(np.prod(shape) * 3).reshape(*shape, 3).astype(np.float32)
    content = np.zeros((*shape, 3), np.uint8)
    targets = Targets("deep", np.zeros((shape[0] // 2, shape[1] // 2, 2), np.float32), 1.0, {}, 0.0)
    costs, gradient = OnnxStep(network, content, targets, 1)(at)
    expected, expected_gradient = TapeStep(network, at.shape, targets)(at)
    np.testing.assert_allclose(costs, expected, rtol=1e-6)
    np.testing.assert_array_equal(gradient, expected_gradient)
    assert np.count_nonzero(gradient) <= 3 * (shape[0] // 2) * (shape[1] // 2)


# Along a step some maxima change their places, which bends J.
@pytest.mark.parametrize(("pooling", "tolerance"), [("average", 0.01), ("max", 0.03)])
def test_the_gradient_agrees_with_finite_differences(pooling, tolerance):
    ours, _, at = problems(TransferSettings(backbone="random", pooling=pooling), (40, 48))
    _, gradient = ours(at)
    for seed in range(3):
        noise = np.random.default_rng(seed).normal(size=at.shape).astype(np.float32)
        direction = gradient / np.linalg.norm(gradient) + noise / np.linalg.norm(noise)
        step = 0.25
        above, below = ours(at + step * direction)[0].total, ours(at - step * direction)[0].total
        assert (above - below) / (2 * step) == pytest.approx(float(np.sum(gradient * direction)), rel=tolerance)


def test_places_that_are_equally_large_share_the_gradient_of_a_maximum():
    from core.style.problem import TransferProblem

    content, style = np.full((40, 40, 3), 90, np.uint8), picture(40, 40, 1)
    settings = TransferSettings(backbone="random", pooling="max", alpha=0.0, gamma=0.0)
    at = np.full(content.shape, 120, np.float32)  # every window of every pool is one value, but at the margins
    costs, gradient = TransferProblem(content, [style], [1.0], settings)(at)
    step = 0.25
    problem = TransferProblem(content, [style], [1.0], settings)
    above, below = problem(at + step)[0].total, problem(at - step)[0].total
    assert np.isfinite(gradient).all() and np.isfinite(costs.total)
    assert (above - below) / (2 * step) == pytest.approx(float(gradient.sum()), rel=0.02)


def test_a_network_of_other_layers_is_refused():
    import keras

    from core.style.onnx_step import step_model
    from core.style.targets import Targets

    inputs = keras.Input((None, None, 3))
    network = keras.Model(inputs, keras.layers.Conv2D(4, 3, strides=2, padding="same", name="strided")(inputs))
    with pytest.raises(ValueError, match="received Conv2D 'strided'"):
        step_model(network, (32, 32, 3), Targets("strided", np.zeros((16, 16, 4), np.float32), 1.0, {}, 0.0))


def test_the_mean_of_gram_matrices_and_its_spread_make_the_weighted_cost():
    from core.style.targets import mean_gram

    rng = np.random.default_rng(2)
    grams = [rng.normal(size=(5, 5)).astype(np.float32) for _ in range(3)]
    weights, other = [0.2, 0.5, 0.3], rng.normal(size=(5, 5))
    mean, spread = mean_gram(grams, weights)
    expected = sum(weight * np.sum((other - gram) ** 2) for weight, gram in zip(weights, grams, strict=True))
    assert np.sum((other - mean) ** 2) + spread == pytest.approx(expected, rel=1e-5)
