"""Pictures of a search: its blobs, its proposals, and the boxes that they reach; and of pooling on a feature map.

Arrays: pictures RGB uint8 (H, W, 3); boxes xyxy (n, 4) in pixels of the picture that is drawn on; labels (h, w).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.detection.drawing import Colour, draw_box, draw_labels, line_px, screen_canvas
from core.detection.proposals_regions import Labels
from core.detection.rcnn.explain import PooledRegion

Image = NDArray[np.uint8]
REACHED: Colour = (34, 197, 94)
MISSED: Colour = (239, 68, 68)
BINS: Colour = (255, 255, 255)
REGION: Colour = (245, 158, 11)
GOLDEN_RATIO = 0.618034


def draw_blobs(image: Image, labels: Labels) -> Image:
    """Every region in its mean colour, with a dark border; the picture in the size of the labels, enlarged."""
    height, width = labels.shape
    small = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.float64)
    flat = labels.ravel()
    sizes = np.bincount(flat)
    means = np.stack([np.bincount(flat, small[..., c].ravel()) / sizes for c in range(3)], axis=1)  # (regions, 3)
    canvas = screen_canvas(means[labels].astype(np.uint8))[0]
    large = cv2.resize(labels.astype(np.float32), (canvas.shape[1], canvas.shape[0]), interpolation=cv2.INTER_NEAREST)
    border = np.zeros(large.shape, np.bool_)
    border[:, 1:] |= large[:, 1:] != large[:, :-1]
    border[1:] |= large[1:] != large[:-1]
    result = np.array(canvas)
    # Drawn over the smoothly enlarged colours: each region's own colour up to its border.
    result[:] = means[large.astype(np.int64)].astype(np.uint8)
    result[border] = (16, 18, 24)
    return result


def draw_proposals(
    image: Image, proposals_xyxy: NDArray[Any], truth_xyxy: NDArray[Any], best_iou: NDArray[Any]
) -> Image:
    """Proposals as thin lines, the first ones on top, and annotated boxes in green where one reaches an IoU of 0.5."""
    canvas, scale = screen_canvas(image)
    canvas = np.ascontiguousarray(canvas).copy()
    count = len(proposals_xyxy)
    thin = max(1, line_px(canvas) // 3)
    for index in range(count - 1, -1, -1):
        hue = (0.02 + index * GOLDEN_RATIO) % 1.0
        colour = cv2.cvtColor(np.array([[[hue * 180, 190, 235]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0]
        draw_box(canvas, scale * proposals_xyxy[index], (int(colour[0]), int(colour[1]), int(colour[2])), thin)
    colours = [REACHED if iou >= 0.5 else MISSED for iou in best_iou]
    for box, colour_of in zip(truth_xyxy, colours, strict=True):
        draw_box(canvas, scale * box, colour_of, round(1.5 * line_px(canvas)), dashed=colour_of == MISSED)
    texts = [f"{'found' if iou >= 0.5 else 'missed'}, IoU {iou:.2f}" for iou in best_iou]
    draw_labels(canvas, scale * truth_xyxy, texts, colours)
    return canvas


def draw_pooling(channel: NDArray[Any], pooled: PooledRegion, how: str, cell_px: int = 20) -> Image:
    """A channel as a heat map with a region and its bins: "max" with whole cells, "align" with sampling points."""
    values = np.asarray(channel, np.float64)
    reach = float(values.max()) or 1.0
    grey = np.clip(255 * values / reach, 0, 255).astype(np.uint8)
    heat = cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS)[..., ::-1]  # BGR -> RGB
    large = np.repeat(np.repeat(heat, cell_px, axis=0), cell_px, axis=1)  # (h, w, 3) -> (h cell, w cell, 3)
    canvas = np.ascontiguousarray(large, np.uint8)
    if how == "max":
        for first_row, last_row in pooled.rows:
            for first_column, last_column in pooled.columns:
                box = np.array([first_column, first_row, last_column, last_row]) * cell_px
                draw_box(canvas, box, BINS, 1)
        for row, column in pooled.came_from.reshape(-1, 2):
            if row >= 0:
                centre = (int((column + 0.5) * cell_px), int((row + 0.5) * cell_px))
                cv2.circle(canvas, centre, max(2, cell_px // 5), REGION, cv2.FILLED, cv2.LINE_AA)
    else:
        pool = len(pooled.mean)
        left, top, right, bottom = (value * cell_px for value in pooled.region)
        for k in range(pool + 1):
            x, y = round(left + k * (right - left) / pool), round(top + k * (bottom - top) / pool)
            cv2.line(canvas, (x, round(top)), (x, round(bottom)), BINS, 1, cv2.LINE_AA)
            cv2.line(canvas, (round(left), y), (round(right), y), BINS, 1, cv2.LINE_AA)
        for y in pooled.points_y:
            for x in pooled.points_x:
                centre = (round((x + 0.5) * cell_px), round((y + 0.5) * cell_px))
                cv2.circle(canvas, centre, max(1, cell_px // 10), REGION, cv2.FILLED, cv2.LINE_AA)
    draw_box(canvas, np.array(pooled.region) * cell_px, REGION, 2)
    return canvas
