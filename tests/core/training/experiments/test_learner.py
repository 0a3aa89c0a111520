"""The short trainer against Keras' own step, and what it promises: seeds, stops, a callback that may end it."""

import keras
import numpy as np
import pytest

from core.training.experiments.learner import Learner, _batches


def build(seed):
    start = keras.initializers.GlorotUniform(seed=seed)
    image = keras.Input((16, 16, 1), name="image")
    x = keras.layers.Rescaling(1 / 127.5, -1, name="scale")(image)
    x = keras.layers.Conv2D(4, 3, 2, activation="relu", kernel_initializer=start, name="conv")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    return keras.Model(image, keras.layers.Dense(3, kernel_initializer=start, name="logits")(x))


@pytest.fixture(scope="module")
def learner():
    return Learner(build)


@pytest.fixture(scope="module")
def pictures():
    random = np.random.default_rng(0)
    labels = np.arange(24) % 3
    images = (random.integers(0, 60, (24, 16, 16, 1)) + 80 * labels[:, None, None, None]).astype(np.uint8)
    return images, labels


def test_one_step_is_the_step_of_keras(learner, pictures):
    images, labels = pictures
    learner.start(3)
    cost = learner.train(images, labels, steps=1, batch=24, rate=0.01, seed=0)
    reference = build(3)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    reference.compile(keras.optimizers.Adam(0.01), loss)
    expected = reference.train_on_batch(images.astype(np.float32), labels)
    assert cost[0] == pytest.approx(float(np.ravel(expected)[0]), rel=1e-4)
    for mine, theirs in zip(learner.model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-4)


def test_it_learns_and_starts_anew_from_each_seed(learner, pictures):
    images, labels = pictures
    runs = []
    for seed in (1, 2, 1):
        learner.start(seed)
        runs.append(learner.train(images, labels, steps=40, batch=8, rate=0.01, seed=seed))
    np.testing.assert_allclose(runs[0], runs[2], rtol=1e-3, atol=1e-4)
    assert not np.allclose(runs[0], runs[1])
    assert learner.accuracy(images, labels) == 1.0
    shares = learner.probabilities(images)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)


def test_probabilities_are_the_softmax_of_the_networks_logits(learner, pictures):
    images, _ = pictures
    logits = np.asarray(learner.model(images.astype(np.float32)))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(learner.probabilities(images), powers / powers.sum(axis=1, keepdims=True), atol=1e-5)


def test_it_comes_by_at_the_steps_asked_for_and_may_be_ended(learner, pictures):
    images, labels = pictures
    seen = []

    def check(step, cost):
        seen.append(step)
        if step == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learner.train(images, labels, steps=100, batch=8, rate=0.01, seed=0, check=check, stop_at=[5, 30])
    assert {5, 30} <= set(seen) and max(seen) == 30


def test_pictures_are_changed_before_they_are_learned_from(learner, pictures):
    images, labels = pictures
    shapes = []

    def vary(batch, random):
        shapes.append(batch.shape)
        return batch[:, ::-1]

    learner.train(images, labels, steps=3, batch=8, rate=0.01, seed=0, vary=vary)
    assert shapes == [(8, 16, 16, 1)] * 3


def test_every_picture_comes_once_before_any_comes_again():
    batches = _batches(10, 4, np.random.default_rng(0))
    seen = np.concatenate([next(batches) for _ in range(5)])
    assert sorted(seen[:10]) == list(range(10)) and sorted(seen[10:20]) == list(range(10))
