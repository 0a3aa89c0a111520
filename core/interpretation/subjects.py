"""The networks that can be looked into, opened with their weights; importing this module imports Keras.

A subject is named `embedded` (the VGG-like backbone whose weights come with the project), `untrained` (the same with
random weights, to compare) or `detector` (the embedded YOLO detector); networks of the architecture explorer and a
user's own are an `ExploredSubject`. All take pictures RGB in 0..255 here; `Subject.prepare` brings them into the
network's own range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from core.architectures import embedded_backbone
from core.architectures.summary import ModelSummary, summarise_model
from core.interpretation.grad_cam import AnswerKind
from core.interpretation.types import ExploredSubject, LayerField, Maps, SubjectInfo, Subjects

SIDE_PX = 224
DETECTOR_SIDE_PX = 256


@dataclass(frozen=True)
class Subject:
    """An opened network.

    `model` takes (N, side, side, 3) in its own range and `prepare` maps 0..255 to that range. `logits` is the layer
    whose output stands for the classes: (N, classes), or (N, cells, 4 + classes) for the detector; "" without classes.
    `answer` says what the logits are. `tensors` are outputs that are no layer's own, by name.
    """

    info: SubjectInfo
    model: Any
    prepare: Callable[[Any], Any]
    logits: str
    answer: AnswerKind = "softmax"
    tensors: Mapping[str, Any] = field(default_factory=dict)

    def reader(self, *layers: str) -> Callable[[Any], list[Any]]:
        """A compiled function from pictures in 0..255 to the outputs of some layers."""
        side = self.info.side_px
        signature = [tf.TensorSpec((None, side, side, 3), tf.float32)]
        return tf.function(self.outputs(*layers), input_signature=signature, jit_compile=False)  # type: ignore[no-any-return]

    def outputs(self, *layers: str) -> Callable[[Any], list[Any]]:
        """The same, not compiled: to be differentiated with regard to what is inside."""
        inner = keras.Model(
            self.model.inputs[0],
            [self.tensors[name] if name in self.tensors else self.model.get_layer(name).output for name in layers],
        )

        def run(pictures: Any) -> list[Any]:
            answer = inner(self.prepare(pictures), training=False)
            return list(answer) if isinstance(answer, list | tuple) else [answer]

        return run

    def maps(self, layer: str) -> Callable[[Any], Maps]:
        """A function from pictures (N, side, side, 3) in 0..255 to a layer's maps (N, rows, columns, channels)."""
        run = self.reader(layer)
        return lambda pictures: np.asarray(run(tf.constant(pictures, tf.float32))[0], np.float32)


@dataclass(frozen=True)
class _Wanted:
    """A network to open; equal by its key, so that the bytes of a file are hashed once."""

    key: str
    subject: Subjects = field(compare=False)


def open_subject(subject: Subjects) -> Subject:
    """Open a network; the last three stay open.

    Raises:
        ValueError: If there is no such network, it cannot be looked into, or its weights cannot be had; one sentence.
    """
    return _opened(_Wanted(subject if isinstance(subject, str) else subject.key, subject))


@lru_cache(maxsize=3)
def _opened(wanted: _Wanted) -> Subject:
    subject = wanted.subject
    if isinstance(subject, ExploredSubject):
        from core.interpretation.explored import open_explored

        return open_explored(subject)
    if subject in ("embedded", "untrained"):
        return _backbone(subject == "embedded")
    if subject == "detector":
        return _detector()
    raise ValueError(f"There is no network {subject!r} to look into.")


def _backbone(trained: bool) -> Subject:
    shape = (SIDE_PX, SIDE_PX, 3)
    if trained:
        model = embedded_backbone.load_backbone(include_top=True, input_shape=shape)
    else:
        model = embedded_backbone.build_backbone(include_top=True, input_shape=shape, seed=0)
    summary = summarise_model(model)
    info = SubjectInfo(
        "embedded" if trained else "untrained",
        "Embedded backbone" if trained else "Backbone, untrained",
        "trained weights that come with the workbench" if trained else "random initialisation, seed 0",
        SIDE_PX,
        layer_fields(summary, list(embedded_backbone.CONV_LAYERS)),
        embedded_backbone.CLASS_NAMES,
        embedded_backbone.CONV_LAYERS[-1],
        multiply_adds=summary.multiply_adds,
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
    summary = summarise_model(model)
    info = SubjectInfo(
        "detector",
        "Embedded detector",
        "trained weights that come with the workbench",
        DETECTOR_SIDE_PX,
        layer_fields(summary, [layer for layer in wanted if layer in named]),
        weights.class_names,
        "neck_td3_out_relu" if "neck_td3_out_relu" in named else "",
        multiply_adds=summary.multiply_adds,
    )
    return Subject(info, model, lambda pictures: pictures, "predictions", "detector")


def layer_fields(summary: ModelSummary, names: Sequence[str]) -> tuple[LayerField, ...]:
    """The layers whose units see squares of one size, with these fields.

    Left out are those without a field (branches of unlike strides), with one field for the whole map (gates over the
    whole picture) or with one that is no square.
    """
    fields = []
    for name in names:
        layer = summary.layer(name)
        seen = layer.receptive_field
        if seen is None or 0 in seen.stride or len(layer.output_shape) != 3:
            continue
        if any(len(set(sides)) > 1 for sides in (seen.size, seen.stride, seen.offset)):
            continue
        rows, columns, channels = (int(side or 0) for side in layer.output_shape)
        fields.append(LayerField(name, rows, columns, channels, seen.size[0], seen.stride[0], seen.offset[0]))
    return tuple(fields)
