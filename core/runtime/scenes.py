"""Scenes that the project draws itself: test pictures whose edges, orientations and frequencies are known.

Each scene is a function of its size and, where chance takes part, a seed; the same arguments give the same
bytes. Arrays are RGB uint8 `(H, W, 3)`. Shapes are drawn by OpenCV with anti-aliased outlines, patterns are
computed and rounded. Coordinates do not depend on the size: 1 is the shorter side.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

# Colours that stay apart for the common kinds of colour blindness (Okabe and Ito, 2008).
PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
DARK: Colour = (38, 44, 58)
# OpenCV takes coordinates in fractions of a pixel, here sixteenths.
FRACTION_BITS = 4


def shapes(width: int = 512, height: int = 512, *, seed: int = 7, n_shapes: int = 14) -> Pixels:
    """Draw circles, squares and triangles of many colours, sizes and angles on a soft background.

    >>> shapes(96, 64).shape
    (64, 96, 3)
    """
    generator = np.random.default_rng(seed)
    canvas = _gradient(width, height, (246, 243, 236), (217, 226, 236))
    aspect_x, aspect_y = _extent(width, height)
    placed: list[tuple[float, float, float]] = []
    while len(placed) < n_shapes:
        radius = generator.uniform(0.05, 0.13)
        x, y = generator.uniform(radius, aspect_x - radius), generator.uniform(radius, aspect_y - radius)
        while any(np.hypot(x - a, y - b) < radius + c + 0.01 for a, b, c in placed):
            radius *= 0.98  # whoever comes late to a crowded canvas becomes smaller
            x, y = generator.uniform(radius, aspect_x - radius), generator.uniform(radius, aspect_y - radius)
        kind = len(placed) % 3
        colour = PALETTE[(len(placed) + seed) % len(PALETTE)]
        angle = generator.uniform(0, 2 * np.pi)
        placed.append((x, y, radius))
        if kind == 0:
            _circle(canvas, (x, y), radius, colour)
        else:
            n_corners = 4 if kind == 1 else 3
            turns = angle + 2 * np.pi * np.arange(n_corners) / n_corners
            corners = [(x + radius * np.cos(turn), y + radius * np.sin(turn)) for turn in turns]
            _polygon(canvas, corners, colour)
    return canvas


def gratings(width: int = 512, height: int = 512, *, n_orientations: int = 8) -> Pixels:
    """Draw a wheel of stripes whose direction changes from sector to sector, evenly over 180 degrees.

    The middle of sector k lies at k * 180 / n_orientations degrees, and opposite; its stripes stand across.
    """
    x, y = _centred(width, height)
    angle = np.arctan2(y, x) % np.pi
    sector = np.round(angle / (np.pi / n_orientations)) % n_orientations
    direction = sector * np.pi / n_orientations
    distance = x * np.cos(direction) + y * np.sin(direction)
    stripes = np.cos(2 * np.pi * 18 * distance)
    # Each sector fades into grey at its rims: the only edges are those of the stripes.
    to_middle = np.abs((angle - direction + np.pi / 2) % np.pi - np.pi / 2) * n_orientations / np.pi
    radius = np.hypot(x, y)
    strength = np.clip((0.5 - to_middle) * radius * 40, 0, 1) * np.clip((0.49 - radius) * 40, 0, 1)
    return _grey(0.5 + 0.46 * stripes * strength)


def checkerboard(width: int = 512, height: int = 512, *, n_squares: int = 8) -> Pixels:
    """Draw a board of `n_squares` along the shorter side, in two shades.

    >>> checkerboard(4, 4, n_squares=2)[:, :, 0].tolist()
    [[38, 38, 240, 240], [38, 38, 240, 240], [240, 240, 38, 38], [240, 240, 38, 38]]
    """
    side = min(width, height)
    columns = np.arange(width) * n_squares // side
    rows = np.arange(height) * n_squares // side
    is_light = (rows[:, None] + columns[None, :]) % 2 == 1  # (H, W)
    return np.where(is_light[..., None], (240, 237, 228), DARK).astype(np.uint8)


def step_and_ramp(width: int = 512, height: int = 512) -> Pixels:
    """Draw the edges of textbooks in bands: steps, ramps, a line, soft edges, a staircase, a level step."""
    x = (np.arange(width) + 0.5) / width
    profiles = [
        np.where((x > 0.25) & (x < 0.75), 0.9, 0.1),  # a step up and a step down
        np.interp(x, [0.2, 0.4, 0.6, 0.8], [0.1, 0.9, 0.9, 0.1]),  # a ramp up and a ramp down
        np.where(np.abs(x - 0.5) < 2 / width, 0.9, 0.1),  # a bright line
        0.5 + 0.4 * np.tanh((0.06 - np.abs(x - 0.5)) / 0.02),  # soft edges
        np.floor(x * 8) / 7,  # a staircase
    ]
    heights = np.full(len(profiles), 0.16)
    top = np.concatenate([np.full(round(height * part), index) for index, part in enumerate(heights)])
    values = np.array(profiles)[top]  # (about 0.8 H, W)
    rest = height - len(values)
    below = np.repeat(np.where(np.arange(rest) < rest / 2, 0.1, 0.9)[:, None], width, axis=1)
    return _grey(np.concatenate([values, below]))


def zone_plate(width: int = 512, height: int = 512) -> Pixels:
    """Draw rings whose frequency grows from zero in the middle to the highest a raster holds at the rims.

    Source: the phase pi r^2 / D of a Fresnel zone plate has at radius r the frequency r / D cycles a pixel;
    at r = D / 2 that is one half, the Nyquist limit. Every stride without smoothing shows false rings in it.
    """
    side = min(width, height)
    x, y = _centred(width, height)
    squared = (x**2 + y**2) * side**2
    return _grey(0.5 + 0.48 * np.cos(np.pi * squared / side))


def street(width: int = 512, height: int = 512) -> Pixels:
    """Draw houses, trees, a road and a sun in plain geometry: upright, level, slanted and round edges."""
    canvas = _gradient(width, height, (150, 197, 233), (235, 243, 247))
    right, _ = _extent(width, height)
    _circle(canvas, (right - 0.17, 0.16), 0.075, (250, 214, 96))
    hills = [(0.0, 0.62), (right * 0.22, 0.49), (right * 0.5, 0.6), (right * 0.78, 0.47), (right, 0.58)]
    _polygon(canvas, [*hills, (right, 0.8), (0, 0.8)], (150, 184, 148))
    _polygon(canvas, [(0, 0.72), (right, 0.72), (right, 1), (0, 1)], (124, 166, 104))
    _polygon(canvas, [(0, 0.83), (right, 0.83), (right, 0.96), (0, 0.96)], (88, 92, 102))
    for start in np.arange(0.02, right, 0.16):
        _polygon(canvas, _box(start, 0.888, 0.09, 0.014), (238, 232, 210))
    n_lots = max(2, round(right / 0.34))
    walls: tuple[Colour, ...] = ((221, 132, 96), (232, 206, 160), (168, 190, 214), (206, 160, 174))
    roofs: tuple[Colour, ...] = ((120, 60, 52), (94, 78, 88), (70, 86, 110), (110, 66, 78))
    for lot in range(n_lots):
        left = (lot + 0.08) * right / n_lots
        _house(canvas, left, 0.44 - 0.05 * (lot % 2), walls[lot % 4], roofs[lot % 4])
    for lot in range(n_lots):
        _tree(canvas, (lot + 0.9) * right / n_lots, 0.52 + 0.03 * (lot % 2))
    return canvas


def _house(canvas: Pixels, left: float, top: float, wall: Colour, roof: Colour) -> None:
    width, bottom = 0.22, 0.78
    _polygon(canvas, [(left, top), (left + width, top), (left + width, bottom), (left, bottom)], wall)
    _polygon(canvas, _box(left + 0.155, top - 0.13, 0.03, 0.1), tuple(value * 3 // 4 for value in wall))
    eaves = [(left - 0.025, top), (left + width / 2, top - 0.14), (left + width + 0.025, top)]
    _polygon(canvas, eaves, roof)
    for column in (0.03, 0.13):
        _polygon(canvas, _box(left + column - 0.006, top + 0.044, 0.072, 0.082), (246, 242, 232))
        for pane in (0.0, 0.032):
            _polygon(canvas, _box(left + column + pane, top + 0.05, 0.028, 0.07), (74, 104, 136))
    _polygon(canvas, _box(left + 0.085, bottom - 0.12, 0.05, 0.12), roof)
    _circle(canvas, (left + 0.125, bottom - 0.06), 0.005, (246, 242, 232))


def _tree(canvas: Pixels, x: float, top: float) -> None:
    _polygon(canvas, _box(x - 0.011, top + 0.08, 0.022, 0.2), (112, 82, 60))
    for across, down, radius in ((0, 0, 0.062), (-0.035, 0.05, 0.05), (0.035, 0.05, 0.05)):
        _circle(canvas, (x + across, top + down), radius, (66, 122, 80))
    _circle(canvas, (x - 0.014, top - 0.012), 0.03, (92, 150, 98))


def _box(left: float, top: float, width: float, height: float) -> list[tuple[float, float]]:
    return [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]


def _extent(width: int, height: int) -> tuple[float, float]:
    side = min(width, height)
    return width / side, height / side


def _centred(width: int, height: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Coordinates x `(1, W)` and y `(H, 1)` of pixel centres from the middle, the shorter side being 1."""
    side = min(width, height)
    x = (np.arange(width) - (width - 1) / 2) / side
    y = (np.arange(height) - (height - 1) / 2) / side
    return x[None, :], y[:, None]


