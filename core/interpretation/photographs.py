"""A visitor's own photographs, from picture files and zips, through the one safe decoder. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.runtime.archives import ArchiveError, ZipLimits, iterate_zip
from core.runtime.images import ImageError, decode_image, fit_within

Pixels = NDArray[np.uint8]

MOST_PHOTOGRAPHS = 300
SIDE_PX = 512  # no network here reads more than half of that
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")


class PhotographsError(ValueError):
    """There is no photograph to use; the text is a sentence for the person who chose the files."""


@dataclass(frozen=True)
class Photographs:
    """RGB uint8 pictures, at most 512 px on their longer side, and sentences on what was left out."""

    photographs: tuple[Pixels, ...]
    notes: tuple[str, ...]


def read_photographs(files: Sequence[tuple[str, bytes]]) -> Photographs:
    """Read picture files and zips of them, given as name and bytes.

    Raises:
        PhotographsError: If none of them is a picture, or a zip cannot be used.
    """
    pictures: list[Pixels] = []
    unread: list[str] = []
    try:
        for name, data in _contents(files):
            if len(pictures) == MOST_PHOTOGRAPHS:
                break
            try:
                pictures.append(fit_within(decode_image(data, max_side_px=2 * SIDE_PX).pixels, SIDE_PX))
            except ImageError:
                unread.append(name.rsplit("/", 1)[-1][:60])
    except ArchiveError as error:
        raise PhotographsError(str(error)) from None
    if not pictures:
        raise PhotographsError("None of the files is a picture that can be read: JPEG, PNG, WebP, BMP or GIF.")
    notes = []
    if unread:
        notes.append(f"{len(unread)} could not be read as a picture and were left out, first {unread[0]}.")
    if len(pictures) == MOST_PHOTOGRAPHS:
        notes.append(f"At most {MOST_PHOTOGRAPHS} photographs are searched; the first were taken.")
    return Photographs(tuple(pictures), tuple(notes))


def _contents(files: Sequence[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    for name, data in files:
        if name.lower().endswith(".zip"):
            yield from (
                (path, content) for path, content in iterate_zip(data, ZipLimits()) if path.lower().endswith(ENDINGS)
            )
        else:
            yield name, data
