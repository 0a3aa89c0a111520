"""J of one transfer and its gradient as a graph of ONNX operators: forward, and backward by hand, layer by layer.

Only the picture moves, so the way back needs no gradient of any kernel. What is left of backpropagation are operators
that also go forward: the gradient of a convolution with respect to its input is a convolution with the kernel turned
by 180 degrees and its channels exchanged; that of a ReLU is a mask; that of an average is its value handed out to the
window; that of a maximum goes to the place that it was taken from, in equal parts where several are as large. So an
engine made for inference computes both ways.

The costs are those of `core.style.costs`. With D = (G - G_S) of a layer and F its activations (n_C, n_H n_W), the
gradient of its style cost is 4 D F / (2 n_H n_W n_C)^2. Source of the rules: Dumoulin and Visin, 2016, section 4.

Arrays: the picture and its gradient (H, W, 3); inside the graph NCHW, all float32. Importing this module does not
import Keras, TensorFlow, ONNX or ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.style.targets import StyleTarget, Targets

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]
OPSET, IR_VERSION = 17, 9


class _Graph:
    """Collects nodes and constants; each method returns the name of what it adds."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.ascontiguousarray(values, dtype)
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def scaled(self, x: str, factor: float) -> str:
        return self.node("Mul", x, self.constant(factor))

    def sum_of_squares(self, x: str) -> str:
        return self.node("ReduceSumSquare", x, keepdims=0)

    def sliced(self, x: str, axis: int, start: int, end: int) -> str:
        bounds = (self.constant([value], np.int64) for value in (start, end, axis))
        return self.node("Slice", x, *bounds)

    def padded(self, x: str, before: Sequence[int], after: Sequence[int]) -> str:
        if not any((*before, *after)):
            return x
        return self.node("Pad", x, self.constant([*before, *after], np.int64))

    def enlarged(self, x: str) -> str:
        """Each value four times: (1, C, H, W) to (1, C, 2 H, 2 W)."""
        scales = self.constant([1, 1, 2, 2])
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.node("Resize", x, "", scales, **how)

    def rename(self, names: dict[str, str]) -> None:
        for node in self.nodes:
            node.output[:] = [names.get(name, name) for name in node.output]
            node.input[:] = [names.get(name, name) for name in node.input]

    def model(self, inputs: dict[str, tuple[int, ...]], outputs: dict[str, tuple[int, ...]]) -> bytes:
        from onnx import TensorProto, helper, numpy_helper

        def described(shapes: dict[str, tuple[int, ...]]) -> list[Any]:
            return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]

        constants = [numpy_helper.from_array(values, name) for name, values in self.constants.items()]
        graph = helper.make_graph(self.nodes, "transfer_step", described(inputs), described(outputs), constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        return bytes(model.SerializeToString())


def step_model(network: keras.Model, shape: tuple[int, ...], targets: Targets) -> bytes:
    """The graph as an ONNX file: `picture` (H, W, 3) to `gradient` (H, W, 3) and the unweighted `costs`.

    The content is a second input `content` (1, n_C, n_H, n_W), and what the picture itself answers there a third
    output `answer`: the engine's own answer to the content picture can so be the target, and a picture that is the
    content costs nothing, not even a rounding error.

    Args:
        network: a chain of convolutions, ReLUs and 2 x 2 pools, ending at the deepest layer that a cost asks for.
        shape: of the picture.
        targets: what to compare with.

    Raises:
        ValueError: If the network has a layer of another kind.
    """
    graph = _Graph()
    picture = graph.node("Transpose", "picture", perm=[2, 0, 1])  # (3, H, W)
    x = graph.node("Unsqueeze", picture, graph.constant([0], np.int64))  # (1, 3, H, W)
    steps: list[tuple[Any, str, str]] = []  # layer, input, output
    shapes = {x: (3, *shape[:2])}
    for layer in network.layers[1:]:
        y, y_shape = _forward(graph, layer, x, shapes[x])
        steps.append((layer, x, y))
        shapes[y], x = y_shape, y
    answers = {layer.name: y for layer, _, y in steps}

    content_cost, pull = _content(graph, answers[targets.content_layer], targets.alpha)
    pulls = {targets.content_layer: [pull]}
    style_costs = []
    for name, target in targets.styles.items():
        cost, pull = _style(graph, answers[name], shapes[answers[name]], target)
        style_costs.append(cost)
        pulls.setdefault(name, []).append(pull)
    variation, of_variation = _variation(graph, targets.gamma)

    gradient = ""
    for layer, before, after in reversed(steps):
        for pull in pulls.get(layer.name, ()):
            gradient = graph.node("Add", gradient, pull) if gradient else pull
        gradient = _backward(graph, layer, before, after, shapes, gradient)
    flat = graph.node("Squeeze", gradient, graph.constant([0], np.int64))  # (3, H, W)
    last = graph.node("Transpose", flat, perm=[1, 2, 0])  # (H, W, 3)
    one = graph.constant([1], np.int64)
    numbers = [graph.node("Reshape", cost, one) for cost in (content_cost, variation, *style_costs)]
    total, parts = graph.node("Add", last, of_variation), graph.node("Concat", *numbers, axis=0)
    graph.rename({total: "gradient", parts: "costs", answers[targets.content_layer]: "answer"})
    height, width, channels = targets.content.shape
    inputs = {"picture": shape, "content": (1, channels, height, width)}
    return graph.model(inputs, {"gradient": shape, "costs": (len(numbers),), "answer": inputs["content"]})


def _forward(graph: _Graph, layer: Any, x: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """A layer's answer and its shape (C, H, W)."""
    kind = type(layer).__name__
    channels, height, width = shape
    if kind == "Rescaling":
        return graph.node("Add", graph.scaled(x, layer.scale), graph.constant(layer.offset)), shape
    keeps_size = (
        kind == "Conv2D" and layer.strides == (1, 1) and (layer.padding == "same" or layer.kernel_size == (1, 1))
    )
    if keeps_size:
        kernel, bias = (np.asarray(w) for w in layer.get_weights())
        filters = graph.constant(kernel.transpose(3, 2, 0, 1))
        margin = [side // 2 for side in kernel.shape[:2]] * 2
        y = graph.node("Conv", x, filters, graph.constant(bias), pads=margin)
        return graph.node("Relu", y) if _has_relu(layer) else y, (kernel.shape[3], height, width)
    if kind in ("MaxPooling2D", "AveragePooling2D") and layer.pool_size == layer.strides == (2, 2):
        y = graph.node(kind.replace("Pooling2D", "Pool"), x, kernel_shape=[2, 2], strides=[2, 2])
        return y, (channels, height // 2, width // 2)
    raise ValueError(f"expected 'same' convolutions and 2 x 2 pools, received {kind} {layer.name!r}")


def _has_relu(layer: Any) -> bool:
    return getattr(layer.activation, "__name__", "") == "relu"


def _backward(
    graph: _Graph, layer: Any, before: str, after: str, shapes: dict[str, tuple[int, ...]], gradient: str
) -> str:
    """From the gradient with respect to a layer's answer to that with respect to its input."""
    kind = type(layer).__name__
    if kind == "Rescaling":
        return graph.scaled(gradient, layer.scale)
    if kind == "Conv2D":
        if _has_relu(layer):
            gradient = graph.node("Mul", gradient, graph.node("Sign", after))  # 1 where it answered, else 0
        kernel = np.asarray(layer.get_weights()[0])
        turned = graph.constant(kernel[::-1, ::-1].transpose(2, 3, 0, 1))
        return graph.node("Conv", gradient, turned, pads=[side // 2 for side in kernel.shape[:2]] * 2)
    _, height, width = shapes[before]
    odd = (height % 2, width % 2)  # rows and columns that no window holds
    if kind == "AveragePooling2D":
        larger = graph.enlarged(graph.scaled(gradient, 0.25))
    else:
        held = before
        for axis, side in ((2, height), (3, width)):
            held = graph.sliced(held, axis, 0, side - 1) if side % 2 else held
        largest = graph.node("Cast", graph.node("Equal", held, graph.enlarged(after)), to=1)
        count = graph.scaled(graph.node("AveragePool", largest, kernel_shape=[2, 2], strides=[2, 2]), 4.0)
        larger = graph.node("Mul", graph.enlarged(graph.node("Div", gradient, count)), largest)
    return graph.padded(larger, (0, 0, 0, 0), (0, 0, *odd))


def _content(graph: _Graph, answer: str, alpha: float) -> tuple[str, str]:
    """The cost, and the gradient of its weighted value with respect to the answer."""
    away = graph.node("Sub", answer, "content")
    return graph.scaled(graph.sum_of_squares(away), 0.5), graph.scaled(away, alpha)


def _style(graph: _Graph, answer: str, shape: tuple[int, ...], target: StyleTarget) -> tuple[str, str]:
    """The cost, and the gradient of its weighted value with respect to the answer."""
    channels, positions = shape[0], shape[1] * shape[2]
    columns = graph.node("Reshape", answer, graph.constant([channels, positions], np.int64))
    gram = graph.node("MatMul", columns, graph.node("Transpose", columns, perm=[1, 0]))  # (n_C, n_C)
    away = graph.node("Sub", gram, graph.constant(target.gram))
    factor = 1.0 / (2.0 * positions * channels) ** 2
    cost = graph.scaled(graph.node("Add", graph.sum_of_squares(away), graph.constant(target.spread)), factor)
    slope = graph.node("MatMul", graph.scaled(away, 4.0 * target.weight * factor), columns)
    return cost, graph.node("Reshape", slope, graph.constant([1, *shape], np.int64))


def _variation(graph: _Graph, gamma: float) -> tuple[str, str]:
    """The total variation of the picture (H, W, 3), and the gradient of its weighted value."""
    costs, slopes = [], []
    for axis in (0, 1):
        step = graph.node("Sub", graph.sliced("picture", axis, 1, 2**31 - 1), graph.sliced("picture", axis, 0, -1))
        costs.append(graph.sum_of_squares(step))
        margin = [int(axis == other) for other in range(3)]
        up, down = graph.padded(step, margin, (0, 0, 0)), graph.padded(step, (0, 0, 0), margin)
        slopes.append(graph.node("Sub", up, down))
    return graph.node("Add", *costs), graph.scaled(graph.node("Add", *slopes), 2.0 * gamma)


class OnnxStep:
    """Such a graph on the CPU, as a step (see `core.style.targets`)."""

    def __init__(self, network: keras.Model, content: NDArray[Any], targets: Targets, threads: int) -> None:
        """Compile for the size of the content picture (H, W, 3) and so many threads; for the rest see `step_model`."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # errors are raised, and that is enough
        # Threads that wait busily for the next operator take the cores from other workers.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model = step_model(network, content.shape, targets)
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        picture = np.asarray(content, np.float32)
        nothing = np.zeros((1, *targets.content.transpose(2, 0, 1).shape), np.float32)
        (self._content,) = self._session.run(["answer"], {"picture": picture, "content": nothing})

    def __call__(self, picture: Floats) -> tuple[Floats, Floats]:
        """The costs unweighted, and the gradient."""
        given = {"picture": np.asarray(picture, np.float32), "content": self._content}
        costs, gradient = self._session.run(["costs", "gradient"], given)
        return costs, gradient