def _grey(values: npt.NDArray[np.float64]) -> Pixels:
    levels = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)  # (H, W)
    return np.repeat(levels[..., None], 3, axis=2)  # (H, W, 3)


def _gradient(width: int, height: int, top: Colour, bottom: Colour) -> Pixels:
    share = np.linspace(0, 1, height)[:, None, None]  # (H, 1, 1)
    rows = np.round(np.array(top) * (1 - share) + np.array(bottom) * share).astype(np.uint8)  # (H, 1, 3)
    return np.repeat(rows, width, axis=1)  # (H, W, 3)


def _to_fixed(canvas: Pixels, value: float) -> int:
    return int(round(value * min(canvas.shape[:2]) * 2**FRACTION_BITS))


def _circle(canvas: Pixels, centre: tuple[float, float], radius: float, colour: Colour) -> None:
    x, y = (_to_fixed(canvas, value) for value in centre)
    cv2.circle(canvas, (x, y), _to_fixed(canvas, radius), colour, cv2.FILLED, cv2.LINE_AA, FRACTION_BITS)


def _polygon(canvas: Pixels, corners: Sequence[tuple[float, float]], colour: Sequence[int]) -> None:
    points = np.array([[_to_fixed(canvas, x), _to_fixed(canvas, y)] for x, y in corners], np.int32)
    cv2.fillPoly(canvas, [points], tuple(colour), cv2.LINE_AA, FRACTION_BITS)


SCENES: dict[str, Callable[[int, int], Pixels]] = {
    "shapes": shapes,
    "street": street,
    "gratings": gratings,
    "checkerboard": checkerboard,
    "step_and_ramp": step_and_ramp,
    "zone_plate": zone_plate,
}
