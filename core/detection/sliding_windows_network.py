"""A window classifier with fully connected layers, and the same weights as convolutions alone.

A fully connected layer over a map of h x w x c is a convolution with a kernel of h x w over that map, and every
fully connected layer after it a 1 x 1 convolution. The network so turned reads an image of any size and answers for
every window of 64 px at once, eight pixels apart, which is the product of its strides (Sermanet et al. 2014,
OverFeat, section 3.5). All convolutions and poolings are without padding: a window then sees nothing but its own
pixels, and both forms give the same numbers.

Arrays: windows (B, 64, 64, 3) and images (B, H, W, 3) float32 in 0..255; logits (B, 1 + C) of a window, the first of
which is that of the background, and (B, h, w, 1 + C) of an image, h = floor((H - 64) / 8) + 1.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from core.detection.sliding_windows import STRIDE_PX, WINDOW_PX
from core.detection.sliding_windows_layers import CONVOLUTIONS, HIDDEN_UNITS, TRUNK

Tensor = Any


def _trunk(x: Tensor, *, normalised: bool) -> Tensor:
    """Convolutions and poolings, all without padding; with batch normalisation while the network learns."""
    x = layers.Rescaling(1 / 127.5, -1.0, name="scale")(x)
    for row in TRUNK:
        if isinstance(row, str):
            x = layers.MaxPooling2D(2, name=row)(x)
            continue
        name, kernel, stride, width = row
        x = layers.Conv2D(width, kernel, stride, padding="valid", use_bias=not normalised, name=name)(x)
        if normalised:
            x = layers.BatchNormalization(momentum=0.97, name=f"{name}_bn")(x)
        x = layers.Activation("relu", name=f"{name}_relu")(x)
    return x


def build_window_classifier(
    class_count: int, *, normalised: bool = False, dropout: float = 0.0, seed: int = 0
) -> keras.Model:
    """The classifier of one window: (B, 64, 64, 3) to logits (B, 1 + C).

    `normalised` puts a batch normalisation behind each convolution in place of its bias, for training;
    `fold_normalisation` takes it out again.
    """
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((WINDOW_PX, WINDOW_PX, 3), name="window")
    x = _trunk(inputs, normalised=normalised)  # (B, 3, 3, 128)
    x = layers.Flatten(name="flatten")(x)  # (B, 1152)
    x = layers.Dense(HIDDEN_UNITS, activation="relu", name="fc6")(x)
    if dropout:
        x = layers.Dropout(dropout, seed=seed, name="dropout")(x)
    return keras.Model(inputs, layers.Dense(1 + class_count, name="fc7")(x), name="window_classifier")


def fully_convolutional(classifier: keras.Model) -> keras.Model:
    """The same weights without fully connected layers: (B, H, W, 3) to logits (B, h, w, 1 + C).

    Source: Sermanet et al. 2014, section 3.5; Long et al. 2015, section 3.1.
    """
    inputs = keras.Input((None, None, 3), name="image")
    x = _trunk(inputs, normalised=False)  # (B, h + 2, w + 2, 128)
    hidden, last = classifier.get_layer("fc6"), classifier.get_layer("fc7")
    side = fc_side_px(classifier)
    x = layers.Conv2D(HIDDEN_UNITS, side, padding="valid", activation="relu", name="fc6_conv")(x)  # (B, h, w, 192)
    x = layers.Conv2D(last.units, 1, padding="valid", name="fc7_conv")(x)  # (B, h, w, 1 + C)
    model = keras.Model(inputs, x, name="window_classifier_convolutional")
    for name in CONVOLUTIONS:
        model.get_layer(name).set_weights(classifier.get_layer(name).get_weights())
    for dense, name in ((hidden, "fc6_conv"), (last, "fc7_conv")):
        kernel, bias = dense.get_weights()
        layer = model.get_layer(name)
        layer.set_weights([kernel.reshape(layer.kernel.shape), bias])  # (h w c, n) -> (h, w, c, n)
    return model


def fc_side_px(classifier: keras.Model) -> int:
    """Side of the map that the first fully connected layer reads, in cells."""
    return int(classifier.get_layer(CONVOLUTIONS[-1]).output.shape[1])


def fold_normalisation(trained: keras.Model, class_count: int) -> keras.Model:
    """A classifier of plain convolutions that answers as the trained, normalised one does.

    gamma (W x - mean) / sqrt(variance + epsilon) + beta is a convolution with a bias (Jacob et al. 2018, section 3.2).
    """
    plain = build_window_classifier(class_count)
    for name in CONVOLUTIONS:
        kernel = trained.get_layer(name).get_weights()[0]
        norm = trained.get_layer(f"{name}_bn")
        gamma, beta, mean, variance = norm.get_weights()
        factor = gamma / np.sqrt(variance + norm.epsilon)  # (c,)
        plain.get_layer(name).set_weights([kernel * factor, beta - mean * factor])
    for name in ("fc6", "fc7"):
        plain.get_layer(name).set_weights(trained.get_layer(name).get_weights())
    return plain


def unfold_normalisation(
    plain: keras.Model, class_count: int, windows: NDArray[Any], dropout: float = 0.0
) -> keras.Model:
    """A normalised classifier that answers as the plain one does, to train it further; undone by `fold_normalisation`.

    Each normalisation is given the mean and the deviation that its convolution has over `windows` (n, 64, 64, 3), so
    that it changes nothing in a batch like these.
    """
    trained = build_window_classifier(class_count, normalised=True, dropout=dropout)
    for name in CONVOLUTIONS:
        kernel, bias = plain.get_layer(name).get_weights()
        trained.get_layer(name).set_weights([kernel])
        before = keras.Model(trained.input, trained.get_layer(name).output)(windows.astype(np.float32), training=False)
        flat = keras.ops.convert_to_numpy(before).reshape(-1, len(bias))  # (n h w, c)
        mean, variance = flat.mean(axis=0, dtype=np.float64), flat.var(axis=0, dtype=np.float64)
        norm = trained.get_layer(f"{name}_bn")
        norm.set_weights([np.sqrt(variance + norm.epsilon), mean + bias, mean, variance])
    for name in ("fc6", "fc7"):
        trained.get_layer(name).set_weights(plain.get_layer(name).get_weights())
    return trained


def network_stride_px() -> int:
    """How far apart the windows of the convolutional form lie: the product of all strides."""
    stride = 1
    for row in TRUNK:
        stride *= 2 if isinstance(row, str) else row[2]
    if stride != STRIDE_PX:
        raise ValueError(f"expected a network whose strides make {STRIDE_PX}, found {stride}")
    return stride


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities along the last axis."""
    risen = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(risen / risen.sum(axis=-1, keepdims=True), np.float32)
