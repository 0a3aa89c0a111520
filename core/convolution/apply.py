"""The playground without a browser: `python -m core.convolution.apply IMAGE --filter NAME --out FILE`.

Reads a picture, filters it as the page does, and writes what the page shows (PNG or JPEG) or the map itself
(.npy, float32 (H', W') or (H', W', 3)). What goes wrong is said in one sentence, with exit code 2.
"""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from core.convolution.display import absolute_to_rgb, clipped_to_rgb, natural_display, signed_to_rgb
from core.convolution.edges import luminance
from core.convolution.fast import convolve
from core.convolution.filters import FILTERS, filter_kernel, parse_kernel
from core.convolution.geometry import Padding
from core.convolution.settings import ConvolutionSettings
from core.runtime.images import decode_image, encode_jpeg, encode_png

PICTURES = {"signed": signed_to_rgb, "absolute": absolute_to_rgb, "clipped": clipped_to_rgb}
SUFFIXES = (".png", ".jpg", ".jpeg", ".npy")
JPEG_QUALITY = 92


class Refused(Exception):
    """What was asked for cannot be done; the text is the sentence to say so."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong without printing the whole usage before it."""
        raise Refused(f"{message[:1].upper()}{message[1:]} (--help shows all options).")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code: 0, or 2 after one sentence on stderr."""
    try:
        options = _parser().parse_args(arguments)
        if options.list:
            print(filter_table())
        else:
            print(apply(options))
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 2
    # Every part says in the text of its ValueError, in one sentence, what it was given.
    except (ValueError, MemoryError) as error:
        print(str(error) or "There is not enough memory for this picture.", file=sys.stderr)
        return 2
    return 0


def apply(options: argparse.Namespace) -> str:
    """Filter one picture as the options say, write the result, and return a line that describes it.

    Raises:
        Refused: options that do not belong together, or a file that cannot be read or written.
        ValueError: a picture, filter or setting that cannot be used, in one sentence.
    """
    if options.image is None or options.out is None:
        raise Refused("Give a picture and where to write the result: IMAGE --filter NAME --out FILE.")
    if options.out.suffix.lower() not in SUFFIXES:
        raise Refused(f"{options.out.name} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")
    kernel = _kernel(options)
    settings = ConvolutionSettings(
        stride=options.stride,
        padding=_padding(options.padding),
        border=options.border,
        dilation=options.dilation,
        flip=options.flip,
    )
    display = natural_display(kernel) if options.display == "auto" else options.display
    colour = display == "clipped" if options.colour is None else options.colour

    pixels = decode_image(_read(options.image)).pixels  # (H, W, 3)
    response = convolve(pixels if colour else luminance(pixels), kernel, settings)  # (H', W') or (H', W', 3)
    _write(options.out, response, display)
    result, source = (" x ".join(map(str, shape)) for shape in (response.shape, pixels.shape[:2]))
    return f"{options.out}: {result} from {source} pixels, responses from {response.min():g} to {response.max():g}"


def filter_table() -> str:
    """Return the names of all filters, what they do, and their options."""
    width = max(map(len, FILTERS))
    lines = []
    for name, spec in FILTERS.items():
        takes = " ".join(_option(parameter) for parameter in spec.parameters)
        lines.append(f"{name:{width}}  {spec.summary}{f'  [{takes}]' if takes else ''}")
    return "\n".join(lines)


def _option(parameter: str) -> str:
    return "--" + parameter.removesuffix("_deg").removesuffix("_px")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m core.convolution.apply",
        description="Filter a picture with one f x f filter, by cross-correlation or convolution.",
    )
    parser.add_argument("image", type=Path, nargs="?", metavar="IMAGE", help="JPEG, PNG, WebP, BMP or GIF")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the result: .png, .jpg or .npy (the numbers)")
    parser.add_argument("--list", action="store_true", help="list the filters and end")

    which = parser.add_argument_group("filter")
    which.add_argument("--filter", choices=list(FILTERS), metavar="NAME", help="one of --list")
    which.add_argument("--matrix", metavar='"1 0 -1; …"', help="a filter of your own, rows separated by ';'")
    which.add_argument("--size", type=int, metavar="F", help="side of the filter, 1 to 31 (3)")
    which.add_argument("--sigma", type=float, metavar="PX", help="spread of the Gaussian (1)")
    which.add_argument("--orientation", type=float, metavar="DEG", help="direction of the Gabor wave (0)")
    which.add_argument("--wavelength", type=float, metavar="PX", help="length of the Gabor wave (6)")

    moves = parser.add_argument_group("how it moves")
    moves.add_argument("--stride", type=int, default=1, metavar="S", help="pixels between outputs (1)")
    moves.add_argument("--padding", default="same", metavar="P", help="valid, same or pixels per side (same)")
    moves.add_argument("--border", default="zero", choices=("zero", "reflect", "replicate"), help="(zero)")
    moves.add_argument("--dilation", type=int, default=1, metavar="D", help="pixels between taps (1)")
    moves.add_argument("--flip", action="store_true", help="true convolution: turn the filter first")

    shown = parser.add_argument_group("how it is shown")
    shown.add_argument("--display", default="auto", choices=("auto", *PICTURES), help="(auto, by the filter)")
    channels = shown.add_mutually_exclusive_group()
    channels.add_argument("--grey", dest="colour", action="store_false", help="filter the luminance")
    channels.add_argument("--colour", dest="colour", action="store_true", help="filter red, green and blue")
    parser.set_defaults(colour=None)
    return parser


def _kernel(options: argparse.Namespace) -> npt.NDArray[np.float64]:
    given = {
        "size": options.size,
        "sigma": options.sigma,
        "orientation_deg": options.orientation,
        "wavelength_px": options.wavelength,
    }
    given = {parameter: value for parameter, value in given.items() if value is not None}
    if (options.filter is None) == (options.matrix is None):
        raise Refused("Choose either a filter (--filter NAME, see --list) or a matrix (--matrix).")
    if options.matrix is not None:
        if given:
            raise Refused(f"A matrix of your own takes no {_option(next(iter(given)))}.")
        return parse_kernel(options.matrix)
    for parameter in given:
        if parameter not in FILTERS[options.filter].parameters:
            what = "is always 3 x 3 and" if parameter == "size" else "has no such parameter and"
            raise Refused(f"The filter {options.filter} {what} takes no {_option(parameter)}.")
    return filter_kernel(options.filter, **given)


def _padding(text: str) -> Padding:
    if text == "valid":
        return "valid"
    if text == "same":
        return "same"
    try:
        return int(text)
    except ValueError:
        raise Refused(f"The padding must be valid, same or a whole number, received {text[:20]!r}.") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror or error}.") from error


def _write(path: Path, response: npt.NDArray[np.float32], display: str) -> None:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, response, allow_pickle=False)
        content = buffer.getvalue()
    else:
        picture = PICTURES[display](response)  # (H', W', 3)
        content = encode_png(picture) if suffix == ".png" else encode_jpeg(picture, JPEG_QUALITY)
    try:
        path.write_bytes(content)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror or error}.") from error


if __name__ == "__main__":
    sys.exit(main())
