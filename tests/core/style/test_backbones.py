"""The networks of the costs: files as Keras describes them, another file refused, VGG-19 as published."""

import hashlib
import importlib
import inspect

import numpy as np
import pytest

from core.runtime.settings import load_settings
from core.style import backbones
from core.style.settings import StyleError


@pytest.mark.parametrize("name", list(backbones.VGG_FILES))
def test_names_hashes_and_addresses_are_those_in_keras_source(name):
    module = importlib.import_module(f"keras.src.applications.{name}")
    file = backbones.VGG_FILES[name]
    address = backbones.VGG_ADDRESS.format(name=name, file=file.name)
    assert address == module.WEIGHTS_PATH_NO_TOP
    assert f'file_hash="{file.md5}"' in inspect.getsource(module)
    # The hash of the file without dense layers stands after that of the whole one.
    assert inspect.getsource(module).split("WEIGHTS_PATH_NO_TOP,")[1].split('file_hash="')[1].startswith(file.md5)


@pytest.mark.parametrize("name", list(backbones.VGG_FILES))
def test_weights_are_as_many_as_keras_has(name):
    import keras

    official = getattr(keras.applications, name.upper())(include_top=False, weights=None, input_shape=(32, 32, 3))
    assert official.count_params() == backbones.VGG_FILES[name].parameters


def test_another_file_is_refused_and_the_right_one_put_in_place(tmp_path, monkeypatch):
    monkeypatch.setattr(backbones, "settings", lambda: load_settings({"CNN_WORKBENCH_HOME": str(tmp_path)}))
    with pytest.raises(StyleError, match="not the file vgg16_weights"):
        backbones.accept_vgg("vgg16", b"something else")
    assert not backbones.is_here("vgg16")
    data = b"as if it were"
    right = backbones.VggFile("some.h5", hashlib.md5(data, usedforsecurity=False).hexdigest(), 3)
    monkeypatch.setitem(backbones.VGG_FILES, "vgg16", right)
    backbones.accept_vgg("vgg16", data)
    assert backbones.is_here("vgg16") and backbones.vgg_path("vgg16").read_bytes() == data


def test_what_cannot_be_fetched_is_a_sentence(tmp_path, monkeypatch):
    import urllib.request

    def refuse(*_args, **_kwargs):
        raise OSError("no network")

    monkeypatch.setattr(backbones, "settings", lambda: load_settings({"CNN_WORKBENCH_HOME": str(tmp_path)}))
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(StyleError, match=r"could not be fetched .*no network"):
        backbones.fetch_vgg("vgg19")
    assert not backbones.is_here("vgg19")


def test_vgg_from_a_file_answers_as_keras_does_up_to_each_filters_scale(tmp_path):
    import keras

    keras.utils.set_random_seed(2)
    official = keras.applications.VGG16(include_top=False, weights=None, input_shape=(None, None, 3))
    path = tmp_path / "random.weights.h5"
    official.save_weights(path)
    ours = backbones._vgg("vgg16", "max", path)
    picture = np.random.default_rng(0).integers(0, 256, (1, 40, 48, 3)).astype(np.float32)
    for layer in ("block1_conv2", "block3_conv1"):
        expected = keras.Model(official.inputs[0], official.get_layer(layer).output)(
            keras.applications.vgg16.preprocess_input(picture.copy())
        )
        answer = np.asarray(keras.Model(ours.inputs[0], ours.get_layer(layer).output)(picture))
        channels = answer.reshape(-1, answer.shape[-1]).astype(np.float64)
        wanted = np.asarray(expected, np.float64).reshape(channels.shape)
        scale = (channels * wanted).sum(0) / np.maximum((wanted**2).sum(0), 1e-12)
        np.testing.assert_allclose(channels, wanted * scale, rtol=2e-3, atol=2e-3 * float(np.abs(channels).max()))
