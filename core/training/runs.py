"""What a training is asked for and what it gives, without Keras: what pages and workers hand each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.training.evaluation import ClassifierEvaluation

STACK = "stack"  # a network that the user stacked, described in `TrainingSettings.stack`
NETWORKS: tuple[str, ...] = ("lenet5", "small_vgg", "resnet20")
OPTIMIZERS = ("sgd", "momentum", "adam")
SCHEDULES = ("constant", "cosine", "step")


class TrainingError(ValueError):
    """A training that cannot start or go on; the message says why."""


@dataclass(frozen=True)
class TrainingSettings:
    """What is trained and how; the settings that stand here suit LeNet-5 on MNIST.

    With 28 epochs instead of 12 a run may come a little further, and takes more than twice as long.
    `learning_rate` is the first one. The augmentation draws anew for each picture each time it is seen: moved by up
    to `shift_px` pixels each way, mirrored (`flip`), turned by up to `rotate_deg` degrees, enlarged or shrunk by up
    to the share `zoom`, its brightness, contrast and saturation changed by up to the share `colour`.
    `stack` is the JSON of `core.convolution.stack.to_json` where `network` is "stack".

    Raises:
        TrainingError: If a value is out of range.
    """

    network: str = "lenet5"
    optimizer: str = "adam"
    learning_rate: float = 0.003
    schedule: str = "cosine"
    batch: int = 128
    epochs: int = 12
    shift_px: int = 2
    seed: int = 0
    flip: bool = False
    rotate_deg: float = 0.0
    zoom: float = 0.0
    colour: float = 0.0
    stack: str = ""

    def __post_init__(self) -> None:
        """Hold that every value is in its range."""
        known = (
            ("network", self.network, (*NETWORKS, STACK)),
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
        if not 0 <= self.rotate_deg <= 180 or not 0 <= self.zoom <= 0.5 or not 0 <= self.colour <= 1:
            raise TrainingError("The rotation must be 0 to 180 degrees, the zoom 0 to 0.5 and the colour 0 to 1.")
        if (self.network == STACK) != bool(self.stack):
            raise TrainingError('A description of layers belongs to the network "stack", and to no other.')

    @property
    def augments(self) -> bool:
        """Whether training pictures are changed at all."""
        return bool(self.shift_px or self.flip or self.rotate_deg or self.zoom or self.colour)


@dataclass(frozen=True)
class TrainingRun:
    """A finished run.

    `history` holds a row for each epoch (loss, accuracy, val_loss, val_accuracy, learning_rate, seconds);
    `filters` (epochs + 1, f, f, C, n) are the first convolution's weights before and after each epoch (no filters
    where a network has no convolution); `batch_losses` (epochs x batches,) are the costs of the batches in their
    order; `probabilities` (test pictures, classes) belong to `evaluation`.
    """

    settings: TrainingSettings
    history: tuple[Mapping[str, float], ...]
    filters: NDArray[np.float32]
    batch_losses: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    evaluation: ClassifierEvaluation
    parameters: int
    seconds: float


@dataclass(frozen=True)
class Mistakes:
    """Test pictures that were answered wrongly, the surest first.

    `images` (n, H, W, C) uint8, true and given class, the probability of the given class, and `all_probabilities`
    (n, classes).
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    all_probabilities: NDArray[np.float32]


@dataclass(frozen=True)
class TrainedClassifier:
    """A finished run as a page shows it.

    `id` names it in the store of runs, `source` opens its pictures again, `sizes` counts the training, validation and
    test pictures, `model` is the network as a `.keras` file, `script` a program that trains it again with Keras alone.
    """

    id: str
    data: str
    source: str
    class_names: tuple[str, ...]
    sizes: tuple[int, int, int]
    run: TrainingRun
    mistakes: Mistakes
    model: bytes
    script: str
