"""Patches side by side, and heat over a picture: what is computed, as pictures to be shown. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.interpretation.types import Maps, TopPatches, UnitPatches

Pixels = NDArray[np.uint8]
GAP_PX = 2
UNIT_GAP_PX = 10
EMPTY = 128
# From dark blue over teal to yellow, and readable without colour too: lightness grows with the value.
_HEAT = cv2.COLORMAP_VIRIDIS


@dataclass(frozen=True)
class PatchWall:
    """The patches of several units as one picture (H, W, 3); unit u stands at `origin(u)` and is `unit_px` wide."""

    pixels: Pixels
    columns: int
    unit_px: int
    units: int

    def origin(self, unit: int) -> tuple[int, int]:
        """The top left pixel (row, column) of a unit's block."""
        row, column = divmod(unit, self.columns)
        return row * (self.unit_px + UNIT_GAP_PX), column * (self.unit_px + UNIT_GAP_PX)

    def unit_at(self, row: int, column: int) -> int | None:
        """The unit whose block holds a pixel, None beside them."""
        pitch = self.unit_px + UNIT_GAP_PX
        unit = row // pitch * self.columns + column // pitch
        return unit if unit < self.units and column // pitch < self.columns else None


def resize_patch(pixels: Pixels, side_px: int) -> Pixels:
    """A patch at a side of `side_px`; small ones keep their pixels as squares.

    >>> resize_patch(np.zeros((3, 3, 3), np.uint8), 60).shape
    (60, 60, 3)
    """
    how = (
        cv2.INTER_NEAREST if pixels.shape[0] <= 16 else cv2.INTER_AREA if pixels.shape[0] > side_px else cv2.INTER_CUBIC
    )
    return np.asarray(cv2.resize(pixels, (side_px, side_px), interpolation=how), np.uint8)


def patch_block(unit: UnitPatches, patch_px: int = 64, columns: int = 3, count: int = 9) -> Pixels:
    """The patches of a unit in a square block, strongest first, row by row; places without a patch are grey."""
    rows = -(-count // columns)
    pitch = patch_px + GAP_PX
    block = np.full((rows * pitch - GAP_PX, columns * pitch - GAP_PX, 3), EMPTY, np.uint8)
    for index, patch in enumerate(unit.patches[:count]):
        row, column = divmod(index, columns)
        place = block[row * pitch : row * pitch + patch_px, column * pitch : column * pitch + patch_px]
        place[:] = resize_patch(patch.pixels, patch_px)
    return block


def patch_wall(found: TopPatches, columns: int = 4, patch_px: int = 64, background: int = 255) -> PatchWall:
    """The blocks of all units, `columns` in a row.

    Raises:
        ValueError: If there is no unit.
    """
    if not found.units:
        raise ValueError("There is no unit to show.")
    blocks = [patch_block(unit, patch_px) for unit in found.units]
    side = blocks[0].shape[0]
    rows = -(-len(blocks) // columns)
    pitch = side + UNIT_GAP_PX
    wall = np.full((rows * pitch - UNIT_GAP_PX, columns * pitch - UNIT_GAP_PX, 3), background, np.uint8)
    for index, block in enumerate(blocks):
        row, column = divmod(index, columns)
        wall[row * pitch : row * pitch + side, column * pitch : column * pitch + side] = block
    return PatchWall(wall, columns, side, len(blocks))


def overlay_heat(pixels: Pixels, heat: Maps, strength: float = 0.55) -> Pixels:
    """A picture (H, W, 3) with a map (h, w) from 0 over it, enlarged smoothly; a map of zeros leaves it as it is.

    The more heat, the more of its colour: where there is none the picture is only darkened.

    Raises:
        ValueError: If the strength is not in 0..1.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"The strength is 0 to 1; got {strength}.")
    top = float(heat.max())
    if top <= 0:
        return pixels
    height, width = pixels.shape[:2]
    shown = cv2.resize(heat / top, (width, height), interpolation=cv2.INTER_LINEAR)  # (H, W)
    colours = cv2.cvtColor(cv2.applyColorMap((255 * shown).astype(np.uint8), _HEAT), cv2.COLOR_BGR2RGB)
    share = (strength * np.sqrt(shown))[:, :, None]
    darkened = pixels.astype(np.float32) * (1 - 0.35 * strength)
    return np.rint(darkened * (1 - share) + colours * share).astype(np.uint8)
