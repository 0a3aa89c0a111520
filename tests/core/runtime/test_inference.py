"""Engines against Keras, the choice among them, and its memory."""

import json
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from core.runtime import inference
from core.runtime.inference import (
    ONNX_RUNTIME,
    TENSORFLOW,
    EngineError,
    Network,
    OnnxRuntimeEngine,
    TensorFlowEngine,
    agrees,
    choose,
    fastest,
)

KERNEL = np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32)  # (filters, C, 3, 3)
BATCH = np.random.default_rng(1).uniform(0, 255, (2, 16, 24, 3)).astype(np.float32)


def keras_model():
    """The convolution of `onnx_file`; its outputs NHWC."""
    import keras

    layer = keras.layers.Conv2D(5, 3, padding="same", use_bias=False)
    model = keras.Sequential([keras.Input((16, 24, 3)), layer])
    layer.set_weights([KERNEL.transpose(2, 3, 1, 0)])
    return model


def onnx_file(path: Path, channels_first: bool = True, scale: float = 1.0, kind: int = TensorProto.FLOAT) -> Path:
    """One convolution as ONNX, its input with channels first or last, its output always with channels last."""
    sides = ["N", 3, 16, 24] if channels_first else ["N", 16, 24, 3]
    feed = [] if channels_first else [helper.make_node("Transpose", ["x"], ["first"], perm=[0, 3, 1, 2])]
    nodes = [
        *feed,
        helper.make_node("Conv", ["x" if channels_first else "first", "w"], ["maps"], pads=[1, 1, 1, 1]),
        helper.make_node("Transpose", ["maps"], ["y"], perm=[0, 2, 3, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", kind, sides)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 16, 24, 5])],
        [numpy_helper.from_array(KERNEL * np.float32(scale), "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.mark.parametrize("channels_first", [True, False])
def test_engines_give_keras_answer(tmp_path, channels_first):
    model = keras_model()
    expected = model(BATCH, training=False).numpy()
    engine = OnnxRuntimeEngine(onnx_file(tmp_path / "net.onnx", channels_first))
    assert engine.input_shape == (None, 16, 24, 3) and engine.name == ONNX_RUNTIME
    np.testing.assert_allclose(engine(BATCH), expected, rtol=1e-4, atol=1e-2)
    compiled = TensorFlowEngine(model, BATCH.shape)
    assert compiled.name == TENSORFLOW
    np.testing.assert_allclose(compiled(BATCH), expected, rtol=1e-4, atol=1e-2)


def test_exception_no_network(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(EngineError, match="cannot be read"):
        OnnxRuntimeEngine(tmp_path / "broken.onnx")
    with pytest.raises(EngineError, match="cannot be read"):
        OnnxRuntimeEngine(tmp_path / "none.onnx")
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 7])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 7])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "a.onnx")
    with pytest.raises(EngineError, match="no network with one picture"):
        OnnxRuntimeEngine(tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("answer", "same"),
    [
        ([10.0, -5.0], True),
        ([10.009, -5.009], True),  # within a thousandth of the largest value
        ([10.02, -5.0], False),
        ([10.0, np.nan], False),
        ([10.0, np.inf], False),
        ([10.0], False),  # another shape
    ],
)
def test_agreement(answer, same):
    assert agrees(np.array(answer, np.float32), np.array([10.0, -5.0], np.float32)) is same


class Sleeper:
    """An engine that takes a given time and adds an error."""

    def __init__(self, name: str, seconds: float, error: float = 0.0) -> None:
        self.name, self.seconds, self.error, self.runs = name, seconds, error, 0

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.runs += 1
        time.sleep(self.seconds)
        return batch * np.float32(1 + self.error)


def test_the_fastest_that_agrees_is_chosen():
    engines = {e.name: e for e in (Sleeper("slow", 0.4), Sleeper("quick", 0.001), Sleeper("wrong", 0.0, 0.01))}
    choice = choose(engines, BATCH, BATCH, rounds=3)
    assert choice.engine == "quick" and set(choice.times_ms) == {"slow", "quick"}
    assert choice.times_ms["slow"] >= 400 > choice.times_ms["quick"] >= 1
    assert engines["wrong"].runs == 1  # not measured once it was wrong
    with pytest.raises(EngineError, match="no engine of wrong"):
        choose({"wrong": engines["wrong"]}, BATCH, BATCH)


def test_choice_is_measured_once_and_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr(inference, "on_gpu", lambda: False)
    built = []
    network = Network("a" * 64, lambda: built.append(1) or keras_model(), onnx_file(tmp_path / "net.onnx"))
    first = fastest(network, BATCH, tmp_path / "engines")
    (record,) = (tmp_path / "engines").iterdir()
    kept = json.loads(record.read_text())
    assert kept["engine"] == first.name and set(kept["times_ms"]) == {ONNX_RUNTIME, TENSORFLOW}
    assert kept["times_ms"][first.name] == min(kept["times_ms"].values())
    monkeypatch.setattr(inference, "choose", None)  # nothing is measured again
    for name, builds in ((ONNX_RUNTIME, 0), (TENSORFLOW, 1)):
        record.write_text(json.dumps(kept | {"engine": name}))
        built.clear()
        again = fastest(network, BATCH, tmp_path / "engines")
        assert again.name == name and len(built) == builds  # ONNX Runtime needs no Keras model
        np.testing.assert_allclose(again(BATCH), first(BATCH), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"engine": "another"}', "\x00"])
def test_other_weights_another_size_or_a_broken_record_are_measured_anew(tmp_path, monkeypatch, text):
    monkeypatch.setattr(inference, "on_gpu", lambda: False)
    network = Network("a" * 64, keras_model, onnx_file(tmp_path / "net.onnx"))
    fastest(network, BATCH, tmp_path / "engines")
    (record,) = (tmp_path / "engines").iterdir()
    record.write_text(text)
    fastest(network, BATCH, tmp_path / "engines")
    assert json.loads(record.read_text())["engine"] in (ONNX_RUNTIME, TENSORFLOW)
    fastest(Network("b" * 64, keras_model, network.onnx), BATCH, tmp_path / "engines")
    fastest(network, BATCH[:1], tmp_path / "engines")
    assert len(list((tmp_path / "engines").iterdir())) == 3


def test_an_onnx_file_that_disagrees_or_is_broken_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(inference, "on_gpu", lambda: False)
    wrong = onnx_file(tmp_path / "wrong.onnx", scale=1.01)
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    for sha256, path in (("a" * 64, wrong), ("b" * 64, tmp_path / "broken.onnx"), ("c" * 64, None)):
        assert fastest(Network(sha256, keras_model, path), BATCH, tmp_path / "engines").name == TENSORFLOW


def test_a_folder_that_cannot_be_written_to_does_not_stop_it(tmp_path, monkeypatch):
    monkeypatch.setattr(inference, "on_gpu", lambda: False)
    (tmp_path / "file").write_bytes(b"")
    engine = fastest(Network("a" * 64, keras_model, onnx_file(tmp_path / "net.onnx")), BATCH, tmp_path / "file" / "in")
    assert engine(BATCH).shape == (2, 16, 24, 5)


def test_a_gpu_gets_the_compiled_function(tmp_path, monkeypatch):
    monkeypatch.setattr(inference, "on_gpu", lambda: True)
    engine = fastest(Network("a" * 64, keras_model, onnx_file(tmp_path / "net.onnx")), BATCH, tmp_path / "engines")
    assert engine.name == TENSORFLOW and not (tmp_path / "engines").exists()
