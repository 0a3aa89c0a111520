"""Galleries as files: there and back again, and every file that is none."""

from __future__ import annotations

import base64
import io
import json
import zipfile

import numpy as np
import pytest

from core.faces import gallery_exchange
from core.faces.gallery import Gallery
from core.faces.gallery_exchange import export_gallery, import_gallery
from core.faces.gallery_search import GallerySearch
from core.faces.gallery_store import GalleryStore
from core.faces.gallery_types import ConsentMissing, Imported, ImportRefused
from core.runtime.images import encode_jpeg, encode_png
from tests.core.faces.databases import cluster, database, store
from tests.core.faces.made_faces import ENCODER, encoding_of, made_face

__all__ = ["cluster", "database", "store"]


@pytest.fixture
def gallery(store: GalleryStore) -> Gallery:
    made = Gallery(store)
    made.give_consent("ada")
    return made


@pytest.fixture
def empty(store: GalleryStore) -> Gallery:
    made = Gallery(store, "user:bob@example.org")
    made.give_consent("bob")
    return made


def fill(gallery: Gallery) -> None:
    ada = gallery.enrol("Ada <b>King</b> 👩‍🚀", made_face(1, 0, ENCODER, "other"), by="ada")
    gallery.add_photo(ada, made_face(1, 1), by="bob")
    gallery.enrol("Grace", made_face(2), by="ada", is_demonstration=True)


def entry(**changes: object) -> dict[str, object]:
    """A photo as a JSON file tells it."""
    face = made_face(7)
    told: dict[str, object] = {
        "jpeg": base64.b64encode(face.jpeg).decode(),
        "points": face.points.tolist(),
        "encodings": {ENCODER: base64.b64encode(face.encodings[ENCODER].tobytes()).decode()},
    }
    return told | changes


def file_of(*photos: object, name: object = "Ada", **changes: object) -> bytes:
    content = {"format": "cnn-workbench-gallery", "version": 1, "persons": [{"name": name, "photos": list(photos)}]}
    return json.dumps(content | changes).encode()


def zip_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["zip", "json"])
def test_there_and_back_again(gallery, empty, kind):
    fill(gallery)
    data = export_gallery(gallery, kind)
    assert import_gallery(empty, data, by="bob") == Imported(2, 3, 0)
    for mine, theirs in zip(gallery.persons(), empty.persons(), strict=True):
        assert (mine.name, mine.photo_count, mine.encoders) == (theirs.name, theirs.photo_count, theirs.encoders)
        assert mine.is_demonstration == theirs.is_demonstration and mine.enrolled_at == theirs.enrolled_at
        assert theirs.enrolled_by == f"{mine.enrolled_by} (imported by bob)" and theirs.changed_by.startswith("ada")
        for one, other in zip(gallery.photos(mine.id), empty.photos(theirs.id), strict=True):
            assert (one.jpeg, one.source, one.enrolled_at) == (other.jpeg, other.source, other.enrolled_at)
            np.testing.assert_allclose(one.points, other.points, atol=1e-3)
    found = GallerySearch(empty, ENCODER).search(encoding_of(1, 1)[None])
    assert found[0][0].name.startswith("Ada") and found[0][0].distance == 0


@pytest.mark.parametrize("kind", ["zip", "json"])
def test_the_same_file_again_changes_nothing(gallery, kind):
    fill(gallery)
    before = gallery.persons()
    assert import_gallery(gallery, export_gallery(gallery, kind), by="ada") == Imported(0, 0, 3)
    assert gallery.persons() == before


def test_a_known_person_gets_the_new_photos(gallery, empty):
    fill(gallery)
    grace = empty.enrol("GRACE", made_face(2, 5), by="bob")
    assert import_gallery(empty, export_gallery(gallery), by="bob") == Imported(1, 3, 0)
    assert empty.person(grace).photo_count == 2 and empty.person(grace).version == 2
    assert empty.person(grace).name == "GRACE"


def test_an_empty_gallery_is_exported_too(gallery, empty):
    assert import_gallery(empty, export_gallery(gallery), by="bob") == Imported(0, 0, 0)


def test_consent_comes_first(gallery):
    fill(gallery)
    with pytest.raises(ConsentMissing):
        import_gallery(Gallery(gallery.store, "user:eve@example.org"), export_gallery(gallery), by="eve")


def test_a_photo_twice_in_the_file_comes_once(empty):
    assert import_gallery(empty, file_of(entry(), entry()), by="bob") == Imported(1, 1, 1)


