"""Labelled pictures to train classifiers on, split so that the test pictures are never trained or selected on.

Sources that need no network: the handwritten digits that scikit-learn carries (Alpaydin and Kaynak 1998, UCI
repository), shapes that this module draws, a user's own class folders (`core.training.class_folders`), and a file in
the format of `mnist.npz` (LeCun et al. 1998): arrays `x_train`, `y_train`, `x_test`, `y_test`.

Arrays: pictures uint8 (N, H, W, C) with C 1 or 3, labels int64 (N,), splits int64 indices into both.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]
Integers = NDArray[np.int64]

VALIDATION_SHARE = 1 / 12
DIGITS_TEST_SHARE = 0.2
DIGITS_SIDE_PX = 32
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
MAX_FILE_BYTES = 2 * 2**30
FOLDER_SIDE_PX = 64  # what the pictures of a local folder are brought to
DOWNLOADS = ("mnist", "fashion_mnist", "cifar10")
NAMED = {
    "fashion_mnist": (
        *("T-shirt", "trousers", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}


class DatasetError(ValueError):
    """Data that cannot be trained on; the message says why."""


@dataclass(frozen=True)
class ImageDataset:
    """Pictures with labels in three parts: learned from, selected on, and reported on.

    `images` (N, H, W, C), `labels` (N,), `train`, `validation` and `test` are indices into both.
    """

    name: str
    images: Pictures
    labels: Integers
    class_names: tuple[str, ...]
    train: Integers
    validation: Integers
    test: Integers

    def __post_init__(self) -> None:
        """Hold that the parts fit together.

        Raises:
            DatasetError: If shapes differ, a label is no class, a part is empty, or two parts share a picture.
        """
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[3] not in (1, 3):
            raise DatasetError(
                f"expected pictures uint8 (N, H, W, 1 or 3), received {self.images.dtype} {self.images.shape}"
            )
        if self.labels.shape != self.images.shape[:1]:
            raise DatasetError(f"expected one label for each of {len(self.images)} pictures, got {self.labels.shape}")
        if len(self.class_names) < 2:
            raise DatasetError("A classifier needs pictures of at least two classes.")
        if self.labels.size and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise DatasetError(f"Labels must lie in 0 to {len(self.class_names) - 1}.")
        parts = (self.train, self.validation, self.test)
        if not all(len(part) for part in parts):
            raise DatasetError("Training, validation and test each need at least one picture; there are too few.")
        together = np.concatenate(parts)
        if len(np.unique(together)) != len(together):
            raise DatasetError("A picture stands in more than one of the parts.")

    def part(self, name: str) -> tuple[Pictures, Integers]:
        """Pictures and labels of "train", "validation" or "test"."""
        indices = {"train": self.train, "validation": self.validation, "test": self.test}[name]
        return self.images[indices], self.labels[indices]


def stratified_split(labels: Integers, share: float, seed: int = 0) -> tuple[Integers, Integers]:
    """Indices (rest, part): `part` holds about `share` of each class, at least one where a class has two or more.

    >>> rest, part = stratified_split(np.array([0, 0, 0, 0, 1, 1]), 0.5)
    >>> sorted(np.array([0, 0, 0, 0, 1, 1])[part].tolist())
    [0, 0, 1]
    """
    random = np.random.default_rng(seed)
    part: list[int] = []
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        count = max(1, round(share * len(members))) if len(members) > 1 else 0
        part += members[:count].tolist()
    chosen = np.zeros(len(labels), np.bool_)
    chosen[part] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def digits(seed: int = 0) -> ImageDataset:
    """The 1,797 digits of scikit-learn, 8 x 8 pixels enlarged to 32 x 32; a fifth of each class is for the test."""
    from sklearn.datasets import load_digits

    carried = load_digits()
    small = np.clip(carried.images * 255 / 16, 0, 255).astype(np.uint8)  # (N, 8, 8), 0..16 -> 0..255
    side = (DIGITS_SIDE_PX, DIGITS_SIDE_PX)
    large = np.stack([cv2.resize(one, side, interpolation=cv2.INTER_CUBIC) for one in small])  # (N, 32, 32)
    labels = carried.target.astype(np.int64)
    rest, test = stratified_split(labels, DIGITS_TEST_SHARE, seed)
    learn, select = stratified_split(labels[rest], VALIDATION_SHARE, seed)
    names = tuple(str(digit) for digit in range(10))
    return ImageDataset("digits", large[..., None], labels, names, rest[learn], rest[select], test)


def drawn_shapes(count: int = 3000, side_px: int = 32, seed: int = 0) -> ImageDataset:
    """Circles, squares, triangles, stars, crosses and rings in random colour, size, place and turn, on noise.

    Args:
        count: Number of pictures, 60 or more, as many of each shape as can be.
        side_px: Height and width, 16 to 128.
        seed: Draws other pictures; the same seed draws the same.

    Raises:
        DatasetError: If a number is out of range.
    """
    if count < 60 or not 16 <= side_px <= 128:
        raise DatasetError(f"expected at least 60 pictures of 16 to 128 px, received {count} of {side_px} px")
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % len(SHAPES)).astype(np.int64)
    images = np.stack([_shape(SHAPES[label], side_px, random) for label in labels])
    rest, test = stratified_split(labels, 0.2, seed)
    learn, select = stratified_split(labels[rest], VALIDATION_SHARE, seed)
    return ImageDataset("shapes", images, labels, SHAPES, rest[learn], rest[select], test)


def _shape(name: str, side_px: int, random: np.random.Generator) -> Pictures:
    fine = 4 * side_px  # drawn large and shrunk: smooth edges
    paper = random.integers(0, 110, 3)
    ink = random.integers(145, 256, 3)
    if random.random() < 0.5:
        paper, ink = ink, paper
    picture = np.empty((fine, fine, 3), np.uint8)
    picture[:] = paper
    radius = random.uniform(0.22, 0.36) * fine
    middle = random.uniform(radius, fine - radius, 2)
    colour = tuple(int(value) for value in ink)
    turn = random.uniform(0, 2 * np.pi)
    if name in ("circle", "ring"):
        thick = -1 if name == "circle" else max(2, int(0.35 * radius))
        at = int(middle[0]), int(middle[1])
        cv2.circle(picture, at, int(radius if name == "circle" else 0.8 * radius), colour, thick, cv2.LINE_AA)
    elif name == "cross":
        for angle in (turn, turn + np.pi / 2):
            step = radius * np.array([np.cos(angle), np.sin(angle)])
            first, second = (middle - step).astype(int).tolist(), (middle + step).astype(int).tolist()
            cv2.line(picture, first, second, colour, max(2, int(0.4 * radius)), cv2.LINE_AA)
    else:
        corners = {"square": 4, "triangle": 3, "star": 10}[name]
        angles = turn + 2 * np.pi * np.arange(corners) / corners
        reach = radius * np.where(np.arange(corners) % 2, 0.42, 1.0) if name == "star" else np.full(corners, radius)
        points = middle + reach[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
        cv2.fillPoly(picture, [points.astype(np.int32)], colour, cv2.LINE_AA)
    small = cv2.resize(picture, (side_px, side_px), interpolation=cv2.INTER_AREA).astype(np.float32)
    noisy: Pictures = np.clip(small + random.normal(0, 8, small.shape), 0, 255).astype(np.uint8)
    return noisy


def load_npz(path: Path, seed: int = 0) -> ImageDataset:
    """A file like `mnist.npz`: a twelfth of its training pictures becomes the validation, its test stays the test.

    Raises:
        DatasetError: If the file is missing, damaged, holds objects, or its arrays are not as expected.
    """
    if not path.is_file():
        raise DatasetError(f"There is no file {path}.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise DatasetError(f"{path.name} has more than {MAX_FILE_BYTES >> 30} GB.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ("x_train", "y_train", "x_test", "y_test")}
    except KeyError as error:
        raise DatasetError(f"{path.name} has no array {error.args[0].split()[0]!r}.") from None
    except Exception as error:  # NumPy and zipfile raise a dozen types on damaged files
        raise DatasetError(f"{path.name} cannot be read as a NumPy archive.") from error
    images = np.concatenate([_pictures(arrays["x_train"], path), _pictures(arrays["x_test"], path)])
    labels = np.concatenate([arrays["y_train"].reshape(-1), arrays["y_test"].reshape(-1)])
    if not np.issubdtype(labels.dtype, np.integer) or len(labels) != len(images) or labels.min() < 0:
        raise DatasetError(f"{path.name} has not one whole number from 0 as the label of each picture.")
    labels = labels.astype(np.int64)
    count = len(arrays["x_train"])
    learn, select = stratified_split(labels[:count], VALIDATION_SHARE, seed)
    names = tuple(str(label) for label in range(int(labels.max()) + 1))
    return ImageDataset(path.stem, images, labels, names, learn, select, np.arange(count, len(labels)))


def _pictures(array: NDArray[np.generic], path: Path) -> Pictures:
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or not array.size:
        raise DatasetError(
            f"{path.name}: expected pictures uint8 (N, H, W[, C]), received {array.dtype} {array.shape}."
        )
    pictures = array.astype(np.uint8, copy=False)
    return pictures[..., None] if pictures.ndim == 3 else pictures


def open_dataset(name: str, seed: int = 0, folder: Path | None = None) -> ImageDataset:
    """The data set of a name.

    Args:
        name: "digits", "shapes", one of `DOWNLOADS`, "own:KEY" for a zip that was uploaded, "local:NAME" for a folder
            of class folders, a zip of them or an `.npz` in `folder`, or the path of one of these.
        seed: Draws the shapes, and decides which pictures are selected on.
        folder: Where data sets are kept. One of `DOWNLOADS` is taken from the file `NAME.npz` in it if it is there,
            and otherwise fetched by Keras.

    Raises:
        DatasetError: If it cannot be opened.
    """
    from core.training import class_folders

    folder = folder or Path()
    kind, _, rest = name.partition(":")
    if name == "digits":
        return digits(seed)
    if name == "shapes":
        return drawn_shapes(seed=seed)
    if kind == "own":
        return class_folders.open_kept(class_folders.own_path(folder, rest))
    if name in DOWNLOADS:
        kept = folder / f"{name}.npz"
        dataset = load_npz(kept, seed) if kept.is_file() else _download(name, kept, seed)
        names = NAMED.get(name, dataset.class_names)
        fits = len(names) == len(dataset.class_names)
        return dataclasses.replace(dataset, class_names=names) if fits else dataset
    if kind == "local" and rest not in list_local(folder):
        raise DatasetError(f"There is no data set {rest[:60]!r} in the folder {folder}.")
    path = folder / rest if kind == "local" else Path(name)
    if path.is_dir():
        return class_folders.read_folder(path, FOLDER_SIDE_PX)
    if path.suffix.lower() == ".zip" and path.is_file():
        return class_folders.read_zip(path.read_bytes(), FOLDER_SIDE_PX, path.stem)
    return load_npz(path, seed)


def list_local(folder: Path) -> tuple[str, ...]:
    """What lies in the folder of data sets besides the known ones: class folders, zips and `.npz` files."""
    known = {"own", *(f"{name}.npz" for name in DOWNLOADS)}
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return ()
    return tuple(
        entry.name
        for entry in entries
        if entry.name not in known
        and not entry.name.startswith(".")
        and (entry.is_dir() or entry.suffix.lower() in (".npz", ".zip"))
    )


def _download(name: str, kept: Path, seed: int) -> ImageDataset:
    import importlib

    try:
        # Keras keeps what it fetches in the user's home; nothing is to be written outside the data folder.
        config = importlib.import_module("keras.src.backend.config")
        with tempfile.TemporaryDirectory() as fetched, _replaced(config, "_KERAS_DIR", fetched):
            (x_train, y_train), (x_test, y_test) = importlib.import_module(f"keras.datasets.{name}").load_data()
    except Exception as error:  # whatever goes wrong on the way
        raise DatasetError(
            f"{name} could not be downloaded. Without a network, put the file {kept.name} into {kept.parent}, "
            "or choose digits or shapes."
        ) from error
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez_compressed(stream, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    partial.replace(kept)
    return load_npz(kept, seed)


@contextlib.contextmanager
def _replaced(module: object, name: str, value: str) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
