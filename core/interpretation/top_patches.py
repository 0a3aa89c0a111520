"""The nine image patches that most excite a unit (Zeiler and Fergus 2013, section 4 and figure 2).

A network is run over many photographs; of each channel of a layer the places with the largest activations are kept,
and what is shown of each is exactly the receptive field of the unit there. Places whose fields overlap in one
photograph count once, so that nine patches are nine things.

Arrays: maps float32 (views, rows, columns, channels); a view is RGB uint8 (side, side, 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from core.interpretation.types import LayerField, Maps, Patch, TopPatches, UnitPatches
from core.interpretation.views import View, crop_with_margin
from core.runtime.report import Report

# Of each map this many local maxima are candidates.
CANDIDATES_A_MAP = 6
# Fields of one photograph that share more than this (intersection over union) are one thing.
MAX_OVERLAP = 0.25
BATCH = 8


def local_maxima(channel_map: Maps, most: int = CANDIDATES_A_MAP) -> tuple[tuple[float, int, int], ...]:
    """The largest values of a map (rows, columns) that no neighbour exceeds, as (value, row, column), largest first.

    Only positive values count: a unit that is off is not excited.

    >>> local_maxima(np.array([[0, 3, 0, 0], [0, 0, 0, 2]], np.float32))
    ((3.0, 0, 1), (2.0, 1, 3))
    """
    around = cv2.dilate(channel_map, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    rows, columns = np.nonzero((channel_map >= around) & (channel_map > 0))
    values = channel_map[rows, columns]
    order = np.argsort(-values, kind="stable")[:most]
    return tuple((float(values[i]), int(rows[i]), int(columns[i])) for i in order)


def strongest_patches(
    read: Callable[[NDArray[np.float32]], Maps],
    views: Sequence[View],
    layer: LayerField,
    channels: Sequence[int],
    count: int = 9,
    report: Report | None = None,
) -> TopPatches:
    """The `count` patches that most excite each of some channels.

    Args:
        read: Gives the maps (B, rows, columns, channels) of the layer for a batch (B, side, side, 3) in 0..255.
        views: What is searched.
        layer: With the receptive field of its units.
        channels: Numbers of channels.
        count: Patches of each; fewer where fewer places excite it.
        report: Told the share of the views that were searched.

    Raises:
        ValueError: If there is no view, or a channel is not in the layer.
    """
    if not views:
        raise ValueError("There is no photograph to search.")
    wrong = [channel for channel in channels if not 0 <= channel < layer.channels]
    if wrong:
        raise ValueError(f"{layer.name} has the channels 0 to {layer.channels - 1}; got {wrong[0]}.")
    found: dict[int, list[tuple[float, int, int, int]]] = {channel: [] for channel in channels}
    for start in range(0, len(views), BATCH):
        part = views[start : start + BATCH]
        maps = read(np.stack([view.pixels for view in part]).astype(np.float32))
        for number, answer in enumerate(maps, start):
            for channel in channels:
                peaks = local_maxima(np.ascontiguousarray(answer[:, :, channel]))
                found[channel] += [(value, number, row, column) for value, row, column in peaks]
        if report is not None:
            report(fraction=min(1.0, (start + BATCH) / len(views)), message="Searching the photographs")
    units = tuple(UnitPatches(channel, _apart(found[channel], views, layer, count)) for channel in channels)
    return TopPatches(layer, units, len({view.source for view in views}), len(views))


def _apart(
    candidates: list[tuple[float, int, int, int]], views: Sequence[View], layer: LayerField, count: int
) -> tuple[Patch, ...]:
    """The strongest candidates whose fields hardly overlap."""
    kept: list[Patch] = []
    places: list[tuple[int, tuple[int, int, int, int]]] = []
    for value, number, row, column in sorted(candidates, key=lambda candidate: -candidate[0]):
        view = views[number]
        box = layer.box(row, column)
        seen = _visible(box, view)
        if any(source == view.source and _overlap(seen, other) > MAX_OVERLAP for source, other in places):
            continue
        places.append((view.source, seen))
        kept.append(Patch(value, view.source, number, row, column, box, crop_with_margin(view.pixels, box)))
        if len(kept) == count:
            break
    return tuple(kept)


def _visible(box: tuple[int, int, int, int], view: View) -> tuple[int, int, int, int]:
    """The part of a field that lies in its view, in pixels of the photograph as it was resized."""
    side = view.pixels.shape[0]
    left, top, right, bottom = (min(max(edge, 0), side) for edge in box)
    return left + view.left_px, top + view.top_px, right + view.left_px, bottom + view.top_px


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """Intersection over union of two boxes of whole pixels."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
