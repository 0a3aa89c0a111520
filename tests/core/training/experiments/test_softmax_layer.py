"""A softmax layer on fixed features against scikit-learn's own answers."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from core.training.experiments.softmax_layer import fit_softmax_layer


def made(classes, seed=0):
    random = np.random.default_rng(seed)
    labels = np.arange(30 * classes) % classes
    centres = random.normal(0, 1, (classes, 6))
    return (centres[labels] + random.normal(0, 0.8, (len(labels), 6)) * 3 + 40).astype(np.float32), labels


@pytest.mark.parametrize("classes", [2, 4])  # scikit-learn keeps one column for two classes
def test_it_answers_as_scikit_learn_on_normalised_features(classes):
    features, labels = made(classes)
    normal = (features - features.mean(axis=0)) / features.std(axis=0)
    expected = LogisticRegression(C=0.1, max_iter=1000).fit(normal, labels).predict_proba(normal)
    layer = fit_softmax_layer(features, labels, classes)
    logits = features @ layer.weights + layer.biases
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(shares / shares.sum(axis=1, keepdims=True), expected, atol=5e-3)
    assert layer.accuracy(features, labels) == np.mean(logits.argmax(axis=1) == labels)


def test_a_class_without_a_picture_is_never_named():
    features, labels = made(3)
    layer = fit_softmax_layer(features[labels != 1], labels[labels != 1], 3)
    assert 1 not in (features @ layer.weights + layer.biases).argmax(axis=1)


def test_a_feature_that_never_changes_does_no_harm():
    features, labels = made(3)
    layer = fit_softmax_layer(np.concatenate([features, np.ones((len(labels), 1), np.float32)], 1), labels, 3)
    assert np.isfinite(layer.weights).all()
