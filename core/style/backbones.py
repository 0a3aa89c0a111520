"""The networks whose activations the costs compare: the embedded one, VGG-16 and VGG-19, and random weights.

A backbone answers a batch RGB (N, H, W, 3) in 0..255 with the activations of the layers asked for. All but the plain
embedded file (which was saved so) have their filters rescaled to a mean answer of one, over sample photographs, as
Gatys et al. (2016, section 2) did: layers then weigh alike, and the same alpha and beta serve every backbone.

Importing this module imports no Keras.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.runtime.settings import settings
from core.style.settings import BACKBONES, CONTENT_LAYERS, STYLE_LAYERS, StyleError

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class VggFile:
    """The ImageNet weights of a VGG without its dense layers: Keras' name and md5 of the file, and how many there are.

    The size of the file is not published with it; its weights, four bytes each, are nearly all of it.
    """

    name: str
    md5: str
    parameters: int

    @property
    def about_mb(self) -> float:
        """Megabytes of the weights.

        >>> round(VGG_FILES["vgg19"].about_mb)
        80
        """
        return 4 * self.parameters / 1e6


# As in the source of keras.applications.vgg16 and vgg19.
VGG_FILES = {
    "vgg16": VggFile(
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "6d6bbae143d832006294945121d1f1fc", 14_714_688
    ),
    "vgg19": VggFile(
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5", "253f8cb515780f3b799900260a226db6", 20_024_384
    ),
}
# What is larger than this is another file.
LARGEST_MB = 200
VGG_ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications/{name}/{file}"
# What VGG subtracts from BGR pixels (keras.applications.imagenet_utils, mode "caffe").
BGR_MEAN = (103.939, 116.779, 123.68)
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "china", "flower")


def vgg_path(name: str) -> Path:
    """Where the file of VGG-16 or VGG-19 belongs."""
    return settings().home / "weights" / VGG_FILES[name].name


def is_here(name: str) -> bool:
    """Whether a backbone's weights are on this machine."""
    return name not in VGG_FILES or vgg_path(name).is_file()


def accept_vgg(name: str, data: bytes) -> None:
    """Take over a file of VGG weights that the user has; it must be the very file that Keras describes.

    Raises:
        StyleError: If it is another file or cannot be written.
    """
    from core.runtime.download import put_in_place

    file = VGG_FILES[name]
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != file.md5:
        raise StyleError(f"this is not the file {file.name} that Keras describes: its md5 is another one")
    try:
        put_in_place(data, vgg_path(name))
    except OSError as error:
        raise StyleError(f"{vgg_path(name).parent} cannot be written to ({error.strerror})") from error


def fetch_vgg(name: str, report: Callable[..., None] | None = None) -> Path:
    """Download the ImageNet weights of VGG-16 or VGG-19 from Keras' address into the data folder.

    Raises:
        StyleError: If they cannot be fetched, in one sentence.
    """
    path = vgg_path(name)
    if path.is_file():
        return path
    import urllib.request

    file = VGG_FILES[name]
    parts: list[bytes] = []
    done = 0
    try:
        with urllib.request.urlopen(VGG_ADDRESS.format(name=name, file=file.name), timeout=20) as answer:  # noqa: S310 - an https address, above
            while part := answer.read(2**18):
                parts.append(part)
                done += len(part)
                if done > 1e6 * LARGEST_MB:
                    break
                if report is not None:
                    report(min(1.0, done / 1e6 / file.about_mb), f"{BACKBONES[name]}: {done / 1e6:.0f} MB")
    except OSError as error:
        raise StyleError(
            f"the weights of {BACKBONES[name]} could not be fetched from storage.googleapis.com "
            f"({getattr(error, 'reason', error)}); give the file by hand, or go on with the embedded backbone"
        ) from error
    accept_vgg(name, b"".join(parts))
    return path


def layer_names(backbone: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Layers offered for the style and for the content."""
    if backbone not in BACKBONES:
        raise StyleError(f"expected one of {', '.join(BACKBONES)}, received {backbone!r}")
    return STYLE_LAYERS, CONTENT_LAYERS


@lru_cache(maxsize=6)
def load(backbone: str, pooling: str = "max") -> keras.Model:
    """A whole network without head, its weights frozen.

    Raises:
        StyleError: If there is no such backbone or its weights are not here.
        WeightsError: If the embedded weights are missing.
    """
    from core.architectures.embedded_backbone import build_backbone, load_backbone, normalise_activations

    if backbone == "embedded":
        model = load_backbone(pooling=pooling)
    elif backbone == "random":
        model = build_backbone(pooling=pooling, seed=1)
        normalise_activations(model, [_photographs()])
    elif backbone in VGG_FILES:
        if not is_here(backbone):
            raise StyleError(
                f"{BACKBONES[backbone]} is not here yet (about {VGG_FILES[backbone].about_mb:.0f} MB, once): fetch it "
                "on the page, or use the embedded backbone"
            )
        model = _vgg(backbone, pooling, vgg_path(backbone))
    else:
        raise StyleError(f"expected one of {', '.join(BACKBONES)}, received {backbone!r}")
    model.trainable = False
    return model


def _photographs(size_px: int = 160) -> Any:
    import cv2

    from core.runtime.samples import load_sample

    pictures = [cv2.resize(load_sample(name), (size_px, size_px), interpolation=cv2.INTER_AREA) for name in PHOTOGRAPHS]
    return np.stack(pictures).astype(np.float32)


def _vgg(name: str, pooling: str, path: Path | None) -> keras.Model:
    """VGG-16 or -19 from RGB 0..255; random weights without a file, for tests and timings."""
    import keras

    from core.architectures.building import LayerMaker
    from core.architectures.embedded_backbone import normalise_activations

    convolutions = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}[name]
    make = LayerMaker(seed=1, initializer="he_normal")
    pool = make.max_pool if pooling == "max" else make.average_pool
    inputs = keras.Input((None, None, 3), dtype="float32", name="rgb")
    # A 1x1 convolution turns RGB round to BGR and subtracts the mean.
    x = keras.layers.Conv2D(3, 1, dtype="float32", name="preprocessing")(inputs)
    for block, (filters, count) in enumerate(zip((64, 128, 256, 512, 512), convolutions, strict=True), 1):
        if block > 1:
            x = pool(x, 2, 2, f"block{block - 1}_pool")
        for number in range(1, count + 1):
            x = make.conv(x, filters, 3, f"block{block}_conv{number}", activation="relu")
    model = keras.Model(inputs, x, name=name)
    to_bgr = np.eye(3, dtype=np.float32)[::-1].reshape(1, 1, 3, 3).copy()
    model.get_layer("preprocessing").set_weights([to_bgr, -np.array(BGR_MEAN, np.float32)])
    if path is not None:
        official = getattr(keras.applications, name.upper())(
            include_top=False, weights=None, input_shape=(None, None, 3)
        )
        official.load_weights(str(path))
        for layer in official.layers:
            if layer.weights:
                model.get_layer(layer.name).set_weights(layer.get_weights())
    normalise_activations(model, [_photographs()])
    return model


def taps(backbone: str, layers: Sequence[str], pooling: str = "max") -> keras.Model:
    """The part of a network up to the deepest of `layers`, answering with the activations of each, in their order.

    Raises:
        StyleError: If the network has no such layer.
    """
    import keras

    model = load(backbone, pooling)
    known = {layer.name for layer in model.layers}
    missing = [name for name in layers if name not in known]
    if missing:
        raise StyleError(f"{BACKBONES[backbone]} has no layer {missing[0]!r}")
    return keras.Model(model.inputs[0], [model.get_layer(name).output for name in layers])
