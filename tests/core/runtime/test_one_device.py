"""Optimisers that leave no graph behind: the same steps, the same file, and nothing that stays."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.func_graph import FuncGraph

from core.runtime.one_device import on_one_device

OPTIMIZERS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.5),
    "adam": lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 8)),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1, clipnorm=1.0),
}


def graphs() -> int:
    gc.collect()
    return sum(isinstance(one, FuncGraph) for one in gc.get_objects())


def small_model() -> keras.Model:
    layers = [keras.layers.Dense(5, "relu", kernel_initializer=keras.initializers.GlorotUniform(1), name="hidden")]
    last = keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(2), name="last")
    return keras.Sequential([keras.Input((3,)), *layers, last])


def pairs() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
    return x, x.sum(axis=1, keepdims=True)


def descend(optimizer: keras.optimizers.Optimizer) -> keras.Model:
    """Eight steps in one graph of one's own."""
    model, (x, y) = small_model(), pairs()
    optimizer.build(model.trainable_variables)

    @tf.function
    def steps() -> None:
        for _ in tf.range(8):
            with tf.GradientTape() as tape:
                cost = tf.reduce_mean(tf.square(model(x) - y))
            optimizer.apply(tape.gradient(cost, model.trainable_variables), model.trainable_variables)

    steps()
    return model


def fit(optimizer: keras.optimizers.Optimizer) -> keras.Model:
    model = small_model()
    model.compile(optimizer, "mse", jit_compile=False)
    model.fit(*pairs(), batch_size=8, epochs=2, shuffle=False, verbose=0)
    return model


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("train", [descend, fit])
def test_steps_are_those_of_the_optimiser_as_it_was(
    train: Callable[[keras.optimizers.Optimizer], keras.Model], name: str
) -> None:
    plain, ours = train(OPTIMIZERS[name]()), train(on_one_device(OPTIMIZERS[name]()))
    before = small_model().get_weights()
    for was, is_now, began in zip(plain.get_weights(), ours.get_weights(), before, strict=True):
        # TensorFlow may put the factors of a clipped gradient in another order: the last digit.
        np.testing.assert_allclose(is_now, was, rtol=1e-6, atol=1e-7)
        assert not np.array_equal(is_now, began)


@pytest.mark.parametrize("train", [descend, fit])
def test_no_graph_stays_when_the_model_is_gone(train: Callable[[keras.optimizers.Optimizer], keras.Model]) -> None:
    train(on_one_device(keras.optimizers.Adam()))  # what is made once for the process
    before = graphs()
    for _ in range(3):
        train(on_one_device(keras.optimizers.Adam()))
    assert graphs() == before


def test_a_saved_model_carries_the_optimiser_as_it_was(tmp_path: Path) -> None:
    model = fit(on_one_device(keras.optimizers.Adam(0.01)))
    model.save(tmp_path / "model.keras")
    again: Any = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.optimizer) is keras.optimizers.Adam
    assert "_all_reduce_sum_gradients" not in vars(again.optimizer)
    for was, is_now in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(is_now.numpy(), was.numpy())
