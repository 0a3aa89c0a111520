"""Styles that the project draws itself, so that a transfer needs no picture of anybody's.

Each is a function of a size and a random generator; a seed always gives the same picture. Strokes follow a flow field
of smooth noise (the curl of a potential: Bridson et al., 2007, Curl-noise for procedural fluid flow); cells are those
of Worley (1996); marble is warped noise (Perlin, 1985). Arrays: RGB uint8 (size, size, 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.runtime.images import decode_image, encode_jpeg
from core.style.settings import Pixels, StyleError

FOLDER = Path(__file__).parents[2] / "assets" / "styles"

Floats = NDArray[np.float32]
Palette = Sequence[str]

NIGHT: Palette = ("#0b1d51", "#15357a", "#1f5aa6", "#3f88c5", "#7fb2d6", "#f2d14b", "#f7e9a0", "#0a1230")
EMBERS: Palette = ("#2b0a0a", "#6d1313", "#b3261e", "#e2571e", "#f4a02c", "#f9d976", "#1d2a44", "#3c4a6b")
MEADOW: Palette = ("#1e3d2f", "#3b6b3a", "#7aa23f", "#c5c94f", "#f0e6a6", "#d9793b", "#5a3f6b", "#2c5d6e")
GLASS: Palette = ("#b3202c", "#e0912f", "#f2cf4a", "#2f7d4f", "#1f5a9a", "#4a2b7b", "#cfe3ea", "#0f7f8c")
INDIGO: Palette = ("#16325c", "#28558f", "#5f8fbf", "#a9c5da", "#efe6d2", "#d9c9a3")
MARBLE: Palette = ("#16213e", "#d7263d", "#f4d58d", "#2a9d8f", "#f1faee", "#264653")
BAUHAUS: Palette = ("#d62828", "#f2b705", "#1d4e89", "#1b1b1e", "#f3ead7", "#e07a5f")


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _colours(palette: Palette) -> NDArray[np.float32]:
    return np.array([_rgb(colour) for colour in palette], np.float32)


def _noise(size: int, cells: int, rng: np.random.Generator, octaves: int = 3) -> Floats:
    """Smooth noise in about -1..1 (size, size): random grids of `cells`, 2 `cells`, ... blown up and added."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        grid = rng.uniform(-1, 1, (cells * 2**octave + 3,) * 2).astype(np.float32)
        total += cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC) / 2**octave
    return total / np.float32(2 - 0.5 ** (octaves - 1))


