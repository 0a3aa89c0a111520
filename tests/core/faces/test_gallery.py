"""The gallery on SQLite and on PostgreSQL: consent, enrolment, names, versions, deletion, owners."""

from __future__ import annotations

import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
import pytest
from sqlalchemy import text

from core.faces.gallery import Gallery, local_person
from core.faces.gallery_names import checked_name, checked_source, name_key, shown
from core.faces.gallery_store import GalleryStore, database_url, open_store
from core.faces.gallery_types import (
    AlreadyEnrolled,
    Changed,
    ConsentMissing,
    GalleryError,
    GalleryUnavailable,
    NameRefused,
    NewFace,
    NotThere,
)
from core.runtime.settings import load_settings
from tests.core.faces.databases import Cluster, cluster, database, store
from tests.core.faces.made_faces import ENCODER, encoding_of, jpeg_of, made_face

__all__ = ["cluster", "database", "store"]


@pytest.fixture
def gallery(store: GalleryStore) -> Gallery:
    made = Gallery(store)
    made.give_consent("ada@desk")
    return made


class TestConsent:
    def test_nothing_is_stored_before(self, store):
        empty = Gallery(store)
        with pytest.raises(ConsentMissing, match="Nobody has agreed yet"):
            empty.enrol("Ada", made_face(1), by="ada@desk")
        assert empty.consent() is None and empty.persons() == () and empty.changes() == 0

    def test_is_remembered_with_who_and_when(self, gallery):
        given = gallery.consent()
        assert given.given_by == "ada@desk"
        assert abs(given.given_at - datetime.now(UTC)) < timedelta(minutes=5)

    def test_of_one_owner_is_nobody_elses(self, gallery):
        with pytest.raises(ConsentMissing):
            Gallery(gallery.store, "user:bob@example.org").enrol("Bob", made_face(2), by="bob")

    def test_withdrawn_takes_everybody_along(self, gallery):
        gallery.enrol("Ada", made_face(1), by="ada")
        gallery.withdraw_consent()
        assert gallery.consent() is None and gallery.persons() == ()
        with gallery.store.read() as session:
            for table in ("persons", "photos", "encodings"):
                assert session.scalar(text(f"SELECT count(*) FROM {table}")) == 0  # noqa: S608


