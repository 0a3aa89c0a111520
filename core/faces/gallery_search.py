"""Who is this: the nearest persons of a gallery, from an index in memory that follows the database.

Before each search one number is read, the gallery's change counter. Where it has moved, the encodings that came since
are added to the index and those that went are taken out, whoever changed them: this session, another one, or another
app on the same database. Names are read with the answer, so it never shows a person who is gone.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.faces.gallery import Gallery
from core.faces.gallery_models import EncodingRow, GalleryRow, PersonRow
from core.faces.gallery_types import GalleryError, Match
from core.faces.index import FaceIndex, Ids
from core.faces.types import Floats

ROWS_AT_ONCE = 20_000
IDS_IN_A_QUERY = 500
INDEXES_KEPT = 16

Candidates = dict[int, tuple[int, int, str]]  # encoding id: person id, photo id, name


class GallerySearch:
    """The encodings of one encoder in a gallery, ready to be searched."""

    def __init__(self, gallery: Gallery, encoder: str) -> None:
        """Name them; they are read when they are first needed."""
        self.gallery = gallery
        self.encoder = encoder
        self._lock = threading.Lock()
        self._seen = 0
        self._index: FaceIndex | None = None

    def __len__(self) -> int:
        """How many encodings the index held when it was last compared with the database."""
        return 0 if self._index is None else len(self._index)

    @property
    def index(self) -> FaceIndex | None:
        """The index; None before anybody is enrolled."""
        return self._index

    def refresh(self) -> bool:
        """Take over what has changed in the database; whether anything had."""
        with self._lock, self.gallery.store.read() as session:
            row = session.get(GalleryRow, self.gallery.owner)
            changes, removed_at = (row.changes, row.removed_at) if row is not None else (0, 0)
            if changes == self._seen:
                return False
            if changes < self._seen:  # another database took the place of this one
                self._index, self._seen = None, 0
            if self._index is not None and removed_at > self._seen:
                self._index.keep_only(self._all_ids(session))
            self._add(session)
            self._seen = changes
            return True

    def search(
        self, encodings: NDArray[np.floating] | Sequence[Floats], persons: int = 5
    ) -> tuple[tuple[Match, ...], ...]:
        """The nearest persons of each encoding `(Q, D)`, nearest first, each by the nearest of the person's photos.

        Raises:
            GalleryError: If encodings of this encoder in the gallery have another length.
        """
        asked = np.asarray(encodings, np.float32)
        if asked.ndim != 2:
            raise ValueError(f"expected encodings of shape (Q, D), received {asked.shape}")
        self.refresh()
        index = self._index
        if index is None or not len(index) or not len(asked):
            return tuple(() for _ in asked)
        if asked.shape[1] != index.dimensions:
            raise GalleryError(
                f"The encodings of {self.encoder} in the gallery have {index.dimensions} numbers, the one to look for "
                f"has {asked.shape[1]}: they cannot be compared."
            )
        wanted = 2 * persons
        while True:
            # A person may have many photos: look at more until there are persons enough.
            found = index.search(asked, min(wanted, len(index)))
            known = self._names(found.ids)
            answer = tuple(
                _by_person(ids, distances, known)
                for ids, distances in zip(found.ids.tolist(), found.distances.tolist(), strict=True)
            )
            if wanted >= len(index) or min(len(matches) for matches in answer) >= persons:
                return tuple(matches[:persons] for matches in answer)
            wanted *= 4

    def encoding_of(self, photo_id: int) -> Floats | None:
        """The stored encoding of a photo `(D,)`; None where there is none by this encoder."""
        query = select(EncodingRow.vector).where(
            EncodingRow.owner == self.gallery.owner,
            EncodingRow.encoder == self.encoder,
            EncodingRow.photo_id == photo_id,
        )
        with self.gallery.store.read() as session:
            stored = session.scalar(query)
        return None if stored is None else np.frombuffer(stored, "<f4")

    def _add(self, session: Session) -> None:
        new = [EncodingRow.owner == self.gallery.owner, EncodingRow.encoder == self.encoder]
        if self._index is not None:
            new.append(EncodingRow.change > self._seen)
        first, dimensions, count = session.execute(
            select(func.min(EncodingRow.id), func.min(EncodingRow.dimensions), func.count()).where(*new)
        ).one()
        if not count:
            return
        if self._index is None:
            self._index = FaceIndex(int(dimensions))
            self._index.reserve(int(count))
        elif first <= self._index.last_id:
            raise GalleryError("The gallery's encodings are not in the order of their ids; restart the workbench.")
        rows = session.execute(
            select(EncodingRow.id, EncodingRow.vector).where(*new).order_by(EncodingRow.id),
            execution_options={"yield_per": ROWS_AT_ONCE},
        )
        added = 0
        for block in rows.partitions():
            ids = np.fromiter((row[0] for row in block), np.int64, len(block))
            vectors = np.frombuffer(b"".join(row[1] for row in block), "<f4")
            added += len(block)
            self._index.add(ids, vectors.reshape(len(block), self._index.dimensions), more_follow=added < count)

    def _all_ids(self, session: Session) -> Ids:
        query = select(EncodingRow.id).where(
            EncodingRow.owner == self.gallery.owner, EncodingRow.encoder == self.encoder
        )
        rows = session.execute(query, execution_options={"yield_per": ROWS_AT_ONCE})
        return np.fromiter((row[0] for row in rows), np.int64)

    def _names(self, encoding_ids: Ids) -> Candidates:
        ids = [int(value) for value in np.unique(encoding_ids) if value >= 0]
        known: Candidates = {}
        with self.gallery.store.read() as session:
            for start in range(0, len(ids), IDS_IN_A_QUERY):
                query = (
                    select(EncodingRow.id, EncodingRow.person_id, EncodingRow.photo_id, PersonRow.name)
                    .join(PersonRow, PersonRow.id == EncodingRow.person_id)
                    .where(EncodingRow.id.in_(ids[start : start + IDS_IN_A_QUERY]))
                )
                for encoding_id, person_id, photo_id, name in session.execute(query):
                    known[int(encoding_id)] = (int(person_id), int(photo_id), str(name))
        return known


def _by_person(ids: Sequence[int], distances: Sequence[float], known: Candidates) -> tuple[Match, ...]:
    best: dict[int, Match] = {}
    for encoding_id, distance in zip(ids, distances, strict=True):
        if encoding_id in known:
            person_id, photo_id, name = known[encoding_id]
            best.setdefault(person_id, Match(person_id, name, photo_id, distance))
    return tuple(best.values())


_kept: OrderedDict[tuple[int, str, str], GallerySearch] = OrderedDict()
_kept_lock = threading.Lock()


def search_of(gallery: Gallery, encoder: str) -> GallerySearch:
    """This process's search over a gallery; those used last are kept."""
    key = (id(gallery.store), gallery.owner, encoder)
    with _kept_lock:
        found = _kept.get(key)
        if found is None or found.gallery.store is not gallery.store:
            found = _kept[key] = GallerySearch(gallery, encoder)
        _kept.move_to_end(key)
        while len(_kept) > INDEXES_KEPT:
            _kept.popitem(last=False)
        return found
