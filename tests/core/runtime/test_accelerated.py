"""Training on an accelerator: the compiled step is Keras' own, and batches arrive in their order."""

import json
import os
import subprocess
import sys
from itertools import count, islice
from pathlib import Path

import keras
import numpy as np
import pytest

from core.runtime import accelerated

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def printed():
    """What a process with Keras on JAX prints."""
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("accelerated_run.py"))],
        env=environment, capture_output=True, text=True, timeout=300, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_step_is_that_of_keras_and_the_average_that_of_its_weights(printed):
    differences = printed["steps"]
    assert differences["loss"] < 1e-5 and differences["average"] < 1e-5
    assert differences["moved"] > 1e-3  # it learned something


def test_a_run_learns_saves_and_ends(printed):
    run = printed["run"]
    losses = [row["loss"] for row in run["history"]]
    assert losses[-1] < 0.5 * losses[0] and run["error"] < 0.15, losses
    assert run["asked"] == [0, 1, 1] and run["saves"] >= 2
    assert run["last_save"] == [run["weights"], run["history"][-1]["step"]]
    assert run["history"][-1]["elapsed_s"] >= 3.0 and run["history"][0]["size_px"] == 8


def numbered(task: int) -> accelerated.Batch:
    return np.full((2, 3 + task % 2, 3, 3), task, np.uint8), {"task": task}


def test_batches_arrive_in_order_whatever_their_sizes():
    feeder = accelerated.Feeder(numbered, 2 * 4 * 3 * 3, 2)
    try:
        for task, (x, y) in enumerate(islice(feeder.batches(count().__next__), 40)):
            assert x.shape == (2, 3 + task % 2, 3, 3) and (x == task).all() and y == {"task": task}
    finally:
        feeder.close()


def failing(task: int) -> accelerated.Batch:
    raise ValueError(f"no batch {task}")


def test_exception_of_a_process_reaches_the_run():
    feeder = accelerated.Feeder(failing, 10, 1)
    try:
        with pytest.raises(ValueError, match="no batch 0"):
            next(feeder.batches(count().__next__))
    finally:
        feeder.close()


def test_exception_another_backend():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=jax"):
        accelerated.CompiledSteps(model, model.weights)
