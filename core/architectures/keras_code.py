"""A network written out as a program in Keras' functional style: a line a layer, only what differs from defaults.

The program builds the same layers with random weights. Layers of this project's own are imported from
`core.architectures.layers`. Importing this module imports Keras.
"""

from __future__ import annotations

import inspect
import keyword
import re
from typing import Any

import keras

from core.architectures.graph import Node, read_graph

# Where weights start, what they are stored as and what they were drawn from does not change the architecture.
_LEFT_OUT = {"dtype", "trainable", "seed", "name"}
_LEFT_OUT_ENDINGS = ("_initializer", "_regularizer", "_constraint")
_PLAIN = (bool, int, float, str, type(None))


class NoCodeError(ValueError):
    """A network that has no short program; the message says why in one sentence."""


def keras_code(model: Any) -> str:
    """A Functional or Sequential model as a program that builds it and names it `model`.

    Raises:
        NoCodeError: If a layer is applied in a way that one line cannot say.
        UnreadableModelError: If the model's layers cannot be listed.
    """
    nodes = read_graph(model)
    own: set[str] = set()
    lines: list[str] = []
    variables: list[str] = []
    layer_variables: dict[int, str] = {}
    for node in nodes:
        variable = _variable(node.name, variables)
        variables.append(variable)
        if not node.inbound:
            lines.append(f"{variable} = keras.Input({tuple(node.output_shape)}, name={node.name!r})")
            continue
        taken = [variables[index] for index in node.inbound]
        fed = taken[0] if len(taken) == 1 else f"[{', '.join(taken)}]"
        if not node.first_use:
            lines.append(f"{variable} = {layer_variables[id(node.layer)]}({fed})")
            continue
        made = _made(node, own)
        if sum(other.layer is node.layer for other in nodes) > 1:
            layer_variables[id(node.layer)] = f"{variable}_layer"
            lines.append(f"{variable}_layer = {made}")
            made = f"{variable}_layer"
        lines.append(f"{variable} = {made}({fed})")
    inputs = [v for v, node in zip(variables, nodes, strict=True) if not node.inbound]
    outputs = _outputs(model, nodes, variables)
    head = ["import keras", "from keras import layers"]
    if own:
        head.append(f"from core.architectures.layers import {', '.join(sorted(own))}")
    lines.append(f"model = keras.Model({_one_or_list(inputs)}, {_one_or_list(outputs)}, name={model.name!r})")
    return "\n".join([*head, "", *lines, ""])


def _outputs(model: Any, nodes: list[Node], variables: list[str]) -> list[str]:
    """The variables of the model's outputs, in the model's order."""
    made_by = {id(node.layer): variable for node, variable in zip(nodes, variables, strict=True)}
    operations = [tensor._keras_history.operation for tensor in model.outputs]
    if all(id(operation) in made_by for operation in operations):
        return [made_by[id(operation)] for operation in operations]
    # An output of a model inside the model: what feeds nothing is what comes out.
    fed_on = {index for node in nodes for index in node.inbound}
    return [variable for i, variable in enumerate(variables) if i not in fed_on]


def _made(node: Node, own: set[str]) -> str:
    """The expression that makes a layer."""
    layer, kind = node.layer, node.kind
    if not isinstance(layer, keras.layers.Layer):
        raise NoCodeError(f"{node.name} is an operation, not a layer: the network is no list of layers.")
    if getattr(keras.layers, kind, None) is type(layer):
        maker = f"layers.{kind}"
    elif type(layer).__module__ == "core.architectures.layers":
        maker = kind
        own.add(kind)
    else:
        raise NoCodeError(f"{node.name} is a {kind}, which Keras does not offer for use in programs.")
    config = layer.get_config()
    parameters = inspect.signature(type(layer).__init__).parameters
    arguments: list[str] = []
    for name, parameter in parameters.items():
        if name in _LEFT_OUT or name.endswith(_LEFT_OUT_ENDINGS) or name not in config:
            continue
        value = _plain(config[name])
        if name == "data_format" and value == "channels_last":
            continue
        if value is _NOT_PLAIN:
            raise NoCodeError(f"{node.name} takes a {name} that is no plain value.")
        if parameter.default is not inspect.Parameter.empty and _same(value, parameter.default):
            continue
        positional = parameter.default is inspect.Parameter.empty
        arguments.append(repr(value) if positional else f"{name}={value!r}")
    arguments.append(f"name={layer.name!r}")
    return f"{maker}({', '.join(arguments)})"


_NOT_PLAIN = object()


def _plain(value: Any) -> Any:
    """The value as plain numbers, texts and tuples, or `_NOT_PLAIN`."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, (list, tuple)):
        parts = [_plain(part) for part in value]
        return _NOT_PLAIN if any(part is _NOT_PLAIN for part in parts) else _shortened(tuple(parts))
    return _NOT_PLAIN


def _shortened(value: tuple[Any, ...]) -> Any:
    """Equal sides as one number, as people write filter sizes.

    >>> _shortened((3, 3)), _shortened((3, 1)), _shortened(((1, 1), (1, 1)))
    (3, (3, 1), ((1, 1), (1, 1)))
    """
    simple = bool(value) and isinstance(value[0], int) and len(value) == 2
    return value[0] if simple and value[0] == value[1] else value


def _same(value: Any, default: Any) -> bool:
    """Whether a value is the default, however either is written."""
    if value == "linear" and default is None:  # Keras writes no activation so
        return True
    return type(value) is type(_plain(default)) and bool(value == _plain(default))


def _variable(name: str, taken: list[str]) -> str:
    """A name for a variable after a layer's name."""
    word = re.sub(r"\W", "_", name)
    if not word[:1].isalpha() or keyword.iskeyword(word) or word in ("keras", "layers", "model"):
        word = f"x_{word}"
    while word in taken:
        word += "_"
    return word


def _one_or_list(variables: list[str]) -> str:
    """One variable, or a list of them."""
    return variables[0] if len(variables) == 1 else f"[{', '.join(variables)}]"
