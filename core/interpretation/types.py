"""What the chapter's tasks answer: a network to look into, patches, made images, class activation maps.

Pictures are RGB uint8 (H, W, 3). A *unit* is a channel of a layer at one place of its map; a *view* is a square
cut-out of a photograph at the side that the network reads. Light: nothing heavy is imported.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.architectures.catalog_types import OptionValue

Pixels = NDArray[np.uint8]
Maps = NDArray[np.float32]


@dataclass(frozen=True)
class LayerField:
    """A layer with maps: its size, and the square of the input that one of its units sees.

    The unit in row i and column j sees rows `offset + stride * i` to `offset + stride * i + size` (left out) of the
    input, and columns alike; what lies outside the picture is padding.
    """

    name: str
    rows: int
    columns: int
    channels: int
    size_px: int
    stride_px: int
    offset_px: int

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """The receptive field of a unit as (x1, y1, x2, y2) in pixels of the input; may reach beyond it.

        >>> LayerField("conv", 6, 6, 8, size_px=5, stride_px=2, offset_px=-2).box(0, 1)
        (0, -2, 5, 3)
        """
        top, left = self.offset_px + self.stride_px * row, self.offset_px + self.stride_px * column
        return left, top, left + self.size_px, top + self.size_px


@dataclass(frozen=True)
class ExploredSubject:
    """A network of the architecture explorer, or a user's own, to look into.

    Args:
        network: A name of the catalogue or of `keras.applications`, or the bytes of a `.keras` file.
        input_shape: (H, W, channels), H equal to W; the network's own if None.
        options: Choices among the options of a catalogue entry, as (name, value).
        weights: Of a named network; a file has its own.
        values: What the network expects of a pixel: "unit" 0 to 1, "byte" 0 to 255, "signed" -1 to 1; "auto" is what
            its name says, and of a file "byte" where it scales its input itself, else "unit".
        class_names: What its answers stand for; they are numbered if there are none.
    """

    network: str | bytes
    input_shape: tuple[int, int, int] | None = None
    options: tuple[tuple[str, OptionValue], ...] = ()
    weights: Literal["random", "imagenet"] = "random"
    values: Literal["auto", "unit", "byte", "signed"] = "auto"
    class_names: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Equal for equal ones, and short: 16 hexadecimal digits.

        >>> ExploredSubject("vgg16").key == ExploredSubject("vgg16", weights="imagenet").key
        False
        """
        network = self.network if isinstance(self.network, bytes) else self.network.encode()
        others = (self.input_shape, self.options, self.weights, self.values, self.class_names)
        return hashlib.sha256(network + repr(others).encode()).hexdigest()[:16]


Subjects = str | ExploredSubject


@dataclass(frozen=True)
class SubjectInfo:
    """A network to look into: which weights it holds, the side of its square input, and its layers with maps.

    `cam_layer` is the last of the maps before the answer, "" where Grad-CAM has nothing to say, and then `why_no_cam`
    is a sentence. `channels` is 1 for a network of grey pictures. `left_out` counts layers with maps whose units do
    not see squares of one size. `multiply_adds` are those of one picture.
    """

    name: str
    label: str
    weights: str
    side_px: int
    layers: tuple[LayerField, ...]
    class_names: tuple[str, ...]
    cam_layer: str
    why_no_cam: str = ""
    channels: int = 3
    left_out: int = 0
    multiply_adds: int = 0

    def layer(self, name: str) -> LayerField:
        """The layer of this name.

        Raises:
            ValueError: If there is none.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"{self.label} has no layer {name!r} with maps.")


@dataclass(frozen=True)
class Patch:
    """One place that excites a unit: the value, which photograph, and the exact field of the unit there.

    `box_xyxy` is in pixels of the view; `pixels` is the field (size, size, 3), mid-grey where it leaves the view.
    """

    value: float
    source: int
    view: int
    row: int
    column: int
    box_xyxy: tuple[int, int, int, int]
    pixels: Pixels


@dataclass(frozen=True)
class UnitPatches:
    """The patches that excite one channel most, strongest first."""

    channel: int
    patches: tuple[Patch, ...]


@dataclass(frozen=True)
class TopPatches:
    """The strongest patches of several channels of a layer, over a set of photographs cut into views."""

    layer: LayerField
    units: tuple[UnitPatches, ...]
    photographs: int
    views: int


@dataclass(frozen=True)
class MaximisedImage:
    """An image made for a unit: pixels, and the objective and its parts after each step (float32, one each)."""

    pixels: Pixels
    activation: Maps
    total_variation: Maps
    start_activation: float
    best_photograph_activation: float | None


@dataclass(frozen=True)
class ClassActivation:
    """Where a network looks for a class: map (h, w) from 0, its layer, and the strongest classes.

    `scores` are probabilities of the classes in `class_ids`, strongest first; `view` is the picture as the network
    saw it.
    """

    view: Pixels
    layer: str
    class_id: int
    heat: Maps
    channel_weights: Maps
    class_ids: tuple[int, ...]
    scores: tuple[float, ...]
