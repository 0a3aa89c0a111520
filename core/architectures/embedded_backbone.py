"""The VGG-like network whose weights this project carries, for style transfer, activations and transfer learning.

Configuration B of VGG (Simonyan and Zisserman, 2014, table 1: five blocks of two 3x3 convolutions) with half of its
widths or less: 32, 64, 128, 256, 256. Global average pooling over `block5_conv2` and one dense layer take the place
of VGG's three, so that the head fits any size and Grad-CAM at `block5_conv2` is the class activation map itself. Like
VGG's, the network has no batch normalisation; it was trained with it, and `fold_batch_norm` put it into the
convolutions, which changes no output.

Input: RGB (N, H, W, 3) in 0..255, any size from 16 px. The first layer maps it to -1..1 by itself (x / 127.5 - 1), so
no other preprocessing is needed. Layer names are VGG's: `block1_conv1` ... `block5_conv2`, `block1_pool` ...
`block4_pool`; the convolutions answer after their ReLU. With the head: `global_average`, `predictions` (logits of the
ten classes) and `predictions_softmax`.

Importing this module does not import Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

WEIGHTS = "vgg_imagenette"
# (filters, convolutions) of each block.
BLOCKS = ((32, 2), (64, 2), (128, 2), (256, 2), (256, 2))
CONV_LAYERS = tuple(f"block{b}_conv{c}" for b, (_, n) in enumerate(BLOCKS, 1) for c in range(1, n + 1))
CLASS_NAMES = (
    "tench",
    "English springer",
    "cassette player",
    "chain saw",
    "church",
    "French horn",
    "garbage truck",
    "gas pump",
    "golf ball",
    "parachute",
)
INPUT_PX = 112  # what the head was trained and measured at
MIN_PX = 2 ** (len(BLOCKS) - 1)
# A filter that hardly ever answers is not blown up by more than this when activations are normalised.
MAX_GAIN = 20.0


def build_backbone(
    include_top: bool = False,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    classes: int = len(CLASS_NAMES),
    pooling: str = "max",
    seed: int = 0,
    dtype: str = "float32",
    normalisation: Callable[[str], Any] | None = None,
) -> keras.Model:
    """The network with random weights: (N, H, W, 3) in 0..255 to `block5_conv2`, or to probabilities with the head.

    Args:
        include_top: with global average pooling and `classes` probabilities.
        input_shape: height, width and 3; None where any size is to fit.
        classes: outputs of the head.
        pooling: "max" as trained, or "average", which Gatys et al. (2015, section 2) find smoother for style.
        seed: of the random weights (He et al., 2015).
        dtype: dtype policy of the layers.
        normalisation: makes the layer that follows a convolution, from its name; for training only.

    Raises:
        ValueError: If the pooling is unknown or the input is smaller than 16 px.
    """
    import keras

    from core.architectures.building import LayerMaker

    if pooling not in ("max", "average"):
        raise ValueError(f"expected the pooling 'max' or 'average', received {pooling!r}")
    if any(side is not None and side < MIN_PX for side in input_shape[:2]):
        raise ValueError(f"expected an input of at least {MIN_PX} px, received {input_shape}")
    make = LayerMaker(seed=seed, dtype=dtype, initializer="he_normal")
    pool = make.max_pool if pooling == "max" else make.average_pool
    inputs = keras.Input(input_shape, dtype="float32", name="rgb")
    x = keras.layers.Rescaling(1 / 127.5, -1.0, dtype=dtype, name="preprocessing")(inputs)
    for block, (filters, convolutions) in enumerate(BLOCKS, 1):
        if block > 1:
            x = pool(x, 2, 2, f"block{block - 1}_pool")  # H and W halved, rounded down
        for number in range(1, convolutions + 1):
            name = f"block{block}_conv{number}"
            if normalisation is None:
                x = make.conv(x, filters, 3, name, activation="relu")
            else:
                x = make.conv(x, filters, 3, name, use_bias=False)
                x = make.relu(normalisation(f"{name}_bn")(x), f"{name}_relu")
    if include_top:
        x = make.classifier(make.global_average(x, "global_average"), classes, "predictions")
    return keras.Model(inputs, x, name="embedded_backbone")


def load_backbone(
    include_top: bool = False,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    pooling: str = "max",
) -> keras.Model:
    """The network with the weights that the project carries.

    Raises:
        WeightsError: If the file is missing or another one.
    """
    from core.runtime.weights import require

    model = build_backbone(include_top, input_shape, pooling=pooling)
    read_weights(model, require(WEIGHTS))
    return model


def write_weights(model: keras.Model, path: Path, dtype: str = "float16", *more: keras.Model) -> None:
    """Writes the weights of the named layers, of several networks perhaps, as `layer/kernel` and `layer/bias`."""
    arrays: dict[str, Any] = {}
    for layer in [layer for each in (model, *more) for layer in each.layers]:
        for weight in layer.weights:
            arrays[f"{layer.name}/{weight.name}"] = np.asarray(weight).astype(dtype)
    np.savez_compressed(path, **arrays)


def read_weights(model: keras.Model, path: Path) -> None:
    """Fills a network from such a file; layers that the network lacks are passed over.

    Raises:
        ValueError: If the file lacks a weight of the network, or one has another shape.
    """
    with np.load(path, allow_pickle=False) as arrays:
        for layer in model.layers:
            for weight in layer.weights:
                key = f"{layer.name}/{weight.name}"
                if key not in arrays or arrays[key].shape != tuple(weight.shape):
                    found = arrays[key].shape if key in arrays else "nothing"
                    raise ValueError(f"{path.name}: expected {key} of shape {tuple(weight.shape)}, found {found}")
                weight.assign(arrays[key].astype(np.float32))


def fold_batch_norm(trained: keras.Model, include_top: bool = True) -> keras.Model:
    """The same function without batch normalisation: its scale and shift move into the convolutions before it.

    gamma (W x - mean) / sqrt(variance + epsilon) + beta = (s W) x + (beta - s mean) with
    s = gamma / sqrt(variance + epsilon); exact, zero padding included, as the padding comes before the convolution.
    Source: Ioffe and Szegedy, 2015, section 3.1.
    """
    classes = trained.get_layer("predictions").units if include_top else len(CLASS_NAMES)
    folded = build_backbone(include_top, classes=classes)
    for name in CONV_LAYERS:
        kernel = np.asarray(trained.get_layer(name).kernel, np.float64)
        layer = trained.get_layer(f"{name}_bn")
        gamma, beta, mean, variance = (
            np.asarray(w, np.float64) for w in (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
        )
        scale = gamma / np.sqrt(variance + layer.epsilon)
        folded.get_layer(name).set_weights([kernel * scale, beta - scale * mean])
    if include_top:
        folded.get_layer("predictions").set_weights(trained.get_layer("predictions").get_weights())
    return folded


def normalise_activations(model: keras.Model, batches: Iterable[NDArray[np.float32]]) -> dict[str, NDArray[np.float64]]:
    """Rescales each filter so that its mean answer over images and positions is one; no output of the head changes.

    As Gatys et al. (2016, section 2) did with VGG, so that layers and filters weigh alike in style costs. Exact, since
    a ReLU passes any positive factor through: a filter's kernel and bias are divided by its mean, and the next layer's
    kernels multiplied by it.

    Args:
        model: a network of `build_backbone`, or another chain of such layers; changed in place.
        batches: images (N, H, W, 3) in 0..255.

    Returns:
        The mean answers (filters,) of each layer before.
    """
    import keras

    names = [layer.name for layer in model.layers if layer.name.startswith("block") and "_conv" in layer.name]
    taps = keras.Model(model.inputs[0], [model.get_layer(name).output for name in names])
    sums = [np.zeros(model.get_layer(name).filters) for name in names]
    positions = np.zeros(len(names))
    for batch in batches:
        for i, answer in enumerate(taps(batch, training=False)):
            values = np.asarray(answer, np.float64)
            sums[i] += values.sum(axis=(0, 1, 2))
            positions[i] += np.prod(values.shape[:3])
    means = [total / count for total, count in zip(sums, positions, strict=True)]
    before: NDArray[np.float64] | None = None
    for name, mean in zip(names, means, strict=True):
        layer = model.get_layer(name)
        kernel, bias = (np.asarray(w, np.float64) for w in layer.get_weights())
        if before is not None:
            kernel = kernel * before[:, None]  # the input channels are that much smaller now
        divisor = np.maximum(mean, max(float(mean.mean()), 1e-12) / MAX_GAIN)
        layer.set_weights([kernel / divisor, bias / divisor])
        before = divisor
    if before is not None and any(layer.name == "predictions" for layer in model.layers):
        head = model.get_layer("predictions")
        kernel, bias = head.get_weights()
        head.set_weights([kernel * before[:, None], bias])
    return dict(zip(names, means, strict=True))
