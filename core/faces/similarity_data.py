"""Pictures to learn a similarity from: digits, persons that this module draws, or a zip of persons' folders.

In each, some classes are never trained on: a similarity has to hold for persons that it has not met.

The drawn persons are cartoons: a person is a handful of proportions and colours, a picture of it a random shift, turn,
size, light and expression. They stand for nobody. Pictures are uint8 (N, 32, 32, C).
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from core.faces.similarity_types import Integers, Pictures, PictureSet
from core.runtime.archives import ArchiveError, ZipLimits, iterate_zip
from core.runtime.images import ImageError, decode_image

SIDE_PX = 32
PERSONS = 40
PICTURES_OF_PERSON = 16
DIGITS_OF_CLASS = 120
FEWEST_PERSONS, FEWEST_PICTURES = 4, 3
MOST_PICTURES = 4_000
UNSEEN_SHARE = 0.3
HELD_OUT_SHARE = 0.25
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")


class SimilarityDataError(ValueError):
    """Pictures that a similarity cannot be learned from; one sentence."""


def picture_set(name: str, data: bytes | None = None, seed: int = 0) -> PictureSet:
    """The pictures called "digits" or "drawn", or those of a zip of persons' folders ("own").

    Raises:
        SimilarityDataError: If there is no such set, or the zip cannot be used.
    """
    if name == "digits":
        return _digits(seed)
    if name == "drawn":
        return _drawn(seed)
    if name == "own" and data is not None:
        return _own(data, seed)
    raise SimilarityDataError(f"There are no pictures called {name!r}.")


def _split(name: str, pictures: Pictures, labels: Integers, names: tuple[str, ...], seed: int) -> PictureSet:
    """The last classes unseen, of the others a share of each held out."""
    rng = np.random.default_rng(seed)
    count = len(names)
    first_unseen = count - max(2, round(UNSEEN_SHARE * count))
    train: list[int] = []
    held: list[int] = []
    for label in range(first_unseen):
        members = rng.permutation(np.flatnonzero(labels == label))
        kept = max(1, round(HELD_OUT_SHARE * len(members)))
        held += members[:kept].tolist()
        train += members[kept:].tolist()
    unseen = np.flatnonzero(labels >= first_unseen)
    return PictureSet(name, pictures, labels, names, np.sort(np.array(train)), np.sort(np.array(held)), unseen)


def _digits(seed: int) -> PictureSet:
    """Digits of scikit-learn (8 x 8 enlarged); 7, 8 and 9 are never trained on."""
    from sklearn.datasets import load_digits

    carried = load_digits()
    labels = carried.target.astype(np.int64)
    chosen = np.sort(np.concatenate([np.flatnonzero(labels == digit)[:DIGITS_OF_CLASS] for digit in range(10)]))
    small = np.clip(carried.images[chosen] * 255 / 16, 0, 255).astype(np.uint8)
    large = np.stack([cv2.resize(one, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC) for one in small])
    return _split("digits", large[..., None], labels[chosen], tuple(str(digit) for digit in range(10)), seed)


def _drawn(seed: int) -> PictureSet:
    rng = np.random.default_rng([seed, 17])
    pictures, labels = [], []
    for person in range(PERSONS):
        traits = rng.random(12)
        for _ in range(PICTURES_OF_PERSON):
            pictures.append(draw_person(traits, rng))
            labels.append(person)
    names = tuple(f"Person {number}" for number in range(1, PERSONS + 1))
    return _split("drawn", np.stack(pictures), np.array(labels, np.int64), names, seed)


def draw_person(traits: NDArray[np.float64], rng: np.random.Generator) -> Pictures:
    """A cartoon (32, 32, 3) of the person with twelve traits in 0..1, as it happens to look this time."""
    scale = 4  # drawn larger and shrunk, so that edges are smooth
    side = SIDE_PX * scale
    canvas = np.full((side, side, 3), rng.uniform(60, 200, 3), np.float32)
    skin = np.array([200 + 45 * traits[0], 140 + 80 * traits[0], 110 + 80 * traits[1]])
    hair = np.array([30 + 200 * traits[2], 20 + 150 * traits[3], 20 + 80 * traits[2]])
    shirt = np.array([40 + 180 * traits[10], 200 - 160 * traits[10], 80 + 150 * traits[11]])
    wide, high = 26 + 12 * traits[4], 34 + 10 * traits[5]
    centre = (side // 2, side // 2 + 4)
    cv2.ellipse(canvas, (centre[0], side + 8), (48, 34), 0, 0, 360, shirt.tolist(), -1)
    cv2.ellipse(canvas, (centre[0], centre[1] - 6), (int(wide) + 5, int(high) + 4), 0, 180, 360, hair.tolist(), -1)
    cv2.ellipse(canvas, centre, (int(wide), int(high)), 0, 0, 360, skin.tolist(), -1)
    fringe = int(6 + 14 * traits[6])
    cv2.ellipse(canvas, (centre[0], centre[1] - int(high)), (int(wide), fringe), 0, 0, 360, hair.tolist(), -1)
    apart, size = 8 + 8 * traits[7], 2 + 3 * traits[8]
    for sign in (-1, 1):
        eye = (int(centre[0] + sign * apart), centre[1] - 4)
        cv2.circle(canvas, eye, int(size) + 2, (250, 250, 250), -1)
        cv2.circle(canvas, eye, max(1, int(size)), (40, 40 + 120 * traits[1], 120 * traits[3]), -1)
    cv2.line(canvas, (centre[0], centre[1]), (centre[0], centre[1] + int(4 + 8 * traits[9])), (skin * 0.7).tolist(), 3)
    smile = rng.uniform(2, 9)
    mouth = (centre[0], centre[1] + int(high * 0.55))
    cv2.ellipse(canvas, mouth, (int(6 + 8 * traits[11]), int(smile)), 0, 0, 180, (150, 40, 50), 2)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-14, 14), rng.uniform(0.85, 1.12))
    turn = turn + np.array([[0, 0, rng.uniform(-8, 8)], [0, 0, rng.uniform(-8, 8)]])
    moved = cv2.warpAffine(canvas, turn, (side, side), borderMode=cv2.BORDER_REPLICATE)
    lit = moved * rng.uniform(0.65, 1.2) + rng.uniform(-20, 20)
    small = cv2.resize(lit, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small + rng.normal(0, 4, small.shape), 0, 255), np.uint8)


def _own(data: bytes, seed: int) -> PictureSet:
    """A zip in which each person has a folder; of each picture the middle square is taken."""
    persons: dict[str, list[Pictures]] = defaultdict(list)
    count = 0
    try:
        for path, body in iterate_zip(data, ZipLimits()):
            place = PurePosixPath(path.replace("\\", "/"))
            if place.suffix.lower() not in ENDINGS:
                continue
            if len(place.parts) < 2:
                raise SimilarityDataError(f"{place.name[:60]} lies in no folder: each person needs a folder.")
            count += 1
            if count > MOST_PICTURES:
                raise SimilarityDataError(f"The zip holds over {MOST_PICTURES:,} pictures; bring fewer.")
            persons[place.parts[-2][:40]].append(_middle(decode_image(body, max_side_px=256).pixels))
    except ArchiveError as error:
        raise SimilarityDataError(str(error)) from None
    except ImageError as error:
        raise SimilarityDataError(f"{path[-60:]}: {error}") from None
    kept = {name: pictures for name, pictures in persons.items() if len(pictures) >= FEWEST_PICTURES}
    if len(kept) < FEWEST_PERSONS:
        raise SimilarityDataError(
            f"The zip has {len(kept)} folders with at least {FEWEST_PICTURES} pictures; at least {FEWEST_PERSONS} are "
            "needed, so that some can be learned from and others kept for the test."
        )
    names = tuple(sorted(kept))
    labels = np.repeat(np.arange(len(names)), [len(kept[name]) for name in names]).astype(np.int64)
    return _split("own", np.stack([each for name in names for each in kept[name]]), labels, names, seed)


def _middle(pixels: Pictures) -> Pictures:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = np.ascontiguousarray(pixels[top : top + side, left : left + side])
    return np.asarray(cv2.resize(square, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA), np.uint8)
