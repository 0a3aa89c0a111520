"""Hierarchical grouping: of all neighbouring regions the two most alike are joined, until one is left.

Alike are regions of similar colour and texture, small ones before large ones, and one that fits into the gaps of the
other; the four measures are summed (Uijlings et al. 2013, "Selective Search for Object Recognition", sections 3.1 and
3.2). Every region that ever exists is a proposal.

Arrays: a region made by the k-th merge of n first regions has the number n + k; boxes xyxy (2n - 1, 4) in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.detection.proposals_regions import Floats, Labels, Regions

MEASURES = ("colour", "texture", "size", "fill")
# After so many merges `progress` is told, some milliseconds apart.
TELL_EVERY = 16


@dataclass(frozen=True)
class Grouping:
    """All regions in the order in which they came to be, and the merges that made them.

    `boxes_xyxy` and `sizes_px` are of all regions; `merged` (m, 2) names the two regions that the k-th merge joined,
    `similarity` (m,) how alike they were, and `parts` (m, 4) what the four measures said of them.
    """

    first_regions: int
    boxes_xyxy: Floats
    sizes_px: Floats
    merged: NDArray[np.int64]
    similarity: Floats
    parts: Floats


def measure_pairs(
    one: tuple[Floats, Floats, float, Floats], others: tuple[Floats, Floats, Floats, Floats], picture_px: float
) -> Floats:
    """How alike a region and n others are in colour, texture, size and fill (n, 4), each in 0..1.

    A region is its colour histogram, texture histogram, size and box, the others the same with n rows.
    """
    colour, texture, size, box = one
    colours, textures, sizes, boxes = others
    hull = np.maximum(box[2:], boxes[:, 2:]) - np.minimum(box[:2], boxes[:, :2])  # (n, 2)
    both = size + sizes
    result = np.empty((len(sizes), len(MEASURES)), np.float32)
    result[:, 0] = np.minimum(colour, colours).sum(axis=1)
    result[:, 1] = np.minimum(texture, textures).sum(axis=1)
    result[:, 2] = 1 - both / picture_px
    result[:, 3] = 1 - (hull[:, 0] * hull[:, 1] - both) / picture_px
    return result


def group(
    regions: Regions,
    measures: tuple[str, ...] = MEASURES,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Grouping:
    """Join regions two by two until no neighbours are left; `progress` hears how many of the merges are done, 0..1.

    Raises:
        ValueError: If no measure, or an unknown one, is named.
    """
    if not measures or not set(measures) <= set(MEASURES):
        raise ValueError(f"expected some of {', '.join(MEASURES)}, received {measures}")
    count = len(regions.sizes_px)
    picture_px = float(regions.labels.size)
    counted = np.array([name in measures for name in MEASURES], np.float32)  # (4,)
    colours, textures = regions.colours.copy(), regions.textures.copy()
    sizes, boxes = regions.sizes_px.copy(), regions.boxes_xyxy.copy()
    # A joined region takes the place of one of its two; `number` tells which region is in a place now.
    number = np.arange(count)
    alike = np.full((count, count), -np.inf, np.float32)
    for place in range(count):
        near = regions.neighbours[regions.neighbours[:, 0] == place, 1]
        if len(near):
            one = (colours[place], textures[place], float(sizes[place]), boxes[place])
            near_regions = (colours[near], textures[near], sizes[near], boxes[near])
            alike[place, near] = alike[near, place] = measure_pairs(one, near_regions, picture_px) @ counted
    best = alike.max(axis=1)  # of each place, so that a merge need not look at the whole matrix
    all_boxes, all_sizes = [regions.boxes_xyxy], [regions.sizes_px]
    merged, similarity, parts = [], [], []
    for step in range(count - 1):
        keep = int(best.argmax())
        if best[keep] == -np.inf:
            break
        if step % TELL_EVERY == 0:
            progress(step / count)
        drop = int(alike[keep].argmax())
        merged.append((number[keep], number[drop]))
        similarity.append(best[keep])
        kept = (colours[keep], textures[keep], float(sizes[keep]), boxes[keep])
        dropped = (colours[[drop]], textures[[drop]], sizes[[drop]], boxes[[drop]])
        parts.append(measure_pairs(kept, dropped, picture_px))
        size = sizes[keep] + sizes[drop]
        colours[keep] = (sizes[keep] * colours[keep] + sizes[drop] * colours[drop]) / size
        textures[keep] = (sizes[keep] * textures[keep] + sizes[drop] * textures[drop]) / size
        boxes[keep, :2] = np.minimum(boxes[keep, :2], boxes[drop, :2])
        boxes[keep, 2:] = np.maximum(boxes[keep, 2:], boxes[drop, 2:])
        sizes[keep], number[keep] = size, count + step
        all_boxes.append(boxes[keep : keep + 1].copy())
        all_sizes.append(sizes[keep : keep + 1].copy())
        touching = np.maximum(alike[keep], alike[drop]) > -np.inf
        touching[[keep, drop]] = False
        near = np.flatnonzero(touching)
        # Rows whose best was one of the two are looked through again, the others only compared.
        stale = near[np.isin(alike[near].argmax(axis=1), (keep, drop))]
        alike[[keep, drop]], alike[:, [keep, drop]], best[drop] = -np.inf, -np.inf, -np.inf
        one = (colours[keep], textures[keep], float(size), boxes[keep])
        fresh = measure_pairs(one, (colours[near], textures[near], sizes[near], boxes[near]), picture_px) @ counted
        alike[keep, near], alike[near, keep] = fresh, fresh
        best[near] = np.maximum(best[near], fresh)
        best[stale] = alike[stale].max(axis=1)
        best[keep] = fresh.max() if len(near) else -np.inf
    return Grouping(
        count,
        np.concatenate(all_boxes),
        np.concatenate(all_sizes),
        np.array(merged, np.int64).reshape(-1, 2),
        np.array(similarity, np.float32),
        np.concatenate(parts) if parts else np.zeros((0, len(MEASURES)), np.float32),
    )


def regions_after(labels: Labels, grouping: Grouping, merges: int) -> Labels:
    """The label map after the first `merges` merges, counting its regions from 0."""
    owner = np.arange(grouping.first_regions + len(grouping.merged))
    for step, (first, second) in enumerate(grouping.merged[:merges]):
        owner[first] = owner[second] = grouping.first_regions + step
    for region in range(len(owner) - 1, -1, -1):  # a region's owner has a larger number and is resolved already
        owner[region] = owner[owner[region]]
    _, numbered = np.unique(owner[: grouping.first_regions], return_inverse=True)
    return np.asarray(numbered[labels], np.int32)
