"""What a file is by its content, whatever its name says."""

from core.runtime.formats.bmp import is_bmp

ACCEPTED = "JPEG, PNG, WebP, BMP or GIF"

# First bytes of what people upload by mistake, and what to call it.
OTHER_KINDS = (
    (b"II*\0", "a TIFF picture or a camera's raw file"),
    (b"MM\0*", "a TIFF picture or a camera's raw file"),
    (b"II+\0", "a TIFF picture"),
    (b"MM\0+", "a TIFF picture"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\0\0\1\0", "a Windows icon"),
    (b"8BPS", "a Photoshop document"),
    (b"gimp xcf", "a GIMP document"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"qoif", "a QOI picture"),
    (b"PK\3\4", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "a compressed archive"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"RIFF", "a sound or a video"),
    (b"\x1aE\xdf\xa3", "a video"),
)
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
AVIF_BRANDS = {b"avif", b"avis"}


def find_format(data: bytes) -> str | None:
    """Name the accepted format of a file, or None."""
    if data.startswith(b"\xff\xd8"):
        return "JPEG"
    if data.startswith(b"\x89PNG"):
        return "PNG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    return "BMP" if is_bmp(data) else None


def describe_other(data: bytes) -> str:
    """Say in one sentence what a file of no accepted format is, and what to do.

    >>> describe_other(b"%PDF-1.7 ...")
    'This file is a PDF document, which is not supported; save the picture as JPEG, PNG, WebP, BMP or GIF.'
    """
    kind = next((name for start, name in OTHER_KINDS if data.startswith(start)), None)
    if data[4:8] == b"ftyp":  # ISO base media: the brands say which of its many uses
        n_bytes = min(int.from_bytes(data[:4], "big"), 256)
        brands = {data[at : at + 4] for at in range(8, n_bytes, 4)}
        kind = "an AVIF picture" if brands & AVIF_BRANDS else "a HEIC picture" if brands & HEIC_BRANDS else "a video"
    if kind is None:
        kind = _describe_text(data[:4096])
    if kind is None:
        return f"This file is not a picture in a format that is known here; choose a {ACCEPTED} file."
    if kind.startswith("text"):
        return f"This file holds text, not a picture, whatever its name says; choose a {ACCEPTED} file."
    return f"This file is {kind}, which is not supported; save the picture as {ACCEPTED}."


def _describe_text(start: bytes) -> str | None:
    encoding = "utf-16" if start.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    # The cut may go through a character: at most 3 bytes of it are left over.
    for spare in range(4):
        try:
            text = start[: len(start) - spare].decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        return None
    if not text.strip() or any(ord(letter) < 32 and letter not in "\t\n\v\f\r" for letter in text):
        return None
    lowered = text.lower()
    if "<svg" in lowered:
        return "an SVG drawing"
    if "<html" in lowered or "<!doctype html" in lowered:
        return "a web page"
    return "text"
