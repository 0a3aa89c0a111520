"""Style transfer by optimisation: the pixels themselves are moved until J is small.

    python -m core.style.transfer CONTENT STYLE [STYLE ...] --out FILE [--size 512] [--steps 300]
        [--optimizer lbfgs|adam|gradient_descent] [--backbone embedded|vgg16|vgg19] [--fast]

The picture grows from coarse to fine: large patterns are found where they are cheap, and the next size starts from what
was found. Source: Gatys et al., 2015, and section 6 of Gatys et al., 2017 (coarse to fine). CONTENT and STYLE are files
or names of samples and drawn styles.

Arrays: pictures RGB uint8 (H, W, 3).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.runtime.images import ImageError, decode_image, encode_jpeg, encode_png
from core.runtime.report import Report
from core.runtime.samples import SAMPLES, load_sample
from core.runtime.weights import WeightsError
from core.style.colour import luminance, match_colours, with_chroma_of
from core.style.drawn_styles import DRAWN_STYLES, draw_style
from core.style.memory import SAFE_PART, available_mb, needed_mb
from core.style.optimisers import minimise
from core.style.pictures import check_picture, scaled, scaled_shape
from core.style.settings import (
    BACKBONES,
    MIN_PX,
    OPTIMIZERS,
    Costs,
    Pixels,
    StyleError,
    TransferResult,
    TransferSettings,
)

if TYPE_CHECKING:
    from core.style.problem import TransferProblem

PREVIEW_EVERY_S = 0.7
# Of all evaluations, the part that each size gets, from the last to the first.
SHARE_OF_LAST = 0.5


def plan(settings: TransferSettings) -> list[tuple[int, int]]:
    """(longest side in pixels, evaluations) of each size, the coarsest first.

    >>> plan(TransferSettings(size_px=256, steps=100, levels=2))
    [(128, 50), (256, 50)]
    """
    sizes = [settings.size_px]
    steps: list[int] = []
    while len(sizes) < settings.levels and sizes[0] // 2 >= 2 * MIN_PX:
        sizes.insert(0, sizes[0] // 2)
    left = settings.steps
    for _ in sizes[1:]:
        steps.insert(0, max(1, round(left * SHARE_OF_LAST)))
        left -= steps[0]
    steps.insert(0, max(1, left))
    return list(zip(sizes, steps, strict=True))


def largest_size_px(settings: TransferSettings, height_px: int, width_px: int, free_mb: float | None = None) -> int:
    """The largest longest side, up to the one asked for, whose transfer fits into the memory that is free.

    Raises:
        StyleError: If not even the smallest fits.
    """
    room = SAFE_PART * (available_mb() if free_mb is None else free_mb)
    for size in range(settings.size_px, MIN_PX - 1, -32):
        if needed_mb(settings, *scaled_shape(height_px, width_px, size)) <= room:
            return size
    raise StyleError(f"{room:,.0f} MB of memory are free for a transfer, too few for any size")


def first_image(content: Pixels, settings: TransferSettings) -> NDArray[np.float32]:
    """Where the search starts: the content, or noise of its mean colour (float32)."""
    if settings.start == "content":
        return content.astype(np.float32)
    rng = np.random.default_rng(settings.seed)
    mean = content.reshape(-1, 3).mean(0)
    return np.asarray(np.clip(mean + rng.normal(0, 40, content.shape), 0, 255), np.float32)


def resized(image: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A picture of another size to go on from."""
    if image.shape == shape:
        return image
    method = cv2.INTER_AREA if image.shape[0] > shape[0] else cv2.INTER_CUBIC
    larger = cv2.resize(image, (shape[1], shape[0]), interpolation=method)
    return np.clip(larger, 0, 255).astype(np.float32)


def finished(image: NDArray[np.float32], content: Pixels, settings: TransferSettings) -> Pixels:
    """The picture as it is shown: uint8, with the content's chroma where the settings say so."""
    pixels = np.rint(np.clip(np.nan_to_num(image, nan=127.0), 0, 255)).astype(np.uint8)
    return with_chroma_of(pixels, content) if settings.colour == "luminance" else pixels


