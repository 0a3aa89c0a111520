"""The computations of this chapter as short programs in NumPy, TensorFlow and Keras, to read, copy and run.

The texts on the page are the very texts that core.convolution.tasks executes and times, so what a reader
copies is what was measured. Each runs as it stands once its inputs are defined and leaves its answer in
`result`. Above the line `MARK` it gets ready; below it stands the computation, which alone is timed.

Only whole numbers and fixed words go into a text, never anything that a user typed: sizes pass through `int`,
choices are looked up in tables. Images, filters and biases come in as arrays.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from core.convolution.operation import (
    Activation,
    Border,
    ConvolutionSettings,
    output_amount,
    padding_amounts,
)
from core.convolution.pooling import Mode as PoolingMode

MARK = "# The computation itself."

_PAD_MODES: dict[Border, str] = {"zero": "constant", "reflect": "reflect", "replicate": "edge"}
_NUMPY_ACTIVATIONS: dict[Activation, str | None] = {
    "linear": None,
    "relu": "result = np.maximum(result, 0)",
    "tanh": "result = np.tanh(result)",
    "sigmoid": "result = 1 / (1 + np.exp(-result))",
}
_POOLING_NAMES: dict[PoolingMode, tuple[str, str]] = {
    "max": ("max_pool2d", "MaxPooling2D"),
    "average": ("avg_pool2d", "AveragePooling2D"),
}


@dataclass(frozen=True)
class CodeSnippets:
    """The same computation three times, each a program of its own."""

    numpy: str
    tensorflow: str
    keras: str

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield (name, text) in the order NumPy, TensorFlow, Keras."""
        yield "NumPy", self.numpy
        yield "TensorFlow", self.tensorflow
        yield "Keras", self.keras


def split_at_mark(text: str) -> tuple[str, str]:
    r"""Return what gets ready and what computes, without the line between them.

    >>> split_at_mark(f"import numpy as np\n{MARK}\nresult = 1")
    ('import numpy as np\n', 'result = 1')
    """
    ready, _, computation = text.partition(MARK + "\n")
    return ready, computation


def convolution_snippets(
    settings: ConvolutionSettings, kernel_shape: tuple[int, int], image_shape: tuple[int, ...]
) -> CodeSnippets:
    """Return programs that filter `image` (H, W) or (H, W, C), each channel alone, with `kernel` (f_h, f_w).

    Raises:
        FilterTooLarge: The filter does not fit into the padded image.
        ValueError: The image shape has not two or three axes.
    """
    if len(image_shape) not in (2, 3):
        raise ValueError(f"The image must have the shape (H, W) or (H, W, C), received {image_shape}.")
    moves = _Moves(settings, kernel_shape, image_shape)
    weights = "kernel[::-1, ::-1]" if settings.flip else "kernel"
    if len(image_shape) == 2:
        batch = "pixels[None, :, :, None]  # (1, H, W, 1)"
        unbatch = "result[0, :, :, 0]  # (H', W')"
    else:
        # Every channel meets the same filter: to the frameworks they are so many images of one channel.
        batch = "np.moveaxis(pixels, -1, 0)[..., None]  # (C, H, W, 1)"
        unbatch = "np.moveaxis(result[..., 0], 0, -1)  # (H', W', C)"
    ready = [
        "pixels = image.astype(np.float32)",
        moves.framework_padding(),
        f"batch = {batch}",
        f"weights = {weights}.astype(np.float32)[:, :, None, None]  # (f, f, 1, 1)",
    ]
    numpy = [
        "import numpy as np",
        "",
        "pixels = image.astype(np.float32)",
        moves.numpy_padding(),
        f"weights = {weights}.astype(np.float32)",
        "",
        MARK,
        f"result = np.zeros({moves.result_shape(image_shape[2:])}, np.float32)",
        *moves.numpy_taps("result += weights[i, j] * window"),
    ]
    tensorflow = [
        "import numpy as np",
        "import tensorflow as tf",
        "",
        *ready,
        "batch, weights = tf.constant(batch), tf.constant(weights)",
        "",
        MARK,
        moves.tensorflow_conv2d(),
        "result = result.numpy()",
        f"result = {unbatch}",
    ]
    keras = [
        "import keras",
        "import numpy as np",
        "",
        *ready,
        *moves.keras_conv2d(1, "use_bias=False"),
        "layer.build(batch.shape)",
        "layer.set_weights([weights])",
        "",
        MARK,
        "result = keras.ops.convert_to_numpy(layer(batch))",
        moves.keras_stride(),
        f"result = {unbatch}",
    ]
    return CodeSnippets(_program(numpy), _program(tensorflow), _program(keras))


