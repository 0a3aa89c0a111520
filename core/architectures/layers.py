"""Layers of the classic papers that Keras does not carry.

LeNet-5 (LeCun et al., 1998, section II.B) needs a convolution that sees only some of its input maps,
pooling with a trainable coefficient, a scaled hyperbolic tangent and Euclidean radial basis units; AlexNet
and GoogLeNet need local response normalisation (Krizhevsky et al., 2012, section 3.3). All of them are
written in `keras.ops`, so that they run on any backend. Arrays are batches (N, H, W, C) or (N, features),
float32.

Importing this module imports Keras and registers the classes under the package name "cnn_workbench", so
that a saved `.keras` file that holds them loads again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

PACKAGE = "cnn_workbench"


@keras.saving.register_keras_serializable(package=PACKAGE)
class LocalResponseNormalization(keras.layers.Layer):  # type: ignore[misc]
    """Divides each value by a power of the squared values of its neighbouring channels.

    y_c = x_c / (k + alpha * sum of x_j squared over the `size` channels centred on c) ** beta, for batches
    (N, H, W, C). With `average=True` alpha is divided by `size`, as Caffe does. No parameters.

    Source: Krizhevsky et al., 2012, section 3.3.
    """

    def __init__(
        self,
        size: int = 5,
        k: float = 2.0,
        alpha: float = 1e-4,
        beta: float = 0.75,
        average: bool = False,
        **kwargs: Any,
    ) -> None:
        """Keeps the constants.

        Raises:
            ValueError: If `size` is even or smaller than 1.
        """
        super().__init__(**kwargs)
        if size < 1 or size % 2 == 0:
            raise ValueError(f"The number of channels of a normalisation window is odd; got {size}.")
        self.size, self.k, self.alpha, self.beta, self.average = size, k, alpha, beta, average

    def call(self, inputs: Any) -> Any:
        """Normalises a batch (N, H, W, C); the shape stays."""
        channels = inputs.shape[-1]
        half = self.size // 2
        squares = ops.pad(ops.square(inputs), [[0, 0], [0, 0], [0, 0], [half, half]])  # (N, H, W, C + size - 1)
        window = squares[..., :channels]
        for shift in range(1, self.size):
            window = window + squares[..., shift : shift + channels]
        alpha = self.alpha / self.size if self.average else self.alpha
        return inputs * ops.power(self.k + alpha * window, -self.beta)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """The shape of the input."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The constants, for saving."""
        own = {
            "size": self.size,
            "k": self.k,
            "alpha": self.alpha,
            "beta": self.beta,
            "average": self.average,
        }
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package=PACKAGE)
class ScaledTanh(keras.layers.Layer):  # type: ignore[misc]
    """The squashing function of LeNet-5: f(a) = 1.7159 tanh(2/3 a), so that f(1) = 1 and f(-1) = -1.

    Source: LeCun et al., 1998, section II.B and appendix A.
    """

    def call(self, inputs: Any) -> Any:
        """Applies the function to each value."""
        return 1.7159 * ops.tanh(inputs * (2.0 / 3.0))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """The shape of the input."""
        return tuple(input_shape)


