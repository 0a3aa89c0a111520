"""A user's own pictures to train on: folders named after their classes, in a zip or on this machine.

The class of a picture is the name of the folder it lies in, wherever that lies. Pictures of all modes and sizes are
brought to one square: the shorter side shrunk to it, the middle kept. Where all are grey they have one channel.

A zip is unpacked in memory (`core.runtime.archives`), and what is kept are the small pictures, as an `.npz` in the
data folder, so that a run can go on tomorrow.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from core.runtime.archives import ArchiveError, ZipLimits, iterate_zip
from core.runtime.images import ImageError, decode_image
from core.training.datasets import DatasetError, ImageDataset, stratified_split

SIDES_PX = (32, 48, 64, 96, 128)
PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"}
LIMITS = ZipLimits(files=20_000)
MAX_CLASSES = 200
MAX_NAME = 40
MAX_ARRAY_BYTES = 2**30
FEWEST = 3  # of a class: one to learn from, one to select on, one to test
HOW = "put the pictures of each class into a folder of its own."
TEST_SHARE = 0.2
VALIDATION_SHARE = 1 / 12
_FILE = re.compile(r"[0-9a-f]{12}/[0-9a-f]{16}_[0-9]{2,3}")

Tell = Callable[[int], None]


def read_zip(data: bytes, side_px: int, name: str = "own pictures", tell: Tell = lambda count: None) -> ImageDataset:
    """The pictures of a zip of class folders; `tell` is called with the number of pictures read so far.

    Raises:
        DatasetError: If the zip or a picture cannot be used, or the classes are too few or too small.
    """
    try:
        return _assembled(iterate_zip(data, LIMITS), side_px, name, tell)
    except ArchiveError as error:
        raise DatasetError(str(error)) from None


def read_folder(folder: Path, side_px: int, tell: Tell = lambda count: None) -> ImageDataset:
    """The pictures of a folder of class folders on this machine; links are not followed.

    Raises:
        DatasetError: If there is no such folder, a picture cannot be read, or the classes are too few or too small.
    """
    if not folder.is_dir():
        raise DatasetError(f"There is no folder {folder}.")
    return _assembled(_files_of(folder), side_px, folder.name, tell)


def _files_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file() and not path.is_symlink():
            if path.stat().st_size > LIMITS.file_bytes:
                raise DatasetError(f"{path.name} has more than {LIMITS.file_bytes >> 20} MB.")
            yield str(path.relative_to(folder).as_posix()), path.read_bytes()


def _assembled(files: Iterable[tuple[str, bytes]], side_px: int, name: str, tell: Tell) -> ImageDataset:
    if not 16 <= side_px <= 256:
        raise DatasetError(f"Pictures are brought to 16 to 256 pixels, received {side_px}.")
    pictures: list[NDArray[np.uint8]] = []
    classes: list[str] = []
    for path, body in files:
        place = PurePosixPath(path.replace("\\", "/"))
        if place.suffix.lower() not in PICTURE_SUFFIXES:
            continue
        if len(place.parts) < 2:
            raise DatasetError(
                f"{place.name} lies in no folder: put the pictures of each class into a folder of its own."
            )
        try:
            pictures.append(middle_square(decode_image(body, max_side_px=8 * side_px).pixels, side_px))
        except ImageError as error:
            raise DatasetError(f"{path}: {error}") from None
        if len(pictures) * pictures[0].nbytes > MAX_ARRAY_BYTES:
            raise DatasetError(
                f"So many pictures of {side_px} pixels need over {MAX_ARRAY_BYTES >> 30} GB; choose fewer."
            )
        classes.append(place.parts[-2][:MAX_NAME])
        tell(len(pictures))
    counts = Counter(classes)
    if not counts:
        raise DatasetError(f"No picture was found: {HOW}")
    names = tuple(sorted(counts))
    if len(names) < 2:
        raise DatasetError(f"There is one class only, “{names[0]}”; a classifier needs pictures of at least two.")
    if len(names) > MAX_CLASSES:
        raise DatasetError(f"There are {len(names):,} classes; at most {MAX_CLASSES} are read.")
    few = [name for name in names if counts[name] < FEWEST]
    if few:
        have = "one picture" if counts[few[0]] == 1 else f"{counts[few[0]]} pictures"
        more = f" (and {len(few) - 1} more classes too few)" if len(few) > 1 else ""
        raise DatasetError(
            f"The class “{few[0]}” has {have}{more}; each needs at least {FEWEST}: one to learn from, one to select on "
            "and one to test."
        )
    images = np.stack(pictures)
    if (images[..., 0] == images[..., 1]).all() and (images[..., 0] == images[..., 2]).all():
        images = images[..., :1].copy()
    labels = np.array([names.index(one) for one in classes], np.int64)
    return split_dataset(name, images, labels, names)


def split_dataset(
    name: str, images: NDArray[np.uint8], labels: NDArray[np.int64], class_names: tuple[str, ...]
) -> ImageDataset:
    """A fifth of each class to test, a twelfth of the rest to select on; always the same for the same pictures."""
    rest, test = stratified_split(labels, TEST_SHARE)
    learn, select = stratified_split(labels[rest], VALIDATION_SHARE)
    return ImageDataset(name, images, labels, class_names, rest[learn], rest[select], test)


def middle_square(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """The middle square of a picture (H, W, 3), brought to (side_px, side_px, 3)."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = pixels[top : top + side, left : left + side]
    how = cv2.INTER_AREA if side > side_px else cv2.INTER_LINEAR
    small: NDArray[np.uint8] = cv2.resize(np.ascontiguousarray(middle), (side_px, side_px), interpolation=how).astype(
        np.uint8, copy=False
    )
    return small