def volume_snippets(
    settings: ConvolutionSettings,
    filters_shape: tuple[int, int, int, int],
    volume_shape: tuple[int, int, int],
    activation: Activation = "linear",
) -> CodeSnippets:
    """Return programs that take `volume` (H, W, C), `filters` (f, f, C, K) and `bias` (K,) to (H', W', K).

    Raises:
        FilterTooLarge: The filters do not fit into the padded volume.
        ValueError: The shapes do not belong together, or there is no such activation.
    """
    if len(volume_shape) != 3 or len(filters_shape) != 4 or filters_shape[2] != volume_shape[2]:
        raise ValueError(
            "The volume must have the shape (H, W, C) and the filters (f, f, C, K) with the same C, "
            f"received {volume_shape} and {filters_shape}."
        )
    if activation not in _NUMPY_ACTIVATIONS:
        names = ", ".join(get_args(Activation))
        raise ValueError(f"The activation must be one of {names}, received {activation!r}.")
    moves = _Moves(settings, filters_shape[:2], volume_shape)
    count = int(filters_shape[3])
    weights = "filters[::-1, ::-1]" if settings.flip else "filters"
    parameters = [
        f"weights = {weights}.astype(np.float32)  # (f, f, C, K)",
        "offsets = bias.astype(np.float32)  # (K,)",
    ]
    ready = [
        "pixels = volume.astype(np.float32)",
        moves.framework_padding(),
        "batch = pixels[None]  # (1, H, W, C)",
        *parameters,
    ]
    numpy = [
        "import numpy as np",
        "",
        "pixels = volume.astype(np.float32)",
        moves.numpy_padding(),
        *parameters,
        "",
        MARK,
        f"result = np.zeros({moves.result_shape((count,))}, np.float32)",
        *moves.numpy_taps("result += window @ weights[i, j]  # (H', W', C) @ (C, K) -> (H', W', K)"),
        "result += offsets",
        _NUMPY_ACTIVATIONS[activation],
    ]
    tensorflow = [
        "import numpy as np",
        "import tensorflow as tf",
        "",
        *ready,
        "batch, weights, offsets = tf.constant(batch), tf.constant(weights), tf.constant(offsets)",
        "",
        MARK,
        moves.tensorflow_conv2d(),
        "result = tf.nn.bias_add(result, offsets)",
        None if activation == "linear" else f"result = tf.nn.{activation}(result)",
        "result = result.numpy()[0]  # (H', W', K)",
    ]
    keras = [
        "import keras",
        "import numpy as np",
        "",
        *ready,
        *moves.keras_conv2d(count, f'activation="{activation}"'),
        "layer.build(batch.shape)",
        "layer.set_weights([weights, offsets])",
        "",
        MARK,
        "result = keras.ops.convert_to_numpy(layer(batch))",
        moves.keras_stride(),
        "result = result[0]  # (H', W', K)",
    ]
    return CodeSnippets(_program(numpy), _program(tensorflow), _program(keras))


def pooling_snippets(f: int, s: int, mode: PoolingMode, x_shape: tuple[int, ...]) -> CodeSnippets:
    """Return programs that pool `x` (H, W) or (H, W, C) by f x f windows with stride s, without padding.

    Raises:
        FilterTooLarge: The window is larger than the image.
        ValueError: A size below 1, a shape of neither two nor three axes, or no such mode.
    """
    if mode not in _POOLING_NAMES:
        raise ValueError(f"The mode must be max or average, received {mode!r}.")
    if len(x_shape) not in (2, 3):
        raise ValueError(f"The input must have the shape (H, W) or (H, W, C), received {x_shape}.")
    moves = _Moves(ConvolutionSettings(stride=s), (f, f), x_shape)
    window, stride = int(f), int(s)
    operation, layer = _POOLING_NAMES[mode]
    layer = f'{layer}(pool_size={window}, strides={stride}, padding="valid", name="pooling")'
    start, accumulate = "-np.inf", "result = np.maximum(result, window)"
    if mode == "average":
        start, accumulate = "0", "result += window"
    if len(x_shape) == 2:
        batch, unbatch = "pixels[None, :, :, None]  # (1, H, W, 1)", "result[0, :, :, 0]  # (H', W')"
    else:
        batch, unbatch = "pixels[None]  # (1, H, W, C)", "result[0]  # (H', W', C)"
    numpy = [
        "import numpy as np",
        "",
        "pixels = x.astype(np.float32)",
        "",
        MARK,
        f"result = np.full({moves.result_shape(x_shape[2:])}, {start}, np.float32)",
        *moves.numpy_taps(accumulate),
        None if mode == "max" else f"result /= {window * window}",
    ]
    tensorflow = [
        "import numpy as np",
        "import tensorflow as tf",
        "",
        "pixels = x.astype(np.float32)",
        f"batch = {batch}",
        "batch = tf.constant(batch)",
        "",
        MARK,
        f'result = tf.nn.{operation}(batch, ksize={window}, strides={stride}, padding="VALID")',
        "result = result.numpy()",
        f"result = {unbatch}",
    ]
    keras = [
        "import keras",
        "import numpy as np",
        "",
        "pixels = x.astype(np.float32)",
        f"batch = {batch}",
        f"layer = keras.layers.{layer}",
        "",
        MARK,
        "result = keras.ops.convert_to_numpy(layer(batch))",
        f"result = {unbatch}",
    ]
    return CodeSnippets(_program(numpy), _program(tensorflow), _program(keras))