class TestEnrolment:
    def test_one_photo_makes_a_person(self, gallery):
        person_id = gallery.enrol(" Ada   King ", made_face(1), by="ada@desk")
        person = gallery.person(person_id)
        assert (person.name, person.version, person.photo_count) == ("Ada King", 1, 1)
        assert person.encoders == (ENCODER,) and not person.is_demonstration
        assert person.enrolled_by == "ada@desk" and person.enrolled_at.tzinfo is not None
        (photo,) = gallery.photos(person_id)
        assert photo.jpeg == jpeg_of(1) and photo.source == "made.jpg" and photo.enrolled_by == "ada@desk"
        np.testing.assert_array_equal(photo.points, made_face(1).points)
        assert gallery.photo(photo.id).encoders == (ENCODER,)

    def test_more_photos_are_added(self, gallery):
        person_id = gallery.enrol("Ada", made_face(1), by="ada")
        gallery.add_photo(person_id, made_face(1, 1), by="bob")
        person = gallery.person(person_id)
        assert (person.photo_count, person.version, person.changed_by) == (2, 2, "bob")
        assert [photo.enrolled_by for photo in gallery.photos(person_id)] == ["ada", "bob"]

    def test_the_same_photo_twice_is_told(self, gallery):
        person_id = gallery.enrol("Ada", made_face(1), by="ada")
        with pytest.raises(AlreadyEnrolled, match="This very photo is enrolled as “Ada” already"):
            gallery.add_photo(person_id, made_face(1), by="ada")
        with pytest.raises(AlreadyEnrolled, match="as “Ada” already"):
            gallery.enrol("Somebody else", made_face(1), by="ada")
        assert [person.name for person in gallery.persons()] == ["Ada"]  # nothing half done
        assert gallery.person(person_id).version == 1

    @pytest.mark.parametrize(
        ("face", "sentence"),
        [
            (NewFace(b"no jpeg", np.zeros((5, 2), np.float32), {ENCODER: encoding_of(1)}), "kept as JPEG"),
            (NewFace(jpeg_of(1), np.zeros((4, 2), np.float32), {ENCODER: encoding_of(1)}), "five finite points"),
            (NewFace(jpeg_of(1), np.full((5, 2), np.nan, np.float32), {ENCODER: encoding_of(1)}), "five finite points"),
            (NewFace(jpeg_of(1), np.zeros((5, 2), np.float32), {}), "without an encoding"),
            (NewFace(jpeg_of(1), np.zeros((5, 2), np.float32), {ENCODER: np.full(128, np.inf)}), "finite numbers"),
            (NewFace(jpeg_of(1), np.zeros((5, 2), np.float32), {ENCODER: np.zeros((2, 64))}), "finite numbers"),
            (NewFace(jpeg_of(1), np.zeros((5, 2), np.float32), {"": encoding_of(1)}), "An encoder's name"),
        ],
    )
    def test_what_is_no_face_leaves_nothing(self, gallery, face, sentence):
        before = gallery.persons()
        with pytest.raises(GalleryError, match=sentence):
            gallery.enrol("Ada", face, by="ada")
        assert gallery.persons() == before

    def test_encodings_of_another_length_are_refused(self, gallery):
        gallery.enrol("Ada", made_face(1), by="ada")
        short = NewFace(jpeg_of(2), made_face(2).points, {ENCODER: np.zeros(64, np.float32)})
        with pytest.raises(GalleryError, match="have 128 numbers, this one has 64"):
            gallery.enrol("Bob", short, by="ada")

    def test_another_encoder_is_added_later(self, gallery):
        first = gallery.enrol("Ada", made_face(1), by="ada")
        gallery.enrol("Bob", made_face(2, 0, ENCODER, "other"), by="ada")
        (photo,) = gallery.photos(first)
        assert gallery.without_encoding("other") == (photo.id,)
        assert gallery.add_encodings("other", {photo.id: encoding_of(1), 9999: encoding_of(3)}) == 1
        assert gallery.add_encodings("other", {photo.id: encoding_of(1)}) == 0
        assert gallery.person(first).encoders == (ENCODER, "other")
        assert gallery.count() == gallery.count("other") == 2 and gallery.count("third") == 0


class TestNames:
    ODD = (
        'Robert"); DROP TABLE persons;--',
        "O'Neil “the” <b>bold</b> & co",
        "<script>alert(1)</script>",
        "Zoë 👩‍🚀 李小龙 محمد",
        "$x^2$ **not bold** [link](https://example.org) :red[colour]",
        "%_\\",
    )

    @pytest.mark.parametrize("name", ODD)
    def test_are_kept_letter_for_letter(self, gallery, name):
        person_id = gallery.enrol(name, made_face(1), by=name)
        assert gallery.person(person_id).name == name and gallery.person(person_id).enrolled_by == name
        assert gallery.named(name).id == person_id
        assert [person.id for person in gallery.persons(containing=name)] == [person_id]

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("", "needs a name"),
            (" \t\n ", "needs a name"),
            ("\u200b", "needs a name"),
            ("A" * 201, "at most 200 characters; this one has 201"),
            ("A" * 10_000, "at most 200 characters; this one has 10,000"),
            ("Ada\x00", "no control characters"),
            ("Ada\u202egnik", "no control characters"),
            ("Ada\ud800", "half of a character"),
        ],
    )
    def test_that_cannot_be_one_are_refused(self, gallery, name, sentence):
        with pytest.raises(NameRefused, match=sentence):
            gallery.enrol(name, made_face(1), by="ada")

    @pytest.mark.parametrize("same", ["Zoë King", "ZOË  KING", "Zoe\u0308 King", "Ｚoë King"])
    def test_are_the_same_however_they_are_spelled(self, gallery, same):
        gallery.enrol("Zoë King", made_face(1), by="ada")
        with pytest.raises(NameRefused, match="“Zoë King” is enrolled already"):
            gallery.enrol(same, made_face(2), by="ada")

    def test_wildcards_of_the_database_mean_nothing(self, gallery):
        gallery.enrol("Ada", made_face(1), by="ada")
        assert gallery.persons(containing="%") == () and gallery.persons(containing="_") == ()
        assert [person.name for person in gallery.persons(containing="DA")] == ["Ada"]

    def test_longest_names_fit(self, gallery):
        longest = "ﷺ" * 200  # each of these letters unfolds into eighteen
        assert gallery.person(gallery.enrol(longest, made_face(1), by="ada")).name == longest

    def test_sources_are_one_short_line(self):
        assert checked_source("a\nb\x00c\ud800" + "d" * 500).startswith("a b c d")
        assert len(checked_source("d" * 5000)) == 120

    def test_in_sentences(self):
        assert shown("A" * 200).endswith("…”") and len(shown("A" * 200)) < 70
        assert name_key("ẞ") == name_key("ss") and checked_name("e\u0301") == "é"


