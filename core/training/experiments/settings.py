"""What each experiment is asked for and what it gives, without Keras: what pages and workers hand each other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.training.experiments.measurements import ENSEMBLE as ENSEMBLE
from core.training.experiments.measurements import MEMBER as MEMBER
from core.training.experiments.measurements import Measurement
from core.training.runs import NETWORKS

MOST_SEEDS = 10

# Methods as they are named in measurements.
SCRATCH, FROZEN, TUNED = "scratch", "frozen", "fine_tuned"
PLAIN, AUGMENTED = "plain", "augmented"
PLAIN_TRAINING, AUGMENTED_TRAINING = "plain_training", "augmented_training"
HOG_SVM, PIXEL_SVM, CNN = "hog_svm", "pixel_svm", "cnn"
CROPS = "crops"


class ExperimentError(ValueError):
    """An experiment that cannot be made; the message says why."""


def _check(*rules: tuple[bool, str]) -> None:
    for holds, sentence in rules:
        if not holds:
            raise ExperimentError(sentence)


def _check_common(network: str, seeds: int, steps: int) -> None:
    _check(
        (network in NETWORKS, f"The network must be one of {', '.join(NETWORKS)}; received {network!r}."),
        (1 <= seeds <= MOST_SEEDS, f"The seeds must be 1 to {MOST_SEEDS}; received {seeds}."),
        (1 <= steps <= 20_000, f"The steps must be 1 to 20,000; received {steps}."),
    )


@dataclass(frozen=True)
class TransferSettings:
    """Transfer learning against training from scratch; errors as `ExperimentError` if a value is out of range.

    `per_class` are the numbers of training pictures a class, `steps` the batches of a training from scratch, and
    `tuning_steps` those of a fine-tuning.
    """

    data: str = "photographs"
    backbone: str = "auto"
    per_class: tuple[int, ...] = (2, 5, 10, 40)
    network: str = "small_vgg"
    steps: int = 200
    tuning_steps: int = 60
    batch: int = 16
    learning_rate: float = 0.001
    tuning_rate: float = 0.0002
    seeds: int = 3

    def __post_init__(self) -> None:
        """Hold that every value is in its range."""
        _check_common(self.network, self.seeds, self.steps)
        _check(
            (bool(self.per_class) and min(self.per_class) >= 1, "There must be at least one picture a class."),
            (1 <= self.tuning_steps <= 20_000, "The steps of fine-tuning must be 1 to 20,000."),
        )


@dataclass(frozen=True)
class AugmentationSettings:
    """The same network with and without augmentation; the last five say how pictures are changed."""

    data: str = "shapes"
    per_class: int = 20
    network: str = "small_vgg"
    steps: int = 400
    batch: int = 32
    learning_rate: float = 0.001
    looks: int = 8
    seeds: int = 3
    shift_px: int = 4
    flip: bool = True
    rotate_deg: float = 30.0
    zoom: float = 0.15
    colour: float = 0.2

    def __post_init__(self) -> None:
        """Hold that every value is in its range."""
        _check_common(self.network, self.seeds, self.steps)
        _check(
            (self.per_class >= 1, "There must be at least one picture a class."),
            (1 <= self.looks <= 50, "The accuracy is looked at 1 to 50 times."),
            (0 <= self.shift_px <= 16 and 0 <= self.rotate_deg <= 180, "Shift up to 16 px, turn up to 180 degrees."),
            (0 <= self.zoom <= 0.5 and 0 <= self.colour <= 1, "Zoom up to 0.5, colour up to 1."),
        )


@dataclass(frozen=True)
class HogSettings:
    """HOG features and a linear SVM against a network, over shares of the labels.

    `orientations`, `cell_px` and `block_cells` are those of `skimage.feature.hog`, `svm_c` the weight of mistakes in
    the SVM's cost.
    """

    data: str = "shapes"
    shares: tuple[float, ...] = (0.1, 0.2, 0.4, 0.7, 1.0)
    orientations: int = 9
    cell_px: int = 8
    block_cells: int = 2
    svm_c: float = 1.0
    network: str = "lenet5"
    steps: int = 600
    batch: int = 32
    learning_rate: float = 0.002
    seeds: int = 3

    def __post_init__(self) -> None:
        """Hold that every value is in its range."""
        _check_common(self.network, self.seeds, self.steps)
        _check(
            (bool(self.shares) and 0 < min(self.shares) <= max(self.shares) <= 1, "Shares lie over 0 and up to 1."),
            (2 <= self.orientations <= 36, "HOG takes 2 to 36 orientations."),
            (4 <= self.cell_px <= 32 and 1 <= self.block_cells <= 4, "Cells have 4 to 32 px, blocks 1 to 4 cells."),
            (0 < self.svm_c <= 1e4, "The SVM's C must be over 0 and at most 10,000."),
        )


@dataclass(frozen=True)
class EnsembleSettings:
    """`members` networks that differ in their seed alone, `seeds` times over with other training pictures."""

    data: str = "digits"
    per_class: int = 10
    members: int = 5
    network: str = "lenet5"
    steps: int = 200
    batch: int = 32
    learning_rate: float = 0.002
    seeds: int = 3

    def __post_init__(self) -> None:
        """Hold that every value is in its range."""
        _check_common(self.network, self.seeds, self.steps)
        _check(
            (2 <= self.members <= 15, f"An ensemble has 2 to 15 members; received {self.members}."),
            (self.per_class >= 1, "There must be at least one picture a class."),
        )


@dataclass(frozen=True)
class MultiCropSettings:
    """A network trained on random crops, tested on one crop and on the mean over several."""

    data: str = "photographs"
    crop_share: float = 0.7
    per_class: int = 70
    network: str = "small_vgg"
    steps: int = 400
    batch: int = 32
    learning_rate: float = 0.001
    seeds: int = 3

    def __post_init__(self) -> None:
        """Hold that every value is in its range."""
        _check_common(self.network, self.seeds, self.steps)
        _check(
            (0.3 <= self.crop_share < 1, "A crop has 0.3 of the picture's side or more, and less than all of it."),
            (self.per_class >= 1, "There must be at least one picture a class."),
        )


Settings = TransferSettings | AugmentationSettings | HogSettings | EnsembleSettings | MultiCropSettings


@dataclass(frozen=True)
class ExperimentResult:
    """What every experiment gives: its measurements, the sizes of the data, and the time it took.

    `answered_by` says which network or features answered, `classes` counts the classes, `training` and `test` the
    pictures there are.
    """

    settings: Settings
    measurements: tuple[Measurement, ...]
    answered_by: str
    classes: int
    training: int
    test: int
    seconds: float


@dataclass(frozen=True)
class TransferResult(ExperimentResult):
    """Also: how many features the softmax layer reads, and the weights that each method trains."""

    features: int = 0
    trained_weights: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class EnsembleExample:
    """A test picture that the members do not agree on: `probabilities` (members, classes) and the true class."""

    image: NDArray[np.uint8]
    label: int
    class_names: tuple[str, ...]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True)
class EnsembleResult(ExperimentResult):
    """Also: the share of test pictures on which two members disagree (mean over pairs), times, and an example.

    `member_ms` is the time of one network for all test pictures.
    """

    disagreement: float = 0.0
    member_ms: float = 0.0
    example: EnsembleExample | None = None


@dataclass(frozen=True)
class CropExample:
    """A test picture with the network's probabilities (10, classes) for each of its ten crops."""

    image: NDArray[np.uint8]
    label: int
    class_names: tuple[str, ...]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True)