class _Moves:
    """How the filter moves, with the sizes of one image put in, as lines of code."""

    def __init__(
        self, settings: ConvolutionSettings, kernel_shape: tuple[int, int], image_shape: tuple[int, ...]
    ) -> None:
        sizes = list(zip((int(n) for n in image_shape[:2]), (int(f) for f in kernel_shape), strict=True))
        self.taps = [f for _, f in sizes]
        self.outputs = [int(output_amount(n, f, settings)) for n, f in sizes]
        paddings = [padding_amounts(n, f, settings) for n, f in sizes]
        self.padding = [(int(before), int(after)) for before, after in paddings]
        self.axes = len(image_shape)
        self.stride = int(settings.stride)
        self.dilation = int(settings.dilation)
        self.same = settings.padding == "same"
        self.mode = _PAD_MODES[settings.border]
        # The frameworks know zeros only; any other border is added to the image beforehand.
        self.pads_itself = settings.border == "zero"

    def result_shape(self, channels: tuple[int, ...]) -> str:
        """Return the shape of the output as code."""
        return str((*self.outputs, *(int(c) for c in channels)))

    def numpy_padding(self) -> str | None:
        """Return the line that adds the border, where there is one to add."""
        if not any(self.padding[0] + self.padding[1]):
            return None
        amounts = [*self.padding, *[(0, 0)] * (self.axes - 2)]
        return f'pixels = np.pad(pixels, {amounts}, mode="{self.mode}")'

    def framework_padding(self) -> str | None:
        """Return the same line where a framework would not add this border itself."""
        return None if self.pads_itself else self.numpy_padding()

    def numpy_taps(self, accumulate: str) -> list[str]:
        """Return the loop over the taps: each weighs the image as it is seen from its place in the filter."""
        bounds = []
        for tap, outputs in zip("ij", self.outputs, strict=True):
            start = tap if self.dilation == 1 else f"{self.dilation} * {tap}"
            step = "" if self.stride == 1 else f" : {self.stride}"
            bounds.append(f"{start} : {start} + {(outputs - 1) * self.stride + 1}{step}")
        return [
            f"for i in range({self.taps[0]}):",
            f"    for j in range({self.taps[1]}):",
            f"        window = pixels[{', '.join(bounds)}]",
            f"        {accumulate}",
        ]

    def tensorflow_conv2d(self) -> str:
        """Return the call of tf.nn.conv2d."""
        padding = '"VALID"'
        if self.pads_itself and self.same:
            padding = '"SAME"'
        elif self.pads_itself and self.numpy_padding() is not None:
            padding = str([[0, 0], *(list(amounts) for amounts in self.padding), [0, 0]])
        return (
            "result = tf.nn.conv2d(\n"
            f"    batch, weights, strides={self.stride}, padding={padding}, dilations={self.dilation}\n"
            ")"
        )

    def keras_conv2d(self, filters: int, options: str) -> list[str | None]:
        """Return the lines that pad where the layer does not, and make the layer."""
        # Keras takes no stride beside a dilation: then the layer makes every output, `keras_stride` picks.
        stride = 1 if self.dilation > 1 else self.stride
        same = self.pads_itself and self.same and stride == self.stride
        pads = self.pads_itself and not same and self.numpy_padding() is not None
        padding = "same" if same else "valid"
        return [
            f"batch = keras.ops.pad(batch, {[(0, 0), *self.padding, (0, 0)]})" if pads else None,
            "layer = keras.layers.Conv2D(",
            f'    {filters}, {tuple(self.taps)}, strides={stride}, padding="{padding}", '
            f'dilation_rate={self.dilation}, {options}, name="filter"',
            ")",
        ]

    def keras_stride(self) -> str | None:
        """Return the line that picks every s-th output where the layer could not."""
        if self.stride == 1 or self.dilation == 1:
            return None
        return f"result = result[:, ::{self.stride}, ::{self.stride}]  # Keras: no stride beside a dilation"


def _program(lines: Sequence[str | None]) -> str:
    return "\n".join(line for line in lines if line is not None) + "\n"