@keras.saving.register_keras_serializable(package=PACKAGE)
class TrainableSubsampling(keras.layers.Layer):  # type: ignore[misc]
    """Sums each window, multiplies it by one coefficient per map and adds one bias per map.

    (N, H, W, C) to (N, floor(H / size), floor(W / size), C), windows side by side; 2 C parameters.

    Source: LeCun et al., 1998, section II.B, layers S2 and S4.
    """

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        """Keeps the window's size in pixels."""
        super().__init__(**kwargs)
        self.size = size

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the coefficients (C,), so that a window is averaged at first, and the biases (C,)."""
        channels = (input_shape[-1],)
        average = keras.initializers.Constant(1.0 / self.size**2)
        self.coefficient = self.add_weight(shape=channels, initializer=average, name="coefficient")
        self.bias = self.add_weight(shape=channels, initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """Subsamples a batch (N, H, W, C)."""
        means = ops.average_pool(inputs, self.size, self.size, padding="valid")  # (N, H/size, W/size, C)
        return means * (self.size**2 * self.coefficient) + self.bias

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """(N, floor(H / size), floor(W / size), C)."""
        batch, height, width, channels = input_shape
        sides = (None if side is None else side // self.size for side in (height, width))
        return (batch, *sides, channels)

    def get_config(self) -> dict[str, Any]:
        """The window's size, for saving."""
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable(package=PACKAGE)
class ConnectionTableConv2D(keras.layers.Layer):  # type: ignore[misc]
    """A valid convolution of stride 1 in which each output map sees only the input maps listed for it.

    (N, H, W, C) to (N, H - f + 1, W - f + 1, len(connections)). Only connected pairs have weights: the
    kernel is (f, f, pairs), the pairs in the table's order, and each output map has a bias.

    Source: LeCun et al., 1998, section II.B, layer C3 and Table I.
    """

    def __init__(
        self,
        connections: Sequence[Sequence[int]],
        kernel_size: int,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        """Keeps the table: for each output map, the indices of the input maps it sees."""
        super().__init__(**kwargs)
        self.connections = [list(maps) for maps in connections]
        self.kernel_size = kernel_size
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    @property
    def pairs(self) -> int:
        """The number of connected pairs of input and output map."""
        return sum(len(maps) for maps in self.connections)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the kernel (f, f, pairs) and the biases (output maps,).

        Raises:
            ValueError: If the table names an input map that is not there.
        """
        channels = input_shape[-1] or 0
        largest = max(max(maps) for maps in self.connections)
        if largest >= channels:
            raise ValueError(f"The connection table names input map {largest}; the input has {channels} maps.")
        size = self.kernel_size
        shape = (size, size, self.pairs)
        self.kernel = self.add_weight(shape=shape, initializer=self.kernel_initializer, name="kernel")
        self.bias = self.add_weight(shape=(len(self.connections),), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """Convolves a batch (N, H, W, C)."""
        maps, first = [], 0
        for seen in self.connections:
            last = first + len(seen)
            kernel = ops.expand_dims(self.kernel[..., first:last], -1)  # (f, f, seen, 1)
            maps.append(ops.conv(ops.take(inputs, seen, axis=-1), kernel, padding="valid"))
            first = last
        return ops.concatenate(maps, axis=-1) + self.bias  # (N, H - f + 1, W - f + 1, output maps)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """(N, H - f + 1, W - f + 1, output maps)."""
        batch, height, width, _ = input_shape
        sides = (None if side is None else side - self.kernel_size + 1 for side in (height, width))
        return (batch, *sides, len(self.connections))

    def get_config(self) -> dict[str, Any]:
        """The table, the kernel's size and its initialiser, for saving."""
        own = {
            "connections": self.connections,
            "kernel_size": self.kernel_size,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package=PACKAGE)
class EuclideanRBF(keras.layers.Layer):  # type: ignore[misc]
    """Squared Euclidean distance of the input to fixed prototypes: y_i = sum_j (x_j - w_ij) squared.

    (N, features) to (N, len(prototypes)); the prototypes are weights that do not train. The smallest output
    is the answer.

    Source: LeCun et al., 1998, section II.B, equation 7.
    """

    def __init__(self, prototypes: Sequence[Sequence[float]], **kwargs: Any) -> None:
        """Keeps the prototypes, one row for each output."""
        super().__init__(**kwargs)
        self.prototypes = [list(row) for row in prototypes]

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the fixed weights (outputs, features).

        Raises:
            ValueError: If a prototype is not as long as the input.
        """
        if any(len(row) != input_shape[-1] for row in self.prototypes):
            raise ValueError(f"Every prototype has {input_shape[-1]} values, as the input has.")

        def values(shape: Any, dtype: Any = None) -> Any:
            return ops.convert_to_tensor(self.prototypes, dtype=dtype)

        shape = (len(self.prototypes), input_shape[-1])
        self.weight = self.add_weight(shape=shape, initializer=values, trainable=False, name="prototypes")

    def call(self, inputs: Any) -> Any:
        """Measures the distances of a batch (N, features)."""
        difference = ops.expand_dims(inputs, 1) - self.weight  # (N, outputs, features)
        return ops.sum(ops.square(difference), axis=-1)  # (N, outputs)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """(N, outputs)."""
        return (input_shape[0], len(self.prototypes))

    def get_config(self) -> dict[str, Any]:
        """The prototypes, for saving."""
        return {**super().get_config(), "prototypes": self.prototypes}


@keras.saving.register_keras_serializable(package=PACKAGE)
class PaddedShortcut(keras.layers.Layer):  # type: ignore[misc]
    """The shortcut without parameters: every `stride`-th pixel, and zeros for the channels that are added.

    (N, H, W, C) to (N, ceil(H / stride), ceil(W / stride), channels).

    Source: He et al., 2015, section 3.3, option A.
    """

    def __init__(self, channels: int, stride: int = 1, **kwargs: Any) -> None:
        """Keeps the number of channels wanted and the stride in pixels."""
        super().__init__(**kwargs)
        self.channels, self.stride = channels, stride

    def call(self, inputs: Any) -> Any:
        """Subsamples a batch (N, H, W, C) and pads its channels."""
        picked = inputs[:, :: self.stride, :: self.stride, :]  # (N, ceil(H/stride), ceil(W/stride), C)
        extra = self.channels - inputs.shape[-1]
        return ops.pad(picked, [[0, 0], [0, 0], [0, 0], [0, extra]])  # (N, ..., channels)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """(N, ceil(H / stride), ceil(W / stride), channels)."""
        batch, height, width, _ = input_shape
        sides = (None if side is None else -(-side // self.stride) for side in (height, width))
        return (batch, *sides, self.channels)

    def get_config(self) -> dict[str, Any]:
        """The channels and the stride, for saving."""
        return {**super().get_config(), "channels": self.channels, "stride": self.stride}
