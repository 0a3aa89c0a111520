"""Triplet loss, its mining and CosFace against loops in NumPy."""

import numpy as np
import pytest

from core.faces.losses import cosface_loss, mined_triplet_loss, squared_distances

MARGIN = 0.3


@pytest.fixture
def batch() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    encodings = rng.normal(size=(12, 8)).astype(np.float32)
    return encodings / np.linalg.norm(encodings, axis=1, keepdims=True), np.repeat(np.arange(4), 3)


def loop(encodings: np.ndarray, labels: np.ndarray, mining: str, noise: np.ndarray) -> tuple[float, float]:
    """The mean loss and the active share, triplet by triplet."""
    d = ((encodings[:, None] - encodings[None]) ** 2).sum(axis=2)
    losses = []
    for a in range(len(labels)):
        others = np.flatnonzero(labels != labels[a])
        for p in np.flatnonzero(labels == labels[a]):
            if p == a:
                continue
            if mining == "hard":
                n = others[d[a, others].argmin()]
            elif mining == "random":
                n = others[noise[a, others].argmax()]
            else:
                farther = [other for other in others if d[a, other] > d[a, p]]
                n = min(farther, key=lambda other: d[a, other]) if farther else others[d[a, others].argmax()]
            losses.append(max(d[a, p] - d[a, n] + MARGIN, 0))
    return float(np.mean(losses)), float(np.mean(np.array(losses) > 0))


@pytest.mark.parametrize("mining", ["random", "semi-hard", "hard"])
def test_mining_is_that_of_a_loop(batch, mining):
    encodings, labels = batch
    noise = np.random.default_rng(2).random((12, 12)).astype(np.float32)
    loss, active = mined_triplet_loss(encodings, labels, MARGIN, mining, noise)
    expected_loss, expected_active = loop(encodings, labels, mining, noise)
    assert float(loss) == pytest.approx(expected_loss, abs=1e-5)
    assert float(active) == pytest.approx(expected_active, abs=1e-6)


def test_random_mining_needs_numbers(batch):
    with pytest.raises(ValueError, match="no noise"):
        mined_triplet_loss(*batch, MARGIN, "random")


def test_distances(batch):
    encodings, _ = batch
    expected = ((encodings[:, None] - encodings[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(np.asarray(squared_distances(encodings)), expected, atol=1e-5)


def test_cosface_is_a_cross_entropy_with_the_right_cosine_lowered():
    rng = np.random.default_rng(0)
    cosines, labels = rng.uniform(-1, 1, (6, 5)).astype(np.float32), rng.integers(0, 5, 6)
    losses = []
    for row, label in zip(cosines.astype(float), labels, strict=True):
        logits = 16.0 * (row - 0.2 * (np.arange(5) == label))
        losses.append(-np.log(np.exp(logits[label]) / np.exp(logits).sum()))
    assert float(cosface_loss(cosines, labels, 16.0, 0.2)) == pytest.approx(np.mean(losses), rel=1e-5)
