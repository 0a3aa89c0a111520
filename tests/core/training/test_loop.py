"""The compiled loop: as Keras' own `fit`, and two devices as one."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from core.training.augmentation import epoch_draws
from core.training.loop import BatchLoop, Evaluator, mean_cost
from core.training.networks import build_classifier
from core.training.runs import TrainingSettings

PROJECT = Path(__file__).parents[3]
TWO_DEVICES = """
import dataclasses, json, sys
from pathlib import Path
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from core.training.datasets import digits
from core.training.runs import TrainingSettings
from core.training.trainer import train
whole = digits()
few = dataclasses.replace(whole, train=whole.train[:250], validation=whole.validation[:40], test=whole.test[:40])
two, out = ["CPU:0", "CPU:1"], {}
for name, devices in (("one", None), ("two", two)):
    settings = TrainingSettings(epochs=2, batch=60, shift_px=1, rotate_deg=5.0)
    run = train(few, settings, Path(sys.argv[1]) / name, devices=devices)
    out[name] = [run.batch_losses.tolist(), run.filters[-1].ravel().tolist(), run.probabilities.ravel().tolist()]
again = train(few, settings, Path(sys.argv[1]) / "two", devices=two, resume=True)
out["again"] = again.evaluation.accuracy == run.evaluation.accuracy
print(json.dumps(out))
"""


def test_a_step_is_keras_own() -> None:
    random = np.random.default_rng(0)
    pictures, labels = random.integers(0, 256, (100, 20, 20, 1), np.uint8), np.arange(100) % 4
    settings = TrainingSettings(optimizer="momentum", learning_rate=0.02, batch=32, shift_px=0, seed=3)
    models = []
    for _ in range(2):
        model = build_classifier("lenet5", (20, 20, 1), 4, 3)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.02, momentum=0.9), loss, jit_compile=False)
        models.append(model)
    loop = BatchLoop(models[0], pictures, labels, settings, tf.distribute.get_strategy())
    costs, expected = [], []
    for epoch in range(2):
        costs += [cost for some, _ in loop.epoch(epoch) for cost in some.tolist()]
        order, draws = epoch_draws(settings, epoch, 100)
        assert draws.shape == (0, 8)
        for start in range(0, 100, 32):
            batch = order[start : start + 32]
            expected.append(models[1].train_on_batch(pictures[batch].astype(np.float32), labels[batch]))
            models[1].reset_metrics()
    assert loop.steps == 4 and len(costs) == 8
    np.testing.assert_allclose(costs, np.array(expected).ravel(), rtol=1e-3)
    for ours, theirs in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_answers_and_cost_are_keras_own() -> None:
    random = np.random.default_rng(0)
    pictures, labels = random.integers(0, 256, (701, 20, 20, 1), np.uint8), np.arange(701) % 4
    model = build_classifier("lenet5", (20, 20, 1), 4)
    logits = Evaluator(model).logits(pictures)
    np.testing.assert_allclose(logits, model.predict(pictures.astype(np.float32), verbose=0), atol=1e-4)
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    assert mean_cost(labels, logits) == pytest.approx(float(theirs), rel=1e-5)


def test_two_devices_come_to_the_same_curve_as_one(tmp_path: Path) -> None:
    """In a process of its own: devices are divided before TensorFlow starts."""
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES, str(tmp_path)], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    out = json.loads(done.stdout.splitlines()[-1])
    assert len(out["one"][0]) == len(out["two"][0]) == 10
    np.testing.assert_allclose(out["one"][0], out["two"][0], rtol=5e-3)
    np.testing.assert_allclose(out["one"][1], out["two"][1], atol=2e-3)
    np.testing.assert_allclose(out["one"][2], out["two"][2], atol=2e-2)
    assert out["again"]
