"""Grad-CAM against the class activation map of a network where both are the same, and the climb of a unit."""

from __future__ import annotations

import numpy as np
import pytest

from core.interpretation.grad_cam import class_scores, grad_cam
from core.interpretation.maximisation import AscentSettings, maximise, spectrum_scale, total_variation
from core.interpretation.types import LayerField


@pytest.fixture(scope="module")
def small():
    """A network that ends in global average pooling and one dense layer: two convolutions, four classes."""
    import keras

    keras.utils.set_random_seed(4)
    x = inputs = keras.Input((24, 24, 3), name="rgb")
    x = keras.layers.Rescaling(1 / 255, name="scale")(x)
    x = keras.layers.Conv2D(6, 3, activation="relu", name="first")(x)
    maps = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="last")(x)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(maps)
    logits = keras.layers.Dense(4, name="logits")(pooled)
    return keras.Model(inputs, [maps, logits], name="small")


def test_grad_cam_is_the_class_activation_map_after_global_average_pooling(small):
    view = np.random.default_rng(0).integers(0, 256, (24, 24, 3)).astype(np.uint8)
    maps, logits = (np.asarray(out)[0] for out in small(view[None].astype(np.float32)))
    weights = np.asarray(small.get_layer("logits").kernel)  # (8, 4)
    for class_id in range(4):
        answer = grad_cam(lambda x: small(x), view, "last", class_id, "softmax")
        expected = np.maximum(maps @ weights[:, class_id], 0) / maps[..., 0].size
        assert np.allclose(answer.heat, expected, atol=1e-6)
        assert np.allclose(answer.channel_weights, weights[:, class_id] / maps[..., 0].size, atol=1e-6)
    strongest = grad_cam(lambda x: small(x), view, "last", None, "softmax")
    assert strongest.class_id == logits.argmax() == strongest.class_ids[0]
    assert sum(strongest.scores) == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(ValueError, match="0 to 3"):
        grad_cam(lambda x: small(x), view, "last", 4, "softmax")


def test_a_detector_is_asked_for_its_best_cell():
    raw = np.array([[0, 0, 0, 0, -1.0, 2.0], [0, 0, 0, 0, 0.5, -3.0]])
    assert np.allclose(class_scores(raw, "detector"), 1 / (1 + np.exp([-0.5, -2.0])))


def test_total_variation_is_that_of_numpy():
    x = np.random.default_rng(1).random((1, 7, 9, 3)).astype(np.float32)
    expected = np.abs(np.diff(x, axis=1)).mean() + np.abs(np.diff(x, axis=2)).mean()
    assert float(total_variation(x)) == pytest.approx(expected, rel=1e-5)


def test_scale_of_the_spectrum_is_one_over_the_frequency():
    scale = spectrum_scale(8)
    assert scale.shape == (8, 5)
    assert scale[3, 2] == pytest.approx(1 / np.hypot(3 / 8, 2 / 8))
    assert scale[0, 0] == 8


@pytest.mark.parametrize("spectrum", [True, False])
@pytest.mark.parametrize("target", ["channel", "unit"])
def test_the_climb_leads_up_and_the_image_is_one(small, spectrum, target):
    field = LayerField("last", 10, 10, 8, 7, 2, 0)
    grey = np.asarray(small(np.full((1, 24, 24, 3), 127.5, np.float32))[0])[0]
    channel = int(grey[5, 5].argmax())  # one that answers to the first image: from a silent one no gradient leads up
    settings = AscentSettings(steps=24, jitter_px=0, spectrum=spectrum, target=target)

    def maps(x):
        return small(x)[0]

    made = maximise(maps, 24, field.rows, field.columns, channel, settings)
    assert made.pixels.shape == (24, 24, 3) and made.pixels.dtype == np.uint8
    assert made.activation.shape == (24,)
    assert made.activation[-1] > made.start_activation
    # The number that is shown is that of the picture that is shown, up to rounding and the last step.
    answer = np.asarray(small(made.pixels[None].astype(np.float32))[0])[0, :, :, channel]
    value = answer.mean() if target == "channel" else answer[5, 5]
    assert value == pytest.approx(made.activation[-1], rel=0.2, abs=0.02)


def test_total_variation_weighs(small):
    def rough(weight: float) -> float:
        settings = AscentSettings(
            steps=40, jitter_px=0, spectrum=False, total_variation_weight=weight, contrast_weight=0.0
        )
        grey = np.asarray(small(np.full((1, 24, 24, 3), 127.5, np.float32))[0])[0]
        made = maximise(lambda x: small(x)[0], 24, 10, 10, int(grey[5, 5].argmax()), settings)
        return float(made.total_variation[-1])

    assert rough(4.0) < rough(0.0)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"steps": 5000}, {"rate": 0.0}, {"jitter_px": -1}, {"target": "layer"}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="steps|rate|jitter|target"):
        AscentSettings(**wrong)
