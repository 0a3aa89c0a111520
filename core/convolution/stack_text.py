"""A stack as text: compact JSON for an address, and Keras code to take away."""

import json
from collections.abc import Sequence

from core.convolution.stack_layers import KINDS, StackLayer, layer_names
from core.convolution.stack_presets import NOTES_INPUT

MAX_LAYERS = 64
MAX_NUMBER = 1_000_000
MAX_TEXT = 10_000


class StackFormatError(ValueError):
    """A text that is no stack."""


def to_json(input_shape: tuple[int, int, int], layers: Sequence[StackLayer]) -> str:
    """Return a stack as short JSON: the input, then [kind, f, s, padding, units] of each layer.

    What a kind does not use is left out: pooling has no units, fully connected layers have nothing but units.

    >>> to_json((8, 8, 1), [StackLayer("conv", f=3, units=4), StackLayer("softmax", units=10)])
    '[[8,8,1],["conv",3,1,"valid",4],["softmax",10]]'
    """
    rows: list[list[object]] = [list(input_shape)]
    for layer in layers:
        if layer.kind == "conv":
            rows.append([layer.kind, layer.f, layer.s, layer.padding, layer.units])
        elif layer.kind in ("pool_max", "pool_avg"):
            rows.append([layer.kind, layer.f, layer.s, layer.padding])
        elif layer.kind == "flatten":
            rows.append([layer.kind])
        else:
            rows.append([layer.kind, layer.units])
    return json.dumps(rows, separators=(",", ":"))


def from_json(text: str) -> tuple[tuple[int, int, int], tuple[StackLayer, ...]]:
    """Return the input shape and the layers of a text that to_json wrote.

    Whether the stack can be built is describe_stack's to say; here it only has to be one.

    >>> from_json('[[8,8,1],["pool_max",2,2,"valid"]]')
    ((8, 8, 1), (StackLayer(kind='pool_max', f=2, s=2, padding='valid', units=0),))

    Raises:
        StackFormatError: in one sentence, what is wrong with the text.
    """
    if len(text) > MAX_TEXT:
        raise StackFormatError(f"The stack is {len(text):,} characters long; {MAX_TEXT:,} are allowed.")
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        raise StackFormatError("The stack is not written in JSON.") from None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) for row in rows):
        raise StackFormatError("A stack is a list of lists: the input, then the layers.")
    if len(rows) - 1 > MAX_LAYERS:
        raise StackFormatError(f"The stack has {len(rows) - 1} layers; {MAX_LAYERS} are allowed.")
    if len(rows[0]) != 3:
        raise StackFormatError(f"The input of a stack is [H, W, C], received {len(rows[0])} numbers.")
    height, width, channels = (_whole(value, "The input of the stack", least=1) for value in rows[0])
    return (height, width, channels), tuple(_layer(row, number) for number, row in enumerate(rows[1:], 1))


def _layer(row: list[object], number: int) -> StackLayer:
    place = f"Layer {number} of the stack"
    kind = next((kind for kind in KINDS if row and row[0] == kind), None)
    if kind is None:
        raise StackFormatError(f"{place} must begin with one of {', '.join(KINDS)}.")
    lengths = {"conv": 5, "pool_max": 4, "pool_avg": 4, "flatten": 1}
    if len(row) != lengths.get(kind, 2):
        raise StackFormatError(f"{place} ({kind}) must have {lengths.get(kind, 2)} entries, received {len(row)}.")
    if kind == "flatten":
        return StackLayer(kind)
    if kind in ("dense", "softmax"):
        return StackLayer(kind, units=_whole(row[1], place))
    f, s = _whole(row[1], place), _whole(row[2], place)
    units = _whole(row[4], place) if kind == "conv" else 0
    if row[3] == "valid":
        return StackLayer(kind, f, s, "valid", units)
    if row[3] == "same":
        return StackLayer(kind, f, s, "same", units)
    return StackLayer(kind, f, s, _whole(row[3], place), units)


def _whole(value: object, place: str, least: int = 0) -> int:
    # In Python, true is a whole number too.
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MAX_NUMBER:
        raise StackFormatError(
            f"{place} has {str(value)[:20]!r} where a number from {least} to {MAX_NUMBER:,} belongs."
        )
    return value


def keras_code(layers: Sequence[StackLayer], input_shape: tuple[int, int, int] = NOTES_INPUT) -> str:
    """Return a program that builds the stack in Keras and prints its summary; the model is called `model`.

    >>> print(keras_code([StackLayer("softmax", units=10)], (8, 8, 1)))
    import keras
    <BLANKLINE>
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(name="softmax_input"),
            keras.layers.Dense(10, activation="softmax", name="softmax"),
        ]
    )
    model.summary()
    <BLANKLINE>
    """
    lines = [f"keras.Input({tuple(input_shape)})"]
    flat = False
    for layer, name in zip(layers, layer_names(layers), strict=True):
        name = name.lower().replace("-", "_")
        if layer.kind in ("dense", "softmax") and not flat:
            lines.append(f'keras.layers.Flatten(name="{name}_input")')
        flat = flat or layer.kind in ("flatten", "dense", "softmax")
        lines.extend(_keras_lines(layer, name))
    body = "".join(f"        {line},\n" for line in lines)
    return f"import keras\n\nmodel = keras.Sequential(\n    [\n{body}    ]\n)\nmodel.summary()\n"


def _keras_lines(layer: StackLayer, name: str) -> list[str]:
    if layer.kind == "flatten":
        return [f'keras.layers.Flatten(name="{name}")']
    if layer.kind in ("dense", "softmax"):
        activation = "relu" if layer.kind == "dense" else "softmax"
        return [f'keras.layers.Dense({layer.units}, activation="{activation}", name="{name}")']
    lines = []
    padding = layer.padding
    if not isinstance(padding, str):
        if padding > 0:
            lines.append(f'keras.layers.ZeroPadding2D({padding}, name="{name}_padding")')
        padding = "valid"
    moves = f'strides={layer.s}, padding="{padding}"'
    if layer.kind == "conv":
        lines.append(f'keras.layers.Conv2D({layer.units}, {layer.f}, {moves}, activation="relu", name="{name}")')
    else:
        pooling = "MaxPooling2D" if layer.kind == "pool_max" else "AveragePooling2D"
        lines.append(f'keras.layers.{pooling}({layer.f}, {moves}, name="{name}")')
    return lines
