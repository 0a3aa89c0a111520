"""Seconds per epoch of the lab's trainer against Keras' bare `fit` and a hand-written PyTorch loop, as ratios.

The same network (LeNet-5), size of pictures, batch and optimiser, in one run and in turns. PyTorch is no part of the
project: ``CNN_WORKBENCH_TORCH_PYTHON`` names the interpreter of an environment that has it (and NumPy), whose loop
(`torch_lenet.py`) is then measured too; otherwise the output says that it was not.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from core.training.runs import TrainingSettings

PICTURES = 12_800
ROUNDS = 6
SETTINGS = TrainingSettings(shift_px=0, schedule="constant")
TORCH_PYTHON = os.environ.get("CNN_WORKBENCH_TORCH_PYTHON", "")


def pictures() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (PICTURES, 28, 28, 1), np.uint8), np.arange(PICTURES, dtype=np.int64) % 10


def best_in_turns_s(epochs: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """The best time of an epoch of each, taken in turns after one that is not counted."""
    for epoch in epochs.values():
        epoch()
    best = dict.fromkeys(epochs, float("inf"))
    for _ in range(ROUNDS):
        for name, epoch in epochs.items():
            start = time.perf_counter()
            epoch()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def compiled_model():
    import keras

    from core.training.networks import build_classifier

    model = build_classifier("lenet5", (28, 28, 1), 10)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(SETTINGS.learning_rate), loss, metrics=["accuracy"])
    return model


@contextlib.contextmanager
def torch_epoch(python: str) -> Iterator[tuple[Callable[[], object], str]]:
    """An epoch of the same network in PyTorch, run by another interpreter, and that PyTorch's version."""
    program = Path(__file__).with_name("torch_lenet.py")
    numbers = (str(PICTURES), str(SETTINGS.batch), str(SETTINGS.learning_rate))
    process = subprocess.Popen([python, str(program), *numbers], stdin=-1, stdout=-1, text=True, bufsize=1)
    assert process.stdin is not None and process.stdout is not None
    pipe, answers = process.stdin, process.stdout

    def epoch() -> object:
        pipe.write("epoch\n")
        return float(answers.readline())

    try:
        ready, _, version = answers.readline().strip().partition(" ")
        assert ready == "ready", f"{python} has no PyTorch, or it does not work"
        yield epoch, version
    finally:
        pipe.close()
        process.wait(60)
        answers.close()


@pytest.mark.benchmark
def test_an_epoch_takes_less_than_keras_bare_fit():
    import tensorflow as tf

    from core.training.loop import BatchLoop

    images, labels = pictures()
    ours = compiled_model()
    loop = BatchLoop(ours, images, labels, SETTINGS, tf.distribute.get_strategy())
    bare, floats = compiled_model(), images.astype(np.float32)
    epochs: dict[str, Callable[[], object]] = {
        "ours": lambda: sum(len(costs) for costs, _ in loop.epoch(0)),
        "fit": lambda: bare.fit(floats, labels, batch_size=SETTINGS.batch, epochs=1, verbose=0),
    }
    version = ""
    with contextlib.ExitStack() as stack:
        if TORCH_PYTHON:
            epochs["torch"], version = stack.enter_context(torch_epoch(TORCH_PYTHON))
        best = best_in_turns_s(epochs)
    print(
        f"\nLeNet-5, {PICTURES:,} pictures, batches of {SETTINGS.batch}: {best['ours']:.2f} s an epoch, "
        f"{best['ours'] / best['fit']:.2f} of Keras' bare fit ({best['fit']:.2f} s)"
    )
    if version:
        print(f"{best['ours'] / best['torch']:.2f} of a hand-written loop in PyTorch {version} ({best['torch']:.2f} s)")
    else:
        print("CNN_WORKBENCH_TORCH_PYTHON is not set: PyTorch's loop was not measured.")
    assert best["ours"] <= 0.85 * best["fit"]
