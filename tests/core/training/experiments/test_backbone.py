"""Backbones cut in two: the parts together are the whole, and the frozen features are its averaged maps."""

import os

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

from core.training.experiments import backbone as backbones
from core.training.experiments.settings import ExperimentError


@pytest.fixture(scope="module", params=[*backbones.available_backbones(), backbones.MOBILENET])
def loaded(request, tmp_path_factory):
    if request.param == backbones.MOBILENET:  # random weights, laid where Keras keeps what it has fetched
        home = tmp_path_factory.mktemp("keras")
        (home / "models").mkdir()
        made = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(96, 96, 3))
        with h5py.File(home / "models" / backbones.MOBILENET_FILES[1], "w") as file:  # the format of the real one
            legacy_h5_format.save_weights_to_hdf5_group(file, made)
        os.environ["KERAS_HOME"] = str(home)
        request.addfinalizer(lambda: os.environ.pop("KERAS_HOME"))
    chosen = backbones.BACKBONES[request.param]
    return chosen, backbones.load(chosen)


def test_the_detectors_backbone_is_always_here():
    assert backbones.YOLO in backbones.available_backbones()
    assert backbones.choose_backbone("auto").weights == backbones.available_backbones()[0]


def test_mobilenet_is_offered_where_it_was_fetched(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert backbones.MOBILENET not in backbones.available_backbones()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / backbones.MOBILENET_FILES[0]).write_bytes(b"no weights")
    assert backbones.MOBILENET in backbones.available_backbones()
    with pytest.raises(ExperimentError, match="cannot be read as weights"):
        backbones.load(backbones.BACKBONES[backbones.MOBILENET])


def test_an_unknown_backbone_is_told():
    with pytest.raises(ExperimentError, match="'resnet' are not here; there are"):
        backbones.choose_backbone("resnet")


def test_the_parts_together_are_the_whole(loaded):
    chosen, network = loaded
    side = chosen.input_px
    pictures = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), np.uint8)
    whole = np.asarray(network(pictures.astype(np.float32), training=False))
    maps = backbones.answers(backbones.lower_part(chosen, network), pictures)
    random = np.random.default_rng(1)
    head = random.normal(size=(whole.shape[-1], 4)).astype(np.float32), random.normal(size=4).astype(np.float32)
    upper = backbones.upper_part(chosen, network, 4, head)
    expected = whole.mean(axis=(1, 2)) @ head[0] + head[1]
    np.testing.assert_allclose(np.asarray(upper(maps, training=False)), expected, rtol=1e-3, atol=1e-3)


def test_it_was_trained(loaded):
    """The maps of pictures differ, and not all channels are dead, as a random or wrongly filled network's might be."""
    chosen, network = loaded
    side = chosen.input_px
    ramp = np.tile(np.linspace(0, 255, side, dtype=np.uint8)[None, :, None], (side, 1, 3))
    pictures = np.stack([ramp, ramp[::-1].transpose(1, 0, 2)])
    features = backbones.answers(network, pictures).mean(axis=(1, 2))
    assert np.isfinite(features).all() and (features.std(axis=0) > 0).mean() > 0.3
