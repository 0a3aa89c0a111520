"""Learn the filter: one convolution layer finds W11 … Wff from pairs of a photograph and its edge map.

Section 1.2 of the notes: instead of writing Sobel's or Scharr's numbers down, treat them as parameters and
let gradient descent find them. The layer is a `keras.layers.Conv2D` with one filter. Its pairs are random
crops of one photograph and of the edge map that the target filter draws of it; its loss is the mean squared
difference of the two edge maps.

By default the photograph is decorrelated first (see core.convolution.decorrelation): filters commute, so the
pair is still explained by the target exactly, but plain gradient descent now reaches all of it equally fast.
On a photograph that was only standardised, plain descent at nearly the largest stable rate still finds Sobel
(2,800 steps on skimage's astronaut), but a 9x9 filter is wrong by half after 8,000 steps although the edges
that it draws look right; momentum 0.99 finds that one in 2,500 steps and Adam in 6,000.

Kernels (f, f), biases and errors are in the units of the target; a loss of 1 is what an edge map of zeros
costs; batches are NHWC float32. TensorFlow is not imported before `learn` runs, so that a page can read the
results.
"""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from core.convolution.decorrelation import Conditioning, Preparation, patch_conditioning, prepare
from core.convolution.operation import convolve
from core.runtime.one_device import on_one_device
from core.runtime.report import Report

if TYPE_CHECKING:
    import keras

Optimiser = Literal["sgd", "momentum", "adam"]
Schedule = Literal["constant", "cosine"]
FloatArray = NDArray[np.float32]

MAX_KERNEL_PX = 15
MAX_STEPS = 200_000
MAX_SNAPSHOTS = 200
# Small on purpose: a 3x3 filter takes some seconds, so that the eye can follow its weights.
DEFAULT_LEARNING_RATES: Mapping[Optimiser, float] = {"sgd": 1e-3, "momentum": 1e-4, "adam": 1e-3}

_STEPS_PER_CALL = 8  # in one call of the compiled graph: 5 to 20 ms, short beside the time between reports
_REPORT_EVERY_S = 0.1
_DIVERGED_LOSS = 1e6


class FilterLearningError(ValueError):
    """A filter cannot be learned from what was given."""


@dataclass(frozen=True)
class LearningSettings:
    """How the filter is learned.

    Attributes:
        optimiser: plain SGD, SGD with momentum (heavy ball, Polyak 1964) or Adam (Kingma and Ba 2015).
        learning_rate: above 0; None takes the optimiser's entry of DEFAULT_LEARNING_RATES.
        momentum: 0 to below 1; counts for the optimiser "momentum" only.
        schedule: a constant learning rate, or one that falls to 0 along a cosine.
        preparation: what is done to the photograph first.
        steps: gradient steps at most.
        batch_size: crops a step.
        crop_px: width of a crop's edge map.
        use_bias: whether the layer has a bias, whose target is 0.
        seed: of the random start and the crops.
        tolerance: the filter is found when no weight is off by more than this part of the largest target
            weight. Training goes on to a tenth of it.

    Raises:
        FilterLearningError: a value outside its range.
    """

    optimiser: Optimiser = "sgd"
    learning_rate: float | None = None
    momentum: float = 0.9
    schedule: Schedule = "constant"
    preparation: Preparation = "decorrelated"
    steps: int = 8_000
    batch_size: int = 16
    crop_px: int = 32
    use_bias: bool = True
    seed: int = 0
    tolerance: float = 0.01

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        _check_choice("optimiser", self.optimiser, get_args(Optimiser))
        _check_choice("schedule", self.schedule, get_args(Schedule))
        _check_choice("preparation", self.preparation, get_args(Preparation))
        _check("learning rate", self.rate, "above 0", 0 < self.rate < math.inf)
        _check("momentum", self.momentum, "at least 0 and below 1", 0 <= self.momentum < 1)
        _check("number of steps", self.steps, f"from 1 to {MAX_STEPS}", 1 <= self.steps <= MAX_STEPS)
        _check("batch size", self.batch_size, "from 1 to 256", 1 <= self.batch_size <= 256)
        _check("crop width", self.crop_px, "from 1 to 128", 1 <= self.crop_px <= 128)
        _check("seed", self.seed, "from 0 to 2^31 - 1", 0 <= self.seed < 2**31)
        _check("tolerance", self.tolerance, "between 0 and 1", 0 < self.tolerance < 1)

    @property
    def rate(self) -> float:
        """The learning rate that is used."""
        return DEFAULT_LEARNING_RATES[self.optimiser] if self.learning_rate is None else self.learning_rate


