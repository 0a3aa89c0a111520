"""The embedded backbone: its shapes, folding and normalising against the network before, and its file."""

import numpy as np
import pytest

from core.architectures.embedded_backbone import (
    BLOCKS,
    CLASS_NAMES,
    CONV_LAYERS,
    build_backbone,
    fold_batch_norm,
    load_backbone,
    normalise_activations,
    read_weights,
    write_weights,
)


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)


def answer(model, pictures):
    return np.asarray(model(pictures, training=False))


def trained_with_batch_norm():
    import keras

    model = build_backbone(
        include_top=True,
        normalisation=lambda name: keras.layers.BatchNormalization(dtype="float32", name=name),
    )
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if layer.name.endswith("_bn"):
            count = layer.gamma.shape[0]
            layer.set_weights(
                [
                    rng.uniform(0.5, 1.5, count),
                    rng.normal(0, 0.3, count),
                    rng.normal(0, 0.3, count),
                    rng.uniform(0.5, 2, count),
                ]
            )
    return model


def test_layers_have_vggs_names_and_shapes(pictures):
    model = build_backbone()
    names = [layer.name for layer in model.layers]
    assert [name for name in names if "_conv" in name] == list(CONV_LAYERS)
    assert answer(model, pictures).shape == (3, 2, 2, 256)
    channels, expected = 3, 0
    for filters, count in BLOCKS:
        for _ in range(count):
            expected += 9 * channels * filters + filters
            channels = filters
    assert model.count_params() == expected


def test_head_gives_probabilities(pictures):
    probabilities = answer(build_backbone(include_top=True), pictures)
    assert probabilities.shape == (3, len(CLASS_NAMES))
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)


def test_folding_batch_norm_changes_no_answer(pictures):
    trained = trained_with_batch_norm()
    np.testing.assert_allclose(
        answer(fold_batch_norm(trained), pictures), answer(trained, pictures), rtol=1e-3, atol=1e-5
    )


def test_normalising_gives_means_of_one_and_the_same_probabilities(pictures):
    import keras

    model = fold_batch_norm(trained_with_batch_norm())
    before = answer(model, pictures)
    normalise_activations(model, [pictures])
    np.testing.assert_allclose(answer(model, pictures), before, rtol=1e-3, atol=1e-5)
    for name in (CONV_LAYERS[0], CONV_LAYERS[4]):
        tap = keras.Model(model.inputs[0], model.get_layer(name).output)
        means = answer(tap, pictures).mean(axis=(0, 1, 2))
        # Filters that hardly ever answer are left smaller; none is larger.
        assert np.isclose(means, 1, rtol=1e-3).mean() > 0.5
        assert means.max() < 1.001


def test_weights_survive_a_file_and_the_wrong_file_is_refused(tmp_path, pictures):
    model = build_backbone(include_top=True, seed=5)
    write_weights(model, tmp_path / "weights.npz")
    again = build_backbone(include_top=True)
    read_weights(again, tmp_path / "weights.npz")
    np.testing.assert_allclose(answer(again, pictures), answer(model, pictures), atol=2e-3)
    with pytest.raises(ValueError, match="expected predictions/kernel"):
        read_weights(build_backbone(include_top=True, classes=3), tmp_path / "weights.npz")


@pytest.mark.parametrize("arguments", [{"pooling": "sum"}, {"input_shape": (8, 8, 3)}])
def test_what_cannot_be_built_is_refused(arguments):
    with pytest.raises(ValueError, match="expected"):
        build_backbone(**arguments)


def test_the_embedded_file_knows_a_church_from_the_sky():
    from core.runtime.samples import load_sample

    temple = load_sample("china")[40:376, 120:456]
    picture = temple[::3, ::3].astype(np.float32)[None]
    probabilities = answer(load_backbone(include_top=True), picture)[0]
    assert probabilities[CLASS_NAMES.index("church")] > 1 / len(CLASS_NAMES)
