"""Galleries as files: exported as a zip (with pictures) or as JSON, and imported again, the whole file or nothing.

    {"format": "cnn-workbench-gallery", "version": 1, "exported_at": "...", "persons": [
        {"name": "Ada", "demonstration": false, "enrolled_by": "...", "enrolled_at": "...", "photos": [
            {"file": "faces/00001.jpg", "points": [[x, y], ... 5], "source": "...", "enrolled_by": "...",
             "enrolled_at": "...", "encodings": {"ENCODER": "float32, little-endian, base64"}}]}]}

In a zip this is `gallery.json` beside the JPEG files; a JSON file by itself holds each picture as base64 in `jpeg`
instead of `file`. What is read is checked piece by piece: nothing in such a file is trusted.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.faces.gallery import Gallery
from core.faces.gallery_models import OWNER_LENGTH, EncodingRow, PersonRow, PhotoRow
from core.faces.gallery_names import checked_name, checked_source, shown
from core.faces.gallery_rows import (
    MAX_DIMENSIONS,
    MAX_JPEG_BYTES,
    begin_change,
    by_name,
    holder_of,
    insert_person,
    insert_photo,
    now,
    touch,
)
from core.faces.gallery_types import AlreadyEnrolled, GalleryError, Imported, ImportRefused, NewFace
from core.faces.types import Floats
from core.runtime.images import ImageError, decode_image

FORMAT, VERSION = "cnn-workbench-gallery", 1
MANIFEST = "gallery.json"
MAX_FILE_BYTES = 512 * 2**20
MAX_MANIFEST_BYTES = 256 * 2**20
MAX_PHOTOS = 200_000
NOT_ONE = "This file is no exported gallery"


def export_gallery(gallery: Gallery, kind: Literal["zip", "json"] = "zip") -> bytes:
    """The whole gallery as the bytes of a zip or JSON file, from one state of the database."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive, gallery.store.read() as session:
        persons = []
        count = 0
        for person, photos in _rows(session, gallery.owner):
            described = []
            for photo, encodings in photos:
                count += 1
                entry = _photo_entry(photo, encodings)
                if kind == "zip":
                    entry["file"] = f"faces/{count:05d}.jpg"
                    archive.writestr(str(entry["file"]), photo.jpeg)
                else:
                    entry["jpeg"] = base64.b64encode(photo.jpeg).decode()
                described.append(entry)
            persons.append(_person_entry(person, described))
        manifest = json.dumps(
            {"format": FORMAT, "version": VERSION, "exported_at": now().isoformat(), "persons": persons},
            ensure_ascii=False,
            indent=1,
        ).encode()
        archive.writestr(MANIFEST, manifest, zipfile.ZIP_DEFLATED)
    return buffer.getvalue() if kind == "zip" else manifest


def _rows(session: Session, owner: str) -> Iterator[tuple[PersonRow, list[tuple[PhotoRow, list[EncodingRow]]]]]:
    for person in session.scalars(select(PersonRow).where(PersonRow.owner == owner).order_by(PersonRow.id)):
        photos = session.scalars(select(PhotoRow).where(PhotoRow.person_id == person.id).order_by(PhotoRow.id)).all()
        encodings: dict[int, list[EncodingRow]] = {photo.id: [] for photo in photos}
        of_person = select(EncodingRow).where(EncodingRow.person_id == person.id).order_by(EncodingRow.id)
        for encoding in session.scalars(of_person):
            encodings[encoding.photo_id].append(encoding)
        yield person, [(photo, encodings[photo.id]) for photo in photos]


def _person_entry(person: PersonRow, photos: list[dict[str, object]]) -> dict[str, object]:
    return {
        "name": person.name,
        "demonstration": person.is_demonstration,
        "enrolled_by": person.enrolled_by,
        "enrolled_at": person.enrolled_at.isoformat(),
        "photos": photos,
    }


def _photo_entry(photo: PhotoRow, encodings: list[EncodingRow]) -> dict[str, object]:
    points = np.frombuffer(photo.points, "<f4").reshape(5, 2)
    return {
        "points": [[round(float(value), 3) for value in point] for point in points],
        "source": photo.source,
        "enrolled_by": photo.enrolled_by,
        "enrolled_at": photo.enrolled_at.isoformat(),
        "encodings": {row.encoder: base64.b64encode(row.vector).decode() for row in encodings},
    }


