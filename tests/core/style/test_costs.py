"""The costs against NumPy written as the notes' sums, einsum, and finite differences."""

import numpy as np
import pytest
from keras import ops

from core.style.costs import (
    content_cost,
    gram_matrix,
    overall_cost,
    overall_style_cost,
    style_cost,
    total_variation,
)


@pytest.fixture
def activations():
    rng = np.random.default_rng(3)
    return rng.normal(size=(2, 4, 5, 3)).astype(np.float32)


def gram_by_loops(a):
    height, width, channels = a.shape
    gram = np.zeros((channels, channels))
    for k in range(channels):
        for other in range(channels):
            for i in range(height):
                for j in range(width):
                    gram[k, other] += a[i, j, k] * a[i, j, other]
    return gram


def test_content_cost_is_half_the_squared_difference(activations):
    content, generated = activations
    expected = 0.5 * np.sum((content.astype(np.float64) - generated) ** 2)
    assert float(content_cost(content, generated)) == pytest.approx(expected, rel=1e-5)


def test_gram_matrix_equals_the_notes_sums_and_einsum(activations):
    a = activations[0]
    gram = ops.convert_to_numpy(gram_matrix(a))
    np.testing.assert_allclose(gram, gram_by_loops(a), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gram, np.einsum("ijk,ijl->kl", a, a), rtol=1e-4, atol=1e-5)


def test_style_cost_has_the_notes_factor(activations):
    style, generated = (gram_by_loops(a) for a in activations)
    expected = np.sum((style - generated) ** 2) / (2 * 4 * 5 * 3) ** 2
    cost = style_cost(gram_matrix(activations[0]), gram_matrix(activations[1]), 4 * 5)
    assert float(cost) == pytest.approx(expected, rel=1e-4)


def test_total_variation_sums_squared_steps_down_and_right():
    image = np.random.default_rng(0).uniform(0, 255, (3, 4, 3)).astype(np.float32)
    expected = sum(np.sum(np.diff(image.astype(np.float64), axis=axis) ** 2) for axis in (0, 1))
    assert float(total_variation(image)) == pytest.approx(expected, rel=1e-5)


def test_the_costs_compose_as_the_formula():
    style = overall_style_cost({"a": 2.0, "b": 3.0}, {"a": 0.5, "b": 0.1})
    assert style == pytest.approx(1.3)
    assert overall_cost(10.0, style, 7.0, alpha=2.0, beta=3.0, gamma=0.5) == pytest.approx(20 + 3.9 + 3.5)


def test_gradients_agree_with_finite_differences(activations):
    import tensorflow as tf

    content, start = (tf.constant(a, tf.float64) for a in activations)
    style_gram = gram_matrix(tf.constant(activations[0][::-1].copy(), tf.float64))

    def total(a):
        style = style_cost(style_gram, gram_matrix(a), 20)
        return overall_cost(content_cost(content, a), style, total_variation(a), 0.3, 40.0, 0.2)

    with tf.GradientTape() as tape:
        tape.watch(start)
        cost = total(start)
    gradient = tape.gradient(cost, start).numpy()
    step = 1e-5
    for place in [(0, 0, 0), (1, 2, 1), (3, 4, 2), (2, 0, 2)]:
        moved = start.numpy()
        moved[place] += step
        above = float(total(tf.constant(moved)))
        moved[place] -= 2 * step
        below = float(total(tf.constant(moved)))
        assert gradient[place] == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-7)
