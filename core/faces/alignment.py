"""Alignment: the similarity transform that takes a face's five points to where an encoder expects them.

The transform is the least-squares one of Umeyama 1991 (Least-squares estimation of transformation parameters between
two point patterns, equations 40 to 43): scale, rotation and shift, no reflection. Points are (N, 2) float in pixels,
integer coordinates at pixel centres; a transform is a (2, 3) matrix that multiplies (x, y, 1).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from core.faces.types import FaceError, Floats, Pixels

# Where the points lie in the 112 px crop that most face networks are trained on (Deng et al. 2019, ArcFace).
TEMPLATE_112: Floats = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
# Where they lie in dlib's 150 px chip, worked out from its mean face.
TEMPLATE_DLIB_150: Floats = np.array(
    [[47.5, 46.6], [100.5, 46.6], [74.0, 76.6], [50.4, 103.0], [97.6, 103.0]], np.float32
)


def similarity_transform(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """The (2, 3) matrix of the similarity that takes `source` (N, 2) nearest to `target` (N, 2) in least squares.

    Raises:
        FaceError: If the points are not finite, or all of them lie in one place.

    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> similarity_transform(square, 2 * square + 3).round(6).tolist()
    [[2.0, 0.0, 3.0], [0.0, 2.0, 3.0]]
    """
    x, y = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if x.shape != y.shape or x.ndim != 2 or x.shape[1] != 2 or len(x) < 2:
        raise ValueError(f"expected two arrays of points (N, 2) with N of at least 2, received {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise FaceError("The points of this face are no finite numbers.")
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    x_centred, y_centred = x - x_mean, y - y_mean
    variance = float((x_centred**2).sum()) / len(x)  # sigma_x^2
    if variance < 1e-12:
        raise FaceError("The points of this face all lie in one place: it cannot be aligned.")
    covariance = y_centred.T @ x_centred / len(x)  # (2, 2), Sigma_xy
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.array([1.0, 1.0 if np.linalg.det(u) * np.linalg.det(vt) >= 0 else -1.0])  # no mirror image
    rotation = u @ np.diag(sign) @ vt
    scale = float((singular * sign).sum()) / variance
    shift = y_mean - scale * rotation @ x_mean
    matrix: NDArray[np.float64] = np.column_stack([scale * rotation, shift])
    return matrix


def scale_of(transform: NDArray[np.floating]) -> float:
    """How many pixels of the result a pixel of the source becomes."""
    return float(np.hypot(transform[0, 0], transform[1, 0]))


def angle_deg_of(transform: NDArray[np.floating]) -> float:
    """By how much the transform turns, in degrees, clockwise on the screen."""
    return float(np.degrees(np.arctan2(transform[1, 0], transform[0, 0])))


def warp(image: Pixels, transform: NDArray[np.floating], size_px: int) -> Pixels:
    """The crop (S, S, 3) of an RGB picture under a similarity transform; black where the picture ends.

    Where a face is much larger than the crop the picture is first shrunk by area means, so that fine texture does not
    turn into patterns that are not there.
    """
    matrix = np.array(transform, np.float64)
    shrink = 1.0 / scale_of(matrix)
    if shrink > 1.5:
        image, matrix = _shrunk_about(image, matrix, size_px, shrink)
    crop = cv2.warpAffine(image, matrix, (size_px, size_px), flags=cv2.INTER_LINEAR)
    return np.ascontiguousarray(crop, np.uint8)


def _shrunk_about(
    image: Pixels, matrix: NDArray[np.float64], size_px: int, shrink: float
) -> tuple[Pixels, NDArray[np.float64]]:
    """The part of the picture that the crop shows, shrunk by whole means of areas, and the transform from there."""
    corners = np.array([[0, 0], [size_px, 0], [size_px, size_px], [0, size_px]], np.float64)
    seen = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T  # (4, 2) in the picture
    margin = 2 * shrink
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(seen.min(axis=0) - margin), 0, [width - 1, height - 1]).astype(int)
    right, bottom = np.clip(np.ceil(seen.max(axis=0) + margin), [left + 1, top + 1], [width, height]).astype(int)
    part = image[top:bottom, left:right]
    columns, rows = max(1, round(part.shape[1] / shrink)), max(1, round(part.shape[0] / shrink))
    small = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    # A pixel (u, v) of the small picture has its centre at ((u + 0.5) fx - 0.5 + left, ...) in the large one.
    fx, fy = part.shape[1] / columns, part.shape[0] / rows
    back = np.array([[fx, 0, 0.5 * fx - 0.5 + left], [0, fy, 0.5 * fy - 0.5 + top], [0, 0, 1]])
    composed: NDArray[np.float64] = matrix @ back  # (2, 3) @ (3, 3)
    return small, composed


def align(image: Pixels, points: Floats, template: Floats, size_px: int) -> Pixels:
    """The crop (S, S, 3) of an RGB picture in which the five points lie at `template` (5, 2), as nearly as they can.

    Raises:
        FaceError: If the points lie in one place or are not finite.
    """
    return warp(image, similarity_transform(points, template), size_px)
