"""What this chapter asks of a worker process: pictures in one pass or by optimisation, strips over beta, Gram matrices.

TensorFlow and Keras are imported when a function needs them, so that a page can read this module's results without
them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from core.runtime.report import Report
from core.style.pictures import scaled
from core.style.settings import Costs, GramPicture, Pixels, StyleError, TransferResult, TransferSettings


@dataclass(frozen=True)
class FastResult:
    """A picture of the feed-forward network and the seconds that it took."""

    image: Pixels
    elapsed_s: float


@dataclass(frozen=True)
class BetaStrip:
    """The same transfer at several weights of the style; one picture and its costs for each of `betas`."""

    betas: tuple[float, ...]
    images: tuple[Pixels, ...]
    costs: tuple[Costs, ...]
    elapsed_s: float


def stylise_fast(
    content: Pixels, styles: Sequence[Pixels], weights: Sequence[float], size_px: int = 512, strength: float = 1.0
) -> FastResult:
    """One pass of the feed-forward network, timed without its loading; errors as `feed_forward.stylise`'s."""
    from core.style.feed_forward import network, stylise

    network()
    start = time.perf_counter()
    image = stylise(content, styles, size_px, strength, weights)
    return FastResult(image, time.perf_counter() - start)


def run_transfer(
    content: Pixels,
    styles: Sequence[Pixels],
    weights: Sequence[float],
    settings: TransferSettings,
    start_image: Pixels | None = None,
    *,
    report: Report | None = None,
) -> TransferResult:
    """A transfer by optimisation, as a job; errors as `transfer.transfer`'s."""
    from core.style.transfer import transfer

    return transfer(content, styles, settings, weights, start_image, report)


def run_beta_strip(
    content: Pixels,
    styles: Sequence[Pixels],
    weights: Sequence[float],
    settings: TransferSettings,
    betas: Sequence[float],
    *,
    report: Report | None = None,
) -> BetaStrip:
    """The same transfer for each beta, each starting anew, as a job; errors as `transfer.transfer`'s.

    Raises:
        StyleError: If there is no beta, or there are more than nine.
    """
    from core.style.transfer import transfer

    if not 1 <= len(betas) <= 9:
        raise StyleError(f"expected one to nine betas, received {len(betas)}")
    report = report or Report()
    start = time.monotonic()
    results: list[TransferResult] = []
    for index, beta in enumerate(betas):
        report(index / len(betas), f"β = {beta:g}: {index + 1} of {len(betas)}")
        results.append(
            transfer(content, styles, replace(settings, beta=beta), weights, report=_Part(report, index, len(betas)))
        )
        report(preview=np.hstack([r.image for r in results]))
    report(1.0, "Done")
    return BetaStrip(
        tuple(betas),
        tuple(r.image for r in results),
        tuple(r.last for r in results),
        time.monotonic() - start,
    )


class _Part(Report):
    """Passes on what one of several transfers reports as a part of the whole."""

    def __init__(self, whole: Report, index: int, count: int) -> None:
        super().__init__()
        self._whole, self._index, self._count = whole, index, count

    def __call__(self, fraction: float | None = None, message: str = "", metrics=None, preview=None) -> None:  # type: ignore[no-untyped-def]
        """Pass on the fraction; heed a cancellation."""
        self._whole(None if fraction is None else min(1.0, (self._index + fraction) / self._count))


def gram_matrices(
    content: Pixels,
    style: Pixels,
    generated: Pixels | None,
    backbone: str = "embedded",
    layers: Sequence[str] = ("block1_conv1", "block2_conv1", "block3_conv1"),
    size_px: int = 256,
) -> tuple[GramPicture, ...]:
    """Gram matrices by layer, per position, of pictures scaled to `size_px`; errors as `backbones.taps`'s."""
    from core.style.problem import gram_pictures

    made = None if generated is None else scaled(generated, size_px)
    return gram_pictures(scaled(content, size_px), scaled(style, size_px), made, backbone, layers)


def gram_image(gram: np.ndarray, limit: float, side_px: int = 256) -> Pixels:
    """A Gram matrix as a picture (side_px, side_px, 3): dark is zero, bright is `limit`; square roots are shown.

    >>> gram_image(np.eye(2, dtype=np.float32), 1.0, 8).shape
    (8, 8, 3)
    """
    level = np.sqrt(np.clip(gram / max(limit, 1e-12), 0, 1))
    grey = cv2.resize((255 * level).astype(np.uint8), (side_px, side_px), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB), np.uint8)


def fetch_backbone(name: str, *, report: Report | None = None) -> str:
    """Download VGG-16 or VGG-19, as a job; errors as `backbones.fetch_vgg`'s."""
    from core.style.backbones import fetch_vgg

    return str(fetch_vgg(name, report))