@dataclass(frozen=True)
class TrainingPair:
    """A prepared photograph and the edge map that the target filter draws of it.

    Attributes:
        image: float32 (H, W).
        edge_map: float32 (H - f + 1, W - f + 1), divided by edge_scale so that its mean square is 1.
        edge_scale: a filter that explains the pair, times this, is the target.
        conditioning: of the image, for filters of the target's size.
    """

    image: FloatArray
    edge_map: FloatArray
    edge_scale: float
    conditioning: Conditioning


@dataclass(frozen=True)
class FilterLearningResult:
    """What was learned, and the way there.

    Attributes:
        kernel: float32 (f, f), in the units of the target.
        target: float32 (f, f).
        bias: in the units of the edge map; 0 without a bias.
        steps: (N,) steps taken at each point of the history; the first point is the random start.
        losses: (N,) mean loss of the steps since the point before.
        errors: (N,) max |w - w_target| / max |w_target|.
        snapshot_steps: (T,) with T at most 200.
        snapshots: float32 (T, f, f), the kernel at these steps, from the random start to the last.
        conditioning: of the prepared photograph.
        settings: as they were used.
        seconds: from the building of the layer to the last step.
        found_at_step: first step within the tolerance, or None.
        diverged: the loss grew without bound and training was given up; the kernel is the last finite one.
    """

    kernel: FloatArray
    target: FloatArray
    bias: float
    steps: NDArray[np.int64]
    losses: NDArray[np.float64]
    errors: NDArray[np.float64]
    snapshot_steps: NDArray[np.int64]
    snapshots: FloatArray
    conditioning: Conditioning
    settings: LearningSettings
    seconds: float
    found_at_step: int | None
    diverged: bool

    @property
    def error(self) -> float:
        """The last of the errors."""
        return float(self.errors[-1])

    @property
    def found(self) -> bool:
        """Whether the learned filter lies within the tolerance."""
        return self.error <= self.settings.tolerance


def make_pair(image: NDArray[Any], target: NDArray[Any], settings: LearningSettings) -> TrainingPair:
    """Prepare a photograph (H, W) or (H, W, 3) and draw its edge map with the target, without padding.

    Raises:
        FilterLearningError: the target is no filter, or answers nothing on this image.
        UnusableImage: the array is no image, or all its pixels are equal.
    """
    kernel = _checked_target(target)
    picture = prepare(image, settings.preparation)
    edge_map = convolve(picture, kernel)  # (H, W) -> (H - f + 1, W - f + 1)
    edge_scale = float(np.sqrt(np.mean(np.square(edge_map, dtype=np.float64))))
    if edge_scale <= 1e-6 * float(np.abs(kernel).max()):
        raise FilterLearningError("The filter answers zero all over this image: it has nothing to learn from.")
    conditioning = patch_conditioning(picture, kernel.shape[0], settings.use_bias)
    return TrainingPair(picture, edge_map / np.float32(edge_scale), edge_scale, conditioning)


