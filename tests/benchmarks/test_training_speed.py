"""Seconds per epoch of the lab's trainer against Keras' bare `fit` and a hand-written PyTorch loop, as ratios.

The same network (LeNet-5), pictures, batch and optimiser, in one run and in turns. PyTorch is no part of the project:
where the environment of the benchmark has it, its loop is measured too, and otherwise the output says so.
"""

import importlib.util
import os
import time
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from core.training.runs import TrainingSettings

PICTURES = 12_800
ROUNDS = 6
SETTINGS = TrainingSettings(shift_px=0, schedule="constant")


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


def torch_epoch(images: np.ndarray, labels: np.ndarray) -> Callable[[], object] | None:
    """An epoch of the same network in PyTorch, with its data in memory as ours; None where there is no PyTorch."""
    if importlib.util.find_spec("torch") is None:
        return None
    torch = importlib.import_module("torch")
    nn = torch.nn
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    optimizer, cost = torch.optim.Adam(model.parameters(), SETTINGS.learning_rate), nn.CrossEntropyLoss()
    x, y = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels)

    def epoch() -> None:
        order = torch.randperm(len(x))
        for start in range(0, len(x), SETTINGS.batch):
            batch = order[start : start + SETTINGS.batch]
            optimizer.zero_grad()
            cost(model(x[batch].float() / 127.5 - 1), y[batch]).backward()
            optimizer.step()

    return epoch


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
    in_torch = torch_epoch(images, labels)
    if in_torch is not None:
        epochs["torch"] = in_torch
    best = best_in_turns_s(epochs)
    print(
        f"\nLeNet-5, {PICTURES:,} pictures, batches of {SETTINGS.batch}: {best['ours']:.2f} s an epoch, "
        f"{best['ours'] / best['fit']:.2f} of Keras' bare fit ({best['fit']:.2f} s)"
    )
    if in_torch is None:
        print("No PyTorch in this environment: its loop was not measured.")
    else:
        print(f"{best['ours'] / best['torch']:.2f} of a hand-written PyTorch loop ({best['torch']:.2f} s)")
    assert best["ours"] <= 0.85 * best["fit"]
