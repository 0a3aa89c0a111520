"""The graph of a Keras model as a list: which layer is applied to what, in the order in which they run.

Functional and Sequential models are read; models inside models are opened. Shapes are those of the symbolic
tensors, the batch axis left out. Nothing is computed and no weight is touched.

Importing this module imports Keras.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

Shape = tuple[int | None, ...]


class UnreadableModelError(ValueError):
    """A model whose graph of layers is not known before it runs."""


@dataclass(frozen=True)
class Node:
    """One application of a layer.

    `inbound` are the indices of the nodes that feed it, `parent` the names of the models it is nested in.
    `first_use` is false when the same layer stands earlier in the list (shared weights).
    """

    name: str
    layer: Any
    inbound: tuple[int, ...]
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    output_dtype: str
    parent: str
    first_use: bool

    @property
    def kind(self) -> str:
        """The name of the layer's class."""
        return type(self.layer).__name__


def read_graph(model: Any) -> list[Node]:
    """The nodes of a Functional or Sequential model, inputs first.

    Raises:
        UnreadableModelError: If the model is neither, or has not been built yet.
    """
    reader = _Reader()
    reader.read(model, {}, "")
    return reader.nodes


class _Reader:
    """Walks models and collects their nodes."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._names: set[str] = set()
        self._seen: set[int] = set()

    def read(self, model: Any, fed: dict[int, int], parent: str) -> list[int]:
        """Appends a model's nodes; `fed` says which node feeds each of its input tensors.

        Returns:
            The indices of the nodes that give the model's outputs.
        """
        functional = as_functional(model)
        producer = dict(fed)  # id of a symbolic tensor: index of the node that gives it
        # Keras' own summary walks the same lists; they have no public name.
        by_depth = functional._nodes_by_depth
        for depth in sorted(by_depth, reverse=True):
            for node in by_depth[depth]:
                if node.is_input and id(node.outputs[0]) in producer:
                    continue
                inbound = tuple(producer[id(tensor)] for tensor in node.arguments.keras_tensors)
                if isinstance(node.operation, keras.Model):
                    inner = as_functional(node.operation)
                    feeds = {id(t): i for t, i in zip(inner.inputs, inbound, strict=True)}
                    name = node.operation.name
                    outputs = self.read(inner, feeds, f"{parent}/{name}" if parent else name)
                    for tensor, index in zip(node.outputs, outputs, strict=True):
                        producer[id(tensor)] = index
                    continue
                index = self._append(node, inbound, parent)
                for tensor in node.outputs:
                    producer[id(tensor)] = index
        return [producer[id(tensor)] for tensor in functional.outputs]

    def _append(self, node: Any, inbound: tuple[int, ...], parent: str) -> int:
        """Appends one node and gives its index."""
        layer, output = node.operation, node.outputs[0]
        name, call = layer.name, 1
        while name in self._names:
            call += 1
            name = f"{layer.name} ({call})"
        self._names.add(name)
        self.nodes.append(
            Node(
                name,
                layer,
                inbound,
                tuple(tuple(tensor.shape[1:]) for tensor in node.arguments.keras_tensors),
                tuple(output.shape[1:]),
                str(output.dtype),
                parent,
                id(layer) not in self._seen,
            )
        )
        self._seen.add(id(layer))
        return len(self.nodes) - 1


def as_functional(model: Any) -> Any:
    """The model itself if it is Functional, or a Functional one over the same layers if it is Sequential.

    Raises:
        UnreadableModelError: If the model is neither, or has not been built yet.
    """
    if hasattr(model, "_nodes_by_depth"):
        return model
    if isinstance(model, keras.Sequential):
        if not model.built:
            raise UnreadableModelError(
                f"The model {model.name!r} has not been built: it does not say the size of its input."
            )
        return keras.Model(model.inputs, model.outputs, name=model.name)
    raise UnreadableModelError(
        f"The model {getattr(model, 'name', model)!r} is neither Functional nor Sequential, so its layers "
        "cannot be listed without running it."
    )
