"""How gradients reach the layers of a plain and of a residual network while both train on the same batches.

Sources: He et al., 2015, "Deep residual learning for image recognition", sections 1, 3.1 and 4.2; Glorot and Bengio,
2010, "Understanding the difficulty of training deep feedforward neural networks", section 4.2, on gradients that fade
backwards. The networks are those of section 4.2 (depth 6n + 2), narrow enough for a processor, on the handwritten
digits that scikit-learn carries. By default they have no batch normalisation and start with Glorot and Bengio's
weights: the gradient of the plain one fades on its way back (at depth 56 by a factor of 1e10). Batch normalisation,
with which the paper trains and which keeps its gradients from fading (section 4.1), can be switched on: at the start
the gradient of the plain network then grows on its way back instead, and still only the residual one trains well.

For each of the depth's layers with weights two norms are taken: that of the gradient of the loss to the kernel, and
that of the gradient to the layer's output after its ReLU (to the logits for the last), which is the signal that
arrives there. Light: Keras and TensorFlow are imported where training starts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from core.runtime.one_device import on_one_device
from core.runtime.report import Report

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Value = TypeVar("Value")

NETWORKS = ("plain", "residual")
DEPTHS = tuple(range(8, 111, 6))
INITIALIZERS = ("glorot_uniform", "he_normal")
VALIDATION_SHARE = 0.2
SNAPSHOTS = 60
HEARTBEAT_S = 0.15
VALIDATION_BATCH = 64


@dataclass(frozen=True)
class GradientFlowSettings:
    """What is trained and how; the same for both networks.

    `steps=0` gives the gradients at the start alone. The gradient is clipped to a norm of `clip_norm` over all weights
    (0: not at all), which a residual network without normalisation needs in its first steps; with a learning rate of
    0.02 one of three seeds still lost all its ReLUs there, with 0.01 none of six. Training ends after `time_limit_s`
    seconds at the latest.
    """

    depth: int = 56
    steps: int = 600
    batch_size: int = 32
    learning_rate: float = 0.01
    momentum: float = 0.9
    clip_norm: float = 1.0
    batch_norm: bool = False
    initializer: str = "glorot_uniform"
    shortcuts: str = "A"
    widths: tuple[int, int, int] = (8, 16, 32)
    size_px: int = 16
    seed: int = 0
    time_limit_s: float = 600.0


@dataclass(frozen=True)
class GradientFlow:
    """How both networks trained; the first axis of each array is plain (0) and residual (1).

    `kernel_norms` and `signal_norms` are float32 (2, snapshots, depth), taken at `snapshot_steps` (the first is the
    start) for the layers `layers`. `losses` and `accuracies` are float32 (2, steps) of the training batches,
    `validation_accuracies` (2, validations) those of all validation digits after `validation_steps` steps. `ended` is
    "steps" or "time".
    """

    settings: GradientFlowSettings
    layers: tuple[str, ...]
    parameters: tuple[int, int]
    snapshot_steps: Integers
    kernel_norms: Floats
    signal_norms: Floats
    losses: Floats
    accuracies: Floats
    validation_steps: Integers
    validation_accuracies: Floats
    seconds: float
    ended: str

    @property
    def fading(self) -> tuple[float, float]:
        """Of each network at the start, the signal at the first layer over that at the last hidden one."""
        start = self.signal_norms[:, 0].astype(np.float64)
        return float(start[0, 0] / start[0, -2]), float(start[1, 0] / start[1, -2])


@dataclass(frozen=True)
class Digits:
    """Handwritten digits: images (N, size, size, 1) float32 in [-1, 1] and labels (N,) 0 to 9, in two parts."""

    train_images: Floats
    train_labels: Integers
    validation_images: Floats
    validation_labels: Integers


@dataclass
class _Network:
    """One of the two: what runs a training step and what classifies."""

    step: Callable[[Floats, Integers], tuple[Any, Any, Any, Any]]
    classify: Callable[[Floats], Any]
    layers: tuple[str, ...]
    parameters: int


@dataclass
class _Records:
    """What was measured of both networks so far."""

    snapshot_steps: list[int] = field(default_factory=list)
    kernel_norms: list[Floats] = field(default_factory=list)  # each (2, depth)
    signal_norms: list[Floats] = field(default_factory=list)  # each (2, depth)
    losses: list[tuple[float, float]] = field(default_factory=list)
    accuracies: list[tuple[float, float]] = field(default_factory=list)
    validation_steps: list[int] = field(default_factory=list)
    validation_accuracies: list[tuple[float, float]] = field(default_factory=list)


def gradient_flow(settings: GradientFlowSettings, report: Report | None = None) -> GradientFlow:
    """Trains a plain and a residual network side by side on the same batches and follows their gradients.

    Reported are, several times a second: the fraction and a sentence; each step the metrics "step" and, for both
    networks, "plain_loss", "plain_accuracy", "residual_loss" …; after each validation "step" and
    "plain_validation_accuracy" …; and at each snapshot as preview float32 (2, 2, depth): kernel and signal norms of
    plain and residual.

    Raises:
        ValueError: If the settings are out of range.
        JobCancelled: If the job was cancelled, from `report`.
    """
    check_settings(settings)
    say = report if report is not None else Report()
    say(0.0, f"Building the two networks of {settings.depth} layers")
    data = digits(settings.size_px, settings.seed)
    rng = np.random.default_rng(settings.seed)
    first = rng.integers(0, len(data.train_labels), settings.batch_size)
    images, labels = data.train_images[first], data.train_labels[first]
    networks: list[_Network] = []
    for name in NETWORKS:
        build = _builder(settings, name == "residual", images, labels)
        networks.append(call_with_heartbeat(build, say, f"Building the {name} network of {settings.depth} layers"))

    records = _Records()
    start = time.perf_counter()
    every = max(1, settings.steps // SNAPSHOTS)
    ended = "steps"
    for step in range(max(1, settings.steps)):
        if step:
            batch = rng.integers(0, len(data.train_labels), settings.batch_size)
            images, labels = data.train_images[batch], data.train_labels[batch]
        _train_step(networks, images, labels, step, step % every == 0, records, say)
        if settings.steps == 0:
            break
        fraction = (step + 1) / settings.steps
        last = step + 1 == settings.steps
        if last or (step + 1) % (5 * every) == 0:
            _validate(networks, data, step + 1, records, say)
        elapsed = time.perf_counter() - start
        say(
            max(fraction, min(1.0, elapsed / settings.time_limit_s)),
            f"Step {step + 1} of {settings.steps}",
            metrics=_latest(records, step),
        )
        if elapsed > settings.time_limit_s and not last:
            ended = "time"
            _validate(networks, data, step + 1, records, say)
            break
    return _result(settings, networks, records, time.perf_counter() - start, ended)


def digits(size_px: int, seed: int = 0) -> Digits:
    """The 1,797 digits of scikit-learn (UCI, 8 x 8), enlarged, shuffled, and parted into training and validation.

    >>> data = digits(16)
    >>> data.train_images.shape, data.validation_images.shape
    ((1438, 16, 16, 1), (359, 16, 16, 1))
    """
    import cv2
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.stack(
        [
            cv2.resize(image.astype(np.float32), (size_px, size_px), interpolation=cv2.INTER_LINEAR)
            for image in bunch.images
        ]
    )
    images = images[..., None] / 8.0 - 1.0  # (1797, size, size, 1) in [-1, 1]
    labels = bunch.target.astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(labels))
    images, labels = images[order].astype(np.float32), labels[order]
    train = len(labels) - int(VALIDATION_SHARE * len(labels))
    return Digits(images[:train], labels[:train], images[train:], labels[train:])


def check_settings(settings: GradientFlowSettings) -> None:
    """Raises ValueError if a setting is out of range."""
    if settings.depth not in DEPTHS:
        raise ValueError(f"The depth is 6n + 2 from 8 to 110; got {settings.depth}.")
    if settings.initializer not in INITIALIZERS:
        raise ValueError(f"The weights start as {' or '.join(INITIALIZERS)}; got {settings.initializer!r}.")
    limits = {
        "steps": (settings.steps, 0, 100_000),
        "batch size": (settings.batch_size, 2, 512),
        "learning rate": (settings.learning_rate, 0.0, 10.0),
        "momentum": (settings.momentum, 0.0, 0.999),
        "clipping norm": (settings.clip_norm, 0.0, 1e6),
        "image size": (settings.size_px, 8, 64),
        "time limit": (settings.time_limit_s, 1.0, 24 * 3600.0),
        "smallest width": (min(settings.widths), 2, 256),
        "largest width": (max(settings.widths), 2, 256),
    }
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise ValueError(f"The {name} lies between {low} and {high}; got {value}.")


def call_with_heartbeat(function: Callable[[], Value], report: Report, message: str) -> Value:
    """Runs a function that cannot report, such as tracing a graph, and reports for it while it runs.

    Raises:
        JobCancelled: If the job was cancelled; the function then runs to its end in the background, unheard.
        Exception: What the function raises.
    """
    outcome: list[Value] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(function())
        except BaseException as error:  # handed to the waiting thread below
            failure.append(error)

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    while thread.is_alive():
        report(message=message)
        thread.join(HEARTBEAT_S)
    if failure:
        raise failure[0]
    return outcome[0]


def _builder(
    settings: GradientFlowSettings, residual: bool, images: Floats, labels: Integers
) -> Callable[[], _Network]:
    """A function that builds one network and traces its training step."""

    def build() -> _Network:
        import keras
        import tensorflow as tf

        from core.architectures.resnet import cifar_resnet

        whole = cifar_resnet(
            depth=settings.depth,
            residual=residual,
            shortcuts=settings.shortcuts,
            widths=settings.widths,
            batch_norm=settings.batch_norm,
            initializer=settings.initializer,
            input_shape=(settings.size_px, settings.size_px, 1),
            seed=settings.seed,
        )
        # The signal at the layers with weights: after each ReLU, and the logits for the last layer.
        answers = [layer.output for layer in whole.layers if layer.name.endswith(("_relu", "_out"))]
        logits = whole.get_layer("predictions").output
        model = keras.Model(whole.inputs[0], [*answers, logits])
        kernels = [v for v in model.trainable_variables if len(v.shape) > 1 and "_0_" not in v.path]
        clip = settings.clip_norm or None
        optimizer = on_one_device(keras.optimizers.SGD(settings.learning_rate, settings.momentum, global_clipnorm=clip))
        optimizer.build(model.trainable_variables)

        def step(batch: Any, targets: Any) -> tuple[Any, Any, Any, Any]:
            with tf.GradientTape() as tape:
                outputs = model(batch, training=True)
                losses = keras.losses.sparse_categorical_crossentropy(targets, outputs[-1], from_logits=True)
                loss = keras.ops.mean(losses)
            to_weights, to_outputs = tape.gradient(loss, (model.trainable_variables, outputs))
            optimizer.apply_gradients(zip(to_weights, model.trainable_variables, strict=True))
            by_path = {v.path: g for v, g in zip(model.trainable_variables, to_weights, strict=True)}
            right = keras.ops.equal(keras.ops.argmax(outputs[-1], axis=-1), keras.ops.cast(targets, "int32"))
            return (
                loss,
                keras.ops.mean(keras.ops.cast(right, "float32")),
                keras.ops.stack([gradient_norm(by_path[v.path]) for v in kernels]),
                keras.ops.stack([gradient_norm(gradient) for gradient in to_outputs]),
            )

        side = settings.size_px
        pictures = tf.TensorSpec((None, side, side, 1), tf.float32)
        targets_spec = tf.TensorSpec((None,), tf.int64)
        traced = tf.function(step, input_signature=[pictures, targets_spec], autograph=False)
        traced.get_concrete_function()
        classify = tf.function(
            lambda batch: keras.ops.argmax(model(batch, training=False)[-1], axis=-1),
            input_signature=[pictures],
            autograph=False,
        )
        classify.get_concrete_function()
        names = tuple(_layer_name(kernel) for kernel in kernels)
        return _Network(traced, classify, names, whole.count_params())

    return build


def _layer_name(kernel: Any) -> str:
    """The layer of a kernel, by the kernel's path "layer/kernel"."""
    return str(kernel.path).split("/")[-2]


