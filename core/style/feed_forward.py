"""Style transfer in one pass: adaptive instance normalisation of the backbone's features, and a decoder.

The features of the content are given the mean and the standard deviation that the style's have, channel by channel
(AdaIN: Huang and Belongie, 2017, section 4), and a decoder turns them back into a picture. Here that happens at three
depths, not at one: the decoder adds the normalised features of `block3_conv1` and `block2_conv1` where it reaches their
sizes, which keeps edges sharp and learns in a tenth of the time. Strength mixes the content's own features in; several
styles mix by their statistics, both as in section 5.3 of the paper.

Arrays: pictures RGB uint8 (H, W, 3); features (1, H', W', C) float32; statistics (C,).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.runtime.images import content_hash
from core.style.pictures import check_picture, scaled
from core.style.settings import Pixels, StyleError

if TYPE_CHECKING:
    import keras

WEIGHTS = "style_decoder"
# From deep to shallow, with their channels in the embedded backbone.
LEVELS = (("block4_conv1", 256), ("block3_conv1", 128), ("block2_conv1", 64))
LAYERS = ("block4_conv1", "block3_conv1", "block2_conv1")
MULTIPLE_PX = 8  # three poolings
EPSILON = 1e-5
STYLE_PX, MAX_PX = 320, 1600


def adaptive_instance_norm(content: Any, mean: Any, deviation: Any) -> Any:
    """Content features (N, H, W, C) with the means and standard deviations (N, 1, 1, C) of a style's."""
    own_mean, own_deviation = statistics(content)
    return deviation * (content - own_mean) / own_deviation + mean


def statistics(features: Any) -> tuple[Any, Any]:
    """Mean and standard deviation over positions, each (N, 1, 1, C)."""
    from keras import ops

    mean = ops.mean(features, axis=(1, 2), keepdims=True)
    variance = ops.mean(ops.square(features - mean), axis=(1, 2), keepdims=True)
    return mean, ops.sqrt(variance + EPSILON)


def build_decoder(seed: int = 0, dtype: str = "float32") -> keras.Model:
    """The three levels' features to RGB (N, H, W, 3), about 0..255.

    Pictures are padded by reflection, since zeros would draw a frame around the result.
    """
    import keras

    from core.architectures.building import LayerMaker

    make = LayerMaker(seed=seed, dtype=dtype, initializer="he_normal")
    inputs = [keras.Input((None, None, channels), dtype="float32", name=name) for name, channels in LEVELS]

    def conv(x: Any, filters: int, name: str, active: bool = True) -> Any:
        padded = keras.ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="reflect")
        x = make.conv(padded, filters, 3, name, padding="valid")
        return make.relu(x, f"{name}_relu") if active else x

    def larger(x: Any, name: str) -> Any:
        return keras.layers.UpSampling2D(2, interpolation="nearest", dtype=dtype, name=name)(x)

    x = conv(inputs[0], 128, "decode4_conv1", active=False)  # (N, H / 8, W / 8, 128)
    x = make.relu(make.add([larger(x, "decode4_larger"), inputs[1]], "decode3_add"), "decode3_relu")
    x = conv(x, 128, "decode3_conv1")  # (N, H / 4, W / 4, 128)
    x = conv(x, 64, "decode3_conv2", active=False)
    x = make.relu(make.add([larger(x, "decode3_larger"), inputs[2]], "decode2_add"), "decode2_relu")
    x = conv(x, 32, "decode2_conv1")  # (N, H / 2, W / 2, 32)
    x = conv(larger(x, "decode2_larger"), 32, "decode1_conv1")  # (N, H, W, 32)
    x = conv(x, 3, "decode1_conv2", active=False)
    rgb = keras.layers.Rescaling(64.0, 127.5, dtype="float32", name="rgb")(x)
    return keras.Model(inputs, rgb, name="style_decoder")


def build_encoder(dtype: str = "float32", layers: Sequence[str] = LAYERS) -> keras.Model:
    """The embedded backbone up to the deepest of `layers`, answering with the activations of each."""
    import keras

    from core.architectures.embedded_backbone import build_backbone

    backbone = build_backbone(dtype=dtype)
    return keras.Model(backbone.inputs[0], [backbone.get_layer(name).output for name in layers], name="encoder")


@dataclass(frozen=True)
class StyleCode:
    """What the network knows of a style: mean and standard deviation (C,) of each level."""

    means: tuple[NDArray[np.float32], ...]
    deviations: tuple[NDArray[np.float32], ...]


def mix(codes: Sequence[StyleCode], weights: Sequence[float]) -> StyleCode:
    """The weighted mean of several styles.

    Raises:
        StyleError: If there is not one weight of at least zero for each style, or all are zero.
    """
    if not codes or len(codes) != len(weights) or min(weights) < 0 or not 0 < sum(weights) < float("inf"):
        raise StyleError("expected a weight of at least zero for each of at least one style, not all zero")
    parts = [weight / sum(weights) for weight in weights]
    levels = range(len(codes[0].means))
    return StyleCode(
        tuple(_weighted(parts, [code.means[i] for code in codes]) for i in levels),
        tuple(_weighted(parts, [code.deviations[i] for code in codes]) for i in levels),
    )


