"""Keeping the content's colours: by its chroma afterwards, or by recolouring the style before.

Both are from Gatys et al., 2016, Preserving color in neural artistic style transfer: luminance-only transfer (section
3.2) and linear matching of mean and covariance of the colours (section 3.1, the symmetric square roots). Pictures are
RGB uint8 (H, W, 3).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from core.style.settings import Pixels


def with_chroma_of(result: Pixels, content: Pixels) -> Pixels:
    """The result's luminance with the content's chroma (Y and CrCb of ITU-R BT.601)."""
    if content.shape != result.shape:
        size = (result.shape[1], result.shape[0])
        content = np.asarray(cv2.resize(content, size, interpolation=cv2.INTER_AREA), np.uint8)
    mixed = cv2.cvtColor(content, cv2.COLOR_RGB2YCrCb)
    mixed[..., 0] = cv2.cvtColor(result, cv2.COLOR_RGB2YCrCb)[..., 0]
    return np.asarray(cv2.cvtColor(mixed, cv2.COLOR_YCrCb2RGB), np.uint8)


def luminance(image: Pixels) -> Pixels:
    """A grey picture with three equal channels."""
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def match_colours(style: Pixels, content: Pixels) -> Pixels:
    """The style picture with mean and covariance of the content's colours.

    x' = Sigma_C^(1/2) Sigma_S^(-1/2) (x - mu_S) + mu_C; a style without any variance takes the content's mean.
    """
    pixels = style.reshape(-1, 3).astype(np.float64)
    target = content.reshape(-1, 3).astype(np.float64)
    matrix = _root(np.cov(target.T, bias=True)) @ _root(np.cov(pixels.T, bias=True), inverse=True)
    moved = (pixels - pixels.mean(0)) @ matrix.T + target.mean(0)
    return np.asarray(np.clip(np.rint(moved), 0, 255), np.uint8).reshape(style.shape)


def _root(covariance: NDArray[np.float64], inverse: bool = False) -> NDArray[np.float64]:
    """The symmetric square root of (3, 3), or its inverse, where directions without variance stay at zero."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0.0)
    if inverse:
        roots = np.where(values > 1e-3, 1 / np.sqrt(np.maximum(values, 1e-3)), 0.0)
    else:
        roots = np.sqrt(values)
    return np.asarray((vectors * roots) @ vectors.T)