def gradient_norm(gradient: Any) -> Any:
    """The Euclidean norm, also where the squares of the values would vanish in float32."""
    from keras import ops

    largest = ops.max(ops.abs(gradient))
    divisor = ops.where(largest > 0.0, largest, 1.0)
    return largest * ops.sqrt(ops.sum(ops.square(gradient / divisor)))


def _train_step(
    networks: list[_Network],
    images: Floats,
    labels: Integers,
    step: int,
    is_snapshot: bool,
    records: _Records,
    report: Report,
) -> None:
    """One step of both networks on the same batch."""
    outcomes = []
    for network in networks:
        if step == 0:  # TensorFlow optimises the graph in its first run, which takes seconds
            values = call_with_heartbeat(partial(network.step, images, labels), report, "The first step")
        else:
            values = network.step(images, labels)
            report()
        outcomes.append([np.asarray(value) for value in values])
    records.losses.append((float(outcomes[0][0]), float(outcomes[1][0])))
    records.accuracies.append((float(outcomes[0][1]), float(outcomes[1][1])))
    if is_snapshot:
        records.snapshot_steps.append(step)
        records.kernel_norms.append(np.stack([outcome[2] for outcome in outcomes]))
        records.signal_norms.append(np.stack([outcome[3] for outcome in outcomes]))
        report(preview=np.stack([records.kernel_norms[-1], records.signal_norms[-1]]))  # (2, 2, depth)