def random_crops(pair: TrainingPair, settings: LearningSettings) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield images (k, B, c + f - 1, c + f - 1, 1) and edge maps (k, B, c, c, 1): k batches for k steps.

    All k add up to the steps of the settings.
    """
    generator = np.random.default_rng(settings.seed)
    margin = pair.image.shape[0] - pair.edge_map.shape[0]  # f - 1
    crop = min(settings.crop_px, *pair.edge_map.shape)
    images = np.lib.stride_tricks.sliding_window_view(pair.image, (crop + margin, crop + margin))
    edge_maps = np.lib.stride_tricks.sliding_window_view(pair.edge_map, (crop, crop))
    for taken in range(0, settings.steps, _STEPS_PER_CALL):
        size = (min(_STEPS_PER_CALL, settings.steps - taken), settings.batch_size)
        rows, columns = (generator.integers(0, places, size) for places in edge_maps.shape[:2])
        yield images[rows, columns][..., None], edge_maps[rows, columns][..., None]


def build_layer(f: int, settings: LearningSettings) -> "keras.layers.Conv2D":
    """Build the layer with its random start: kernel (f, f, 1, 1) Glorot uniform, bias (1,) zero."""
    import keras

    layer = keras.layers.Conv2D(
        filters=1,
        kernel_size=f,
        use_bias=settings.use_bias,
        kernel_initializer=keras.initializers.GlorotUniform(seed=settings.seed),
        dtype="float32",
        name="learned_filter",
    )
    layer.build((None, None, None, 1))
    return layer


def build_optimiser(settings: LearningSettings) -> "keras.optimizers.Optimizer":
    """Build the Keras optimiser that the settings name."""
    import keras

    rate: Any = settings.rate
    if settings.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(settings.rate, decay_steps=settings.steps)
    if settings.optimiser == "adam":
        return on_one_device(keras.optimizers.Adam(rate))
    momentum = settings.momentum if settings.optimiser == "momentum" else 0.0
    return on_one_device(keras.optimizers.SGD(rate, momentum=momentum))


def loss_and_gradients(layer: Any, images: Any, edge_maps: Any) -> tuple[Any, list[Any]]:
    """Return the mean squared error of the layer's edge maps and its gradients, in the order of its weights.

    Args:
        layer: as build_layer makes it.
        images: tensor (B, c + f - 1, c + f - 1, 1).
        edge_maps: tensor (B, c, c, 1).
    """
    import tensorflow as tf
    from keras import ops

    with tf.GradientTape() as tape:
        loss = ops.mean(ops.square(layer(images) - edge_maps))
    return loss, tape.gradient(loss, layer.trainable_variables)


def learn(
    image: NDArray[Any], target: NDArray[Any], settings: LearningSettings, report: Report | None = None
) -> FilterLearningResult:
    """Train one convolution layer on crops of a photograph and its edge map until it finds the target filter.

    Args:
        image: (H, W) or (H, W, 3).
        target: (f, f), f from 1 to 15, odd or even.
        settings: how; together with image and target they determine the result.
        report: is told about ten times a second the fraction done, a sentence, the metrics step, loss,
            error_to_target and bias, and, as preview, the kernel float32 (f, f). What it raises ends the
            training.

    Raises:
        FilterLearningError: the target is no filter, or answers nothing on this image.
        UnusableImage: the array is no image, or all its pixels are equal.
        FilterTooLarge: the filter is larger than the image.
    """
    tell = report or Report()
    tell(0.0, "Preparing the photograph and its edge map")
    pair = make_pair(image, target, settings)
    tell(0.0, "Building the layer")
    import tensorflow as tf

    start_s = time.perf_counter()
    kernel = _checked_target(target)
    layer = build_layer(kernel.shape[0], settings)
    optimiser = build_optimiser(settings)
    optimiser.build(layer.trainable_variables)
    batches = tf.TensorSpec((None, None, None, None, 1), tf.float32)

    @tf.function(input_signature=[batches, batches])  # type: ignore[untyped-decorator]
    def descend(images: Any, edge_maps: Any) -> Any:
        count = tf.shape(images)[0]
        losses = tf.TensorArray(tf.float32, count)
        for k in tf.range(count):
            loss, gradients = loss_and_gradients(layer, images[k], edge_maps[k])
            optimiser.apply(gradients, layer.trainable_variables)
            losses = losses.write(k, loss)
        return losses.stack()  # (k,)

    history = _History(kernel, pair.edge_scale)
    told_s = -math.inf
    diverged = False
    for images, edge_maps in random_crops(pair, settings):
        if not history.steps:
            loss, _ = loss_and_gradients(layer, tf.constant(images[0]), tf.constant(edge_maps[0]))
            history.add(0, float(loss), layer)
        losses = descend(tf.constant(images), tf.constant(edge_maps)).numpy()
        diverged = not history.add(len(losses), float(losses.mean(dtype=np.float64)), layer)
        ends = diverged or history.errors[-1] <= settings.tolerance / 10
        if ends or time.perf_counter() - told_s >= _REPORT_EVERY_S:
            told_s = time.perf_counter()
            tell(history.fraction(settings), history.sentence(), history.metrics(), history.kernels[-1])
        if ends:
            break
    return history.result(pair.conditioning, settings, time.perf_counter() - start_s, diverged)


class _History:
    """The points of one training, in the units of the target."""

    def __init__(self, target: FloatArray, edge_scale: float) -> None:
        self.target = target
        self.edge_scale = edge_scale
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.errors: list[float] = []
        self.kernels: list[FloatArray] = []
        self.biases: list[float] = []

    def add(self, steps: int, loss: float, layer: "keras.layers.Conv2D") -> bool:
        """Add the layer's weights after so many more steps, and answer whether training may go on."""
        kernel, *bias = layer.get_weights()
        if not (math.isfinite(loss) and np.isfinite(kernel).all()):
            return False
        weights = kernel[:, :, 0, 0] * np.float32(self.edge_scale)  # (f, f, 1, 1) -> (f, f)
        self.steps.append(steps + (self.steps[-1] if self.steps else 0))
        self.losses.append(loss)
        self.errors.append(float(np.abs(weights - self.target).max() / np.abs(self.target).max()))
        self.kernels.append(weights)
        self.biases.append(float(bias[0][0]) * self.edge_scale if bias else 0.0)
        return loss < _DIVERGED_LOSS

    def fraction(self, settings: LearningSettings) -> float:
        """Return how much of the way is behind, by steps or by error, whichever is further.

        The error shrinks by a constant factor a step, so its logarithm goes down a straight line.
        """
        goal = settings.tolerance / 10
        smallest = max(min(self.errors), goal)
        by_error = math.log(self.errors[0] / smallest) / math.log(self.errors[0] / goal)
        return max(self.steps[-1] / settings.steps, by_error)

    def metrics(self) -> dict[str, float]:
        """Return the last point, to be plotted while training runs."""
        return {
            "step": self.steps[-1],
            "loss": self.losses[-1],
            "error_to_target": self.errors[-1],
            "bias": self.biases[-1],
        }

    def sentence(self) -> str:
        """Say where training stands."""
        return f"Step {self.steps[-1]:,}: no weight is off by more than {self.errors[-1]:.2%} of the largest"

    def result(
        self, conditioning: Conditioning, settings: LearningSettings, seconds: float, diverged: bool
    ) -> FilterLearningResult:
        """Return the history, with at most 200 evenly spaced kernels."""
        steps, errors = np.array(self.steps, np.int64), np.array(self.errors)
        within = np.flatnonzero(errors <= settings.tolerance)
        kept = np.unique(np.linspace(0, len(steps) - 1, MAX_SNAPSHOTS).round().astype(np.int64))
        return FilterLearningResult(
            kernel=self.kernels[-1],
            target=self.target,
            bias=self.biases[-1],
            steps=steps,
            losses=np.array(self.losses),
            errors=errors,
            snapshot_steps=steps[kept],
            snapshots=np.stack([self.kernels[i] for i in kept]),  # T times (f, f) -> (T, f, f)
            conditioning=conditioning,
            settings=settings,
            seconds=seconds,
            found_at_step=int(steps[within[0]]) if len(within) else None,
            diverged=diverged,
        )


def _checked_target(target: NDArray[Any]) -> FloatArray:
    kernel = np.asarray(target, dtype=np.float32)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or not 1 <= kernel.shape[0] <= MAX_KERNEL_PX:
        raise FilterLearningError(
            f"The filter to learn must be square, at most {MAX_KERNEL_PX} x {MAX_KERNEL_PX}, received {kernel.shape}."
        )
    if not np.isfinite(kernel).all():
        raise FilterLearningError("The filter to learn must hold finite numbers only.")
    if not kernel.any():
        raise FilterLearningError("The filter to learn is zero everywhere, so its edge map is empty.")
    return kernel


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    _check(name, repr(value), "one of " + ", ".join(choices), value in choices)


def _check(name: str, value: float | str, expected: str, holds: bool) -> None:
    if not holds:
        raise FilterLearningError(f"The {name} must be {expected}, received {value}.")
