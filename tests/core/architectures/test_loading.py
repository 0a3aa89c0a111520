"""A user's `.keras` file: good ones load with their weights, all others are refused in one sentence."""

import io
import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from core.architectures import catalog, loading
from core.architectures.loading import ModelFileError, check_file
from core.architectures.networks import (
    NoFixedInputError,
    WeightsUnavailableError,
    open_runnable,
    open_shapes,
)
from core.architectures.summary import summarise_model

CUSTOM = "own_package"


@keras.saving.register_keras_serializable(package=CUSTOM)
class OwnLayer(keras.layers.Layer):
    def call(self, x):
        return x


def saved(model: keras.Model, folder: Path) -> bytes:
    path = folder / "model.keras"
    model.save(path)
    return path.read_bytes()


def small_model() -> keras.Model:
    inputs = keras.Input((12, 12, 3), name="image")
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.ops.relu(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(0.2, name="dropout")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="out")(x), name="small")
    model.compile(optimizer="adam", loss="categorical_crossentropy")
    return model


@pytest.fixture
def good(tmp_path: Path) -> bytes:
    return saved(small_model(), tmp_path)


def repacked(content: bytes, changes: dict[str, bytes | None], compression: int = zipfile.ZIP_STORED) -> bytes:
    """The same archive with parts replaced, added, or (None) left out."""
    source, target = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name in [*source.namelist(), *(set(changes) - set(source.namelist()))]:
            data = changes.get(name, source.read(name) if name in source.namelist() else b"")
            if data is not None:
                archive.writestr(name, data)
    return target.getvalue()


def with_config(content: bytes, edit) -> bytes:
    """The same file with its description edited in place by a function."""
    config = json.loads(zipfile.ZipFile(io.BytesIO(content)).read("config.json"))
    edit(config)
    return repacked(content, {"config.json": json.dumps(config).encode()})


def test_a_good_file_gives_the_same_outputs(good: bytes, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((2, 12, 12, 3), dtype=np.float32)
    opened = open_runnable(good)
    assert opened.weights == "weights of the file" and opened.label == "small"
    (tmp_path / "again.keras").write_bytes(good)
    reference = keras.saving.load_model(tmp_path / "again.keras")
    np.testing.assert_allclose(opened.model(x), reference(x), rtol=1e-6)


def test_a_good_file_opens_without_its_weights(good: bytes) -> None:
    opened = open_shapes(good)
    assert all(variable._value is None for variable in opened.model.weights)
    assert summarise_model(opened.model).parameters == small_model().count_params()


@pytest.mark.parametrize("name", ["lenet5", "network_in_network", "resnet20_cifar"])
def test_networks_of_the_catalogue_load_again(name: str, tmp_path: Path) -> None:
    model = catalog.build(name)
    opened = open_runnable(saved(model, tmp_path))
    for ours, theirs in zip(model.get_weights(), opened.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["ConvNeXtTiny", "MobileNetV3Small", "EfficientNetB0", "InceptionResNetV2"])
def test_applications_of_keras_pass_the_checks(name: str) -> None:
    from core.architectures.building import build_without_weights

    model = build_without_weights(lambda: catalog.build(name))
    config = keras.saving.serialize_keras_object(model)
    loading._check_classes(json.loads(json.dumps(config)))


def test_another_input_size_keeps_the_weights(good: bytes) -> None:
    resized = open_runnable(good, (20, 16, 3)).model
    assert resized.input_shape == (None, 20, 16, 3)
    for ours, theirs in zip(open_runnable(good).model.get_weights(), resized.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_model_without_a_fixed_input_size_needs_one(tmp_path: Path) -> None:
    inputs = keras.Input((None, None, 3))
    x = keras.layers.GlobalMaxPooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    content = saved(keras.Model(inputs, x, name="open_size"), tmp_path)
    for opener in (open_shapes, open_runnable):
        with pytest.raises(NoFixedInputError, match=r"'open_size' has no fixed input size \(\?x\?x3\)"):
            opener(content)
        assert opener(content, (32, 24, 3)).model.input_shape == (None, 32, 24, 3)


def test_a_model_that_was_never_built_needs_a_size(tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Conv2D(2, 3)], name="bare")
    with pytest.warns(UserWarning, match="not yet been built"):
        content = saved(model, tmp_path)
    with pytest.raises(NoFixedInputError, match="'bare' has no fixed input size"):
        open_shapes(content)


def test_an_input_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    inputs = keras.Input((12, 12, 3))
    x = keras.layers.Dense(2)(keras.layers.Flatten()(inputs))
    content = saved(keras.Model(inputs, x, name="flat"), tmp_path)
    with pytest.raises(ValueError, match="'flat' cannot take an input of 13x13x3"):
        open_runnable(content, (13, 13, 3))


def refused(content: bytes, match: str) -> None:
    """Both ways of opening say the same, in one sentence."""
    for opener in (open_shapes, open_runnable):
        with pytest.raises(ValueError, match=match) as error:
            opener(content)
        text = str(error.value)
        assert "\n" not in text and text.endswith(".") and len(text) < 400


def test_an_empty_file() -> None:
    refused(b"", "The file is empty")


def test_a_text_or_an_old_model() -> None:
    refused(b"model = keras", "not a .keras file: it is not a zip archive")
    refused(b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5 file of the older format")


def test_a_zip_that_is_no_model() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("cat.jpg", b"...")
    refused(target.getvalue(), "config.json is not in it")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_truncated_files(good: bytes, share: float) -> None:
    refused(good[: int(len(good) * share)], "incomplete or damaged")


def test_flipped_bytes_never_get_through_as_another_error(good: bytes) -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(good)
        for position in rng.integers(0, len(data), 4):
            data[position] ^= int(rng.integers(1, 256))
        try:
            open_shapes(bytes(data))
        except ValueError as error:
            assert "\n" not in str(error)


def test_a_file_of_two_gigabytes() -> None:
    class Large(bytes):
        def __len__(self) -> int:
            return 2 * 10**9

    with pytest.raises(ModelFileError, match="The file has 2,000.0 MB; models of up to 671.1 MB are loaded"):
        check_file(Large(b"PK\x03\x04"))


def test_a_zip_bomb(good: bytes) -> None:
    bomb = repacked(good, {"model.weights.h5": bytes(50 * 2**20)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 2**20
    refused(bomb, "packed as no saved model is")
    large = repacked(good, {"config.json": b" " * (17 * 2**20)})
    refused(large, "longer than 16.8 MB")


def test_parts_that_no_model_has(good: bytes) -> None:
    refused(repacked(good, {"assets/run.py": b"print()"}), "parts that no image network has: 'assets/run.py'")
    refused(repacked(good, {"../../evil.txt": b"x"}), "parts that no image network has")
    with pytest.warns(UserWarning, match="Duplicate name"):
        source, target = zipfile.ZipFile(io.BytesIO(good)), io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            for name in [*source.namelist(), "config.json"]:
                archive.writestr(name, source.read(name))
    refused(target.getvalue(), "parts that no image network has")


def test_a_description_that_is_none(good: bytes) -> None:
    refused(repacked(good, {"config.json": b"{"}), "not valid JSON")
    refused(repacked(good, {"config.json": b"[1, 2]"}), "not that of a Keras model")
    refused(repacked(good, {"config.json": b"[" * 100_000}), "not valid JSON")


def test_a_lambda_layer(tmp_path: Path) -> None:
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs))
    refused(saved(model, tmp_path), "Lambda layer or function")


def test_a_lambda_hidden_as_an_activation(good: bytes) -> None:
    def hide(config: dict) -> None:
        config["config"]["layers"][1]["config"]["activation"] = {
            "class_name": "__lambda__",
            "config": {"value": "x"},
        }

    refused(with_config(good, hide), "Lambda layer or function")


def test_a_custom_layer(tmp_path: Path) -> None:
    inputs = keras.Input((8, 8, 3))
    content = saved(keras.Model(inputs, OwnLayer()(inputs)), tmp_path)
    refused(content, "a class or function of its own, 'own_package>OwnLayer'")


def test_a_custom_model(good: bytes) -> None:
    def rename(config: dict) -> None:
        config.update(class_name="MyModel", module="my.module", registered_name="MyModel")

    refused(with_config(good, rename), "of the class 'MyModel', which is not part of Keras")


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (
            {"class_name": "function", "config": "system", "module": "os", "registered_name": "system"},
            "of its own",
        ),
        ({"class_name": "TFSMLayer", "config": {}, "module": "keras.layers"}, "runs code that is not Keras"),
        (
            {"class_name": "StringLookup", "config": {}, "module": "keras.layers"},
            "works on words, not on images",
        ),
        ({"class_name": "get_file", "config": {}, "module": "keras.utils"}, "of its own, 'get_file'"),
        ({"class_name": "__typespec__", "config": [], "module": "x"}, "runs code that is not Keras"),
        ({"class_name": 3, "config": {}, "module": 4}, "of its own, '3'"),
    ],
)
def test_hidden_objects(good: bytes, item: dict, sentence: str) -> None:
    def hide(config: dict) -> None:
        config["config"]["layers"][1]["config"]["kernel_initializer"] = item

    refused(with_config(good, hide), sentence)