def _validate(networks: list[_Network], data: Digits, step: int, records: _Records, report: Report) -> None:
    """The share of right answers of both networks on all validation digits."""
    shares = []
    for network in networks:
        right = 0
        for images, labels in _batches(data.validation_images, data.validation_labels):
            answers = call_with_heartbeat(partial(network.classify, images), report, "Validating")
            right += int((np.asarray(answers) == labels).sum())
        shares.append(right / len(data.validation_labels))
    records.validation_steps.append(step)
    records.validation_accuracies.append((shares[0], shares[1]))
    report(
        metrics={
            "step": step,
            **{f"{name}_validation_accuracy": share for name, share in zip(NETWORKS, shares, strict=True)},
        }
    )


def _batches(images: Floats, labels: Integers) -> Iterator[tuple[Floats, Integers]]:
    """All images in order, a batch at a time."""
    for first in range(0, len(labels), VALIDATION_BATCH):
        yield images[first : first + VALIDATION_BATCH], labels[first : first + VALIDATION_BATCH]


def _latest(records: _Records, step: int) -> dict[str, float]:
    """The metrics of the last step."""
    metrics: dict[str, float] = {"step": step + 1}
    for index, name in enumerate(NETWORKS):
        metrics[f"{name}_loss"] = records.losses[-1][index]
        metrics[f"{name}_accuracy"] = records.accuracies[-1][index]
    return metrics


def _result(
    settings: GradientFlowSettings, networks: list[_Network], records: _Records, seconds: float, ended: str
) -> GradientFlow:
    """The records as arrays; the step that only looked at the start counts as none."""
    trained = settings.steps > 0

    def table(rows: list[tuple[float, float]]) -> Floats:
        return np.array(rows if trained else [], np.float32).reshape(-1, 2).T

    return GradientFlow(
        settings,
        networks[0].layers,
        (networks[0].parameters, networks[1].parameters),
        np.array(records.snapshot_steps, np.int64),
        np.stack(records.kernel_norms, axis=1).astype(np.float32),  # (2, snapshots, depth)
        np.stack(records.signal_norms, axis=1).astype(np.float32),
        table(records.losses),
        table(records.accuracies),
        np.array(records.validation_steps, np.int64),
        table(records.validation_accuracies),
        seconds,
        ended,
    )