# Kept in the data folder


def own_key(data: bytes, side_px: int, owner: str) -> str:
    """The name under which a zip's pictures are kept: owner, content and size decide it."""
    whose = hashlib.sha256(owner.encode()).hexdigest()[:12]
    return f"{whose}/{hashlib.sha256(data).hexdigest()[:16]}_{side_px}"


def own_path(folder: Path, key: str) -> Path:
    """Where a key's pictures lie below the folder of data sets.

    Raises:
        DatasetError: If that is no such key.
    """
    if not _FILE.fullmatch(key):
        raise DatasetError("There is no such set of pictures.")
    return folder / "own" / f"{key}.npz"


def keep(dataset: ImageDataset, path: Path) -> None:
    """Write a user's pictures, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez(
            stream,
            name=np.array(dataset.name),
            images=dataset.images,
            labels=dataset.labels,
            class_names=np.array(dataset.class_names),
        )
    partial.replace(path)


def open_kept(path: Path) -> ImageDataset:
    """A user's pictures as `keep` wrote them.

    Raises:
        DatasetError: If the file is gone or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            names = tuple(str(name) for name in kept["class_names"])
            return split_dataset(str(kept["name"]), kept["images"], kept["labels"].astype(np.int64), names)
    except DatasetError:
        raise
    except Exception as error:  # NumPy and zipfile raise a dozen types on damaged files
        raise DatasetError("These pictures are no longer kept; upload the zip again.") from error


def forget(folder: Path, key: str) -> None:
    """Delete a user's pictures; runs that were trained on them stay, but cannot go on."""
    own_path(folder, key).unlink(missing_ok=True)


def list_own(folder: Path, owner: str) -> dict[str, str]:
    """What an owner has uploaded: keys, and names of the zips; the newest first."""
    whose = hashlib.sha256(owner.encode()).hexdigest()[:12]
    found: dict[str, str] = {}
    files = sorted((folder / "own" / whose).glob("*.npz"), key=lambda path: -path.stat().st_mtime)
    for path in files:
        try:
            with np.load(path, allow_pickle=False) as kept:
                found[f"{whose}/{path.stem}"] = f"{kept['name']}, {path.stem.rpartition('_')[2]} px"
        except Exception:  # noqa: S112 - a damaged file is no data set
            continue
    return found
