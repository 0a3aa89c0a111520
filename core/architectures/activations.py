"""What a layer answers to an image: its activation maps, and all maps of a layer tiled into one picture.

Activations are float32 (H, W, C), or (1, 1, units) where a layer has no rows and columns. The tiling is
light; Keras is imported where a network is run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.architectures.catalog_entries import APPLICATIONS

Maps = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

GAP_PX = 1
GAP_VALUE = 64  # dark grey, so that neither a black nor a white map runs into the next
MAX_MAPS = 4096


@dataclass(frozen=True)
class LayerActivations:
    """A layer's answer to one image.

    `maps` is float32 (H, W, C). `input_pixels` is the picture as the network saw it, RGB uint8 (H, W, 3) or
    grey (H, W, 1), before its values were scaled. `network` and `weights` say which network and weights
    answered.
    """

    layer: str
    maps: Maps
    input_pixels: Pixels
    network: str
    weights: str


@dataclass(frozen=True)
class Mosaic:
    """Maps side by side: uint8 (rows * tile + gaps, columns * tile + gaps), and where each is.

    Map number i stands in row i // columns and column i % columns; tiles are `tile_height` x `tile_width`
    pixels with `gap_px` between. `shown` of `channels` maps are there. A tile's grey runs from its `low` to
    its `high`.
    """

    pixels: Pixels
    rows: int
    columns: int
    tile_height: int
    tile_width: int
    gap_px: int
    shown: int
    channels: int
    low: Maps
    high: Maps

    def origin(self, channel: int) -> tuple[int, int]:
        """The top left pixel (row, column) of a map's tile.

        Raises:
            ValueError: If the map is not shown.
        """
        if not 0 <= channel < self.shown:
            raise ValueError(f"Maps 0 to {self.shown - 1} are shown; got {channel}.")
        row, column = divmod(channel, self.columns)
        return row * (self.tile_height + self.gap_px), column * (self.tile_width + self.gap_px)


def layer_maps(model: Any, layer: str, batch: npt.NDArray[np.float32]) -> Maps:
    """Runs a network up to a layer on a batch of one image and gives the layer's maps.

    Args:
        model: A Keras model with weights, of which `core.architectures.networks.open_runnable` makes only those up to
            the layer if asked to.
        layer: The layer's name in the summary, at the top of the model.
        batch: (1, H, W, C) as the model takes it.

    Raises:
        ValueError: If there is no such layer, or its output is no stack of maps.
    """
    from core.architectures.networks import cut_model

    reader = cut_model(model, layer)
    if len(reader.outputs) != 1 or len(reader.outputs[0].shape) not in (2, 3, 4):
        raise ValueError(f"The output of {layer!r} is no stack of maps.")
    # Called once and not compiled: tracing a deep network takes longer than running it.
    values: Maps = np.asarray(reader(batch, training=False), np.float32)[0]
    if values.ndim == 1:
        return values.reshape(1, 1, -1)  # (1, 1, units)
    if values.ndim == 2:
        return values[:, None, :]  # (steps, 1, C)
    return values  # (H, W, C)


def preprocessing_of(network: str | bytes) -> str:
    """What `prepare_image` should do for a network: that of `keras.applications` for theirs, else [0, 1].

    >>> preprocessing_of("lenet5"), preprocessing_of("resnet50"), preprocessing_of("MobileNetV2")
    ('lenet', 'unit', 'mobilenet_v2')
    """
    if isinstance(network, bytes):
        return "unit"
    return "lenet" if network == "lenet5" else APPLICATIONS.get(network, "unit")


def prepare_image(
    pixels: Pixels, input_shape: tuple[int, ...], preprocess: str
) -> tuple[Pixels, npt.NDArray[np.float32]]:
    """A picture at a network's input size and in its range of values.

    Args:
        pixels: RGB uint8 (H, W, 3), any size.
        input_shape: (H, W, 3) or (H, W, 1); the picture is resized to it without keeping its proportions,
            and made grey for one channel.
        preprocess: "unit" for values in [0, 1], "lenet" for the paper's -0.1 (white paper) to 1.175 (black
            ink), or a module of `keras.applications` whose `preprocess_input` is used.

    Returns:
        The resized uint8 picture (H, W, channels), and the float32 batch (1, H, W, channels).

    Raises:
        ValueError: If the picture is not RGB uint8, or the network takes neither one nor three channels.
    """
    import cv2

    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"A picture is RGB uint8 (H, W, 3); got {pixels.dtype} {pixels.shape}.")
    if len(input_shape) != 3 or input_shape[2] not in (1, 3):
        raise ValueError(f"A network for pictures takes H x W x 1 or H x W x 3; this one takes {input_shape}.")
    height, width, channels = input_shape
    shrinks = height * width < pixels.shape[0] * pixels.shape[1]
    resized = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    if channels == 1:
        resized = cv2.cvtColor(resized, cv2.COLOR_RGB2GRAY)[..., None]  # (H, W, 1)
    values = resized.astype(np.float32)[None]  # (1, H, W, channels)
    if preprocess == "unit":
        values /= 255.0
    elif preprocess == "lenet":
        values = np.float32(1.175) - values * np.float32(1.275 / 255.0)
    else:
        import keras

        values = np.asarray(getattr(keras.applications, preprocess).preprocess_input(values), np.float32)
    return np.asarray(resized, np.uint8), values


def tile_maps(
    maps: Maps, columns: int | None = None, largest_side_px: int = 1460, shared_scale: bool = False
) -> Mosaic:
    """Tiles the maps of a layer into one grey picture.

    Each map is stretched from its smallest value (black) to its largest (white); a map of one value is
    mid-grey. Small maps are enlarged pixel by pixel, as much as `largest_side_px` allows; of too many maps
    the first are shown.

    Args:
        maps: float32 (H, W, C).
        columns: Maps in a row; about as many as rows if None.
        largest_side_px: The picture's longer side is at most this, but a map has at least one pixel.
        shared_scale: Whether black and white mean the same value in all maps.

    Raises:
        ValueError: If the maps are not (H, W, C), or `columns` is under 1.

    >>> mosaic = tile_maps(np.zeros((2, 2, 6), np.float32), columns=3, largest_side_px=20)
    >>> mosaic.pixels.shape, mosaic.rows, mosaic.origin(4)
    ((13, 20), 2, (7, 7))
    """
    if maps.ndim != 3 or 0 in maps.shape:
        raise ValueError(f"Maps are an array (H, W, C) with something in it; got {maps.shape}.")
    if columns is not None and columns < 1:
        raise ValueError(f"A row has at least one map; got {columns}.")
    height, width, channels = maps.shape
    shown = min(channels, MAX_MAPS)
    stack = np.moveaxis(maps[..., :shown], -1, 0)  # (shown, H, W)
    columns = min(columns or max(1, math.ceil(math.sqrt(shown * height / width))), shown)
    rows = math.ceil(shown / columns)
    finite = np.where(np.isfinite(stack), stack, 0.0)
    low = finite.min(axis=(1, 2))
    high = finite.max(axis=(1, 2))
    if shared_scale:
        low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
    spread = (high - low)[:, None, None]
    grey = np.full(stack.shape, 127.0, np.float32)
    np.divide((finite - low[:, None, None]) * 255.0, spread, out=grey, where=spread > 0)
    tiles = np.rint(grey).astype(np.uint8)
    room = min(
        (largest_side_px - GAP_PX * (columns - 1)) // (columns * width),
        (largest_side_px - GAP_PX * (rows - 1)) // (rows * height),
    )
    if room >= 1:
        tiles = tiles.repeat(room, axis=1).repeat(room, axis=2)  # (shown, H * room, W * room)
    else:
        tiles = _shrunk(tiles, rows, columns, largest_side_px)
    tile_height, tile_width = tiles.shape[1:]
    picture = np.full(
        (rows * (tile_height + GAP_PX) - GAP_PX, columns * (tile_width + GAP_PX) - GAP_PX),
        GAP_VALUE,
        np.uint8,
    )
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        top, left = row * (tile_height + GAP_PX), column * (tile_width + GAP_PX)
        picture[top : top + tile_height, left : left + tile_width] = tile
    return Mosaic(
        picture,
        rows,
        columns,
        tile_height,
        tile_width,
        GAP_PX,
        shown,
        channels,
        low.astype(np.float32),
        high.astype(np.float32),
    )


def _shrunk(tiles: Pixels, rows: int, columns: int, largest_side_px: int) -> Pixels:
    """Tiles made smaller by area so that the mosaic fits."""
    import cv2

    height, width = tiles.shape[1:]
    scale = min(
        (largest_side_px - GAP_PX * (columns - 1)) / (columns * width),
        (largest_side_px - GAP_PX * (rows - 1)) / (rows * height),
    )
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    return np.stack([cv2.resize(tile, size, interpolation=cv2.INTER_AREA) for tile in tiles])