def _weighted(parts: Sequence[float], values: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The weighted sum of arrays (C,)."""
    return np.asarray(np.tensordot(np.asarray(parts), np.stack(values), axes=1), np.float32)


class FeedForward:
    """Encoder and decoder as two compiled functions that fit any size."""

    def __init__(self, encoder: keras.Model, decoder: keras.Model) -> None:
        """Compile them when first called."""
        import tensorflow as tf
        from keras import ops

        picture = tf.TensorSpec((1, None, None, 3), tf.float32)
        vectors = [tf.TensorSpec((channels,), tf.float32) for _, channels in LEVELS]

        def code(image: Any) -> list[tuple[Any, Any]]:
            return [statistics(features) for features in encoder(image, training=False)]

        def draw(image: Any, means: list[Any], deviations: list[Any], strength: Any) -> Any:
            mixed = []
            for own, mean, deviation in zip(encoder(image, training=False), means, deviations, strict=True):
                styled = adaptive_instance_norm(own, mean, deviation)
                mixed.append(own + strength * (styled - own))
            return ops.clip(decoder(mixed, training=False), 0.0, 255.0)

        self._code: Callable[..., Any] = tf.function(code, input_signature=[picture])
        self._draw: Callable[..., Any] = tf.function(
            draw, input_signature=[picture, vectors, vectors, tf.TensorSpec((), tf.float32)]
        )

    def code(self, style: Pixels) -> StyleCode:
        """A style's statistics."""
        import tensorflow as tf

        pairs = self._code(tf.constant(style[None], tf.float32))
        return StyleCode(tuple(m.numpy().reshape(-1) for m, _ in pairs), tuple(d.numpy().reshape(-1) for _, d in pairs))

    def draw(self, content: Pixels, code: StyleCode, strength: float) -> Pixels:
        """The content in a style; any size, padded by reflection to a multiple of eight and cut again."""
        import tensorflow as tf

        height, width = content.shape[:2]
        down, right = -height % MULTIPLE_PX, -width % MULTIPLE_PX
        padded = np.pad(content, ((0, down), (0, right), (0, 0)), mode="reflect")
        answer = self._draw(
            tf.constant(padded[None], tf.float32),
            [tf.constant(m, tf.float32) for m in code.means],
            [tf.constant(d, tf.float32) for d in code.deviations],
            tf.constant(strength, tf.float32),
        )
        return np.asarray(np.rint(answer.numpy()[0, :height, :width]), np.uint8)


@lru_cache(maxsize=1)
def network() -> FeedForward:
    """The embedded network; its file holds the encoder too, as it was when the decoder learned to read it.

    Raises:
        WeightsError: If a file is missing or another one.
    """
    from core.architectures.embedded_backbone import read_weights
    from core.runtime.weights import require

    encoder, decoder = build_encoder(), build_decoder()
    for part in (encoder, decoder):
        read_weights(part, require(WEIGHTS))
    ready = FeedForward(encoder, decoder)
    tiny = np.zeros((32, 32, 3), np.uint8)
    ready.draw(tiny, ready.code(tiny), 1.0)  # compiles both functions, once for every size
    return ready


_CODES: dict[str, StyleCode] = {}


def style_code(style: Pixels) -> StyleCode:
    """The embedded network's statistics of a style picture, remembered for the last 32 pictures."""
    small = scaled(style, STYLE_PX)
    key = content_hash(small)
    if key not in _CODES:
        while len(_CODES) >= 32:
            del _CODES[next(iter(_CODES))]
        _CODES[key] = network().code(small)
    return _CODES[key]


def stylise(
    content: Pixels,
    styles: Sequence[Pixels],
    size_px: int = 512,
    strength: float = 1.0,
    style_weights: Sequence[float] | None = None,
) -> Pixels:
    """The content, scaled to a longest side of `size_px`, in the mixed style of `styles`.

    Args:
        content: RGB uint8 (H, W, 3).
        styles: one or several pictures.
        size_px: longest side of the result, 32 to 1,600.
        strength: 0 keeps the content's own features, 1 takes the style's statistics.
        style_weights: one for each style; equal ones if None.

    Raises:
        StyleError: If something is asked for that cannot be done.
        WeightsError: If the weights are missing.
    """
    if not 32 <= size_px <= MAX_PX:
        raise StyleError(f"the feed-forward network makes pictures of 32 to {MAX_PX} px, received {size_px}")
    if not 0 <= strength <= 1:
        raise StyleError(f"expected a strength of 0 to 1, received {strength}")
    picture = scaled(check_picture(content, "content picture"), size_px)
    codes = [style_code(check_picture(style, "style picture")) for style in styles]
    code = mix(codes, [1.0] * len(codes) if style_weights is None else style_weights)
    return network().draw(picture, code, strength)
