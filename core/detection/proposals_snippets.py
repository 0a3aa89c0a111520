"""Selective search and RoI pooling as short programs to copy, in scikit-image, NumPy and Keras."""

from __future__ import annotations

SEGMENT = """import numpy as np
from skimage.io import imread
from skimage.segmentation import felzenszwalb, mark_boundaries

image = imread("photo.jpg")[..., :3]
labels = felzenszwalb(image / 255, scale={scale:g}, sigma=0.8, min_size={smallest})
boxes = []
for region in range(labels.max() + 1):
    rows, columns = np.nonzero(labels == region)
    boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
blobs = mark_boundaries(image, labels)
"""

GROUP = '''import numpy as np


def similarity(a, b, picture_px):
    """Two regions: dictionaries of "colour" and "texture" (histograms that sum to 1), "size" and "box" (xyxy)."""
    hull = np.maximum(a["box"][2:], b["box"][2:]) - np.minimum(a["box"][:2], b["box"][:2])
    return (
        np.minimum(a["colour"], b["colour"]).sum()
        + np.minimum(a["texture"], b["texture"]).sum()
        + 1 - (a["size"] + b["size"]) / picture_px
        + 1 - (hull.prod() - a["size"] - b["size"]) / picture_px
    )


def join(a, b):
    size = a["size"] + b["size"]
    mean = lambda name: (a["size"] * a[name] + b["size"] * b[name]) / size
    box = np.concatenate([np.minimum(a["box"][:2], b["box"][:2]), np.maximum(a["box"][2:], b["box"][2:])])
    return {"colour": mean("colour"), "texture": mean("texture"), "size": size, "box": box}


def group(regions, neighbours, picture_px):
    """Boxes of all regions that ever exist; `regions` by number, `neighbours` a set of pairs of numbers."""
    boxes = [region["box"] for region in regions.values()]
    while neighbours:
        i, j = max(neighbours, key=lambda pair: similarity(regions[pair[0]], regions[pair[1]], picture_px))
        new = max(regions) + 1
        regions[new] = join(regions[i], regions[j])
        boxes.append(regions[new]["box"])
        moved = lambda k: new if k in (i, j) else k
        neighbours = {(moved(a), moved(b)) for a, b in neighbours}
        neighbours = {pair for pair in neighbours if pair[0] != pair[1]}
    return boxes
'''

ALIGN = '''from keras import ops


def roi_align(features, box, stride=8, pool=7, samples=2):
    """One region xyxy in pixels of the input, from a map (H, W, C), to (pool, pool, C)."""
    height, width, _ = features.shape
    steps = (ops.arange(pool * samples, dtype="float32") + 0.5) / (pool * samples)
    left, top, right, bottom = (value / stride - 0.5 for value in box)

    def weights(start, end, cells):
        point = ops.clip(start + steps * (end - start), 0, cells - 1)
        near = 1 - ops.abs(point[:, None] - ops.arange(cells, dtype="float32"))
        return ops.mean(ops.reshape(ops.maximum(near, 0), (pool, samples, cells)), axis=1)

    return ops.einsum("ph,hwc,qw->pqc", weights(top, bottom, height), features, weights(left, right, width))
'''

MAX_POOL = '''import numpy as np


def roi_pool(features, box, stride=8, pool=7):
    """One region xyxy in pixels of the input, from a map (H, W, C), to (pool, pool, C)."""
    height, width, channels = features.shape
    left, top, right, bottom = (int(np.floor(value / stride + 0.5)) for value in box)
    result = np.zeros((pool, pool, channels))
    for i in range(pool):
        for j in range(pool):
            y1 = np.clip(np.floor(i * (bottom - top + 1) / pool) + top, 0, height)
            y2 = np.clip(np.ceil((i + 1) * (bottom - top + 1) / pool) + top, 0, height)
            x1 = np.clip(np.floor(j * (right - left + 1) / pool) + left, 0, width)
            x2 = np.clip(np.ceil((j + 1) * (right - left + 1) / pool) + left, 0, width)
            part = features[int(y1) : int(y2), int(x1) : int(x2)]
            if part.size:
                result[i, j] = part.max(axis=(0, 1))
    return result
'''


def search_snippets(scale: float) -> dict[str, str]:
    """First regions and grouping, with the scale put in."""
    return {
        "First regions (scikit-image)": SEGMENT.format(scale=scale, smallest=max(10, round(scale / 3))),
        "Grouping (NumPy)": GROUP,
    }


def pooling_snippets() -> dict[str, str]:
    """RoI align in Keras and RoI pooling in NumPy."""
    return {"RoI align (Keras)": ALIGN, "RoI pooling (NumPy)": MAX_POOL}
