"""How well a photograph can teach a filter, and how to make it teach better.

A convolution layer that learns from pairs of image and edge map has a loss that is a parabola in its weights.
The Hessian is 2 R, where R = E[p pᵀ] is the autocorrelation of the image's f x f patches p, and along each
eigenvector of R one step of gradient descent leaves 1 - 2 η λ of the error (learning rate η, eigenvalue λ).
Neighbouring pixels of a photograph are nearly equal, so R is badly conditioned: λ_max / λ_min of skimage's
astronaut is 10,000 for 3x3 and 200,000 for 9x9 patches, or 3,000 and 50,000 after its mean was subtracted.
What is learned last is a checkerboard, which the picture hardly contains.

LeCun, Bottou, Orr and Müller, "Efficient BackProp" (1998), section 4.3, advise to decorrelate the inputs. A
photograph's amplitudes fall as 1 / frequency (Field, J. Opt. Soc. Am. A 4, 1987); dividing its spectrum by
them makes all frequencies equally strong and R nearly the identity: λ_max / λ_min is then below 2.5 up to
9x9.

Pictures here are grey float32 (H, W).
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from core.convolution.operation import luminance

Preparation = Literal["decorrelated", "standardised", "raw"]
Picture = NDArray[np.float32]

MAX_IMAGE_PX = 512

_AMPLITUDE_FLOOR = 1e-6  # of the largest amplitude: what is weaker counts as absent and is not raised
_MAX_PATCHES = 40_000


class UnusableImage(ValueError):
    """Nothing can be learned from this image."""


@dataclass(frozen=True)
class Conditioning:
    """How hard a picture makes it to learn a filter of some size.

    Attributes:
        eigenvalues: of the patch autocorrelation, largest first: f² of them, one more with a bias.
    """

    eigenvalues: NDArray[np.float64]

    @property
    def condition_number(self) -> float:
        """λ_max / λ_min, infinite where the picture cannot tell some filters apart."""
        smallest = float(self.eigenvalues[-1])
        return float(self.eigenvalues[0]) / smallest if smallest > 0 else math.inf

    @property
    def largest_stable_rate(self) -> float:
        """The learning rate 1 / λ_max, above which plain gradient descent diverges."""
        return 1.0 / float(self.eigenvalues[0])

    def steps_needed(self, learning_rate: float, momentum: float = 0.0, tolerance: float = 0.01) -> float:
        """Return the steps in which gradient descent shrinks the slowest part of the error to `tolerance`.

        With momentum β the error after a step is (1 + β - 2 η λ) times the last less β times the one before;
        the larger root of z² - (1 + β - 2 η λ) z + β is what a step leaves of it (Polyak 1964). Infinite
        where it does not shrink at all.

        >>> Conditioning(np.array([1.0, 0.5])).steps_needed(0.1)
        44.0
        """
        half = (1.0 + momentum - 2.0 * learning_rate * self.eigenvalues.astype(np.complex128)) / 2.0
        root = np.sqrt(half**2 - momentum)
        slowest = float(np.maximum(np.abs(half + root), np.abs(half - root)).max())
        if slowest >= 1.0:
            return math.inf
        return float(math.ceil(math.log(tolerance) / math.log(slowest))) if slowest > 0 else 1.0


def prepare(image: NDArray[Any], preparation: Preparation) -> Picture:
    """Return the grey picture (h, w) that is learned from, its longest side at most 512 pixels.

    Args:
        image: (H, W), (H, W, 1) or (H, W, 3), any real numbers.
        preparation: "raw": grey levels, from 0 to 1 for uint8; "standardised": mean 0 and deviation 1;
            "decorrelated": the same, after every frequency was given the same amplitude.

    Raises:
        UnusableImage: the array is no image, or all its pixels are equal.
    """
    grey = _grey(np.asarray(image))
    scale = MAX_IMAGE_PX / max(grey.shape)
    if scale < 1:
        size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float64)  # (H, W) -> (h, w)
    if np.ptp(grey) <= 1e-9 * np.abs(grey).max():
        raise UnusableImage("All pixels of the image are equal: it cannot tell one filter from another.")
    if preparation == "raw":
        return grey.astype(np.float32)
    centred = grey - grey.mean()
    if preparation == "decorrelated":
        centred = _with_equal_amplitudes(centred)
    return np.asarray(centred / centred.std(), np.float32)


def patch_conditioning(picture: Picture, f: int, use_bias: bool = False) -> Conditioning:
    """Return the conditioning of a picture (H, W) for f x f filters, from at most 40,000 spread patches.

    A bias is one more weight, whose input is always 1.
    """
    windows = np.lib.stride_tricks.sliding_window_view(picture, (f, f))  # (H - f + 1, W - f + 1, f, f)
    every = max(1, math.ceil(math.sqrt(windows.shape[0] * windows.shape[1] / _MAX_PATCHES)))
    patches = windows[::every, ::every].reshape(-1, f * f).astype(np.float64)  # (n, f²)
    if use_bias:
        patches = np.column_stack([patches, np.ones(len(patches))])  # (n, f² + 1)
    eigenvalues = np.linalg.eigvalsh(patches.T @ patches / len(patches))[::-1]
    # float32 pixels leave the zero eigenvalues of a picture without structure at about 1e-14 of the largest.
    return Conditioning(np.where(eigenvalues < 1e-13 * eigenvalues[0], 0.0, eigenvalues))


def _grey(pixels: NDArray[Any]) -> NDArray[np.float64]:
    levels = pixels.dtype == np.uint8
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3)) or 0 in pixels.shape:
        raise UnusableImage(f"The image must have the shape (H, W) or (H, W, 3), received {pixels.shape}.")
    if pixels.ndim == 3:
        pixels = luminance(pixels) if pixels.shape[2] == 3 else pixels[..., 0]  # (H, W, C) -> (H, W)
    grey = pixels.astype(np.float64)
    if not np.isfinite(grey).all():
        raise UnusableImage("The image must hold finite numbers only.")
    return grey / 255.0 if levels else grey


def _with_equal_amplitudes(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    spectrum = np.fft.rfft2(centred)  # (H, W) -> (H, W // 2 + 1)
    amplitudes = np.abs(spectrum)
    spectrum /= np.maximum(amplitudes, _AMPLITUDE_FLOOR * amplitudes.max())
    return np.fft.irfft2(spectrum, s=centred.shape)  # -> (H, W)
