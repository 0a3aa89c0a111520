"""Networks of the architecture explorer and a user's own `.keras` file, opened to be looked into.

A file is loaded in safe mode (`core.architectures.loading`). Models inside models are opened, so that a layer of a
network that somebody built upon can be looked at as well. Of a network with random weights only the part up to its
last maps is made. Importing this module imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from core.architectures.activations import preprocessing_of
from core.architectures.catalog import APPLICATIONS
from core.architectures.graph import Node, as_functional, read_graph
from core.architectures.loading import first_sentence
from core.architectures.networks import NoFixedInputError, OpenedNetwork, fixed_input_shape, open_runnable, open_shapes
from core.architectures.summary import summarise_model
from core.interpretation.grad_cam import AnswerKind
from core.interpretation.subjects import SIDE_PX, Subject, layer_fields
from core.interpretation.types import ExploredSubject, SubjectInfo

# Layers whose maps are worth looking at; pooling, padding and dropout add nothing to the layer before.
_WITH_MAPS = (
    *(keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D),
    *(keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.PReLU, keras.layers.ELU),
    *(keras.layers.Add, keras.layers.Concatenate),
)
_SCALING = (keras.layers.Rescaling, keras.layers.Normalization)
_LOGITS = "class_logits"


@dataclass(frozen=True)
class _Answer:
    """Where a network's classes are: the logits (N, classes), how many, their kind; or why there are none."""

    logits: Any = None
    classes: int = 0
    kind: AnswerKind = "softmax"
    why_not: str = ""


def open_explored(subject: ExploredSubject) -> Subject:
    """Open a network of the explorer or a file.

    Raises:
        ValueError: If it cannot be opened, takes no square pictures, or has no layer to look at; one sentence.
    """
    opened = _with_weights(subject)
    side, channels = _square(opened)
    flat = flattened(opened.model, side, channels)
    nodes, tensors = read_graph(flat), output_tensors(flat)
    maps = _layers_with_maps(nodes)
    summary = summarise_model(flat)
    fields = layer_fields(summary, maps)
    if not fields:
        raise ValueError(f"{opened.label} has no convolutional layer whose units see squares of one size.")
    answer = _answer_of(flat, nodes, tensors, opened)
    cam_layer = _last_maps(nodes, tensors, answer) if answer.logits is not None else ""
    if answer.logits is not None and not cam_layer:
        answer = _Answer(why_not=f"In {opened.label} no maps lead to the classes, so Grad-CAM has nothing to weigh.")
    names = _class_names(subject, answer)
    name = subject.key if isinstance(subject.network, bytes) or subject != _plain(subject) else subject.network
    info = SubjectInfo(
        name,
        opened.label,
        opened.weights,
        side,
        fields,
        names,
        cam_layer,
        answer.why_not,
        channels,
        len(maps) - len(fields),
        summary.multiply_adds,
    )
    if answer.logits is not None:
        tensors = {**tensors, _LOGITS: answer.logits}
    prepare = _preparation(subject, nodes, channels)
    return Subject(info, flat, prepare, _LOGITS if answer.logits is not None else "", answer.kind, tensors)


def flattened(model: Any, side_px: int, channels: int) -> Any:
    """A Functional model over the same layers, its input (side, side, channels), with nothing nested in it.

    Raises:
        ValueError: If the layers cannot take this size; one sentence.
    """
    functional = as_functional(model)
    if functional.inputs[0].shape[1:] == (side_px, side_px, channels) and not _nests(functional):
        return functional
    inputs = keras.Input((side_px, side_px, channels), name="picture")
    try:
        outputs = _apply(functional, [inputs])
        return keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0], name=model.name)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"The model {model.name!r} cannot take an input of {side_px}x{side_px}x{channels}: {first_sentence(error)}"
        ) from error


def _nests(functional: Any) -> bool:
    return any(
        isinstance(node.operation, keras.Model) for nodes in functional._nodes_by_depth.values() for node in nodes
    )


