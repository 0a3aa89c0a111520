"""The networks that can be looked into, opened with their weights; importing this module imports Keras.

A subject is named `embedded` (the VGG-like backbone whose weights come with the project), `untrained` (the same with
random weights, to compare), `detector` (the embedded YOLO detector), or as in the architecture explorer by a name of
the catalogue (random weights) or of `keras.applications` (ImageNet weights, fetched by Keras). All take pictures
RGB in 0..255 here; `Subject.prepare` brings them into the network's own range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from core.architectures import embedded_backbone
from core.architectures.activations import preprocessing_of
from core.architectures.catalog import APPLICATIONS, CATALOG
from core.architectures.networks import open_runnable
from core.architectures.summary import summarise_model
from core.interpretation.types import LayerField, Maps, SubjectInfo

SIDE_PX = 224
DETECTOR_SIDE_PX = 256
# What a page offers of a network from elsewhere; a ResNet-50 has some hundred and eighty layers.
MOST_LAYERS = 24


@dataclass(frozen=True)
class Subject:
    """An opened network.

    `model` takes (N, side, side, 3) in its own range and `prepare` maps 0..255 to that range. `logits` is the layer
    whose output stands for the classes: (N, classes), or (N, cells, 4 + classes) for the detector; "" without classes.
    """

    info: SubjectInfo
    model: Any
    prepare: Callable[[Any], Any]
    logits: str

    def reader(self, *layers: str) -> Callable[[Any], list[Any]]:
        """A compiled function from pictures in 0..255 to the outputs of some layers."""
        side = self.info.side_px
        signature = [tf.TensorSpec((None, side, side, 3), tf.float32)]
        return tf.function(self.outputs(*layers), input_signature=signature, jit_compile=False)  # type: ignore[no-any-return]

    def outputs(self, *layers: str) -> Callable[[Any], list[Any]]:
        """The same, not compiled: to be differentiated with regard to what is inside."""
        inner = keras.Model(self.model.inputs, [self.model.get_layer(name).output for name in layers])

        def run(pictures: Any) -> list[Any]:
            answer = inner(self.prepare(pictures), training=False)
            return list(answer) if isinstance(answer, list | tuple) else [answer]

        return run

    def maps(self, layer: str) -> Callable[[Any], Maps]:
        """A function from pictures (N, side, side, 3) in 0..255 to a layer's maps (N, rows, columns, channels)."""
        run = self.reader(layer)
        return lambda pictures: np.asarray(run(tf.constant(pictures, tf.float32))[0], np.float32)


@lru_cache(maxsize=3)
def open_subject(name: str) -> Subject:
    """Open a network by name.

    Raises:
        ValueError: If there is no such network, or its weights cannot be had; one sentence.
    """
    if name in ("embedded", "untrained"):
        return _backbone(name == "embedded")
    if name == "detector":
        return _detector()
    if name not in CATALOG and name not in APPLICATIONS:
        raise ValueError(f"There is no network {name!r} to look into.")
    return _explored(name)


def _backbone(trained: bool) -> Subject:
    shape = (SIDE_PX, SIDE_PX, 3)
    if trained:
        model = embedded_backbone.load_backbone(include_top=True, input_shape=shape)
    else:
        model = embedded_backbone.build_backbone(include_top=True, input_shape=shape, seed=0)
    info = SubjectInfo(
        "embedded" if trained else "untrained",
        "Embedded backbone" if trained else "Backbone, untrained",
        "trained weights that come with the workbench" if trained else "random initialisation, seed 0",
        SIDE_PX,
        _fields(model, list(embedded_backbone.CONV_LAYERS)),
        embedded_backbone.CLASS_NAMES,
        embedded_backbone.CONV_LAYERS[-1],
    )
    return Subject(info, model, lambda pictures: pictures, "predictions")


def _detector() -> Subject:
    from core.detection.embedded import embedded_detector
    from core.detection.yolo import build_detector

    weights = embedded_detector()
    open_model = build_detector(len(weights.class_names))
    open_model.load_weights(weights.path)
    fixed = keras.Input((DETECTOR_SIDE_PX, DETECTOR_SIDE_PX, 3), name="picture")
    model = keras.models.clone_model(open_model, input_tensors=fixed)
    model.set_weights(open_model.get_weights())
    named = {layer.name for layer in model.layers}
    wanted = ["stem_relu", *(f"stage{stage}_{part}_relu" for stage in range(2, 6) for part in ("down", "out"))]
    info = SubjectInfo(
        "detector",
        "Embedded detector",
        "trained weights that come with the workbench",
        DETECTOR_SIDE_PX,
        _fields(model, [layer for layer in wanted if layer in named]),
        weights.class_names,
        "neck_td3_out_relu" if "neck_td3_out_relu" in named else "",
    )
    return Subject(info, model, lambda pictures: pictures, "predictions")


def _explored(name: str) -> Subject:
    fetched = name in APPLICATIONS
    shape = (SIDE_PX, SIDE_PX, 3)
    side = SIDE_PX
    if not fetched:
        entry = CATALOG[name]
        if entry.input_shape[2] != 3:
            raise ValueError(f"{entry.label} takes grey pictures; a network for colour is looked into here.")
        shape, side = entry.input_shape, entry.input_shape[0]
    opened = open_runnable(name, shape, None, "imagenet" if fetched else "random")
    kind = preprocessing_of(name)

    def prepare(pictures: Any) -> Any:
        if kind == "unit":
            return pictures / 255.0
        return getattr(keras.applications, kind).preprocess_input(pictures)

    maps = [
        layer.name
        for layer in opened.model.layers
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Activation | keras.layers.ReLU)
        and len(layer.output.shape) == 4
    ]
    step = max(1, -(-len(maps) // MOST_LAYERS))
    fields = _fields(opened.model, maps[::-step][::-1])
    info = SubjectInfo(name, opened.label, opened.weights, side, fields, (), "")
    return Subject(info, opened.model, prepare, "")


def _fields(model: Any, names: list[str]) -> tuple[LayerField, ...]:
    """The layers with their receptive fields; those without one (branches of unlike strides) are left out."""
    summary = summarise_model(model)
    fields = []
    for name in names:
        layer = summary.layer(name)
        field = layer.receptive_field
        if field is None or 0 in field.stride or len(layer.output_shape) != 3:
            continue
        rows, columns, channels = (int(side or 0) for side in layer.output_shape)
        fields.append(LayerField(name, rows, columns, channels, field.size[0], field.stride[0], field.offset[0]))
    return tuple(fields)
