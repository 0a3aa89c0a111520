"""A stack as a real Keras model: what Keras itself says of its layers, and the `.keras` file to take away.

The model is made by the program that core.convolution.stack_text shows (all but its last line, which prints),
so that what a reader copies is what was checked. Keras is imported when a function runs.
"""

import math
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.convolution.stack import StackError, describe_stack, from_json, keras_code, layer_names

if TYPE_CHECKING:
    import keras

MAX_EXPORT_PARAMETERS = 25_000_000  # 100 MB of float32
_MAX_SIZE = 2**40  # numbers in an activation or a weight: beyond, TensorFlow's own sizes overflow
_PRINTS = "model.summary()\n"


class StackTooLarge(ValueError):
    """A stack too large for what was asked."""


@dataclass(frozen=True)
class KerasLayer:
    """What Keras says of a layer.

    Attributes:
        name: in Keras, such as conv1.
        type: class in Keras, such as Conv2D.
        stack_name: name in the stack, such as CONV1; empty for a padding or flatten layer that Keras needs.
        output_shape: (H, W, C) or (n,), without the batch.
        parameters: numbers to learn, biases included.
    """

    name: str
    type: str
    stack_name: str
    output_shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True)
class StackModel:
    """A stack that was built.

    Attributes:
        layers: all layers of the model, in order.
        parameters: of the whole model, as Keras counts them.
        code: the program that was run.
        file: the model with random weights as a `.keras` file; None if it was only checked.
    """

    layers: tuple[KerasLayer, ...]
    parameters: int
    code: str
    file: bytes | None


def check(stack_json: str) -> StackModel:
    """Build the stack without memory for its weights, so that even a billion of them are counted at once.

    Args:
        stack_json: as core.convolution.stack.to_json writes it.

    Raises:
        StackFormatError: the text is no stack.
        StackError: the stack cannot be built.
        StackTooLarge: its sizes do not fit into whole numbers of 64 bits.
    """
    program = _program(stack_json)
    return _described(stack_json, program, _without_weights(lambda: _run(program)), None)


def export(stack_json: str) -> StackModel:
    """Build the stack with random weights and return it with its `.keras` file.

    Args:
        stack_json: as core.convolution.stack.to_json writes it.

    Raises:
        StackFormatError: the text is no stack.
        StackError: the stack cannot be built.
        StackTooLarge: it has more than 25 million parameters.
    """
    program = _program(stack_json)
    parameters = sum(report.parameters for report in describe_stack(*from_json(stack_json)))
    if parameters > MAX_EXPORT_PARAMETERS:
        raise StackTooLarge(
            f"The stack has {parameters:,} parameters; a file is made of at most {MAX_EXPORT_PARAMETERS:,}. "
            "The program builds it on your own machine."
        )
    model = _run(program)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stack.keras"
        model.save(path)
        return _described(stack_json, program, model, path.read_bytes())


def _program(stack_json: str) -> str:
    input_shape, layers = from_json(stack_json)
    if not layers:
        raise StackError("The stack has no layers: add one.", None)
    for report in describe_stack(input_shape, layers):
        if max(report.size, report.parameters) > _MAX_SIZE:
            raise StackTooLarge(f"{report.name} has over {_MAX_SIZE:,} numbers: no computer holds it.")
    if math.prod(input_shape) > _MAX_SIZE:
        raise StackTooLarge(f"The input has over {_MAX_SIZE:,} numbers: no computer holds it.")
    return keras_code(layers, input_shape)


def _run(program: str) -> "keras.Model":
    # The program is our own text: from_json lets only whole numbers and known words into it.
    names: dict[str, Any] = {}
    exec(compile(program.removesuffix(_PRINTS), "<stack>", "exec"), names)  # noqa: S102
    model: keras.Model = names["model"]
    return model


def _described(stack_json: str, program: str, model: "keras.Model", file: bytes | None) -> StackModel:
    _, layers = from_json(stack_json)
    stack_names = {name.lower().replace("-", "_"): name for name in layer_names(layers)}
    described = tuple(
        KerasLayer(
            name=layer.name,
            type=type(layer).__name__,
            stack_name=stack_names.get(layer.name, ""),
            output_shape=tuple(layer.output.shape[1:]),
            parameters=layer.count_params(),
        )
        for layer in model.layers
    )
    return StackModel(described, model.count_params(), program, file)


def _without_weights(build: Callable[[], "keras.Model"]) -> "keras.Model":
    """Return what `build` makes, its weights with shapes but without values."""
    models: list[keras.Model] = []
    errors: list[BaseException] = []

    def run() -> None:
        import keras

        try:
            with keras.StatelessScope(initialize_variables=False):
                models.append(build())
        except BaseException as error:
            errors.append(error)

    # Keras lists the weights that wait for values per thread and fills them at the next opportunity; the list
    # of a thread of its own goes with it.
    thread = threading.Thread(target=run, name="check-stack")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return models[0]