def import_gallery(gallery: Gallery, data: bytes, *, by: str) -> Imported:
    """Take in an exported gallery: all of it in one transaction, or nothing.

    A person whose name is here gets the photos that are new; photos that are here already are passed over.

    Raises:
        ImportRefused: If the file is none; the sentence says what is wrong and where.
        ConsentMissing: If nobody agreed that faces are stored.
    """
    persons, archive = _read(data)
    # Read through before the gallery is locked: pictures take time.
    read = [_person(entry, archive, number, by) for number, entry in enumerate(persons, 1)]
    new_persons = new_photos = known = 0
    with gallery.store.write() as session:
        change = begin_change(session, gallery.owner, stores_faces=True)
        for told in read:
            unknown = [face for face in told.faces if holder_of(session, gallery.owner, face[0].jpeg) is None]
            known += len(told.faces) - len(unknown)
            if not unknown:
                continue
            person = by_name(session, gallery.owner, told.name)
            if person is None:
                person = insert_person(
                    session, gallery.owner, told.name, told.by, at=told.at, is_demonstration=told.is_demonstration
                )
                new_persons += 1
            else:
                touch(person, by)
            for face, who, when in unknown:
                try:
                    insert_photo(session, person, face, who, change, when)
                except AlreadyEnrolled:  # twice in the file
                    known += 1
                except GalleryError as error:
                    raise ImportRefused(f"{shown(told.name)}: {error} Nothing was imported.") from error
                else:
                    new_photos += 1
    return Imported(new_persons, new_photos, known)


@dataclass(frozen=True, eq=False)
class _Told:
    """A person as a file tells it: photos with who enrolled them and when."""

    name: str
    is_demonstration: bool
    by: str
    at: datetime | None
    faces: list[tuple[NewFace, str, datetime | None]]


def _person(entry: dict[str, Any], archive: zipfile.ZipFile | None, number: int, by: str) -> _Told:
    name = _name(_text(entry, "name", f"person {number}"), f"person {number}")
    where = f"person {number}, {shown(name, 30)}"
    faces = []
    for place, told in enumerate(_list(entry, "photos", where), 1):
        at = f"photo {place} of {where}"
        faces.append((_face(told, archive, at), _who(told, by), _when(told, at)))
    return _Told(name, entry.get("demonstration") is True, _who(entry, by), _when(entry, where), faces)