JPEG = base64.b64encode(encode_jpeg(np.zeros((8, 8, 3), np.uint8))).decode()
PNG = base64.b64encode(encode_png(np.zeros((8, 8, 3), np.uint8))).decode()
INFINITE = base64.b64encode(np.full(128, np.inf, "<f4").tobytes()).decode()
SHORT = base64.b64encode(np.zeros(64, "<f4").tobytes()).decode()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The file is empty"),
        (b"  \n", "The file is empty"),
        (b"\xff\xd8\xff\xe0 a photograph", "neither a zip nor JSON"),
        (b"PK\x03\x04 but damaged", "the zip is damaged"),
        (zip_of({"other.txt": b"x"}), "the zip holds no gallery.json"),
        (zip_of({"gallery.json": b"{"}), "gallery.json in it holds no JSON"),
        (b"[1, 2]", '"format" is not "cnn-workbench-gallery"'),
        (b'{"format": "other"}', '"format" is not'),
        (b"[" * 100_000, "neither a zip nor JSON"),
        (file_of(version=2), "has version 2 of the format"),
        (file_of(persons=None), 'it: expected a list "persons"'),
        (file_of(persons=[7]), "person 1: expected an object, received int"),
        (file_of(persons=[{"name": 7}]), 'person 1: expected a text "name"'),
        (file_of(persons=[{"name": "Ada"}]), 'person 1, “Ada”: expected a list "photos"'),
        (file_of(entry(), name=""), "person 1: A person needs a name"),
        (file_of(entry(), name="A" * 10_000), "person 1: A name has at most 200 characters; this one has 10,000"),
        (file_of("x"), "photo 1 of person 1, “Ada”: expected an object, received str"),
        (file_of(entry(jpeg=None)), 'photo 1 of person 1, “Ada”: expected a text "jpeg"'),
        (file_of(entry(jpeg="%%%")), "the picture cannot be read"),
        (file_of(entry(jpeg=base64.b64encode(b"no picture").decode())), "the picture cannot be read"),
        (file_of(entry(jpeg=PNG)), "the picture is no JPEG but PNG"),
        (file_of(entry(points=[[1, 2]])), '"points" are not five pairs'),
        (file_of(entry(points="abc")), '"points" are not five pairs'),
        (file_of(entry(points=[["a", "b"]] * 5)), '"points" are not five pairs'),
        (file_of(entry(points=[[1, 1e60]] * 5)), '"points" are not five pairs'),
        (file_of(entry(encodings=[])), '"encodings": expected an object'),
        (file_of(entry(encodings={})), "without an encoding"),
        (file_of(entry(encodings={ENCODER: "%%%"})), "expected float32 numbers in base64"),
        (file_of(entry(encodings={ENCODER: 7})), "expected float32 numbers in base64"),
        (file_of(entry(encodings={ENCODER: INFINITE})), "some numbers are not finite"),
        (file_of(entry(encodings={"e" * 500: SHORT})), "An encoder's name has 1 to 100"),
        (file_of(entry(enrolled_at="yesterday")), '"enrolled_at" is no moment'),
        (file_of(entry(enrolled_at="0001-01-01T00:00:00+23:00")), '"enrolled_at" is no moment'),
        (file_of(entry(), entry(jpeg=JPEG, encodings={ENCODER: SHORT})), "have 128 numbers, this one has 64"),
        (zip_of({"gallery.json": file_of(entry(file="../../etc/passwd"))}), "the zip holds no ../../etc/passwd"),
    ],
)
def test_what_is_no_gallery_changes_nothing(tmp_path, data, sentence):
    store = GalleryStore(f"sqlite:///{tmp_path / 'gallery.sqlite3'}")
    gallery = Gallery(store)
    gallery.give_consent("ada")
    with pytest.raises(ImportRefused) as refused:
        import_gallery(gallery, data, by="ada")
    assert sentence in str(refused.value) and len(str(refused.value)) < 400
    assert gallery.persons() == () and gallery.changes() in (1, 1)
    store.close()


def test_a_zip_that_unpacks_to_more_than_it_says(gallery, monkeypatch):
    monkeypatch.setattr(gallery_exchange, "MAX_MANIFEST_BYTES", 1000)
    with pytest.raises(ImportRefused, match="has more than"):
        import_gallery(gallery, zip_of({"gallery.json": b" " * 100_000}), by="ada")
    monkeypatch.setattr(gallery_exchange, "MAX_FILE_BYTES", 2**20)
    with pytest.raises(ImportRefused, match="at most 1 are accepted"):
        import_gallery(gallery, bytes(2**20 + 1), by="ada")
    monkeypatch.setattr(gallery_exchange, "MAX_PHOTOS", 1)
    with pytest.raises(ImportRefused, match="more than 1 photos"):
        import_gallery(gallery, file_of(entry(), entry()), by="ada")


def test_an_encrypted_zip_is_refused(gallery):
    data = bytearray(zip_of({"gallery.json": file_of(entry())}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1  # the flag of an encrypted member
    with pytest.raises(ImportRefused, match="the zip is damaged"):
        import_gallery(gallery, bytes(data), by="ada")
