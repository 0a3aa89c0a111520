"""What side outputs do to the gradients of the early layers: a small GoogLeNet, with and without them.

Source: Szegedy et al., 2014, "Going deeper with convolutions", section 5: classifiers on hidden layers "increase the
gradient signal that gets propagated back"; their losses are added with a weight of 0.3. The network is GoogLeNet with
an eighth of its widths on the handwritten digits that scikit-learn carries. The same weights are used for both: the
gradient of the main loss alone, and of the sum. Light: Keras and TensorFlow are imported where it is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.architectures.googlenet_table import GOOGLENET_MODULES, InceptionWidths
from core.runtime.report import Report

Floats = npt.NDArray[np.float32]

SIDE_MODULES = ("4a", "4d")
SIDE_WEIGHT = 0.3
SHRINK = 8
SIZE_PX = 32


@dataclass(frozen=True)
class SideOutputGradients:
    """Norms of the gradient to each convolution's kernel, over batches with different weights and digits.

    `main` and `summed` are float32 (repeats, layers): of the main loss, and of the main loss plus `weight` times each
    side loss. `layers` are in the order in which they run; `leaves_after` says after which of them each side output
    leaves. A layer behind both is not touched by the side losses: its two norms are equal.
    """

    layers: tuple[str, ...]
    modules: tuple[str, ...]
    main: Floats
    summed: Floats
    leaves_after: tuple[int, ...]
    weight: float
    losses: tuple[float, float, float]

    @property
    def gain(self) -> Floats:
        """For each layer, the median over the repeats of the summed norm over the main one."""
        return np.median(self.summed / np.maximum(self.main, np.finfo(np.float32).tiny), axis=0).astype(np.float32)


def side_output_gradients(
    repeats: int = 5, weight: float = SIDE_WEIGHT, batch_size: int = 32, seed: int = 0, report: Report | None = None
) -> SideOutputGradients:
    """Measures the gradients at the start of training with and without side outputs.

    Args:
        repeats: Random starts, each with another batch.
        weight: Of each side loss in the sum; the paper's is 0.3.
        batch_size: Digits in a batch.
        seed: Seed of the first start and of the batches.
        report: Told of each repeat.

    Raises:
        ValueError: If a number is out of range.
        JobCancelled: If the job was cancelled, from `report`.
    """
    from core.architectures.gradient_flow import call_with_heartbeat, digits

    if not 1 <= repeats <= 50 or not 1 <= batch_size <= 256 or not 0.0 < weight <= 10.0:
        raise ValueError(
            "Repeats are 1 to 50, a batch has 1 to 256 digits and the weight lies above 0 and up to 10; "
            f"got {repeats}, {batch_size} and {weight}."
        )
    say = report if report is not None else Report()
    data = digits(SIZE_PX, seed)
    rng = np.random.default_rng(seed)
    model = call_with_heartbeat(lambda: small_googlenet(seed), say, "Building the network")
    kernels = [layer.kernel for layer in model.layers if _on_main_path(layer)]
    layers = tuple(layer.name for layer in model.layers if _on_main_path(layer))
    measure = call_with_heartbeat(lambda: _traced(model, kernels, weight), say, "Preparing the gradients")
    main, summed, losses = [], [], []
    for repeat in range(repeats):
        say(repeat / repeats, f"Start {repeat + 1} of {repeats}")
        if repeat:
            _restart(model, seed + repeat)
        batch = rng.integers(0, len(data.train_labels), batch_size)
        values = [np.asarray(value) for value in measure(data.train_images[batch], data.train_labels[batch])]
        main.append(values[0])
        summed.append(values[1])
        losses.append(values[2])
    mean = np.mean(losses, axis=0)
    return SideOutputGradients(
        layers,
        tuple(_module_of(name) for name in layers),
        np.stack(main).astype(np.float32),
        np.stack(summed).astype(np.float32),
        tuple(max(i for i, name in enumerate(layers) if _module_of(name) == m) for m in SIDE_MODULES),
        weight,
        (float(mean[0]), float(mean[1]), float(mean[2])),
    )


def small_googlenet(seed: int = 0) -> Any:
    """GoogLeNet with an eighth of its widths for digits (N, 32, 32, 1): logits [main, side 4a, side 4d].

    The stem is one 3 x 3 convolution, and pooling halves the maps before modules 4a and 5a, so that they are 32, 16
    and 8 pixels wide. A side output is average pooling, a 1 x 1 convolution, a dense layer and the logits.
    """
    import keras

    from core.architectures.building import LayerMaker
    from core.architectures.inception import inception_module

    net = LayerMaker(seed)
    inputs = keras.Input((SIZE_PX, SIZE_PX, 1), name="image")
    x = net.conv(inputs, 192 // SHRINK, 3, "conv1", activation="relu")  # (N, 32, 32, 24)
    sides = []
    for module, widths in GOOGLENET_MODULES.items():
        x = inception_module(net, x, _shrunk(widths), f"inception_{module}")
        if module in ("3b", "4e"):
            x = net.max_pool(x, 3, 2, f"pool{module[0]}", "same")  # (N, 16, 16, C), (N, 8, 8, C)
        if module in SIDE_MODULES:
            side = net.average_pool(x, 5, 3, f"side_{module}_pool")  # (N, 4, 4, C)
            side = net.conv(side, 128 // SHRINK, 1, f"side_{module}_conv", activation="relu")
            side = net.flatten(side, f"side_{module}_flatten")
            side = net.dense(side, 1024 // SHRINK, f"side_{module}_dense", activation="relu")
            sides.append(net.dense(side, 10, f"side_{module}_logits"))
    logits = net.dense(net.global_average(x, "avg_pool"), 10, "logits")
    return keras.Model(inputs, [logits, *sides], name="small_googlenet")


def _shrunk(widths: InceptionWidths) -> InceptionWidths:
    """An eighth of a module's widths."""
    return InceptionWidths(
        widths.one // SHRINK,
        widths.three_reduce // SHRINK,
        widths.three // SHRINK,
        widths.five_reduce // SHRINK,
        widths.five // SHRINK,
        widths.pool_projection // SHRINK,
    )