def _apply(functional: Any, inputs: list[Any]) -> list[Any]:
    """The outputs of a model's layers applied to other symbolic inputs, models inside it opened."""
    values = {id(old): new for old, new in zip(functional.inputs, inputs, strict=True)}
    by_depth = functional._nodes_by_depth  # as `core.architectures.graph` reads them
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            if node.is_input:
                continue
            if isinstance(node.operation, keras.Model):
                answers = _apply(
                    as_functional(node.operation), [values[id(tensor)] for tensor in node.arguments.keras_tensors]
                )
            else:
                args, kwargs = node.arguments.fill_in(values)
                given = node.operation(*args, **kwargs)
                answers = list(given) if isinstance(given, list | tuple) else [given]
            values.update((id(tensor), answer) for tensor, answer in zip(node.outputs, answers, strict=True))
    return [values[id(tensor)] for tensor in functional.outputs]


def output_tensors(flat: Any) -> dict[str, Any]:
    """The symbolic output of each node of a model without nested ones, by the names of `read_graph`."""
    tensors: dict[str, Any] = {}
    by_depth = flat._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            name, call = node.operation.name, 1
            while name in tensors:
                call += 1
                name = f"{node.operation.name} ({call})"
            tensors[name] = node.outputs[0]
    return tensors


def _with_weights(subject: ExploredSubject) -> OpenedNetwork:
    """The network with as much of its weights as is needed."""
    shape, options = subject.input_shape, dict(subject.options)
    if isinstance(subject.network, bytes):
        try:
            return open_runnable(subject.network, shape)
        except NoFixedInputError:
            channels = _channels_of_file(subject.network)
            return open_runnable(subject.network, (SIDE_PX, SIDE_PX, channels))
    if subject.weights == "imagenet":
        return open_runnable(subject.network, shape, options or None, "imagenet")
    nodes = read_graph(open_shapes(subject.network, shape, options or None).model)
    return open_runnable(subject.network, shape, options or None, up_to=_deepest(nodes))


def _deepest(nodes: list[Node]) -> str | None:
    """The layer with maps that most layers lead to: not one of a side output."""
    with_maps = set(_layers_with_maps(nodes))
    before: list[set[int]] = []
    for index, node in enumerate(nodes):
        before.append({index}.union(*(before[i] for i in node.inbound)))
    candidates = [index for index, node in enumerate(nodes) if node.name in with_maps]
    return nodes[max(candidates, key=lambda index: len(before[index]))].name if candidates else None


def _channels_of_file(content: bytes) -> int:
    """1 or 3: what a file whose sides are open says of its channels."""
    from core.architectures import loading

    model = loading.model_without_weights(loading.check_file(content))
    channels = model.inputs[0].shape[-1] if getattr(model, "inputs", None) else None
    return 1 if channels == 1 else 3


def _square(opened: OpenedNetwork) -> tuple[int, int]:
    """(side, channels) of the input.

    Raises:
        ValueError: If it is no square picture, grey or in colour; one sentence.
    """
    shape = fixed_input_shape(opened.model)
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise ValueError(f"{opened.label} takes {'x'.join(map(str, shape))}, which is no grey or colour picture.")
    if shape[0] != shape[1]:
        raise ValueError(
            f"{opened.label} takes pictures of {shape[0]} x {shape[1]}; squares are looked into here: choose an input "
            f"size such as {shape[0]}x{shape[0]}x{shape[2]}."
        )
    return int(shape[0]), int(shape[2])


def _layers_with_maps(nodes: list[Node]) -> list[str]:
    """Names of the layers with maps of more than one place, from the picture to the answer."""
    return [
        node.name
        for node in nodes
        if isinstance(node.layer, _WITH_MAPS)
        and len(node.output_shape) == 3
        and min(side or 2 for side in node.output_shape[:2]) > 1
    ]