class TestChanging:
    def test_rename_keeps_all_else(self, gallery):
        person_id = gallery.enrol("Ada", made_face(1), by="ada")
        gallery.rename(person_id, "Ada King", version=1, by="bob")
        person = gallery.person(person_id)
        assert (person.name, person.version, person.changed_by, person.enrolled_by) == ("Ada King", 2, "bob", "ada")
        gallery.rename(person_id, "ADA KING", version=2, by="bob")  # its own name in other letters
        assert gallery.person(person_id).name == "ADA KING"

    def test_rename_to_a_name_that_is_taken(self, gallery):
        gallery.enrol("Ada", made_face(1), by="ada")
        bob = gallery.enrol("Bob", made_face(2), by="ada")
        with pytest.raises(NameRefused, match="Another person is called “Ada” already"):
            gallery.rename(bob, "ada", version=1, by="bob")

    def test_the_second_of_two_editors_is_told(self, gallery):
        person_id = gallery.enrol("Ada", made_face(1), by="ada")
        gallery.rename(person_id, "Ada King", version=1, by="bob@desk")
        for change in (
            lambda: gallery.rename(person_id, "Ada Lovelace", version=1, by="eve"),
            lambda: gallery.delete(person_id, version=1),
            lambda: gallery.delete_photo(gallery.photos(person_id)[0].id, version=1, by="eve"),
        ):
            with pytest.raises(Changed, match=r"“Ada King” was changed by bob@desk at .* Nothing of yours was saved"):
                change()
        assert gallery.person(person_id).name == "Ada King"

    def test_of_many_editors_at_once_one_wins(self, gallery):
        person_id = gallery.enrol("Ada", made_face(1), by="ada")
        start = threading.Barrier(8)

        def rename(number: int) -> str:
            start.wait()
            try:
                gallery.rename(person_id, f"Ada {number}", version=1, by=str(number))
            except Changed:
                return ""
            return f"Ada {number}"

        with ThreadPoolExecutor(8) as threads:
            saved = [name for name in threads.map(rename, range(8)) if name]
        assert len(saved) == 1 and gallery.person(person_id).name == saved[0]
        assert gallery.person(person_id).version == 2

    def test_photos_added_at_once_are_all_there(self, gallery):
        person_id = gallery.enrol("Ada", made_face(1), by="ada")
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda n: gallery.add_photo(person_id, made_face(1, n), by=str(n)), range(1, 17)))
        assert gallery.person(person_id).photo_count == 17 and gallery.person(person_id).version == 17
        assert gallery.changes() == 1 + 1 + 16  # consent, enrolment, photos

    def test_the_same_name_enrolled_at_once_exists_once(self, gallery):
        def enrol(number: int) -> bool:
            try:
                gallery.enrol("Ada", made_face(number), by="ada")
            except NameRefused:
                return False
            return True

        with ThreadPoolExecutor(6) as threads:
            assert sum(threads.map(enrol, range(6))) == 1
        assert gallery.count() == 1

    def test_who_is_gone_stays_gone(self, gallery):
        person_id = gallery.enrol("Ada", made_face(1), by="ada")
        gallery.delete(person_id, version=1)
        for change in (
            lambda: gallery.person(person_id),
            lambda: gallery.rename(person_id, "Bob", version=1, by="ada"),
            lambda: gallery.delete(person_id, version=1),
            lambda: gallery.add_photo(person_id, made_face(2), by="ada"),
        ):
            with pytest.raises(NotThere, match="not in the gallery any more"):
                change()
        # The id is not given to somebody else, whom an old session would then mean.
        assert gallery.enrol("Bob", made_face(2), by="ada") > person_id

    def test_one_of_several_photos_can_go_but_not_the_last(self, gallery):
        person_id = gallery.enrol("Ada", made_face(1), by="ada")
        second = gallery.add_photo(person_id, made_face(1, 1), by="ada")
        gallery.delete_photo(second, version=2, by="ada")
        (left,) = gallery.photos(person_id)
        with pytest.raises(GalleryError, match="the last photo of “Ada”; delete the person"):
            gallery.delete_photo(left.id, version=3, by="ada")
        with pytest.raises(NotThere):
            gallery.delete_photo(second, version=3, by="ada")
        with pytest.raises(NotThere):
            gallery.photo(second)


