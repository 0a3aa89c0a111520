"""Reading networks that dlib stored: its serialization format, as far as its face network needs it.

Sources: davisking/dlib, `dlib/serialize.h` (integers and floats), `dlib/cuda/tensor.h` (tensors), `dlib/dnn/layers.h`
(what each layer writes). A file is a stream: an integer is a byte with its length in bytes (its top bit is the sign)
and the bytes, lowest first; a float is two integers, mantissa and exponent of two; a string is its length and its
bytes; a tensor is a version, four sizes, and float32 numbers. Layers follow one another from the input to the output,
each with a tag such as `con_4` and its parameters; the few flags between them are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.faces.types import Floats

TAGS = ("input_rgb_image_sized", "con_4", "affine_", "relu_", "max_pool_2", "avg_pool_2", "add_prev_", "fc_2")
TENSOR_VERSION = 2
MAX_INTEGER_BYTES = 8
MAX_NUMBERS = 50_000_000
MAX_STRING_BYTES = 64


class DlibFormatError(ValueError):
    """A file that is no network as dlib writes it; the message says what was expected."""


@dataclass(frozen=True, eq=False)
class DlibLayer:
    """A layer as it stands in the file: its tag and its parameters.

    `numbers` holds what has no shape of its own (the input's means); a convolution's `weights` are (filters, channels,
    rows, columns) and its `bias` (filters,); an affine layer's are its scales and shifts (channels,); a fully connected
    one's are (inputs, outputs). `stride` and `padding_px` are those of a convolution.
    """

    tag: str
    weights: Floats | None = None
    bias: Floats | None = None
    stride: int = 1
    padding_px: int = 0
    numbers: tuple[float, ...] = ()


class Reader:
    """The primitives of the format, read one after another from bytes.

    >>> reader = Reader(bytes.fromhex("020501" + "8103" + "0163" + "8102"))
    >>> reader.integer(), reader.integer(), reader.floating()
    (261, -3, 24.75)
    """

    def __init__(self, data: bytes, position: int = 0) -> None:
        """Start at `position`."""
        self.data, self.position = data, position

    def _take(self, count: int) -> bytes:
        taken = self.data[self.position : self.position + count]
        if len(taken) != count:
            raise DlibFormatError(f"the file ends at byte {len(self.data):,}, in the middle of a value")
        self.position += count
        return taken

    def integer(self) -> int:
        """A whole number."""
        control = self._take(1)[0]
        length = control & 0x0F
        if not 1 <= length <= MAX_INTEGER_BYTES or control & 0x70:
            raise DlibFormatError(f"expected a whole number at byte {self.position - 1:,}, found {control:#04x}")
        value = int.from_bytes(self._take(length), "little")
        return -value if control & 0x80 else value

    def floating(self) -> float:
        """A floating-point number: mantissa times two to the exponent."""
        mantissa, exponent = self.integer(), self.integer()
        if abs(exponent) > 1100:
            raise DlibFormatError(f"expected a number before byte {self.position:,}, found an exponent of {exponent}")
        return float(mantissa) * 2.0**exponent

    def string(self) -> str:
        """A short text."""
        length = self.integer()
        if not 0 <= length <= MAX_STRING_BYTES:
            raise DlibFormatError(f"expected a short text at byte {self.position:,}, found one of {length:,} bytes")
        return self._take(length).decode("ascii", "replace")

    def tensor(self) -> Floats:
        """An array of four dimensions (samples, channels, rows, columns) of float32."""
        version = self.integer()
        if version != TENSOR_VERSION:
            raise DlibFormatError(f"expected a tensor of version {TENSOR_VERSION}, found version {version}")
        shape = tuple(self.integer() for _ in range(4))
        count = int(np.prod(shape, dtype=np.int64))
        if min(shape) < 0 or count > MAX_NUMBERS:
            raise DlibFormatError(f"expected a tensor of at most {MAX_NUMBERS:,} numbers, found the shape {shape}")
        return np.frombuffer(self._take(4 * count), "<f4").reshape(shape).astype(np.float32)

    def next_tag(self, tags: tuple[str, ...]) -> str | None:
        """Go on to the next of these tags, as a string with its length before it; None if there is none."""
        found: list[tuple[int, str]] = []
        for tag in tags:
            marker = bytes([1, len(tag)]) + tag.encode("ascii")
            place = self.data.find(marker, self.position)
            if place >= 0:
                found.append((place, tag))
        if not found:
            return None
        place, _ = min(found)
        self.position = place
        return self.string()


def read_layers(path: Path) -> tuple[DlibLayer, ...]:
    """The layers of a network that dlib stored, from the input to the output.

    Raises:
        DlibFormatError: If the file is no such network, or has layers that this reader does not know.
        OSError: If it cannot be read.
    """
    reader = Reader(path.read_bytes())
    layers: list[DlibLayer] = []
    while (tag := reader.next_tag(TAGS)) is not None:
        layers.append(_layer(tag, reader, _channels(layers)))
    if not layers or layers[0].tag != TAGS[0] or layers[-1].tag != "fc_2":
        raise DlibFormatError(f"{path.name} is no network from a picture to an encoding as dlib writes it")
    return tuple(layers)


def _channels(layers: list[DlibLayer]) -> int:
    """How many channels the last convolution gives; 3 before the first."""
    for layer in reversed(layers):
        if layer.tag == "con_4" and layer.weights is not None:
            return len(layer.weights)
    return 3


def _layer(tag: str, reader: Reader, channels: int) -> DlibLayer:
    if tag == "input_rgb_image_sized":
        means = tuple(reader.floating() for _ in range(3))
        return DlibLayer(tag, numbers=means)
    if tag == "con_4":
        return _convolution(reader, channels)
    if tag == "affine_":
        scales, shifts = _halves(reader.tensor().reshape(-1))
        return DlibLayer(tag, scales, shifts)
    if tag == "fc_2":
        outputs, inputs = reader.integer(), reader.integer()
        numbers = reader.tensor()
        if numbers.size != inputs * outputs:
            raise DlibFormatError(f"expected {inputs} x {outputs} weights, found {numbers.size}")
        return DlibLayer(tag, numbers.reshape(inputs, outputs))
    return DlibLayer(tag)


def _convolution(reader: Reader, channels: int) -> DlibLayer:
    numbers = reader.tensor().reshape(-1)
    filters, rows, columns, stride_y, stride_x, padding_y, padding_x = (reader.integer() for _ in range(7))
    expected = filters * (channels * rows * columns + 1)
    if numbers.size != expected or stride_y != stride_x or padding_y != padding_x:
        raise DlibFormatError(f"expected a convolution of {expected} numbers, found {numbers.size}")
    kernel = numbers[:-filters].reshape(filters, channels, rows, columns)
    return DlibLayer("con_4", kernel, numbers[-filters:], stride_y, padding_y)


def _halves(numbers: NDArray[np.float32]) -> tuple[Floats, Floats]:
    if numbers.size % 2:
        raise DlibFormatError(f"expected as many scales as shifts, found {numbers.size} numbers")
    half = numbers.size // 2
    return numbers[:half], numbers[half:]