def _answer_of(flat: Any, nodes: list[Node], tensors: dict[str, Any], opened: OpenedNetwork) -> _Answer:
    """The logits of a classifier, whatever stands at its end: softmax, sigmoid, or neither."""
    label = opened.label
    if "random" in opened.weights:
        return _Answer(
            why_not=f"The weights of {label} are random: its classes mean nothing, and there is nothing to look for."
        )
    if len(flat.outputs) != 1:
        return _Answer(why_not=f"{label} gives {len(flat.outputs)} answers; Grad-CAM looks for a class of one.")
    name = next((name for name, tensor in tensors.items() if tensor is flat.outputs[0]), None)
    shape = tuple(flat.outputs[0].shape)
    if name is None or len(shape) != 2 or not shape[1]:
        sides = "x".join("?" if side is None else str(side) for side in shape[1:])
        return _Answer(why_not=f"{label} answers with {sides} numbers and not with one a class: no class to look for.")
    node = next(node for node in nodes if node.name == name)
    layer, kind, logits = node.layer, "softmax", flat.outputs[0]
    function = getattr(getattr(layer, "activation", None), "__name__", "softmax" if node.kind == "Softmax" else "")
    if function in ("softmax", "sigmoid"):
        kind = function
        before = tensors[nodes[node.inbound[0]].name]
        if isinstance(layer, keras.layers.Dense):
            logits = keras.ops.matmul(before, layer.kernel)
            logits = logits if layer.bias is None else logits + layer.bias
        elif isinstance(layer, keras.layers.Activation | keras.layers.Softmax):
            logits = before
        else:
            return _Answer(why_not=f"{label} ends in {node.kind} with a {function}, whose logits cannot be read.")
    elif function not in ("", "linear"):
        return _Answer(why_not=f"{label} ends in {function}: its answers are no logits or probabilities of classes.")
    elif shape[1] == 1:
        return _Answer(why_not=f"{label} answers with one number and no sigmoid: that is no class to look for.")
    return _Answer(logits, int(shape[1]), "sigmoid" if kind == "sigmoid" else "softmax")


def _last_maps(nodes: list[Node], tensors: dict[str, Any], answer: _Answer) -> str:
    """The last layer with maps on the way to the logits, "" if there is none."""
    by_name = {node.name: index for index, node in enumerate(nodes)}
    reached = keras.Model(next(iter(tensors.values())), answer.logits)
    on_the_way = set(output_tensors(reached))
    maps = [name for name in _layers_with_maps(nodes) if name in on_the_way]
    return max(maps, key=by_name.__getitem__, default="")


def _plain(subject: ExploredSubject) -> ExploredSubject:
    """The same network with nothing chosen but its weights' usual kind."""
    fetched = isinstance(subject.network, str) and subject.network in APPLICATIONS
    return ExploredSubject(subject.network, weights="imagenet" if fetched else "random")


def _class_names(subject: ExploredSubject, answer: _Answer) -> tuple[str, ...]:
    if answer.logits is None:
        return ()
    if len(subject.class_names) == answer.classes:
        return subject.class_names
    if isinstance(subject.network, str) and answer.classes == 1000:
        return _imagenet_names() or tuple(f"class {number}" for number in range(1000))
    return tuple(f"class {number}" for number in range(answer.classes))


def _imagenet_names() -> tuple[str, ...]:
    """Keras' list of the thousand classes, fetched with the weights; empty where it cannot be had."""
    try:
        decoded = keras.applications.imagenet_utils.decode_predictions(np.eye(1000, dtype=np.float32), top=1)
    except Exception:  # Keras raises a bare Exception when it cannot fetch a file
        return ()
    return tuple(str(best[0][1]).replace("_", " ") for best in decoded)


def _preparation(subject: ExploredSubject, nodes: list[Node], channels: int) -> Callable[[Any], Any]:
    """Maps RGB pictures in 0..255 to what the network expects."""
    kind: str = subject.values
    if kind == "auto":
        kind = preprocessing_of(subject.network)
        if isinstance(subject.network, bytes) and _scales_itself(nodes):
            kind = "byte"

    def prepare(pictures: Any) -> Any:
        seen = pictures if channels == 3 else pictures[..., :1]
        if kind == "byte":
            return seen
        if kind == "unit":
            return seen / 255.0
        if kind == "signed":
            return seen / 127.5 - 1.0
        if kind == "lenet":
            return 1.175 - seen * (1.275 / 255.0)
        return getattr(keras.applications, kind).preprocess_input(seen)

    return prepare


def _scales_itself(nodes: list[Node]) -> bool:
    """Whether pixels meet a scaling layer before the first layer that learns."""
    for node in nodes:
        if isinstance(node.layer, _SCALING):
            return True
        if getattr(node.layer, "trainable_weights", []):
            return False
    return False