class TestOwners:
    def test_see_nothing_of_each_other(self, store):
        ada, bob = Gallery(store, "user:ada@example.org"), Gallery(store, "user:bob@example.org")
        for gallery in (ada, bob):
            gallery.give_consent(gallery.owner)
        his = bob.enrol("Somebody", made_face(1), by="bob")
        mine = ada.enrol("Somebody", made_face(1), by="ada")  # the same name and photo in a gallery of its own
        assert [person.id for person in ada.persons()] == [mine]
        for change in (
            lambda: ada.person(his),
            lambda: ada.rename(his, "Mine", version=1, by="ada"),
            lambda: ada.delete(his, version=1),
            lambda: ada.add_photo(his, made_face(2), by="ada"),
            lambda: ada.photo(bob.photos(his)[0].id),
            lambda: ada.delete_photo(bob.photos(his)[0].id, version=1, by="ada"),
        ):
            with pytest.raises(NotThere):
                change()
        assert (
            ada.photos(his) == () and ada.names([his]) == {} and ada.add_encodings("other", {his: encoding_of(1)}) == 0
        )
        ada.withdraw_consent()
        assert [person.id for person in bob.persons()] == [his]


def bytes_on_disk(store: GalleryStore, running: Cluster | None) -> bytes:
    """Everything that the database keeps in files, except for PostgreSQL's own log of changes."""
    if store.file is not None:
        return b"".join(path.read_bytes() for path in store.file.parent.glob(store.file.name + "*"))
    assert running is not None
    with psycopg.connect(running.url("postgres"), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    base = running.folder / "data" / "base"
    return b"".join(path.read_bytes() for path in base.rglob("*") if path.is_file())


def test_deleted_means_gone_from_the_disk(request, store, tmp_path):
    running = None if store.is_sqlite else request.getfixturevalue("cluster")
    gallery = Gallery(store)
    gallery.give_consent("ada")
    for number in range(40):
        gallery.enrol(f"Somebody else {number}", made_face(100 + number), by="ada")
    marked = NewFace(
        b"\xff\xd8" + b"JPEG-OF-ADA" * 400, made_face(1).points, {ENCODER: encoding_of(1)}, "photo-of-ada.jpg"
    )
    person_id = gallery.enrol("Augusta Ada King", marked, by="ada")
    traces = (b"JPEG-OF-ADA", b"Augusta Ada King", b"augusta ada king", b"photo-of-ada", encoding_of(1).tobytes())
    there = bytes_on_disk(store, running)
    assert all(trace in there for trace in traces[1:])  # PostgreSQL compresses the first
    assert gallery.delete(person_id, version=1)
    there = bytes_on_disk(store, running)
    assert not [trace for trace in traces if trace in there]
    assert encoding_of(100).tobytes() in there and gallery.count() == 40


def test_deleted_is_overwritten_even_where_the_file_is_too_large_to_be_written_anew(tmp_path):
    store = GalleryStore(f"sqlite:///{tmp_path / 'gallery.sqlite3'}")
    gallery = Gallery(store)
    gallery.give_consent("ada")
    gallery.enrol("Bob", made_face(2), by="ada")
    person_id = gallery.enrol("Augusta Ada King", made_face(1), by="ada")
    with store.write() as session:
        session.execute(text("DELETE FROM persons WHERE id = :id"), {"id": person_id})
    assert not store.overwrite_deleted(at_most_bytes=1)
    there = bytes_on_disk(store, None)
    assert b"Augusta Ada King" not in there and encoding_of(1).tobytes() not in there
    store.close()


def test_a_reader_does_not_hold_up_a_deletion(store):
    gallery = Gallery(store)
    gallery.give_consent("ada")
    person_id = gallery.enrol("Ada", made_face(1), by="ada")
    with store.read() as session:
        session.execute(text("SELECT count(*) FROM persons")).all()
        gallery.delete(person_id, version=1)
        assert gallery.count() == 0
    assert gallery.overwrite()


class TestStore:
    def test_is_private_and_survives_a_restart(self, tmp_path):
        file = tmp_path / "new" / "faces" / "gallery.sqlite3"
        first = GalleryStore(f"sqlite:///{file}")
        Gallery(first).give_consent("ada")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        first.close()
        assert Gallery(GalleryStore(f"sqlite:///{file}")).consent().given_by == "ada"

    def test_lies_in_the_data_folder_unless_told(self, tmp_path):
        settings = load_settings({"CNN_WORKBENCH_HOME": str(tmp_path / "a ?#% home")})
        store = open_store(settings)
        assert store is open_store(settings)
        assert store.file == tmp_path / "a ?#% home" / "faces" / "gallery.sqlite3" and store.file.is_file()
        assert store.place() == f"the file {store.file}" and store.size_bytes() > 0
        elsewhere = load_settings({"CNN_WORKBENCH_DATABASE_URL": "postgresql://ada:secret@db.example:5433/faces"})
        assert database_url(elsewhere) == "postgresql://ada:secret@db.example:5433/faces"

    @pytest.mark.parametrize(
        ("url", "sentence"),
        [
            (
                "postgresql://ada:secret@127.0.0.1:1/faces",
                "database faces on 127.0.0.1:1 cannot be used",
            ),
            ("mysql://ada:secret@host/faces", "received one of mysql"),
            ("nonsense", "expected an address such as"),
            ("sqlite://", "needs a file"),
            ("sqlite:////proc/nowhere/gallery.sqlite3", "cannot be opened"),
        ],
    )
    def test_that_cannot_be_used_says_so_without_the_password(self, url, sentence):
        with pytest.raises(GalleryUnavailable, match=sentence) as refused:
            GalleryStore(url)
        assert "secret" not in str(refused.value)

    def test_a_file_that_is_no_database(self, tmp_path):
        file = tmp_path / "gallery.sqlite3"
        file.write_bytes(b"no database, but long enough to look like something " * 100)
        with pytest.raises(GalleryUnavailable, match="file is not a database"):
            GalleryStore(f"sqlite:///{file}")

    def test_of_a_newer_version_is_left_alone(self, database):
        first = GalleryStore(database)
        with first.write() as session:
            session.execute(text("UPDATE gallery_schema SET version = 2"))
        first.close()
        with pytest.raises(GalleryUnavailable, match="has layout 2; this version"):
            GalleryStore(database)

    def test_is_laid_out_once_by_apps_that_start_together(self, database):
        with ThreadPoolExecutor(4) as threads:
            stores = list(threads.map(lambda _: GalleryStore(database), range(4)))
        Gallery(stores[0]).give_consent("ada")
        assert Gallery(stores[3]).consent().given_by == "ada"
        for opened in stores:
            opened.close()

    def test_names_its_place(self, store):
        assert str(store.file or "PostgreSQL database postgres") in store.place()


def test_who_sits_here_has_a_name():
    account, at, machine = local_person().partition("@")
    assert account and at and machine


def test_the_data_folder_is_all_that_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = GalleryStore(f"sqlite:///{tmp_path / 'home' / 'gallery.sqlite3'}")
    Gallery(store).give_consent("ada")
    store.close()
    assert {path.name for path in Path(tmp_path).iterdir()} == {"home"}
