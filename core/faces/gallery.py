"""A gallery of persons for recognition, 1:K: enrol, rename, delete, and who did what when.

Every function is one transaction. A change first raises the gallery's change counter, which locks it, so changes of
one gallery follow one another, and a counter that stands still says that nothing has changed. Who changes a person
says which version he has seen: where that is not the latest, the change is refused and nothing is lost.

    python -m core.faces.gallery list|enrol|search|rename|delete|export|import|vacuum   (see `gallery_command`)
"""

from __future__ import annotations

import getpass
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Update, delete, func, select, update

from core.faces.gallery_models import EncodingRow, GalleryRow, PersonRow, PhotoRow
from core.faces.gallery_names import checked_name, name_key, name_sha256, shown
from core.faces.gallery_rows import (
    begin_change,
    by_name,
    described_persons,
    described_photos,
    find_person,
    insert_encodings,
    insert_person,
    insert_photo,
    now,
    touch,
    unchanged_person,
)
from core.faces.gallery_store import REWRITE_AT_MOST_BYTES, GalleryStore
from core.faces.gallery_types import Consent, GalleryError, NameRefused, NewFace, NotThere, Person, Photo
from core.faces.types import Floats

LOCAL = "local"
LISTED_AT_ONCE = 500


def local_person() -> str:
    """Who sits at this machine where nobody signs in: the account and the machine's name."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in a container
        account = "somebody"
    return f"{account}@{socket.gethostname()}"


@dataclass(frozen=True)
class Gallery:
    """One owner's persons in a store."""

    store: GalleryStore
    owner: str = LOCAL

    # Consent

    def consent(self) -> Consent | None:
        """Who agreed that faces are stored, and when; None where nobody did."""
        with self.store.read() as session:
            row = session.get(GalleryRow, self.owner)
            if row is None or row.consent_by is None or row.consent_at is None:
                return None
            return Consent(row.consent_by, row.consent_at)

    def give_consent(self, by: str) -> None:
        """Agree that faces are stored here."""
        with self.store.write() as session:
            begin_change(session, self.owner)
            session.execute(_gallery(self.owner).values(consent_by=by, consent_at=now()))

    def withdraw_consent(self) -> bool:
        """Delete every person and forget the consent; the answer is `overwrite`'s."""
        with self.store.write() as session:
            begin_change(session, self.owner, removes=True)
            session.execute(delete(PersonRow).where(PersonRow.owner == self.owner))
            session.execute(_gallery(self.owner).values(consent_by=None, consent_at=None))
        return self.overwrite()

    # Looking

    def changes(self) -> int:
        """How often this gallery has changed: a look that costs next to nothing."""
        with self.store.read() as session:
            return session.scalar(select(GalleryRow.changes).where(GalleryRow.owner == self.owner)) or 0

    def count(self, encoder: str | None = None) -> int:
        """How many persons there are, or how many have an encoding of this encoder."""
        with self.store.read() as session:
            query = select(func.count()).select_from(PersonRow).where(PersonRow.owner == self.owner)
            if encoder is not None:
                query = select(func.count(EncodingRow.person_id.distinct())).where(
                    EncodingRow.owner == self.owner, EncodingRow.encoder == encoder
                )
            return session.scalar(query) or 0

    def persons(self, containing: str = "", limit: int = LISTED_AT_ONCE) -> tuple[Person, ...]:
        """The first persons by name whose name contains a text."""
        query = select(PersonRow).where(PersonRow.owner == self.owner).order_by(PersonRow.name_key).limit(limit)
        if containing.strip():
            query = query.where(PersonRow.name_key.contains(name_key(containing), autoescape=True))
        with self.store.read() as session:
            return described_persons(session, session.scalars(query).all())

    def person(self, person_id: int) -> Person:
        """One person.

        Raises:
            NotThere: If there is none of that id.
        """
        with self.store.read() as session:
            return described_persons(session, [find_person(session, self.owner, person_id)])[0]

    def named(self, name: str) -> Person | None:
        """The person of this name, however it is spelled."""
        with self.store.read() as session:
            row = by_name(session, self.owner, name)
            return None if row is None else described_persons(session, [row])[0]

    def names(self, person_ids: Iterable[int]) -> dict[int, str]:
        """The names of some persons; who is not there is left out."""
        query = select(PersonRow.id, PersonRow.name).where(
            PersonRow.owner == self.owner, PersonRow.id.in_(list(person_ids))
        )
        with self.store.read() as session:
            return {int(person_id): str(name) for person_id, name in session.execute(query)}

    def photos(self, person_id: int) -> tuple[Photo, ...]:
        """The photos of a person, oldest first."""
        query = select(PhotoRow).where(PhotoRow.owner == self.owner, PhotoRow.person_id == person_id)
        with self.store.read() as session:
            return described_photos(session, session.scalars(query.order_by(PhotoRow.id)).all())

    def photo(self, photo_id: int) -> Photo:
        """One photo.

        Raises:
            NotThere: If there is none of that id.
        """
        query = select(PhotoRow).where(PhotoRow.owner == self.owner, PhotoRow.id == photo_id)
        with self.store.read() as session:
            found = described_photos(session, session.scalars(query).all())
        if not found:
            raise NotThere("This photo is not in the gallery any more.")
        return found[0]

    def without_encoding(self, encoder: str, limit: int = LISTED_AT_ONCE) -> tuple[int, ...]:
        """Ids of photos that this encoder has not seen."""
        seen = select(EncodingRow.photo_id).where(EncodingRow.owner == self.owner, EncodingRow.encoder == encoder)
        query = select(PhotoRow.id).where(PhotoRow.owner == self.owner, PhotoRow.id.not_in(seen))
        with self.store.read() as session:
            return tuple(session.scalars(query.order_by(PhotoRow.id).limit(limit)))

    # Changing

    def enrol(self, name: str, face: NewFace, *, by: str, is_demonstration: bool = False) -> int:
        """Take in a new person from one photo; the answer is the person's id.

        Raises:
            ConsentMissing: If nobody agreed to it.
            NameRefused: If the name cannot be one, or somebody has it already.
            AlreadyEnrolled: If this very face is in the gallery.
            GalleryError: If the face has no encoding, or one of another length than those that are there.
        """
        kept = checked_name(name)
        with self.store.write() as session:
            change = begin_change(session, self.owner, stores_faces=True)
            person = insert_person(session, self.owner, kept, by, is_demonstration=is_demonstration)
            insert_photo(session, person, face, by, change)
            return person.id

    def add_photo(self, person_id: int, face: NewFace, *, by: str) -> int:
        """Add a photo to a person; the answer is the photo's id. Takes nothing back, so no version is asked for.

        Raises:
            NotThere: If the person is not there any more.
            ConsentMissing, AlreadyEnrolled, GalleryError: As `enrol`.
        """
        with self.store.write() as session:
            change = begin_change(session, self.owner, stores_faces=True)
            person = find_person(session, self.owner, person_id)
            touch(person, by)
            return insert_photo(session, person, face, by, change)

    def add_encodings(self, encoder: str, encodings: Mapping[int, Floats]) -> int:
        """Add what another encoder makes of enrolled photos, `(D,)` by photo id; how many there were still to add."""
        with self.store.write() as session:
            change = begin_change(session, self.owner, stores_faces=True)
            query = select(PhotoRow.id, PhotoRow.person_id).where(
                PhotoRow.owner == self.owner,
                PhotoRow.id.in_(list(encodings)),
                PhotoRow.id.not_in(select(EncodingRow.photo_id).where(EncodingRow.encoder == encoder)),
            )
            found = [(int(photo_id), int(person_id)) for photo_id, person_id in session.execute(query)]
            for photo_id, person_id in found:
                insert_encodings(session, self.owner, person_id, photo_id, {encoder: encodings[photo_id]}, change)
            return len(found)

    def rename(self, person_id: int, name: str, *, version: int, by: str) -> None:
        """Give a person another name.

        Raises:
            Changed: If somebody changed the person since this version.
            NameRefused, NotThere: As for `enrol` and `person`.
        """
        kept = checked_name(name)
        with self.store.write() as session:
            begin_change(session, self.owner)
            person = unchanged_person(session, self.owner, person_id, version)
            other = by_name(session, self.owner, kept)
            if other is not None and other.id != person_id:
                raise NameRefused(f"Another person is called {shown(other.name)} already; choose another name.")
            person.name, person.name_key, person.name_sha256 = kept, name_key(kept), name_sha256(kept)
            touch(person, by)

    def delete(self, person_id: int, *, version: int) -> bool:
        """Delete a person with all photos and encodings; the answer is `overwrite`'s.

        Raises:
            Changed: If somebody changed the person since this version.
            NotThere: If the person is not there any more.
        """
        with self.store.write() as session:
            begin_change(session, self.owner, removes=True)
            session.delete(unchanged_person(session, self.owner, person_id, version))
        return self.overwrite()

    def delete_photo(self, photo_id: int, *, version: int, by: str) -> bool:
        """Delete one of several photos of a person; the answer is `overwrite`'s.

        Raises:
            GalleryError: If it is the last one.
            Changed, NotThere: As for `delete`.
        """
        with self.store.write() as session:
            begin_change(session, self.owner, removes=True)
            photo = session.get(PhotoRow, photo_id)
            if photo is None or photo.owner != self.owner:
                raise NotThere("This photo is not in the gallery any more.")
            person = unchanged_person(session, self.owner, photo.person_id, version)
            others = select(func.count()).where(PhotoRow.person_id == person.id, PhotoRow.id != photo_id)
            if not session.scalar(others):
                raise GalleryError(f"This is the last photo of {shown(person.name)}; delete the person instead.")
            session.delete(photo)
            touch(person, by)
        return self.overwrite()

    def overwrite(self) -> bool:
        """Write what was deleted over on the disk; False where that has to wait (see `GalleryStore`)."""
        return self.store.overwrite_deleted(at_most_bytes=REWRITE_AT_MOST_BYTES)


def _gallery(owner: str) -> Update:
    return update(GalleryRow).where(GalleryRow.owner == owner)


if __name__ == "__main__":
    from core.faces.gallery_command import main

    with suppress(BrokenPipeError):
        sys.exit(main())
