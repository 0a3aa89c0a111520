"""Training of the embedded backbone: batch normalisation put back, and the change of pictures."""

import numpy as np
import pytest

from core.architectures.embedded_backbone import build_backbone, fold_batch_norm, load_backbone
from core.style.train_backbone import InFloat32, augment, mix, normalisation, unfold_batch_norm


@pytest.fixture(scope="module")
def batches() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    smooth = rng.uniform(0, 255, (2, 16, 6, 6, 3)).repeat(8, axis=2).repeat(8, axis=3)
    return list(smooth.astype(np.float32))


def test_a_network_with_batch_normalisation_put_back_answers_the_same(batches: list[np.ndarray]) -> None:
    folded = load_backbone(include_top=True)
    network = build_backbone(include_top=True, normalisation=normalisation)
    unfold_batch_norm(folded, network, batches)
    answers = np.asarray(folded(batches[0], training=False))
    np.testing.assert_allclose(np.asarray(network(batches[0], training=False)), answers, atol=1e-3)
    # On the batches whose statistics it was given, it answers the same while training too.
    together = np.concatenate(batches)
    np.testing.assert_allclose(
        np.asarray(network(together, training=True)), np.asarray(folded(together, training=False)), atol=5e-3
    )
    np.testing.assert_allclose(
        np.asarray(fold_batch_norm(network)(batches[1])), np.asarray(folded(batches[1])), atol=1e-3
    )


def test_kernels_get_the_size_of_random_ones(batches: list[np.ndarray]) -> None:
    network = build_backbone(include_top=True, normalisation=normalisation)
    unfold_batch_norm(load_backbone(include_top=True), network, batches[:1])
    for name, inputs in (("block1_conv2", 32), ("block3_conv1", 64), ("block5_conv2", 256)):
        kernel = network.get_layer(name).get_weights()[0]
        assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * inputs)), rel=1e-3)


def test_an_erased_picture_has_one_grey_square_and_is_otherwise_the_same() -> None:
    picture = np.full((112, 112, 3), (200, 30, 90), np.uint8)
    plain = augment(picture, 64, 0.3, np.random.default_rng(3), erased=0.0)
    erased = augment(picture, 64, 0.3, np.random.default_rng(3), erased=1.0)
    changed = (plain != erased).any(axis=-1)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert (erased[changed] == 128).all()
    assert 16 <= len(rows) == len(columns) <= 32
    assert changed.sum() == len(rows) * len(columns)


def test_mixed_pictures_and_targets_have_the_same_parts() -> None:
    pictures = np.arange(6, dtype=np.float32)[:, None, None, None] * np.ones((6, 16, 16, 3), np.float32)
    targets = np.eye(6, dtype=np.float32)
    kinds = set()
    for seed in range(30):
        mixed, parts = mix(pictures, targets, np.random.default_rng(seed))
        np.testing.assert_allclose(parts.sum(axis=1), 1, atol=1e-6)
        # A picture of one level each: the mean over pixels is the mean of the levels by their parts.
        np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)), parts @ np.arange(6), atol=1e-4)
        assert (pictures[:, 0, 0, 0] == np.arange(6)).all()
        whole = [len(np.unique(picture)) for picture in mixed]
        kinds.add("cut" if max(whole) == 2 else "blend")
    assert kinds == {"cut", "blend"}


def test_the_loss_takes_labels_and_targets_alike() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10), 4).astype(np.float32)
    labels = np.array([1, 5, 9, 0])
    loss = InFloat32(0.1)
    by_label = np.asarray(loss.call(labels, probabilities))
    np.testing.assert_allclose(by_label, np.asarray(loss.call(np.eye(10, dtype=np.float32)[labels], probabilities)))
    expected = -(np.log(probabilities + 1e-7) * (0.9 * np.eye(10)[labels] + 0.01)).sum(axis=1)
    np.testing.assert_allclose(by_label, expected, rtol=1e-5)
