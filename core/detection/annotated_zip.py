"""A zip of annotated pictures, read in memory under limits.

The format is found by what is inside: a JSON with COCO's keys, XML files beside the pictures (VOC), or text
files beside the pictures with a `classes.txt` or `data.yaml` (YOLO). A text or XML file belongs to the
picture of the same stem, in the same folder or in `labels`/`Annotations` for `images`/`JPEGImages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from core.detection.annotations import (
    AnnotatedSet,
    AnnotationError,
    assemble,
    parse_class_names,
    parse_coco,
    parse_voc,
    parse_yolo,
)
from core.runtime.archives import ArchiveError, ZipLimits, iterate_zip
from core.runtime.images import ImageError, decode_image

MAX_ZIP_BYTES = 200 * 2**20
MAX_UNPACKED_BYTES = 600 * 2**20
MAX_FILE_BYTES = 30 * 2**20
MAX_FILES = 5_000
PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
NAME_FILES = ("classes.txt", "obj.names", "data.yaml", "data.yml")


@dataclass(frozen=True)
class AnnotatedZip:
    """The annotations, and the bytes of each picture by its name in the annotations."""

    annotations: AnnotatedSet
    pictures: Mapping[str, bytes]
    format: str


def unpack(data: bytes) -> dict[str, bytes]:
    """Files of a zip by their path, folders and hidden files left out.

    Raises:
        AnnotationError: If it is no zip, encrypted, damaged, or larger than the limits.
    """
    limits = ZipLimits(MAX_ZIP_BYTES, MAX_UNPACKED_BYTES, MAX_FILE_BYTES, MAX_FILES)
    try:
        return dict(iterate_zip(data, limits))
    except ArchiveError as error:
        raise AnnotationError(str(error)) from None


def read_annotated_zip(data: bytes) -> AnnotatedZip:
    """Annotations and pictures of a zip in YOLO, VOC or COCO format.

    Raises:
        AnnotationError: If the zip, a picture or an annotation cannot be used; the text says which.
    """
    files = unpack(data)
    pictures = {name: body for name, body in files.items() if _suffix(name) in PICTURE_SUFFIXES}
    if not pictures:
        raise AnnotationError("The zip holds no picture.")
    coco = [n for n in files if _suffix(n) == ".json" and b'"annotations"' in files[n]]
    voc = [n for n in files if _suffix(n) == ".xml"]
    if len(coco) > 1:
        listed = ", ".join(sorted(coco)[:4])
        raise AnnotationError(f"The zip holds {len(coco)} COCO files; choose one: {listed}.")
    if coco:
        return _read_coco(coco[0], files, pictures)
    if voc:
        return _read_voc(voc, files, pictures)
    return _read_yolo(files, pictures)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise AnnotationError(f"{name}: this is no text in UTF-8.") from None


def _size(name: str, content: bytes) -> tuple[int, int]:
    try:
        height, width = decode_image(content).pixels.shape[:2]
    except ImageError as error:
        raise AnnotationError(f"{name}: {error}") from None
    return width, height


def _read_coco(name: str, files: dict[str, bytes], pictures: dict[str, bytes]) -> AnnotatedZip:
    # A COCO file names pictures by their bare names, wherever in the zip they lie.
    by_name = {PurePosixPath(path).name: body for path, body in pictures.items()} | pictures
    sizes = {path: _size(path, body) for path, body in by_name.items()}
    objects = parse_coco(_text(name, files[name]), name, sizes)
    return AnnotatedZip(assemble(objects, sizes), {n: by_name[n] for n in objects}, "COCO JSON")


def _picture_of(name: str, pictures: Mapping[str, bytes]) -> str:
    """The picture that an annotation file belongs to."""
    path = PurePosixPath(name)
    same_stem = [p for p in pictures if PurePosixPath(p).stem == path.stem]
    beside = [p for p in same_stem if PurePosixPath(p).parent == path.parent]
    # labels/train/a.txt belongs to images/train/a.jpg, Annotations/a.xml to JPEGImages/a.jpg.
    alike = [p for p in same_stem if PurePosixPath(p).parent.name == path.parent.name]
    for chosen in (beside, alike, same_stem):
        if len(chosen) == 1:
            return chosen[0]
    if same_stem:
        raise AnnotationError(f"{name}: {len(same_stem)} pictures are named {path.stem}.")
    raise AnnotationError(f"{name}: the picture {path.stem} that it annotates is missing.")


def _read_voc(names: list[str], files: dict[str, bytes], pictures: dict[str, bytes]) -> AnnotatedZip:
    objects, sizes = {}, {}
    for name in names:
        picture = _picture_of(name, pictures)
        sizes[picture] = _size(picture, pictures[picture])
        objects[picture] = parse_voc(_text(name, files[name]), sizes[picture], name)
    return AnnotatedZip(assemble(objects, sizes), {n: pictures[n] for n in objects}, "VOC XML")


def _read_yolo(files: dict[str, bytes], pictures: dict[str, bytes]) -> AnnotatedZip:
    naming = [n for n in files if PurePosixPath(n).name.lower() in NAME_FILES]
    if not naming:
        raise AnnotationError("The zip holds no annotations: no COCO JSON, no VOC XML, no classes.txt or data.yaml.")
    class_names = parse_class_names(_text(naming[0], files[naming[0]]), naming[0].lower())
    skipped = {*naming, *(n for n in files if PurePosixPath(n).name.lower() in ("train.txt", "readme.txt"))}
    objects, sizes = {}, {}
    for name in (n for n in files if _suffix(n) == ".txt" and n not in skipped):
        picture = _picture_of(name, pictures)
        sizes[picture] = _size(picture, pictures[picture])
        objects[picture] = parse_yolo(_text(name, files[name]), class_names, sizes[picture], name)
    annotated = assemble(objects, sizes, class_names)
    return AnnotatedZip(annotated, {n: pictures[n] for n in objects}, "YOLO text")
