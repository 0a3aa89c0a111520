"""A network as a file to take away: `.keras`, or ONNX for other runtimes.

ONNX is written by Keras with the packages tf2onnx and onnx. TensorFlow runs grouped convolutions on a CPU
through a compiler that ONNX has no operation for, so they are first replaced by what they are: one
convolution a group.

Importing this module imports Keras.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

_WEIGHT = "weight_"
_ONE = "one"


class ExportError(ValueError):
    """A network that cannot be written in a format; the message says why in one sentence."""


class _SplitConv2D(keras.layers.Conv2D):  # type: ignore[misc]
    """A grouped convolution as separate convolutions of the groups, with the same weights."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """(N, H, W, C) to (N, H', W', filters)."""
        strides, dilation = tuple(self.strides), tuple(self.dilation_rate)
        if self.groups == inputs.shape[-1] == self.filters:
            depthwise = ops.transpose(kernel, (0, 1, 3, 2))  # (f, f, C, 1)
            return ops.depthwise_conv(inputs, depthwise, strides=strides, padding=self.padding, dilation_rate=dilation)
        parts = ops.split(inputs, self.groups, axis=-1)
        kernels = ops.split(kernel, self.groups, axis=-1)
        return ops.concatenate(
            [
                ops.conv(part, one, strides=strides, padding=self.padding, dilation_rate=dilation)
                for part, one in zip(parts, kernels, strict=True)
            ],
            axis=-1,
        )


def keras_bytes(model: Any) -> bytes:
    """The model as a `.keras` file.

    A file of a network with this project's own layers (LeNet-5 as in the paper, AlexNet, GoogLeNet,
    shortcuts A) loads where `core.architectures.layers` has been imported.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def onnx_bytes(model: Any) -> bytes:
    """The model as an ONNX file: batches NHWC float32 in, the model's outputs out.

    Raises:
        ExportError: If a layer has no counterpart in ONNX, or the packages for it are missing.
    """
    try:
        import onnx

        importlib.import_module("tf2onnx")  # Keras asks for it below
    except ImportError as error:
        raise ExportError("ONNX files need the packages onnx and tf2onnx, which are not installed.") from error
    exported = _without_groups(model)
    _inline_constants(exported)
    messages = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, _collected_messages(messages):
        path = Path(folder) / "model.onnx"
        try:
            _GraphOnly(exported).export(path, format="onnx", verbose=False, input_signature=[_signature(exported)])
            content = _with_weights(onnx.load(path), exported).SerializeToString()
            # tf2onnx only warns about an operation it does not know, and writes a file that no runtime reads.
            onnx.checker.check_model(content)
        except Exception as error:  # tf2onnx raises whatever its parts raise
            reason = " ".join((messages.getvalue() or str(error)).split())[:200]
            raise ExportError(f"The network has a layer that ONNX cannot express: {reason}") from error
    return bytes(content)


class _GraphOnly(keras.Model):  # type: ignore[misc]
    """The model as a function of its inputs and its weights."""

    def __init__(self, model: Any) -> None:
        super().__init__(name="network")
        # In a function, out of Keras' sight, so that the weights are not tracked.
        hidden: Callable[[], Any] = lambda: model  # noqa: E731 - as an attribute it has to be an object
        self._hidden = hidden
        self.built = True

    def call(self, tensors: Any, training: bool = False) -> Any:
        """Runs the model on the first tensors, with the others for weights."""
        model = self._hidden()
        count = len(model.inputs)
        images, weights = tensors[:count], tensors[count:]
        with keras.StatelessScope(list(zip(model.weights, weights, strict=True))):
            return model(images[0] if count == 1 else images, training=training)


def _signature(model: Any) -> list[Any]:
    """What goes into the graph: the model's inputs, then its weights."""
    inputs = [keras.InputSpec(shape=t.shape, dtype=t.dtype, name=t.name) for t in model.inputs]
    weights = [
        keras.InputSpec(shape=tuple(weight.shape), dtype=weight.dtype, name=f"{_WEIGHT}{index}")
        for index, weight in enumerate(model.weights)
    ]
    return inputs + weights


def _with_weights(proto: Any, model: Any) -> Any:
    """The graph with the weights' values in place of its inputs for them."""
    import onnx

    graph = proto.graph
    values = {f"{_WEIGHT}{index}": weight for index, weight in enumerate(model.weights)}
    inputs = [value for value in graph.input if value.name not in values]
    if len(inputs) != len(model.inputs):
        raise ExportError("a layer holds constants outside its weights")
    transposed = _take_out_transposes(graph, values)
    used = {name for node in graph.node for name in node.input}
    del graph.input[:]
    graph.input.extend(inputs)
    for name in sorted(used & (values.keys() | transposed.keys())):
        source, order = transposed.get(name, (name, None))
        array = np.asarray(values[source].numpy())
        graph.initializer.append(
            onnx.numpy_helper.from_array(array if order is None else np.ascontiguousarray(array.transpose(order)), name)
        )
    _spell_out_erfc(graph)
    return proto


def _take_out_transposes(graph: Any, values: dict[str, Any]) -> dict[str, tuple[str, list[int]]]:
    """Removes the nodes that only reorder a weight's axes.

    Gives, by the name of what they put out, the weight and the order of its axes.
    """
    transposed: dict[str, tuple[str, list[int]]] = {}
    kept = []
    for node in graph.node:
        if node.op_type == "Transpose" and node.input[0] in values:
            transposed[node.output[0]] = (node.input[0], list(node.attribute[0].ints))
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    return transposed


def _spell_out_erfc(graph: Any) -> None:
    """Writes erfc(x), which the exact GELU uses and tf2onnx does not know, as 1 - erf(x)."""
    import onnx

    nodes = []
    for node in graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        inner = f"{node.output[0]}_erf"
        nodes.append(onnx.helper.make_node("Erf", [node.input[0]], [inner], name=f"{node.name}_erf"))
        nodes.append(onnx.helper.make_node("Sub", [_ONE, inner], [node.output[0]], name=node.name))
    if len(nodes) > len(graph.node):
        graph.initializer.append(onnx.numpy_helper.from_array(np.ones((), np.float32), _ONE))
    del graph.node[:]
    graph.node.extend(nodes)


def _without_groups(model: Any) -> Any:
    """The model, its grouped convolutions replaced; the model itself if it has none."""
    if not any(_is_grouped(layer) for layer in _layers(model)):
        return model

    def replacement(layer: Any) -> Any:
        kind = _SplitConv2D if _is_grouped(layer) else type(layer)
        return kind.from_config(layer.get_config())

    clone = keras.models.clone_model(model, clone_function=replacement)
    clone.set_weights(model.get_weights())
    return clone


def _layers(model: Any) -> list[Any]:
    """All layers, those of models inside the model too."""
    layers: list[Any] = []
    for layer in model.layers:
        layers += _layers(layer) if isinstance(layer, keras.Model) else [layer]
    return layers


def _inline_constants(model: Any) -> None:
    """Makes plain arrays of the means of normalisation layers, which are tensors and would become inputs."""
    for layer in _layers(model):
        if type(layer) is keras.layers.Normalization:
            layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)


def _is_grouped(layer: Any) -> bool:
    """Whether a layer is a convolution in more than one group."""
    return type(layer) is keras.layers.Conv2D and layer.groups > 1


@contextlib.contextmanager
def _collected_messages(target: io.StringIO) -> Iterator[None]:
    """Takes what tf2onnx logs as errors."""
    handler = logging.StreamHandler(target)
    handler.setLevel(logging.ERROR)
    logger = logging.getLogger("tf2onnx")
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
