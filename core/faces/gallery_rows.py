"""Rows of the gallery inside a transaction: counted, found, described and added; for `Gallery` and the import alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.faces.gallery_models import ENCODER_LENGTH, EncodingRow, GalleryRow, PersonRow, PhotoRow
from core.faces.gallery_names import checked_source, name_key, name_sha256, shown
from core.faces.gallery_types import (
    AlreadyEnrolled,
    Changed,
    ConsentMissing,
    GalleryError,
    NameRefused,
    NewFace,
    NotThere,
    Person,
    Photo,
)
from core.faces.types import Floats

MAX_JPEG_BYTES = 2**20
MAX_DIMENSIONS = 4096
IDS_IN_A_QUERY = 500


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)


def begin_change(session: Session, owner: str, *, removes: bool = False, stores_faces: bool = False) -> int:
    """Lock the owner's gallery until the end of the transaction, and count the change.

    Raises:
        ConsentMissing: If the change stores faces and nobody agreed to it.
    """
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    count = (
        insert(GalleryRow)
        .values(owner=owner, changes=1, removed_at=0)
        .on_conflict_do_update(index_elements=["owner"], set_={"changes": GalleryRow.changes + 1})
        .returning(GalleryRow.changes, GalleryRow.consent_at)
    )
    change, consent_at = session.execute(count).one()
    if stores_faces and consent_at is None:
        raise ConsentMissing("Nobody has agreed yet that faces are stored here; give consent first.")
    if removes:
        session.execute(update(GalleryRow).where(GalleryRow.owner == owner).values(removed_at=change))
    return int(change)


def by_name(session: Session, owner: str, name: str) -> PersonRow | None:
    """The person of this name, however it is spelled."""
    query = select(PersonRow).where(PersonRow.owner == owner, PersonRow.name_sha256 == name_sha256(name))
    return session.scalars(query).one_or_none()


def find_person(session: Session, owner: str, person_id: int) -> PersonRow:
    """The person of this id; `NotThere` where there is none."""
    person = session.get(PersonRow, person_id)
    if person is None or person.owner != owner:
        raise NotThere("This person is not in the gallery any more; somebody deleted it.")
    return person


def unchanged_person(session: Session, owner: str, person_id: int, version: int) -> PersonRow:
    """The person of this id if it still has this version; else `Changed`."""
    person = find_person(session, owner, person_id)
    if person.version != version:
        raise Changed(
            f"{shown(person.name)} was changed by {person.changed_by} at {person.changed_at:%H:%M:%S} UTC, after "
            "you opened it. Nothing of yours was saved: look at what is there now, and change it again."
        )
    return person


def touch(person: PersonRow, by: str) -> None:
    """Note that a person is changed, by whom and when."""
    person.version += 1
    person.changed_by, person.changed_at = by, now()


def insert_person(
    session: Session,
    owner: str,
    name: str,
    by: str,
    *,
    at: datetime | None = None,
    is_demonstration: bool = False,
) -> PersonRow:
    """Add a person without photos, to be followed by one in the same transaction."""
    if (other := by_name(session, owner, name)) is not None:
        raise NameRefused(
            f"A person called {shown(other.name)} is enrolled already: add the photo to that person, or choose "
            "another name."
        )
    moment = now()
    person = PersonRow(
        owner=owner,
        name=name,
        name_key=name_key(name),
        name_sha256=name_sha256(name),
        version=1,
        is_demonstration=is_demonstration,
        enrolled_by=by,
        enrolled_at=at or moment,
        changed_by=by,
        changed_at=moment,
    )
    session.add(person)
    session.flush()
    return person


def holder_of(session: Session, owner: str, jpeg: bytes) -> PersonRow | None:
    """The person who has this very photo."""
    same = select(PhotoRow.person_id).where(
        PhotoRow.owner == owner, PhotoRow.sha256 == hashlib.sha256(jpeg).hexdigest()
    )
    person_id = session.scalar(same)
    return None if person_id is None else session.get(PersonRow, person_id)


def insert_photo(
    session: Session,
    person: PersonRow,
    face: NewFace,
    by: str,
    change: int,
    at: datetime | None = None,
) -> int:
    """Add a photo with its encodings to a person; the answer is its id."""
    points = np.asarray(face.points, "<f4")
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise GalleryError(f"A face has five finite points (5, 2); received an array of shape {points.shape}.")
    if not face.jpeg.startswith(b"\xff\xd8") or len(face.jpeg) > MAX_JPEG_BYTES:
        raise GalleryError(f"A face is kept as JPEG of at most {MAX_JPEG_BYTES / 2**20:g} MB.")
    if not face.encodings:
        raise GalleryError("A face without an encoding cannot be recognized again.")
    if (holder := holder_of(session, person.owner, face.jpeg)) is not None:
        raise AlreadyEnrolled(
            f"This very photo is enrolled as {shown(holder.name)} already; another photo would add something, "
            "the same one does not."
        )
    photo = PhotoRow(
        owner=person.owner,
        person_id=person.id,
        sha256=hashlib.sha256(face.jpeg).hexdigest(),
        jpeg=face.jpeg,
        points=points.tobytes(),
        source=checked_source(face.source),
        enrolled_by=by,
        enrolled_at=at or now(),
    )
    session.add(photo)
    session.flush()
    insert_encodings(session, person.owner, person.id, photo.id, face.encodings, change)
    return photo.id


def insert_encodings(
    session: Session, owner: str, person_id: int, photo_id: int, encodings: Mapping[str, Floats], change: int
) -> None:
    """Add encodings of a photo, each beside the name of its encoder."""
    for encoder, encoding in encodings.items():
        vector = np.asarray(encoding, "<f4")
        if vector.ndim != 1 or not 1 <= len(vector) <= MAX_DIMENSIONS or not np.isfinite(vector).all():
            raise GalleryError(f"An encoding is a row of finite numbers; received shape {vector.shape}.")
        if not 1 <= len(encoder) <= ENCODER_LENGTH:
            raise GalleryError(f"An encoder's name has 1 to {ENCODER_LENGTH} characters.")
        of_encoder = select(EncodingRow.dimensions).where(EncodingRow.owner == owner, EncodingRow.encoder == encoder)
        there = session.scalar(of_encoder.limit(1))
        if there is not None and there != len(vector):
            raise GalleryError(
                f"The encodings of {encoder} in this gallery have {there} numbers, this one has {len(vector)}: "
                "they cannot be compared."
            )
        session.add(
            EncodingRow(
                owner=owner,
                person_id=person_id,
                photo_id=photo_id,
                encoder=encoder,
                dimensions=len(vector),
                vector=vector.tobytes(),
                change=change,
            )
        )
    session.flush()


def described_persons(session: Session, rows: Sequence[PersonRow]) -> tuple[Person, ...]:
    """Persons with the number of their photos and the encoders that have seen these."""
    ids = [row.id for row in rows]
    counts: dict[int, int] = {}
    encoders: dict[int, set[str]] = {}
    for start in range(0, len(ids), IDS_IN_A_QUERY):
        some = ids[start : start + IDS_IN_A_QUERY]
        of_each = select(PhotoRow.person_id, func.count()).where(PhotoRow.person_id.in_(some))
        for person_id, count in session.execute(of_each.group_by(PhotoRow.person_id)):
            counts[int(person_id)] = int(count)
        pairs = select(EncodingRow.person_id, EncodingRow.encoder).where(EncodingRow.person_id.in_(some)).distinct()
        for person_id, encoder in session.execute(pairs):
            encoders.setdefault(int(person_id), set()).add(str(encoder))
    return tuple(
        Person(
            row.id,
            row.name,
            row.version,
            row.is_demonstration,
            row.enrolled_by,
            row.enrolled_at,
            row.changed_by,
            row.changed_at,
            counts.get(row.id, 0),
            tuple(sorted(encoders.get(row.id, ()))),
        )
        for row in rows
    )


def described_photos(session: Session, rows: Sequence[PhotoRow]) -> tuple[Photo, ...]:
    """Photos with the encoders that have seen them."""
    encoders: dict[int, list[str]] = {row.id: [] for row in rows}
    pairs = select(EncodingRow.photo_id, EncodingRow.encoder).where(EncodingRow.photo_id.in_(list(encoders)))
    for photo_id, encoder in session.execute(pairs.order_by(EncodingRow.encoder)):
        encoders[int(photo_id)].append(str(encoder))
    return tuple(
        Photo(
            row.id,
            row.person_id,
            row.jpeg,
            np.frombuffer(row.points, "<f4").reshape(5, 2),
            row.source,
            row.enrolled_by,
            row.enrolled_at,
            tuple(encoders[row.id]),
        )
        for row in rows
    )
