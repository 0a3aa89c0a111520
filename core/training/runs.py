"""What a training is asked for and what it gives, without Keras: what pages and workers hand each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.training.evaluation import ClassifierEvaluation

NETWORKS: tuple[str, ...] = ("lenet5", "small_vgg", "resnet20")
OPTIMIZERS = ("sgd", "momentum", "adam")
SCHEDULES = ("constant", "cosine")


class TrainingError(ValueError):
    """A training that cannot start or go on; the message says why."""


@dataclass(frozen=True)
class TrainingSettings:
    """What is trained and how.

    `learning_rate` is the first one; `shift_px` moves each training picture at random by up to so many pixels.

    Raises:
        TrainingError: If a value is out of range.
    """

    network: str = "lenet5"
    optimizer: str = "adam"
    learning_rate: float = 0.002
    schedule: str = "cosine"
    batch: int = 64
    epochs: int = 10
    shift_px: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Hold that every value is in its range."""
        known = (
            ("network", self.network, NETWORKS),
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("schedule", self.schedule, SCHEDULES),
        )
        for name, value, values in known:
            if value not in values:
                raise TrainingError(f"{name} must be one of {', '.join(values)}; received {value!r}.")
        if not 0 < self.learning_rate <= 1e4:
            raise TrainingError(f"The learning rate must be over 0 and at most 10,000; received {self.learning_rate}.")
        if not 1 <= self.batch <= 4096 or not 1 <= self.epochs <= 1000 or not 0 <= self.shift_px <= 16:
            raise TrainingError("Batch must be 1 to 4096, epochs 1 to 1000, and the shift 0 to 16 pixels.")


@dataclass(frozen=True)
class TrainingRun:
    """A finished run.

    `history` holds a row for each epoch (loss, accuracy, val_loss, val_accuracy, learning_rate, seconds);
    `filters` (epochs + 1, f, f, C, n) are the first convolution's weights before and after each epoch that this
    run did itself; `probabilities` (test pictures, classes) belong to `evaluation`.
    """

    settings: TrainingSettings
    history: tuple[Mapping[str, float], ...]
    filters: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    evaluation: ClassifierEvaluation
    parameters: int
    seconds: float


@dataclass(frozen=True)
class Mistakes:
    """Test pictures that were answered wrongly, the surest first: `images` (n, H, W, C) uint8, true and given class."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True)
class TrainedClassifier:
    """A finished run as a page shows it.

    `sizes` counts the training, validation and test pictures, `model` is the network as a `.keras` file, `script` a
    program that trains it again from the pictures in a file like `mnist.npz`.
    """

    data: str
    class_names: tuple[str, ...]
    sizes: tuple[int, int, int]
    run: TrainingRun
    mistakes: Mistakes
    model: bytes
    script: str
