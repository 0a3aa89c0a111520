"""The program to take home is run as it stands, by Keras alone, and comes to the run's numbers."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.training.datasets import ImageDataset, drawn_shapes
from core.training.networks import build_classifier
from core.training.runs import TrainingSettings
from core.training.script import training_script
from core.training.trainer import train

STACK = '[[9, 9, 9], ["conv", 3, 1, 2, 6], ["pool_max", 2, 2, "same"], ["dense", 16], ["softmax", 99]]'
TELL = """
import json
print(json.dumps({**history.history, "filters": model.get_layer(FIRST).get_weights()[0].ravel().tolist()}))
"""


@pytest.fixture(scope="module")
def shapes() -> ImageDataset:
    return drawn_shapes(240, 32, 1)


@pytest.mark.parametrize(
    ("settings", "first"),
    [
        (TrainingSettings(epochs=2, batch=50, shift_px=2, rotate_deg=10.0, colour=0.2, flip=True, zoom=0.1), "C1"),
        (
            TrainingSettings(
                network="stack", stack=STACK, optimizer="momentum", schedule="step", learning_rate=0.01, epochs=3
            ),
            "conv1",
        ),
    ],
)
def test_the_program_comes_to_the_same_numbers(
    settings: TrainingSettings, first: str, shapes: ImageDataset, tmp_path: Path
) -> None:
    run = train(shapes, settings, tmp_path / "run")
    parts = {}
    for part in ("train", "validation", "test"):
        parts[f"x_{part}"], parts[f"y_{part}"] = shapes.part(part)
    np.savez(tmp_path / "data.npz", **parts)
    script = (tmp_path / "run" / "train.py").read_text()
    (tmp_path / "program.py").write_text(script + f"FIRST = {first!r}" + TELL)
    # Not from the project's folder: the program may use nothing of it.
    done = subprocess.run(
        [sys.executable, "-P", "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(told["loss"], [row["loss"] for row in run.history], rtol=5e-3)
    np.testing.assert_allclose(told["val_loss"], [row["val_loss"] for row in run.history], rtol=5e-3)
    np.testing.assert_allclose(told["filters"], run.filters[-1].ravel(), atol=2e-3)
    assert (tmp_path / "trained.keras").is_file()


@pytest.mark.parametrize("network", ["lenet5", "small_vgg", "resnet20"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_program_builds_the_same_network(network: str, optimizer: str) -> None:
    model = build_classifier(network, (32, 32, 3), 5, 4)
    settings = TrainingSettings(network=network, optimizer=optimizer, schedule="constant", seed=4)
    script = training_script(model, settings)
    compile(script, "train.py", "exec")
    names: dict[str, object] = {}
    exec(script.split("EPOCHS, BATCH, SEED")[0], names)  # noqa: S102
    for ours, theirs in zip(model.get_weights(), names["model"].get_weights(), strict=True):  # type: ignore[attr-defined]
        np.testing.assert_array_equal(ours, theirs)
    assert ("Adam(rate)" if optimizer == "adam" else "SGD(rate)") in script
    assert "core." not in script
    assert "augment" not in training_script(model, dataclasses.replace(settings, shift_px=0)).replace(
        "augmentation", ""
    )