class _Run:
    """What a transfer keeps over its sizes: evaluations, the first costs, and when the picture was shown last."""

    def __init__(self, settings: TransferSettings, report: Report, steps: int) -> None:
        self.settings, self.report, self.steps = settings, report, steps
        self.counted, self.shown_at = 0, 0.0
        self.first: Costs | None = None

    def minimise(
        self, problem: TransferProblem, start: NDArray[np.float32], target: Pixels, steps: int
    ) -> NDArray[np.float32]:
        """The best picture of one size, float32 (H, W, 3) in 0..255."""

        def evaluate(flat: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
            picture = flat.reshape(target.shape)
            values, gradient = problem(picture)
            self.first = self.first or values
            self.counted += 1
            preview = None
            if time.monotonic() - self.shown_at > PREVIEW_EVERY_S:
                self.shown_at, preview = time.monotonic(), finished(picture, target, self.settings)
            self.report(
                min(1.0, self.counted / self.steps),
                f"{target.shape[1]} x {target.shape[0]} px, step {self.counted} of {self.steps}",
                {"step": self.counted, **values.metrics()},
                preview,
            )
            return values.total, gradient.reshape(-1)

        rate = self.settings.learning_rate_px
        return minimise(self.settings.optimizer, evaluate, start.reshape(-1), steps, rate).reshape(target.shape)


def coloured(
    content: Pixels, styles: Sequence[Pixels], size_px: int, settings: TransferSettings
) -> tuple[Pixels, list[Pixels]]:
    """Content and styles scaled for a size, and their colours changed as the settings say."""
    target = scaled(content, size_px)
    small = [scaled(style, max(MIN_PX, round(size_px * settings.style_scale))) for style in styles]
    if settings.colour == "histogram":
        return target, [match_colours(style, target) for style in small]
    if settings.colour == "luminance":
        return luminance(target), [luminance(style) for style in small]
    return target, small


def transfer(
    content: Pixels,
    styles: Sequence[Pixels],
    settings: TransferSettings | None = None,
    style_weights: Sequence[float] | None = None,
    start_image: Pixels | None = None,
    report: Report | None = None,
) -> TransferResult:
    """The content picture in the style of others, as a job.

    Args:
        content: RGB uint8 (H, W, 3); it is scaled to the size asked for.
        styles: one or several pictures.
        settings: what to weigh and how to search.
        style_weights: one for each style, above zero in all; equal ones if None.
        start_image: a picture to go on from, of an earlier transfer perhaps; then there is only the last size.
        report: told J and its parts after each evaluation, and shown the picture every second.

    Raises:
        StyleError: If something is asked for that cannot be done.
        WeightsError: If the backbone's weights are missing.
    """
    from core.style.problem import TransferProblem

    settings, report = settings or TransferSettings(), report or Report()
    started = time.monotonic()
    content = check_picture(content, "content picture")
    styles = [check_picture(style, "style picture") for style in styles]
    weights = checked_weights(len(styles), style_weights)
    settings, notes = fitted(content, styles, settings)
    stages = plan(settings) if start_image is None else [(settings.size_px, settings.steps)]
    run = _Run(settings, report, sum(steps for _, steps in stages))
    image = None if start_image is None else start_image.astype(np.float32)
    for size_px, steps in stages:
        target = scaled(content, size_px)
        report(run.counted / run.steps, f"Preparing {target.shape[1]} x {target.shape[0]} px")
        given, small = coloured(content, styles, size_px, settings)
        problem = TransferProblem(given, small, weights, settings)
        start = first_image(given, settings) if image is None else resized(image, given.shape)
        image = np.clip(run.minimise(problem, start, target, steps), 0, 255)
        last, _ = problem(image)
    if image is None or run.first is None or not np.isfinite(last.total):
        raise StyleError("J is no number with these weights: take smaller ones")
    result = finished(image, scaled(content, settings.size_px), settings)
    report(1.0, "Done", preview=result)
    return TransferResult(
        result, run.first, last, run.counted, time.monotonic() - started, BACKBONES[settings.backbone], notes
    )


def checked_weights(styles: int, weights: Sequence[float] | None) -> list[float]:
    """One weight for each style.

    Raises:
        StyleError: If they are too many or too few, below zero, or all zero.
    """
    given = [1.0] * styles if weights is None else [float(weight) for weight in weights]
    if styles < 1 or len(given) != styles:
        raise StyleError(f"expected one weight for each of at least one style, received {len(given)} for {styles}")
    if min(given) < 0 or not 0 < sum(given) < float("inf"):
        raise StyleError("the weights of the styles are at least zero and not all zero")
    return given


def fitted(
    content: Pixels, styles: Sequence[Pixels], settings: TransferSettings
) -> tuple[TransferSettings, tuple[str, ...]]:
    """The settings with a size that fits into memory, and sentences on what will be made otherwise than asked."""
    notes: list[str] = []
    height, width = content.shape[:2]
    fitting = largest_size_px(settings, height, width)
    if fitting < settings.size_px:
        needed = needed_mb(settings, *scaled_shape(height, width, settings.size_px))
        notes.append(
            f"{settings.size_px} px would take about {needed:,.0f} MB of memory, more than is free: "
            f"made at {fitting} px."
        )
        settings = replace(settings, size_px=fitting)
    if max(height, width) > settings.size_px:
        notes.append(f"The content was scaled from {width} x {height} px.")
    if any(int(style.max()) - int(style.min()) < 4 for style in styles):
        notes.append("A style picture of one colour has no pattern: only its colour is taken over.")
    return settings, tuple(notes)


def read_picture(name: str) -> Pixels:
    """A picture by file, sample's name or drawn style's name.

    Raises:
        StyleError: If there is none.
    """
    if Path(name).is_file():
        try:
            return decode_image(Path(name).read_bytes(), max_side_px=4096).pixels
        except ImageError as error:
            raise StyleError(f"{name}: {error}") from error
    if name in DRAWN_STYLES:
        return draw_style(name, 512)
    if name in SAMPLES:
        return load_sample(name)
    raise StyleError(
        f"{name} is no file, no sample ({', '.join(SAMPLES)}) and no drawn style ({', '.join(DRAWN_STYLES)})"
    )


class PrintingReport(Report):
    """Prints J and its parts as a transfer goes."""

    def __init__(self, every: int) -> None:
        """Print each `every`-th evaluation."""
        super().__init__()
        self.every = max(1, every)

    def __call__(
        self, fraction: float | None = None, message: str = "", metrics: Any = None, preview: Any = None
    ) -> None:
        """Print what was reported."""
        if metrics is None:
            if message:
                print(message, flush=True)
        elif int(metrics["step"]) % self.every == 0 or metrics["step"] == 1:
            parts = " ".join(f"{name} {value:.5g}" for name, value in metrics.items() if name != "step")
            print(f"step {int(metrics['step']):4d}: {parts}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line: 0, or 1 with one sentence."""
    defaults = TransferSettings()
    parser = argparse.ArgumentParser(description="the content of one picture in the style of another")
    parser.add_argument("content", help="file or name of a sample")
    parser.add_argument("style", nargs="+", help="files, names of samples or of drawn styles")
    parser.add_argument("--out", type=Path, required=True, help="a .png or .jpg file")
    parser.add_argument("--size", type=int, default=512, help="longest side in pixels")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--optimizer", choices=list(OPTIMIZERS), default="lbfgs")
    parser.add_argument("--backbone", choices=list(BACKBONES), default="embedded")
    parser.add_argument("--alpha", type=float, default=defaults.alpha)
    parser.add_argument("--beta", type=float, default=defaults.beta)
    parser.add_argument("--gamma", type=float, default=defaults.gamma)
    parser.add_argument("--start", choices=("content", "noise"), default=defaults.start)
    parser.add_argument("--colour", choices=("style", "luminance", "histogram"), default=defaults.colour)
    parser.add_argument("--levels", type=int, default=3)
    parser.add_argument("--pooling", choices=("max", "average"), default=defaults.pooling)
    parser.add_argument("--print-every", type=int, default=10)
    parser.add_argument("--fast", action="store_true", help="one pass of the feed-forward network")
    parser.add_argument("--strength", type=float, default=1.0, help="of the feed-forward network, 0 to 1")
    args = parser.parse_args(arguments)
    try:
        content, styles = read_picture(args.content), [read_picture(name) for name in args.style]
        if args.fast:
            from core.style.feed_forward import stylise

            start = time.monotonic()
            image = stylise(content, styles, size_px=args.size, strength=args.strength)
            print(f"feed-forward network: {time.monotonic() - start:.2f} s with loading")
        else:
            settings = TransferSettings(
                size_px=args.size,
                steps=args.steps,
                optimizer=args.optimizer,
                backbone=args.backbone,
                alpha=args.alpha,
                beta=args.beta,
                gamma=args.gamma,
                start=args.start,
                colour=args.colour,
                levels=args.levels,
                pooling=args.pooling,
            )
            shape = scaled_shape(content.shape[0], content.shape[1], args.size)
            print(f"about {needed_mb(settings, *shape):,.0f} MB of memory, {available_mb():,.0f} MB are free")
            result = transfer(content, styles, settings, report=PrintingReport(args.print_every))
            for note in result.notes:
                print(note)
            print(f"first: {result.first.line()}\nlast:  {result.last.line()}")
            print(f"{result.evaluations} evaluations in {result.elapsed_s:.1f} s, {result.backbone}")
            image = result.image
        is_jpeg = args.out.suffix.lower() in (".jpg", ".jpeg")
        args.out.write_bytes(encode_jpeg(image, 95) if is_jpeg else encode_png(image))
        print(args.out)
    except (StyleError, WeightsError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
