"""A zip that somebody uploaded, read in memory under limits; nothing is written to the disk.

Sizes are limited before anything is unpacked, and again while it is: a header may lie. Folders and hidden files are
left out; a path that would climb out of the archive makes it suspect as a whole.
"""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

# What the zip module and its decompressors raise on bytes that are not what the headers say.
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
    OSError,
    EOFError,
    OverflowError,
    ValueError,
)


class ArchiveError(ValueError):
    """A zip that cannot be used; the text is a sentence for the person who chose it."""


@dataclass(frozen=True)
class ZipLimits:
    """The most that is read: bytes of the zip, of all its files, of one file, and their number."""

    zip_bytes: int = 200 * 2**20
    unpacked_bytes: int = 600 * 2**20
    file_bytes: int = 30 * 2**20
    files: int = 5_000


def iterate_zip(data: bytes, limits: ZipLimits) -> Iterator[tuple[str, bytes]]:
    """Path and content of each file of a zip, one after the other.

    Raises:
        ArchiveError: If it is empty, no zip, encrypted, damaged, larger than the limits, or has paths that climb out.
    """
    if not data:
        raise ArchiveError("The file is empty: it has 0 bytes.")
    if len(data) > limits.zip_bytes:
        raise ArchiveError(f"The zip has {len(data) / 2**20:.0f} MB; at most {limits.zip_bytes >> 20} are read.")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except DAMAGED:
        raise ArchiveError("The file is no zip archive.") from None
    with archive:
        entries = [info for info in archive.infolist() if not info.is_dir() and not _is_hidden(info.filename)]
        for info in entries:
            if _climbs_out(info.filename):
                raise ArchiveError(f"The zip holds a path that leads out of it ({info.filename[:60]}); it is not used.")
        if len(entries) > limits.files:
            raise ArchiveError(f"The zip holds {len(entries):,} files; at most {limits.files:,} are read.")
        if sum(info.file_size for info in entries) > limits.unpacked_bytes:
            raise ArchiveError(f"The zip unpacks to more than {limits.unpacked_bytes >> 20} MB.")
        for info in entries:
            yield info.filename, _read(archive, info, limits)


def _is_hidden(name: str) -> bool:
    # ".." is no hidden folder: it leads upwards.
    return any(part.startswith((".", "__MACOSX")) and part != ".." for part in PurePosixPath(name).parts)


def _climbs_out(name: str) -> bool:
    r"""Whether a path leads out of the folder that it would be unpacked in.

    >>> [_climbs_out(name) for name in ("cat/1.png", "../1.png", "/etc/1.png", "C:\\1.png", "cat\\..\\1.png")]
    [False, True, True, True, True]
    """
    plain = name.replace("\\", "/")
    return plain.startswith("/") or ".." in plain.split("/") or plain[1:2] == ":"


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: ZipLimits) -> bytes:
    if info.flag_bits & 1:
        raise ArchiveError("The zip is encrypted; choose one without a password.")
    try:
        with archive.open(info) as stream:
            content = stream.read(limits.file_bytes + 1)
    except DAMAGED:
        raise ArchiveError(f"{info.filename} in the zip is damaged.") from None
    if len(content) > limits.file_bytes:
        raise ArchiveError(f"{info.filename} in the zip has more than {limits.file_bytes >> 20} MB.")
    return content
