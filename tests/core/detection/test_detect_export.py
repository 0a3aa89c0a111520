"""The embedded detector as ONNX: the same answer as Keras, and its row in the list of models."""

import shutil
import subprocess
import sys
import tomllib

import numpy as np
import pytest

from core.detection import export
from core.detection.embedded import WEIGHTS_FOLDER, WeightsError, embedded_detector
from core.detection.export import export_detector, with_fields
from core.detection.predictions import letterbox_picture
from core.detection.tasks import run_network
from core.runtime.inference import ONNX_RUNTIME, OnnxRuntimeEngine
from core.runtime.weights import Registry

MANIFEST = """# A comment that stays.

[[weights]]
name = "net"
file = "net.weights.h5"
what_for = "a \\"test\\""
bytes = 1
sha256 = "0"
licence = "ours"
input_px = 32
classes = ["cat", "dog"]

[[weights]]
name = "other"
file = "other.onnx"
bytes = 7
sha256 = "7"
"""


def photograph() -> np.ndarray:
    import skimage.data

    return np.ascontiguousarray(skimage.data.astronaut())


def test_the_onnx_file_was_made_from_these_weights_and_gives_their_answer():
    detector = embedded_detector()
    assert detector.onnx is not None, "make it with python -m core.detection.export"
    from core.detection.yolo import build_detector

    network = build_detector(len(detector.class_names))
    network.load_weights(detector.path)
    batch = letterbox_picture(photograph(), detector.input_px)[0][None].astype(np.float32)
    expected = network(batch, training=False).numpy()
    np.testing.assert_allclose(OnnxRuntimeEngine(detector.onnx)(batch), expected, rtol=1e-4, atol=1e-4)


def test_export_writes_the_file_and_both_rows(tmp_path):
    import keras

    from core.detection.yolo import build_detector

    keras.utils.set_random_seed(0)
    (tmp_path / "manifest.toml").write_text(MANIFEST)
    with pytest.raises(WeightsError, match="are missing"):
        export_detector(tmp_path, "net")
    build_detector(2).save_weights(tmp_path / "net.weights.h5")
    path = export_detector(tmp_path, "net")
    rows = tomllib.loads((tmp_path / "manifest.toml").read_text())["weights"]
    assert [row["name"] for row in rows] == ["net", "net_onnx", "other"]
    assert rows[1]["made_from"] == rows[0]["sha256"] and rows[1]["what_for"] == 'net for ONNX Runtime, a "test"'
    found = embedded_detector(tmp_path, "net")
    assert found.onnx == path and found.class_names == ("cat", "dog") and found.input_px == 32
    # Weights that were replaced are not answered for by the old ONNX file.
    changed = (tmp_path / "manifest.toml").read_text().replace(f'made_from = "{rows[0]["sha256"]}"', 'made_from = "0"')
    (tmp_path / "manifest.toml").write_text(changed)
    embedded_detector.cache_clear()
    assert embedded_detector(tmp_path, "net").onnx is None
    text = (tmp_path / "manifest.toml").read_text()
    assert text.startswith("# A comment that stays.\n") and text.count("[[weights]]") == 3


def test_export_writes_nothing_if_the_files_disagree(tmp_path, monkeypatch, capsys):
    shutil.copy(WEIGHTS_FOLDER / "manifest.toml", tmp_path)
    shutil.copy(embedded_detector().path, tmp_path)
    content = embedded_detector().onnx.read_bytes()
    monkeypatch.setattr(export, "onnx_of", lambda model, size_px: content)
    assert export.main(["--folder", str(tmp_path)]) == 0
    assert Registry(tmp_path / "manifest.toml").where("yolo_11_onnx").read_bytes() == content
    (tmp_path / "yolo_11.onnx").unlink()
    monkeypatch.setattr(export, "agrees", lambda *_: False)
    assert export.main(["--folder", str(tmp_path)]) == 1
    assert "does not give the network's answer" in capsys.readouterr().err
    assert not (tmp_path / "yolo_11.onnx").exists()


def test_fields_are_set_and_rows_added_in_place():
    text = with_fields(MANIFEST, "net", {"bytes": 22, "sha256": "abc"})
    assert text == MANIFEST.replace("bytes = 1\n", "bytes = 22\n").replace('sha256 = "0"', 'sha256 = "abc"')
    added = with_fields(MANIFEST, "new", {"file": 'a"b\\c', "bytes": 3}, after="net")
    rows = tomllib.loads(added)["weights"]
    assert [row["name"] for row in rows] == ["net", "new", "other"]
    assert rows[1] == {"name": "new", "file": 'a"b\\c', "bytes": 3}
    last = tomllib.loads(with_fields(MANIFEST, "new", {"bytes": 3}))["weights"]
    assert [row["name"] for row in last] == ["net", "other", "new"] and last[2]["bytes"] == 3


def test_on_a_cpu_a_remembered_choice_needs_no_tensorflow(tmp_path):
    """A fresh process that finds the choice in the data folder answers without importing TensorFlow."""
    program = (
        "import sys, numpy as np, core.runtime.inference as i; i.on_gpu = lambda: False\n"
        "i._remembered = lambda record: i.ONNX_RUNTIME\n"
        "from core.detection.tasks import run_network\n"
        "answer = run_network(np.zeros((20, 30, 3), np.uint8))\n"
        "print(answer.engine, answer.network_ms > 0, sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{ONNX_RUNTIME} True []"


def test_the_answer_names_its_engine_and_time():
    answer = run_network(photograph())
    assert answer.engine in ("ONNX Runtime", "TensorFlow") and 0 < answer.network_ms < 60_000
