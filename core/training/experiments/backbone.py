"""Networks trained elsewhere whose features are used again: which are here, and how they are cut in two.

A backbone is cut at one layer: what lies before stays frozen, and its maps are computed once for all pictures; what
lies behind may be trained on. Over the last maps a global average makes one feature of each channel (Lin et al. 2014,
Network in Network, section 3.2), which a softmax layer reads.

Arrays: pictures uint8 (N, side, side, 3), maps float32 (N, h, w, c), features float32 (N, d).
Keras is imported inside the functions.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.architectures import embedded_backbone
from core.runtime.weights import Registry, WeightsError
from core.training.experiments.settings import ExperimentError

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]

VGG, YOLO, MOBILENET = "vgg_imagenette", "yolo_11", "mobilenet_v2"
MAP_BATCH = 64


@dataclass(frozen=True)
class Backbone:
    """A network that learned elsewhere: its name, what it learned, where it is cut, and what it reads.

    The name is that of its row in the list of models, but for networks of `keras.applications`. `frozen_to` is the
    last layer that always stays frozen, `features_at` the layer over which the average is taken.
    """

    weights: str
    label: str
    learned: str
    frozen_to: str
    features_at: str
    input_px: int


# In the order in which "auto" takes them.
BACKBONES: dict[str, Backbone] = {
    VGG: Backbone(
        VGG,
        "embedded VGG-like backbone",
        "10 classes of ImageNet photographs (Imagenette)",
        "block3_pool",
        "block5_conv2",
        48,
    ),
    YOLO: Backbone(
        YOLO,
        "embedded YOLO detector's backbone",
        "to detect 11 classes of people, animals and vehicles in photographs",
        "stage3_out_relu",
        "stage4_out_relu",
        64,
    ),
    MOBILENET: Backbone(
        MOBILENET,
        "MobileNetV2 of keras.applications",
        "1,000 classes of ImageNet photographs",
        "block_12_add",
        "out_relu",
        96,
    ),
}
# Whole, as the architecture explorer fetches it, and without its classifier.
MOBILENET_FILES = tuple(
    f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224{ending}.h5" for ending in ("", "_no_top")
)


def available_backbones() -> tuple[str, ...]:
    """The names of the backbones whose weights are here, the first choice first."""
    registry = Registry()
    return tuple(name for name in BACKBONES if _is_here(registry, name))


def _is_here(registry: Registry, name: str) -> bool:
    if name == MOBILENET:
        return fetched_mobilenet() is not None
    try:
        return registry.where(name) is not None
    except WeightsError:
        return False


def fetched_mobilenet() -> Path | None:
    """The file of MobileNetV2's weights where Keras keeps what it has fetched; None if it never was."""
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
    return next((folder / name for name in MOBILENET_FILES if (folder / name).is_file()), None)


def choose_backbone(name: str) -> Backbone:
    """The backbone of a name, or for "auto" the first that is here.

    Raises:
        ExperimentError: If it is unknown or its weights are not here.
    """
    here = available_backbones()
    if name == "auto" and here:
        return BACKBONES[here[0]]
    if name in here:
        return BACKBONES[name]
    raise ExperimentError(f"The weights of the backbone {name!r} are not here; there are: {', '.join(here) or 'none'}.")


def load(backbone: Backbone) -> keras.Model:
    """The network up to `features_at` with its trained weights, for pictures of `input_px`."""
    import keras

    side = backbone.input_px
    if backbone.weights == VGG:
        whole = embedded_backbone.load_backbone(input_shape=(side, side, 3))
    else:
        image = keras.Input((side, side, 3), name="image")
        whole = _detector_backbone(image) if backbone.weights == YOLO else _mobilenet(image)
    return keras.Model(whole.inputs[0], whole.get_layer(backbone.features_at).output, name="backbone")


def _detector_backbone(image: Any) -> keras.Model:
    import keras

    from core.detection import yolo
    from core.detection.embedded import embedded_detector

    kept = embedded_detector()
    detector = yolo.build_detector(len(kept.class_names))
    detector.load_weights(kept.path)
    return _filled(keras.Model(image, yolo.backbone_features(image), name="whole_backbone"), detector)


def _mobilenet(image: Any) -> keras.Model:
    import keras

    path = fetched_mobilenet()
    if path is None:
        raise ExperimentError("The weights of MobileNetV2 are no longer where Keras keeps what it has fetched.")
    scaled = keras.layers.Rescaling(1 / 127.5, -1, name="scale")(image)  # 0..255 -> -1..1
    network = keras.applications.MobileNetV2(include_top=False, weights=None, input_tensor=scaled)
    try:
        fetched = keras.applications.MobileNetV2(include_top=path.name == MOBILENET_FILES[0], weights=str(path))
    except Exception as error:  # h5py and Keras raise a dozen types on damaged files
        raise ExperimentError(f"The file {path.name} cannot be read as weights of MobileNetV2.") from error
    return _filled(network, fetched)


def _filled(network: keras.Model, trained: keras.Model) -> keras.Model:
    """The network with the weights of the trained one's layers of the same names."""
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(trained.get_layer(layer.name).get_weights())
    return network


def lower_part(backbone: Backbone, network: keras.Model) -> keras.Model:
    """From the pictures to the maps at which the backbone is cut."""
    import keras

    return keras.Model(network.inputs[0], network.get_layer(backbone.frozen_to).output, name="frozen")


def upper_part(backbone: Backbone, network: keras.Model, classes: int, head: tuple[Floats, Floats]) -> keras.Model:
    """From those maps to the logits of a new softmax layer with these weights (d, classes) and biases (classes,)."""
    import keras

    cut = network.get_layer(backbone.frozen_to).output
    upper = keras.Model(cut, network.get_layer(backbone.features_at).output)
    copied = keras.models.clone_model(upper)
    copied.set_weights(upper.get_weights())
    maps = keras.Input(cut.shape[1:], name="maps")
    features = keras.layers.GlobalAveragePooling2D(name="average")(copied(maps))
    layer = keras.layers.Dense(classes, name="logits")
    model = keras.Model(maps, layer(features), name="fine_tuned")
    layer.set_weights(list(head))
    return model


def answers(model: Any, pictures: NDArray[Any], tell: Callable[[float], None] = lambda share: None) -> Floats:
    """A network's answer to many arrays, batch by batch; `tell` hears the share that is done."""
    import tensorflow as tf

    shape = tf.TensorSpec([None, *model.input_shape[1:]], tf.float32)
    run = tf.function(lambda batch: model(batch, training=False), input_signature=[shape])
    parts = []
    for start in range(0, len(pictures), MAP_BATCH):
        parts.append(run(tf.constant(pictures[start : start + MAP_BATCH].astype(np.float32))).numpy())
        tell(min(1.0, (start + MAP_BATCH) / len(pictures)))
    return np.concatenate(parts)
