"""The gallery's tables, for SQLite and PostgreSQL alike (SQLAlchemy 2.1, declarative).

`galleries` has a row an owner: its change counter, which every change raises by one, and the consent. A deleted
person takes photos and encodings along by foreign keys. Ids are never used twice, so one that a session still holds
cannot come to mean somebody else. Encodings are kept as little-endian float32 bytes beside the name of their encoder.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

SCHEMA_VERSION = 1
OWNER_LENGTH = 400
ENCODER_LENGTH = 100

# SQLite numbers rows by itself only where the type is called INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC: SQLite keeps no time zone, so it is put back when read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Read UTC."""
        if value is None:
            return None
        read: datetime = value
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


class Base(DeclarativeBase):
    """The tables of the gallery."""


class SchemaRow(Base):
    """Which layout the tables have, one row."""

    __tablename__ = "gallery_schema"

    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)


class GalleryRow(Base):
    """An owner's gallery: `changes` counts its changes, `removed_at` is the count of the last one that removed."""

    __tablename__ = "galleries"

    owner: Mapped[str] = mapped_column(String(OWNER_LENGTH), primary_key=True)
    changes: Mapped[int] = mapped_column(BigInteger, default=0)
    removed_at: Mapped[int] = mapped_column(BigInteger, default=0)
    consent_by: Mapped[str | None] = mapped_column(String(OWNER_LENGTH), default=None)
    consent_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)


class PersonRow(Base):
    """A person; `version` is raised by every change of it."""

    __tablename__ = "persons"
    __table_args__ = (UniqueConstraint("owner", "name_sha256"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    owner: Mapped[str] = mapped_column(ForeignKey("galleries.owner"))
    name: Mapped[str] = mapped_column(String(200))
    name_key: Mapped[str] = mapped_column(Text)
    name_sha256: Mapped[str] = mapped_column(String(64))  # of the key, which may be too long for an index
    version: Mapped[int] = mapped_column(Integer, default=1)
    is_demonstration: Mapped[bool] = mapped_column(default=False)
    enrolled_by: Mapped[str] = mapped_column(String(OWNER_LENGTH))
    enrolled_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_by: Mapped[str] = mapped_column(String(OWNER_LENGTH))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PhotoRow(Base):
    """A crop around one face, its five points as float32, and the hash by which the same one is known again."""

    __tablename__ = "photos"
    __table_args__ = (UniqueConstraint("owner", "sha256"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    owner: Mapped[str] = mapped_column(ForeignKey("galleries.owner"))
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"), index=True)
    sha256: Mapped[str] = mapped_column(String(64))
    jpeg: Mapped[bytes] = mapped_column(LargeBinary)
    points: Mapped[bytes] = mapped_column(LargeBinary)
    source: Mapped[str] = mapped_column(String(120))
    enrolled_by: Mapped[str] = mapped_column(String(OWNER_LENGTH))
    enrolled_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EncodingRow(Base):
    """What an encoder made of a photo; `change` is the gallery's count when it came."""

    __tablename__ = "encodings"
    __table_args__ = (
        UniqueConstraint("photo_id", "encoder"),
        Index("ix_encodings_of_encoder", "owner", "encoder", "change"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    owner: Mapped[str] = mapped_column(ForeignKey("galleries.owner"))
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"), index=True)
    photo_id: Mapped[int] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"))
    encoder: Mapped[str] = mapped_column(String(ENCODER_LENGTH))
    dimensions: Mapped[int] = mapped_column(Integer)
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    change: Mapped[int] = mapped_column(BigInteger)