def _strokes(
    size: int,
    rng: np.random.Generator,
    palette: Palette,
    width: float,
    length: float,
    cells: int,
    count: int,
) -> Pixels:
    """Brush strokes along the curl of noise; their colours follow a second noise, their bristles a third."""
    potential = _noise(size, cells, rng, 2)
    down, across = np.gradient(cv2.GaussianBlur(potential, (0, 0), size / 60))
    hue = _noise(size, cells, rng, 3)
    colours = _colours(palette)
    spread = np.clip((hue - hue.min()) / (np.ptp(hue) + 1e-6), 0, 1)
    canvas = np.empty((size, size, 3), np.uint8)
    canvas[:] = _rgb(palette[0])
    unit = size / 512
    for layer, scale in enumerate((1.8, 1.0, 0.6)):
        for _ in range(int(count * (0.4, 1.0, 1.2)[layer])):
            x, y = rng.uniform(0, size - 1, 2)
            place = spread[int(y), int(x)] * (len(colours) - 1) + rng.normal(0, 0.7)
            colour = colours[int(np.clip(round(place), 0, len(colours) - 1))] * rng.uniform(0.82, 1.15)
            points = [(x, y)]
            for _ in range(8):
                row, column = int(np.clip(y, 0, size - 1)), int(np.clip(x, 0, size - 1))
                direction = np.array([down[row, column], -across[row, column]])
                direction = direction / (np.linalg.norm(direction) + 1e-9) * length * scale * unit / 8
                x, y = x + direction[0], y + direction[1]
                points.append((x, y))
            line = np.rint(np.array(points) * 8).astype(np.int32).reshape(-1, 1, 2)
            thick = max(1, round(width * scale * unit))
            for shift in range(-1, 2):  # three bristles of slightly different light
                shade = np.clip(colour * (1 + 0.1 * shift), 0, 255).tolist()
                moved = line + np.int32(shift * thick * 8 // 3)
                cv2.polylines(canvas, [moved], False, shade, max(1, thick // 2), cv2.LINE_AA, 3)
    return canvas


def _night(size: int, rng: np.random.Generator) -> Pixels:
    return _strokes(size, rng, NIGHT, 7, 52, 4, 2600)


def _embers(size: int, rng: np.random.Generator) -> Pixels:
    return _strokes(size, rng, EMBERS, 10, 90, 3, 1700)


def _meadow(size: int, rng: np.random.Generator) -> Pixels:
    return _strokes(size, rng, MEADOW, 5, 14, 5, 5200)


def _cells(size: int, count: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], Floats]:
    """Which of `count` jittered points is nearest (size, size), and how much farther the second is, in pixels."""
    side = int(np.sqrt(count))
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)
    points = (grid + rng.uniform(0, 1, grid.shape)) * size / side
    from scipy.spatial import cKDTree

    rows, columns = np.mgrid[0:size, 0:size]
    distance, nearest = cKDTree(points).query(np.stack([columns, rows], -1).reshape(-1, 2), k=2)
    gap = (distance[:, 1] - distance[:, 0]).reshape(size, size).astype(np.float32)
    return nearest[:, 0].reshape(size, size), gap


def _glass(size: int, rng: np.random.Generator) -> Pixels:
    nearest, gap = _cells(size, 150, rng)
    cells = int(nearest.max()) + 1
    colours = _colours(GLASS)[rng.integers(0, len(GLASS), cells)] * rng.uniform(0.75, 1.15, (cells, 1))
    light = 1 + 0.22 * _noise(size, 9, rng)[..., None]
    picture = colours[nearest] * light
    lead = np.clip(gap / (size / 110) - 0.35, 0, 1)[..., None]
    return np.asarray(np.clip(picture * lead + 18 * (1 - lead), 0, 255), np.uint8)


def _mosaic(size: int, rng: np.random.Generator) -> Pixels:
    nearest, gap = _cells(size, 1600, rng)
    cells = int(nearest.max()) + 1
    picture = _noise(size, 4, rng)
    counts = np.bincount(nearest.ravel(), minlength=cells)
    mean = np.bincount(nearest.ravel(), picture.ravel(), minlength=cells) / np.maximum(counts, 1)
    order = np.clip((mean - mean.min()) / (np.ptp(mean) + 1e-6) * len(INDIGO) + rng.normal(0, 0.6, cells), 0, 5)
    colours = _colours(INDIGO)[order.astype(int)] * rng.uniform(0.88, 1.1, (cells, 1))
    grout = np.clip(gap / (size / 200) - 0.3, 0, 1)[..., None]
    return np.asarray(np.clip(colours[nearest] * grout + 205 * (1 - grout), 0, 255), np.uint8)


def _marble(size: int, rng: np.random.Generator) -> Pixels:
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    for _ in range(2):
        rows, columns = (
            rows + size * 0.09 * _noise(size, 4, rng),
            columns + size * 0.09 * _noise(size, 4, rng),
        )
    bands = (np.sin(rows / size * 22) + np.sin(columns / size * 13 + rows / size * 9)) / 2
    index = (bands + 1) / 2 * (len(MARBLE) - 1)
    low = np.clip(np.floor(index).astype(int), 0, len(MARBLE) - 2)
    part = np.clip((index - low - 0.5) * 9 + 0.5, 0, 1)[..., None]
    colours = _colours(MARBLE)
    return np.asarray(np.clip(colours[low] * (1 - part) + colours[low + 1] * part, 0, 255), np.uint8)


def _waves(size: int, rng: np.random.Generator) -> Pixels:
    canvas = np.empty((size, size, 3), np.uint8)
    canvas[:] = _rgb(INDIGO[4])
    radius = size / 9
    for row in range(-1, 24):
        for column in range(-1, 12):
            centre = (column * radius + (row % 2) * radius / 2, row * radius * 0.42 + radius * 0.5)
            tint = int(rng.integers(0, 3))
            for ring in range(5, 0, -1):
                colour = _rgb(INDIGO[4]) if ring % 2 == 0 else _rgb(INDIGO[min(3, tint + ring // 3)])
                place = (round(centre[0] * 8), round(centre[1] * 8))
                cv2.circle(canvas, place, round(radius * 0.52 * ring / 5 * 8), colour, -1, cv2.LINE_AA, 3)
    grain = 1 + 0.05 * _noise(size, 60, rng, 2)[..., None]
    return np.asarray(np.clip(canvas * grain, 0, 255), np.uint8)


def _ink(size: int, rng: np.random.Generator) -> Pixels:
    canvas = np.full((size, size, 3), (244, 238, 224), np.uint8)
    tone = _noise(size, 4, rng)
    for angle, limit in ((0.7, 0.35), (2.3, 0.0), (1.4, -0.3)):
        step = np.array([np.cos(angle), np.sin(angle)]) * size / 24
        for _ in range(2600):
            x, y = rng.uniform(0, size - 1, 2)
            if tone[int(y), int(x)] > limit:
                continue
            end = np.array([x, y]) + step * rng.uniform(0.5, 1.2) + rng.normal(0, size / 300, 2)
            points = np.rint(np.array([[x, y], end]) * 8).astype(np.int32).reshape(-1, 1, 2)
            cv2.polylines(canvas, [points], False, (38, 34, 52), max(1, round(size / 450)), cv2.LINE_AA, 3)
    return canvas


def _shapes(size: int, rng: np.random.Generator) -> Pixels:
    canvas = np.empty((size, size, 3), np.uint8)
    canvas[:] = _rgb(BAUHAUS[4])
    for _ in range(70):
        x, y = rng.integers(0, size, 2)
        reach = int(rng.uniform(0.04, 0.16) * size)
        colour = _rgb(BAUHAUS[int(rng.integers(0, len(BAUHAUS)))])
        kind = rng.integers(0, 4)
        if kind == 0:
            cv2.circle(canvas, (int(x), int(y)), reach, colour, -1, cv2.LINE_AA)
        elif kind == 1:
            corners = np.array([x, y]) + rng.uniform(-1.5, 1.5, (3, 2)) * reach
            cv2.fillPoly(canvas, [np.rint(corners).astype(np.int32)], colour, cv2.LINE_AA)
        elif kind == 2:
            cv2.ellipse(canvas, (int(x), int(y)), (reach, reach), int(rng.integers(0, 360)), 0, 180, colour, -1, 16)
        else:
            box = cv2.boxPoints(((float(x), float(y)), (reach * 2.4, reach * 0.5), float(rng.integers(0, 180))))
            cv2.fillPoly(canvas, [np.rint(box).astype(np.int32)], colour, cv2.LINE_AA)
    return canvas


# Name, what it is called, and how it is drawn.
DRAWN_STYLES: dict[str, tuple[str, Callable[[int, np.random.Generator], Pixels]]] = {
    "night_strokes": ("Night strokes", _night),
    "ember_strokes": ("Ember strokes", _embers),
    "meadow_dabs": ("Meadow dabs", _meadow),
    "stained_glass": ("Stained glass", _glass),
    "mosaic": ("Mosaic", _mosaic),
    "marbled_paper": ("Marbled paper", _marble),
    "printed_waves": ("Printed waves", _waves),
    "ink_hatching": ("Ink hatching", _ink),
    "cut_paper": ("Cut paper", _shapes),
}


def draw_style(name: str, size_px: int = 512, seed: int = 0) -> Pixels:
    """A drawn style, RGB uint8 (size_px, size_px, 3); the same seed always gives the same picture.

    Raises:
        StyleError: If there is no such style, or the size is not 32 to 2,048 px.
    """
    if name not in DRAWN_STYLES:
        raise StyleError(f"expected one of {', '.join(DRAWN_STYLES)}, received {name!r}")
    if not 32 <= size_px <= 2048:
        raise StyleError(f"expected 32 to 2048 px, received {size_px}")
    return DRAWN_STYLES[name][1](size_px, np.random.default_rng(seed))


@lru_cache(maxsize=32)
def kept_style(name: str) -> Pixels:
    """A drawn style of 512 px, read-only, from its file in `assets/styles`: some take a second to draw.

    Raises:
        StyleError: If there is no such style.
    """
    path = FOLDER / f"{name}.jpg"
    image = decode_image(path.read_bytes()).pixels if name in DRAWN_STYLES and path.is_file() else draw_style(name)
    image.setflags(write=False)
    return image


def write_styles(folder: Path = FOLDER) -> None:
    """Draw all styles into `folder`, as `python -m core.style.drawn_styles` does."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in DRAWN_STYLES:
        (folder / f"{name}.jpg").write_bytes(encode_jpeg(draw_style(name), 88))


if __name__ == "__main__":
    write_styles()
