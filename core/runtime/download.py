"""One file from the network into a folder: resumed, verified, and put in place whole or not at all.

What has arrived lies beside the target as ``NAME.part``. A download that broke off goes on from its end by
an HTTP range request (RFC 9110, section 14), or from the start where the server does not know them. The part
takes the target's name after its size and sha256 were found right. Only http and https are followed, also
through redirects; proxies are taken from the environment.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT_S = 20.0
ATTEMPTS = 3
CHUNK_BYTES = 256 * 1024

# Told how many bytes have arrived and a short sentence; it may raise to end the download.
Tell = Callable[[int, str], None]


class DownloadError(ValueError):
    """A file could not be fetched; the message is the reason, without a full stop."""


class _BrokenOff(Exception):
    """The connection ended before the file did; another attempt may go on."""


def sha256_of(path: Path) -> str:
    """The sha256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def megabytes(size_bytes: int) -> str:
    """A size for people.

    >>> megabytes(35_858_002), megabytes(232_589)
    ('35.9 MB', '0.2 MB')
    """
    return f"{size_bytes / 1e6:.1f} MB"


def check_address(address: str) -> None:
    """Hold that an address is one of http or https with a host.

    Raises:
        DownloadError: If it is not.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DownloadError(f"expected an address that starts with https://, received {address!r}")


def download(
    address: str,
    target: Path,
    size_bytes: int,
    sha256: str,
    tell: Tell,
    timeout_s: float = TIMEOUT_S,
    attempts: int = ATTEMPTS,
) -> None:
    """Fetch a file of known size and sha256 to `target`; nothing is fetched if it is there already.

    A connection that is silent for `timeout_s` counts as broken off; after `attempts` such ends it is given up and
    what has arrived is kept for the next time.

    Raises:
        DownloadError: If the server cannot be reached, has no such file or another one, the connection kept
            breaking off, or the folder cannot be written to.
    """
    check_address(address)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        with _alone(target.with_name(target.name + ".lock"), tell):
            if target.is_file() and target.stat().st_size == size_bytes and sha256_of(target) == sha256:
                return  # another process fetched it while this one waited
            _fetch_part(address, part, size_bytes, sha256, tell, timeout_s, attempts)
            os.replace(part, target)
    except OSError as error:  # what the network raises was turned into a DownloadError before
        raise DownloadError(f"{target.parent} cannot be written to ({error.strerror or error})") from error


def put_in_place(content: bytes, target: Path) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: If the folder cannot be written to.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f"{target.name}.{os.getpid()}.new")
    try:
        fresh.write_bytes(content)
        os.replace(fresh, target)
    finally:
        fresh.unlink(missing_ok=True)


def _fetch_part(
    address: str, part: Path, size_bytes: int, sha256: str, tell: Tell, timeout_s: float, attempts: int
) -> None:
    """Complete the part and verify it."""
    broken_off = 0
    was_resumed = False
    while True:
        start = part.stat().st_size if part.is_file() else 0
        if start > size_bytes:
            part.unlink()
            start = 0
        if start < size_bytes:
            was_resumed = was_resumed or start > 0
            try:
                _read(address, part, start, size_bytes, tell, timeout_s)
            except _BrokenOff as error:
                broken_off += 1
                there = part.stat().st_size if part.is_file() else 0
                if broken_off >= attempts:
                    raise DownloadError(
                        f"the connection to {urlsplit(address).hostname} broke off after {megabytes(there)} of "
                        f"{megabytes(size_bytes)} ({error}); try again, and it goes on from there"
                    ) from error
                tell(there, "The connection broke off, trying again")
                time.sleep(min(0.2 * broken_off, 1.0))
                continue
        if part.stat().st_size == size_bytes and sha256_of(part) == sha256:
            return
        part.unlink()
        if not was_resumed:
            raise DownloadError(f"{urlsplit(address).hostname} sent another file than the list of models describes")
        was_resumed = False  # the beginning was perhaps of another file: once more from the start


def _read(address: str, part: Path, start: int, size_bytes: int, tell: Tell, timeout_s: float) -> None:
    """Append what the server sends to the part, from byte `start` on."""
    host = urlsplit(address).hostname
    headers = {"User-Agent": "cnn-workbench"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - the opener knows http and https alone
    try:
        response = _opener().open(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # the range is not in the file, so the part is of another one
            part.unlink(missing_ok=True)
            raise _BrokenOff("the server could not go on from there") from error
        raise DownloadError(f"{host} answered {error.code} ({error.reason}) for {address}") from error
    except urllib.error.URLError as error:
        raise _unreachable(host, error.reason) from error
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise _unreachable(host, error) from error
    with response:
        if start and not _goes_on_from(response, start):
            start = 0  # the server does not know ranges and sends the whole file
        announced = response.headers.get("Content-Length")
        if announced is not None and announced.isdecimal() and start + int(announced) != size_bytes:
            if start:  # what is here was of another file
                part.unlink(missing_ok=True)
            raise DownloadError(
                f"{host} offers a file of {start + int(announced):,} bytes, where the list of models has {size_bytes:,}"
            )
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            _copy(response, file.write, start, size_bytes, tell)


def _copy(
    response: http.client.HTTPResponse, write: Callable[[bytes], object], there: int, size_bytes: int, tell: Tell
) -> None:
    while there <= size_bytes:  # one byte too many is enough to know
        tell(there, f"{megabytes(there)} of {megabytes(size_bytes)}")
        try:
            chunk = response.read1(CHUNK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            reason = "it was silent for too long" if isinstance(error, TimeoutError) else "no more came"
            raise _BrokenOff(reason) from error
        if not chunk:
            break
        write(chunk)
        there += len(chunk)
    if there < size_bytes:
        raise _BrokenOff("no more came")


def _goes_on_from(response: http.client.HTTPResponse, start: int) -> bool:
    content_range = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return response.status == 206 and content_range is not None and int(content_range[1]) == start


def _unreachable(host: str | None, reason: object) -> Exception:
    if isinstance(reason, TimeoutError):
        return _BrokenOff("it was silent for too long")
    if isinstance(reason, socket.gaierror):
        return DownloadError(f"{host} cannot be found: there seems to be no network")
    text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return DownloadError(f"{host} cannot be reached ({text})")


def _opener() -> urllib.request.OpenerDirector:
    """An opener without the handlers for files, FTP and data addresses."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


@contextlib.contextmanager
def _alone(lock: Path, tell: Tell) -> Iterator[None]:
    """Wait until no other process of this machine fetches the same file; the lock ends with its process."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with lock.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                tell(0, "Another download of it is going on")
                time.sleep(0.2)
        yield
