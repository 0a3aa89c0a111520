"""Exported files give the same outputs as the model: `.keras` in Keras, ONNX in onnxruntime."""

import resource
import subprocess
import sys

import keras
import numpy as np
import pytest

from core.architectures import catalog, tasks
from core.architectures.export import ExportError, keras_bytes, onnx_bytes

ort = pytest.importorskip("onnxruntime")


def outputs_of_onnx(content: bytes, images: np.ndarray) -> list[np.ndarray]:
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})


def assert_same(model: keras.Model, content: bytes) -> None:
    images = np.random.default_rng(0).random((2, *model.inputs[0].shape[1:]), dtype=np.float32)
    expected = model(images, training=False)
    expected = expected if isinstance(expected, list) else [expected]
    found = outputs_of_onnx(content, images)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        scale = max(1.0, float(np.abs(theirs).max()))
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * scale)


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("lenet5", None, {"form": "paper"}),
        ("lenet5", None, {"form": "dense_c3"}),
        ("network_in_network", None, {}),
        ("resnet20_cifar", None, {}),
        ("alexnet", (67, 67, 3), {"grouped": True}),
        pytest.param("googlenet", (80, 80, 3), {"side_outputs": True}, marks=pytest.mark.slow),
        pytest.param("resnet50", (64, 64, 3), {"variant": "keras"}, marks=pytest.mark.slow),
        pytest.param("MobileNetV3Small", (64, 64, 3), {}, marks=pytest.mark.slow),
        pytest.param("ConvNeXtTiny", (32, 32, 3), {}, marks=pytest.mark.slow),
    ],
)
def test_onnx_gives_the_same_outputs(name: str, shape: tuple | None, options: dict) -> None:
    model = catalog.build(name, shape, options)
    assert_same(model, onnx_bytes(model))


@pytest.mark.slow
def test_onnx_of_vgg16_in_bounded_memory() -> None:
    exported = tasks.export_model("vgg16", "onnx")
    assert 553_000_000 < len(exported.content) < 554_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 6 * 2**20  # kilobytes
    image = np.random.default_rng(0).random((1, 224, 224, 3), dtype=np.float32)
    assert outputs_of_onnx(exported.content, image)[0].sum() == pytest.approx(1.0, abs=1e-4)


def test_grouped_convolutions_are_split() -> None:
    inputs = keras.Input((9, 9, 8))
    x = keras.layers.Conv2D(12, 3, groups=4, strides=2, padding="same", activation="relu", name="grouped")(inputs)
    x = keras.layers.Conv2D(12, 3, groups=12, name="depthwise")(x)
    model = keras.Model(inputs, x)
    assert_same(model, onnx_bytes(model))


def test_every_kind_of_layer_of_small_networks() -> None:
    inputs = keras.Input((12, 12, 3), name="picture")
    x = keras.layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 0.6, 0.7])(inputs)
    x = keras.layers.SeparableConv2D(6, 3, padding="same", activation="gelu")(x)
    y = keras.layers.Conv2DTranspose(6, 2, strides=2, activation="leaky_relu")(keras.layers.AveragePooling2D(2)(x))
    x = keras.layers.LayerNormalization()(keras.layers.Add()([x, y]))
    x = keras.layers.UpSampling2D()(keras.layers.MaxPooling2D(3, 2, padding="same")(x))
    x = keras.layers.PReLU(shared_axes=[1, 2])(keras.layers.Cropping2D(1)(x))
    model = keras.Model(inputs, keras.layers.Dense(4, "softmax")(keras.layers.Flatten()(x)))
    content = onnx_bytes(model)
    assert_same(model, content)
    assert [i.name for i in ort.InferenceSession(content).get_inputs()] == ["picture"]


def test_a_layer_without_a_counterpart_is_named_in_a_sentence() -> None:
    inputs = keras.Input((8, 8, 1))
    x = keras.ops.linalg.eigh(keras.layers.Reshape((8, 8))(inputs))[1]
    with pytest.raises(ExportError, match="a layer that ONNX cannot express") as error:
        onnx_bytes(keras.Model(inputs, x))
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_missing_packages_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ExportError, match="need the packages onnx and tf2onnx"):
        onnx_bytes(catalog.build("lenet5"))


def test_the_keras_file_loads_where_the_layers_are_known(tmp_path) -> None:
    content = keras_bytes(catalog.build("lenet5"))
    (tmp_path / "lenet5.keras").write_bytes(content)
    code = (
        "import keras, core.architectures.layers; "
        f"print(keras.saving.load_model({str(tmp_path / 'lenet5.keras')!r}).count_params())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "60840"


def test_export_says_which_weights_are_inside() -> None:
    exported = tasks.export_model("lenet5", "keras", seed=4)
    assert exported.file_name == "lenet5.keras" and exported.weights == "random initialisation, seed 4"
    again = tasks.summarise(exported.content)
    assert again.parameters == 60_840
    with pytest.raises(ValueError, match='as "keras" or "onnx"'):
        tasks.export_model("lenet5", "pickle")  # type: ignore[arg-type]