def _on_main_path(layer: Any) -> bool:
    """Whether a layer is a convolution of the network itself and not of a side output."""
    return type(layer).__name__ == "Conv2D" and not layer.name.startswith("side_")


def _module_of(layer: str) -> str:
    """The module of a layer's name, or the layer itself.

    >>> _module_of("inception_4a_3x3_reduce"), _module_of("conv1")
    ('4a', 'conv1')
    """
    return layer.split("_")[1] if layer.startswith("inception_") else layer


def _traced(model: Any, kernels: list[Any], weight: float) -> Any:
    """A function of images and labels that gives both norms of each kernel's gradient, and the three losses."""
    import keras
    import tensorflow as tf

    from core.architectures.gradient_flow import gradient_norm

    def measure(images: Any, labels: Any) -> tuple[Any, Any, Any]:
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch([kernel.value for kernel in kernels])
            outputs = model(images, training=False)
            losses = [
                keras.ops.mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))
                for logits in outputs
            ]
            total = losses[0] + weight * sum(losses[1:])
        norms = [
            keras.ops.stack([gradient_norm(g) for g in tape.gradient(loss, [kernel.value for kernel in kernels])])
            for loss in (losses[0], total)
        ]
        return norms[0], norms[1], keras.ops.stack(losses)

    signature = [tf.TensorSpec((None, SIZE_PX, SIZE_PX, 1)), tf.TensorSpec((None,), tf.int64)]
    traced = tf.function(measure, input_signature=signature, autograph=False)
    traced.get_concrete_function()
    return traced


def _restart(model: Any, seed: int) -> None:
    """Draws new weights from each layer's initialiser with seeds of its own."""
    for number, layer in enumerate(model.layers):
        if getattr(layer, "kernel", None) is not None:
            config = layer.kernel_initializer.get_config()
            start = type(layer.kernel_initializer).from_config({**config, "seed": seed * 100_003 + number})
            layer.kernel.assign(start(layer.kernel.shape))
