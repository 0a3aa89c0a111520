"""A softmax layer on fixed features, trained to the end: what "freeze the backbone, train a new last layer" means.

The cost J = 1/m sum -log y_hat_y + |W|^2 / (2 C m) is convex, so that scikit-learn's logistic regression finds its one
minimum; features are brought to mean 0 and deviation 1 first, which is put into the weights afterwards.

Arrays: features float32 (N, d), labels int64 (N,), weights (d, classes), biases (classes,).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

REGULARISATION_C = 0.1
MAX_ITERATIONS = 300


@dataclass(frozen=True)
class SoftmaxLayer:
    """Weights (d, classes) and biases (classes,) of a layer of logits."""

    weights: Floats
    biases: Floats

    def accuracy(self, features: Floats, labels: Integers) -> float:
        """The share of features whose largest logit is the true class's."""
        return float(np.mean((features @ self.weights + self.biases).argmax(axis=1) == labels))


def fit_softmax_layer(features: Floats, labels: Integers, classes: int, c: float = REGULARISATION_C) -> SoftmaxLayer:
    """The layer that minimises J on these features; a class without a picture gets no chance.

    Raises:
        ValueError: If there are pictures of one class only.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean = features.mean(axis=0)
    spread = np.maximum(features.std(axis=0), 1e-4 * float(np.abs(features).max() or 1.0))
    model = LogisticRegression(C=c, max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # close enough for a comparison of accuracies
        model.fit((features - mean) / spread, labels)
    weights, biases = model.coef_.T, model.intercept_  # (d, classes), (classes,); one column for two classes
    if weights.shape[1] == 1:
        weights, biases = np.concatenate([-weights / 2, weights / 2], axis=1), np.array([-biases[0] / 2, biases[0] / 2])
    whole = np.zeros((features.shape[1], classes), np.float32)
    offsets = np.full(classes, -1e4, np.float32)
    whole[:, model.classes_] = weights / spread[:, None]
    offsets[model.classes_] = biases - mean @ (weights / spread[:, None])
    return SoftmaxLayer(whole, offsets)