def test_a_layer_that_cannot_be_built(good: bytes) -> None:
    def spoil(config: dict) -> None:
        config["config"]["layers"][1]["config"]["kernel_size"] = [-3, "x"]

    refused(with_config(good, spoil), "The file's layers cannot be built")


def test_layers_larger_than_their_weights_are_not_allocated(good: bytes) -> None:
    def blow_up(config: dict) -> None:
        config["config"]["layers"][-1]["config"]["units"] = 10**10  # 200 GB of weights

    content = with_config(good, blow_up)
    assert open_shapes(content).model is not None
    with pytest.raises(ModelFileError, match=r"need 200,000\.\d MB of weights; it holds only 0\.\d MB"):
        open_runnable(content)


def test_weights_of_other_layers(good: bytes, tmp_path: Path) -> None:
    inputs = keras.Input((12, 12, 3))
    other = saved(keras.Model(inputs, keras.layers.Conv2D(64, 5, name="other")(inputs)), tmp_path)
    weights = zipfile.ZipFile(io.BytesIO(other)).read("model.weights.h5")
    with pytest.raises(ModelFileError, match="The file's weights cannot be read"):
        open_runnable(repacked(good, {"model.weights.h5": weights}))


def test_weights_that_are_not_there() -> None:
    with pytest.raises(WeightsUnavailableError, match="no trained weights for VGG-16 here"):
        open_runnable("vgg16", weights="imagenet")
    with pytest.raises(WeightsUnavailableError, match='"random" or "imagenet"'):
        open_runnable("vgg16", weights="mine")


def test_weights_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise Exception("URL fetch failure on https://example.org/x.h5: None -- unreachable")

    monkeypatch.setattr(keras.applications, "MobileNetV2", fail)
    with pytest.raises(WeightsUnavailableError, match="weights of MobileNetV2 cannot be had now: URL fetch failure"):
        open_runnable("MobileNetV2", weights="imagenet")
