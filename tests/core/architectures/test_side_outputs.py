"""Side outputs strengthen the gradients before them and leave those behind them alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from core.architectures import tasks
from core.architectures.gradient_flow import digits
from core.architectures.side_outputs import SideOutputGradients, small_googlenet


@pytest.fixture(scope="module")
def measured() -> SideOutputGradients:
    return tasks.side_output_gradients(repeats=3, batch_size=16, seed=5)


def test_layers_run_from_the_stem_to_module_5b(measured: SideOutputGradients) -> None:
    assert measured.layers[0] == "conv1" and len(measured.layers) == 1 + 9 * 6
    assert list(dict.fromkeys(measured.modules)) == ["conv1", "3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]
    assert [measured.modules[i] for i in measured.leaves_after] == ["4a", "4d"]
    assert measured.main.shape == measured.summed.shape == (3, 55)
    # at the start each classifier guesses among ten digits
    np.testing.assert_allclose(measured.losses, np.log(10), atol=0.2)


def test_early_layers_gain_and_late_ones_are_untouched(measured: SideOutputGradients) -> None:
    first, second = measured.leaves_after
    np.testing.assert_array_equal(measured.main[:, second + 1 :], measured.summed[:, second + 1 :])
    assert np.median(measured.gain[: first + 1]) > 1.5
    assert np.median(measured.gain[: first + 1]) > np.median(measured.gain[first + 1 : second + 1])


def test_norms_are_those_of_a_tape(measured: SideOutputGradients) -> None:
    model = small_googlenet(5)
    data = digits(32, 5)
    batch = np.random.default_rng(5).integers(0, len(data.train_labels), 16)
    kernels = [model.get_layer(name).kernel.value for name in measured.layers]
    for weight, found in ((0.0, measured.main[0]), (0.3, measured.summed[0])):
        with tf.GradientTape() as tape:
            losses = [
                tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(data.train_labels[batch], logits))
                for logits in model(data.train_images[batch])
            ]
            total = losses[0] + weight * (losses[1] + losses[2])
        expected = [np.linalg.norm(gradient.numpy()) for gradient in tape.gradient(total, kernels)]
        np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_each_repeat_starts_elsewhere(measured: SideOutputGradients) -> None:
    assert (measured.main[0] != measured.main[1]).all() and (measured.main[1] != measured.main[2]).all()


def test_widths_are_an_eighth_of_googlenets() -> None:
    model = small_googlenet()
    assert model.get_layer("inception_3a_output").output.shape == (None, 32, 32, 32)
    assert model.get_layer("inception_5b_output").output.shape == (None, 8, 8, 128)
    assert all(isinstance(layer, keras.layers.Layer) for layer in model.layers)


@pytest.mark.parametrize("change", [{"repeats": 0}, {"batch_size": 0}, {"weight": 0.0}, {"weight": 11.0}])
def test_numbers_out_of_range(change: dict) -> None:
    with pytest.raises(ValueError, match="Repeats are 1 to 50"):
        tasks.side_output_gradients(**change)