class MultiCropResult(ExperimentResult):
    """Also: the side of a crop, the time of one crop and of ten for all test pictures, and an example."""

    crop_px: int = 0
    one_ms: float = 0.0
    ten_ms: float = 0.0
    example: CropExample | None = None


@dataclass(frozen=True)
class PictureSample:
    """A few pictures with their class names, and how many there are: what a view opens with."""

    images: NDArray[np.uint8]
    names: tuple[str, ...]
    classes: int
    training: int
    test: int
    fewest: int
    varied: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))


@dataclass(frozen=True)
class TransferLook:
    """A first look at transfer: one softmax layer on frozen features and on grey pixels, with the same few pictures.

    `frozen` and `pixels` are accuracies, `features` and `pixel_count` the numbers that the layer reads.
    """

    sample: PictureSample
    per_class: int
    test: int
    frozen: float
    pixels: float
    features: int
    pixel_count: int
    answered_by: str


@dataclass(frozen=True)
class HogLook:
    """A first look at HOG: an SVM on it and on grey pixels, on a tenth of the labels; pictures and their stars.

    `images` (n, H, W, C) and `drawn` (n, H, W) are uint8, `hog` and `pixels` accuracies.
    """

    images: NDArray[np.uint8]
    drawn: NDArray[np.uint8]
    labels: int
    test: int
    hog: float
    pixels: float
    features: int
    pixel_count: int
    side_px: int


@dataclass(frozen=True)
class EnsembleLook:
    """A first look at ensembles: three small networks, trained for a moment, and a picture that they dispute."""

    members: tuple[float, ...]
    ensemble: float
    per_class: int
    steps: int
    test: int
    example: EnsembleExample