def _read(data: bytes) -> tuple[list[dict[str, Any]], zipfile.ZipFile | None]:
    """The persons of a file, and the zip that their pictures are in."""
    if len(data) > MAX_FILE_BYTES:
        raise ImportRefused(f"The file has {len(data) / 2**20:,.0f} MB; at most {MAX_FILE_BYTES >> 20} are accepted.")
    if not data.strip():
        raise ImportRefused("The file is empty.")
    archive: zipfile.ZipFile | None = None
    text = data
    if data.startswith(b"PK"):
        try:
            archive = zipfile.ZipFile(io.BytesIO(data))
            text = _member(archive, MANIFEST, MAX_MANIFEST_BYTES)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as error:
            if isinstance(error, ImportRefused):
                raise
            raise ImportRefused(f"{NOT_ONE}: the zip is damaged or encrypted.") from error
    try:
        content = json.loads(text.decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        kind = f"{MANIFEST} in it holds no JSON" if archive else "it is neither a zip nor JSON"
        raise ImportRefused(f"{NOT_ONE}: {kind}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ImportRefused(f'{NOT_ONE}: "format" is not "{FORMAT}".')
    if content.get("version") != VERSION:
        raise ImportRefused(
            f"This gallery has version {str(content.get('version'))[:20]} of the format; version {VERSION} is read."
        )
    persons = [_dict(entry, f"person {number}") for number, entry in enumerate(_list(content, "persons", "it"), 1)]
    if sum(len(entry["photos"]) for entry in persons if isinstance(entry.get("photos"), list)) > MAX_PHOTOS:
        raise ImportRefused(f"A file with more than {MAX_PHOTOS:,} photos is not imported; export it in parts.")
    return persons, archive


def _member(archive: zipfile.ZipFile, name: str, most_bytes: int) -> bytes:
    try:
        information = archive.getinfo(name)
    except KeyError:
        raise ImportRefused(f"{NOT_ONE}: the zip holds no {name[:60]}.") from None
    with archive.open(information) as member:
        content = member.read(most_bytes + 1)  # the size in the header may lie
    if len(content) > most_bytes:
        raise ImportRefused(f"{name[:60]} in the zip has more than {most_bytes / 2**20:g} MB.")
    return content


def _dict(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ImportRefused(f"{where}: expected an object, received {type(value).__name__}. Nothing was imported.")
    return value


def _list(entry: dict[str, Any], key: str, where: str) -> list[Any]:
    value = entry.get(key)
    if not isinstance(value, list):
        raise ImportRefused(f'{where}: expected a list "{key}". Nothing was imported.')
    return value


def _text(entry: dict[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise ImportRefused(f'{where}: expected a text "{key}". Nothing was imported.')
    return value


def _name(text: str, where: str) -> str:
    try:
        return checked_name(text)
    except GalleryError as error:
        raise ImportRefused(f"{where}: {error} Nothing was imported.") from error


def _who(entry: dict[str, Any], by: str) -> str:
    """Who enrolled it according to the file, marked as such: anything can be written into a file."""
    told = entry.get("enrolled_by")
    return f"{checked_source(told)} (imported by {by})"[:OWNER_LENGTH] if isinstance(told, str) and told else by


def _when(entry: dict[str, Any], where: str) -> datetime | None:
    told = entry.get("enrolled_at")
    if told is None:
        return None
    try:
        moment = datetime.fromisoformat(str(told))
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ImportRefused(
            f'{where}: "enrolled_at" is no moment in time: {shown(str(told), 30)}. Nothing was imported.'
        ) from None


def _face(value: Any, archive: zipfile.ZipFile | None, where: str) -> NewFace:
    entry = _dict(value, where)
    jpeg = _jpeg(entry, archive, where)
    try:
        with np.errstate(over="ignore"):
            points = np.array(_list(entry, "points", where), np.float64).astype(np.float32)
    except (TypeError, ValueError, OverflowError):
        points = np.empty(0, np.float32)
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise ImportRefused(f'{where}: "points" are not five pairs of numbers. Nothing was imported.')
    encodings = {
        str(encoder): _encoding(told, f"{where}, encoding {shown(str(encoder), 30)}")
        for encoder, told in _dict(entry.get("encodings"), f'{where}, "encodings"').items()
    }
    source = entry.get("source")
    return NewFace(jpeg, points, encodings, source if isinstance(source, str) else "")


def _jpeg(entry: dict[str, Any], archive: zipfile.ZipFile | None, where: str) -> bytes:
    try:
        if archive is not None:
            jpeg = _member(archive, _text(entry, "file", where), MAX_JPEG_BYTES)
        else:
            jpeg = base64.b64decode(_text(entry, "jpeg", where), validate=True)
        found = decode_image(jpeg, max_bytes=MAX_JPEG_BYTES, max_pixels=4_000_000)
    except (ImageError, binascii.Error, zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise ImportRefused(f"{where}: the picture cannot be read. Nothing was imported.") from error
    if found.format != "JPEG":
        raise ImportRefused(f"{where}: the picture is no JPEG but {found.format}. Nothing was imported.")
    return jpeg


def _encoding(told: Any, where: str) -> Floats:
    try:
        raw = base64.b64decode(told, validate=True) if isinstance(told, str) else b""
    except (binascii.Error, ValueError):
        raw = b""
    if not raw or len(raw) % 4 or len(raw) > 4 * MAX_DIMENSIONS:
        raise ImportRefused(f"{where}: expected float32 numbers in base64. Nothing was imported.")
    numbers = np.frombuffer(raw, "<f4")
    if not np.isfinite(numbers).all():
        raise ImportRefused(f"{where}: some numbers are not finite. Nothing was imported.")
    return numbers
