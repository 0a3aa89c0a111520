"""The hand-coded filters of the notes (section 1.2) and the classic ones beside them, as f x f matrices.

A filter is a float64 array (f, f) that is laid over the image as it stands (cross-correlation). Signs follow
the
notes: the columns of the vertical filter are 1, 0, -1, so a bright-to-dark step from left to right answers
with a positive number. Sources: Sobel and Feldman 1968; Prewitt 1970; Scharr 2000; Marr and Hildreth 1980 for
the Laplacian of Gaussian; Gabor 1946 and Daugman 1985.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Kernel = npt.NDArray[np.float64]

MAX_SIZE = 31
MAX_WEIGHT = 1e6

_VERTICAL = ((1, 0, -1), (1, 0, -1), (1, 0, -1))
_SOBEL_VERTICAL = ((1, 0, -1), (2, 0, -2), (1, 0, -1))
_SCHARR_VERTICAL = ((3, 0, -3), (10, 0, -10), (3, 0, -3))
_LAPLACIAN = ((0, 1, 0), (1, -4, 1), (0, 1, 0))
_SHARPEN = ((0, -1, 0), (-1, 5, -1), (0, -1, 0))
_EMBOSS = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))


@dataclass(frozen=True)
class FilterSpec:
    """A filter of the menu: what it is called, where it belongs, what it does and which parameters it has.

    Attributes:
        name: key in FILTERS and on the command line.
        label: what a person reads.
        group: heading under which it stands.
        summary: one sentence on what it does.
        parameters: the arguments of filter_kernel that change it; none means that it is always 3 x 3.
    """

    name: str
    label: str
    group: str
    summary: str
    parameters: tuple[str, ...] = ()


_SPECS = (
    FilterSpec("vertical", "Vertical edges", "Edges", "Bright on the left of dark gives a positive response."),
    FilterSpec("horizontal", "Horizontal edges", "Edges", "Bright above dark gives a positive response."),
    FilterSpec("sobel_vertical", "Sobel, vertical edges", "Edges", "Vertical edges, the middle row counts twice."),
    FilterSpec(
        "sobel_horizontal",
        "Sobel, horizontal edges",
        "Edges",
        "Horizontal edges, the middle column counts twice.",
    ),
    FilterSpec(
        "scharr_vertical",
        "Scharr, vertical edges",
        "Edges",
        "Like Sobel, with weights that turn better with the edge.",
    ),
    FilterSpec(
        "scharr_horizontal",
        "Scharr, horizontal edges",
        "Edges",
        "The Scharr filter turned to horizontal edges.",
    ),
    FilterSpec("prewitt_vertical", "Prewitt, vertical edges", "Edges", "All three rows count the same."),
    FilterSpec("prewitt_horizontal", "Prewitt, horizontal edges", "Edges", "All three columns count the same."),
    FilterSpec("laplacian", "Laplacian", "Edges", "Second derivative in both directions: edges change its sign."),
    FilterSpec(
        "laplacian_of_gaussian",
        "Laplacian of Gaussian",
        "Edges",
        "Smooths with a Gaussian, then takes the Laplacian: blobs and edges of one scale.",
        ("size", "sigma"),
    ),
    FilterSpec("box", "Box blur", "Smoothing", "Mean of the pixels under the filter.", ("size",)),
    FilterSpec("gaussian", "Gaussian blur", "Smoothing", "Mean that weighs near pixels more.", ("size", "sigma")),
    FilterSpec("sharpen", "Sharpen", "Effects", "The image minus its Laplacian: edges get steeper."),
    FilterSpec("emboss", "Emboss", "Effects", "Lights the image from the upper left, like a relief."),
    FilterSpec(
        "gabor",
        "Gabor",
        "Texture",
        "A wave under a Gaussian: answers to stripes of one width and direction.",
        ("size", "sigma", "orientation_deg", "wavelength_px"),
    ),
    FilterSpec("identity", "Identity", "Effects", "Copies the image.", ("size",)),
)

FILTERS: dict[str, FilterSpec] = {spec.name: spec for spec in _SPECS}

_FIXED: dict[str, Kernel] = {
    "vertical": np.array(_VERTICAL, np.float64),
    "horizontal": np.array(_VERTICAL, np.float64).T,
    "sobel_vertical": np.array(_SOBEL_VERTICAL, np.float64),
    "sobel_horizontal": np.array(_SOBEL_VERTICAL, np.float64).T,
    "scharr_vertical": np.array(_SCHARR_VERTICAL, np.float64),
    "scharr_horizontal": np.array(_SCHARR_VERTICAL, np.float64).T,
    "prewitt_vertical": np.array(_VERTICAL, np.float64),
    "prewitt_horizontal": np.array(_VERTICAL, np.float64).T,
    "laplacian": np.array(_LAPLACIAN, np.float64),
    "sharpen": np.array(_SHARPEN, np.float64),
    "emboss": np.array(_EMBOSS, np.float64),
}


def filter_kernel(
    name: str,
    size: int = 3,
    *,
    sigma: float = 1.0,
    orientation_deg: float = 0.0,
    wavelength_px: float = 6.0,
) -> Kernel:
    """Return the named filter as a new (f, f) array.

    Filters whose FilterSpec lists no "size" are the published 3 x 3 ones and ignore size; the others come in
    every size from 1 to 31, odd or even (an even one is centred between pixels, except the identity, whose 1
    stands where "same" padding puts the output). sigma and wavelength_px are in pixels; orientation_deg is
    the direction in which the Gabor wave runs, 0 to the right and 90 downwards.

    >>> filter_kernel("sobel_vertical")
    array([[ 1.,  0., -1.],
           [ 2.,  0., -2.],
           [ 1.,  0., -1.]])
    >>> filter_kernel("box", 2)
    array([[0.25, 0.25],
           [0.25, 0.25]])

    Raises:
        ValueError: no such filter, a size outside 1 to 31, a sigma or wavelength that is not positive.
    """
    if name not in FILTERS:
        raise ValueError(f"There is no filter called {name!r}; there are {', '.join(FILTERS)}.")
    if name in _FIXED:
        return _FIXED[name].copy()
    if not 1 <= size <= MAX_SIZE:
        raise ValueError(f"The size of a filter must be from 1 to {MAX_SIZE}, received {size}.")
    if not (np.isfinite(sigma) and sigma > 0):
        raise ValueError(f"Sigma must be a positive number of pixels, received {sigma}.")
    if not (np.isfinite(wavelength_px) and wavelength_px > 0):
        raise ValueError(f"The wavelength must be a positive number of pixels, received {wavelength_px}.")
    if not np.isfinite(orientation_deg):
        raise ValueError(f"The orientation must be a number of degrees, received {orientation_deg}.")
    families: dict[str, Callable[[], Kernel]] = {
        "laplacian_of_gaussian": lambda: _laplacian_of_gaussian(size, sigma),
        "box": lambda: np.full((size, size), 1 / size**2, np.float64),
        "gaussian": lambda: _gaussian(size, sigma),
        "gabor": lambda: _gabor(size, sigma, orientation_deg, wavelength_px),
        "identity": lambda: _identity(size),
    }
    return families[name]()


def _offsets(size: int) -> npt.NDArray[np.float64]:
    return np.arange(size, dtype=np.float64) - (size - 1) / 2  # (f,), zero in the middle


def _gaussian(size: int, sigma: float) -> Kernel:
    # Counted from the nearest tap, the exponent does not underflow to all zeros for a tiny sigma.
    squares = _offsets(size) ** 2
    line = np.exp(-(squares - squares.min()) / (2 * sigma**2))  # (f,)
    line /= line.sum()
    kernel: Kernel = np.outer(line, line)  # (f, f)
    return kernel


def _laplacian_of_gaussian(size: int, sigma: float) -> Kernel:
    squares = _offsets(size)[:, None] ** 2 + _offsets(size) ** 2  # (f, f), r^2
    kernel = (squares - 2 * sigma**2) / sigma**4 * _gaussian(size, sigma)
    # The window cuts the tails off; without their weight a flat image would no longer give zero.
    centred: Kernel = kernel - kernel.mean()
    return centred


def _gabor(size: int, sigma: float, orientation_deg: float, wavelength_px: float) -> Kernel:
    angle = np.deg2rad(orientation_deg)
    along = _offsets(size) * np.cos(angle) + _offsets(size)[:, None] * np.sin(angle)  # (f, f)
    envelope = _gaussian(size, sigma)
    wave = np.cos(2 * np.pi * along / wavelength_px)
    # Daugman's correction: without the mean, a flat image gives zero whatever its brightness.
    kernel: Kernel = envelope * (wave - np.sum(envelope * wave))
    return kernel


def _identity(size: int) -> Kernel:
    kernel = np.zeros((size, size))
    kernel[(size - 1) // 2, (size - 1) // 2] = 1.0
    return kernel


def normalise(kernel: Kernel) -> Kernel:
    """Return the kernel scaled to the sum 1 or, where its sum is about 0, to the sum of absolute values 1.

    A kernel of zeros is returned as it is.

    >>> normalise(np.array([[1.0, 3.0]])), normalise(np.array([[1.0, -1.0]]))
    (array([[0.25, 0.75]]), array([[ 0.5, -0.5]]))
    """
    weight = np.abs(kernel).sum()
    if weight == 0:
        return kernel.copy()
    total = kernel.sum()
    result: Kernel = kernel / (total if abs(total) > 1e-9 * weight else weight)
    return result


def transpose(kernel: Kernel) -> Kernel:
    """Return the kernel with rows and columns exchanged: a filter for the other direction."""
    return kernel.T.copy()


def rotate(kernel: Kernel) -> Kernel:
    """Return the kernel turned by a quarter counter-clockwise.

    >>> rotate(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[2., 4.],
           [1., 3.]])
    """
    return np.rot90(kernel).copy()


def parse_kernel(text: str, *, square: bool = True) -> Kernel:
    """Return the matrix that a person typed: rows on lines or after ";", numbers after blanks or commas.

    Fractions such as 1/9 are understood. With square=False the matrix may also be a rectangle.

    >>> parse_kernel("1 0 -1; 2 0 -2; 1 0 -1")[1]
    array([ 2.,  0., -2.])

    Raises:
        ValueError: in one sentence, what is wrong: nothing there, no number, not finite or over a million,
            rows of different lengths, not square, or more than 31 rows or columns.
    """
    lines = [line.replace(",", " ").split() for line in text.replace(";", "\n").splitlines()]
    rows = [line for line in lines if line]
    if not rows:
        raise ValueError("The matrix is empty: write its rows on lines of their own or separate them by ';'.")
    if len(rows) > MAX_SIZE or max(map(len, rows)) > MAX_SIZE:
        raise ValueError(
            f"The matrix has {len(rows)} rows and up to {max(map(len, rows))} columns, but a filter has at "
            f"most {MAX_SIZE} of each."
        )
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"Row {number} of the matrix has {len(row)} numbers, but row 1 has {len(rows[0])}: all rows "
                "must be equally long."
            )
    if square and len(rows) != len(rows[0]):
        raise ValueError(f"The matrix has {len(rows)} rows and {len(rows[0])} columns, but a filter must be square.")
    values = [[_number(word, i, j) for j, word in enumerate(row, 1)] for i, row in enumerate(rows, 1)]
    return np.array(values, np.float64)


def _number(word: str, row: int, column: int) -> float:
    try:
        value = float(Fraction(word)) if "/" in word else float(word)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise ValueError(f"{word[:20]!r} in row {row}, column {column} of the matrix is not a number.") from None
    if not np.isfinite(value) or abs(value) > MAX_WEIGHT:
        raise ValueError(
            f"{word[:20]!r} in row {row}, column {column} of the matrix is no weight that can be used: "
            "weights lie between minus and plus one million."
        )
    return value


def resized(kernel: Kernel, size: int) -> Kernel:
    """Return the middle (size, size) of a filter, or the filter in the middle of zeros.

    >>> resized(np.array([[5.0]]), 3).tolist()
    [[0.0, 0.0, 0.0], [0.0, 5.0, 0.0], [0.0, 0.0, 0.0]]

    Raises:
        ValueError: the size is not 1 to 31.
    """
    if not 1 <= size <= MAX_SIZE:
        raise ValueError(f"The size must be 1 to {MAX_SIZE}, received {size}.")
    old = kernel.shape[0]
    if size <= old:
        start = (old - size) // 2
        return kernel[start : start + size, start : start + size]  # (size, size)
    before = (size - old) // 2
    return np.pad(kernel, (before, size - old - before))  # (size, size)
