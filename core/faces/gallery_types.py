"""What the gallery of persons hands out and takes in, and the sentences in which it refuses.

A gallery belongs to one owner. It holds persons; a person has photos, each a crop around one face as JPEG bytes; a
photo has one encoding for each encoder that has seen it, `(D,)` float32. Times are in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.faces.types import FaceError, Floats


class GalleryError(FaceError):
    """Something that the gallery does not do; the message is a sentence for the person who asked."""


class GalleryUnavailable(GalleryError):
    """The database cannot be reached or used."""


class ConsentMissing(GalleryError):
    """Nobody has agreed yet that faces are stored."""


class NameRefused(GalleryError):
    """A text that cannot be a person's name, or is one's already."""


class NotThere(GalleryError):
    """A person or photo that is not in the gallery, or not any more."""


class Changed(GalleryError):
    """Somebody else changed the person since it was looked at."""


class AlreadyEnrolled(GalleryError):
    """The very same face is in the gallery already."""


class ImportRefused(GalleryError):
    """A file that is no exported gallery."""


@dataclass(frozen=True)
class Consent:
    """That somebody agreed to the storing of faces, and when."""

    given_by: str
    given_at: datetime


@dataclass(frozen=True)
class Person:
    """A person of the gallery without the pictures; `version` counts the changes and is asked back by each."""

    id: int
    name: str
    version: int
    is_demonstration: bool
    enrolled_by: str
    enrolled_at: datetime
    changed_by: str
    changed_at: datetime
    photo_count: int
    encoders: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Photo:
    """An enrolled photo: the crop around the face as JPEG, its five points `(5, 2)` in it, who brought it and when."""

    id: int
    person_id: int
    jpeg: bytes
    points: Floats
    source: str
    enrolled_by: str
    enrolled_at: datetime
    encoders: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class NewFace:
    """A face to enrol: JPEG bytes of a crop, five points `(5, 2)` in its pixels, and encodings by encoder `(D,)`.

    `source` says where it came from, such as a file's name.
    """

    jpeg: bytes
    points: Floats
    encodings: Mapping[str, Floats] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True)
class Match:
    """A person at a distance from a face that was asked for; `photo_id` is the person's nearest photo."""

    person_id: int
    name: str
    photo_id: int
    distance: float


@dataclass(frozen=True)
class Imported:
    """What an import brought: new persons, photos in all, and photos that were here already."""

    persons: int
    photos: int
    known_photos: int
