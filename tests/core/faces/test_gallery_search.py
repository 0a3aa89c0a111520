"""Recognition in a gallery: the nearest persons, encoders kept apart, and an index that follows the database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from core.faces import gallery_search
from core.faces.gallery import Gallery
from core.faces.gallery_search import GallerySearch, search_of
from core.faces.gallery_store import GalleryStore
from core.faces.gallery_types import GalleryError, NewFace
from tests.core.faces.databases import cluster, database, store
from tests.core.faces.made_faces import ENCODER, encoding_of, jpeg_of, made_face

__all__ = ["cluster", "database", "store"]

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def gallery(store: GalleryStore) -> Gallery:
    made = Gallery(store)
    made.give_consent("ada")
    return made


def names(search: GallerySearch, *encodings: np.ndarray, persons: int = 5) -> list[list[str]]:
    return [[match.name for match in matches] for matches in search.search(np.stack(encodings), persons)]


def test_an_empty_gallery_knows_nobody(gallery):
    search = GallerySearch(gallery, ENCODER)
    assert search.search(np.stack([encoding_of(1), encoding_of(2)])) == ((), ()) and len(search) == 0
    assert search.search(np.zeros((0, 128), np.float32)) == ()


def test_one_photo_is_enough(gallery):
    for number in range(30):
        gallery.enrol(f"Person {number}", made_face(number), by="ada")
    search = GallerySearch(gallery, ENCODER)
    other_photos = [encoding_of(number, 1) for number in range(30)]  # thirty faces at once
    found = search.search(np.stack(other_photos), 3)
    assert [matches[0].name for matches in found] == [f"Person {number}" for number in range(30)]
    for number, matches in enumerate(found):
        assert [match.distance for match in matches] == sorted(match.distance for match in matches)
        expected = np.linalg.norm(other_photos[number].astype(float) - encoding_of(number).astype(float))
        assert matches[0].distance == pytest.approx(expected, rel=1e-6)
        assert matches[0].distance < 0.3 < matches[1].distance
    assert search.encoding_of(found[0][0].photo_id).tolist() == encoding_of(0).tolist()
    assert search.encoding_of(10**6) is None


def test_a_person_of_many_photos_is_named_once(gallery):
    many = gallery.enrol("Many", made_face(1), by="ada")
    for photo in range(1, 40):
        gallery.add_photo(many, made_face(1, photo), by="ada")
    gallery.enrol("Other", made_face(2), by="ada")
    search = GallerySearch(gallery, ENCODER)
    assert names(search, encoding_of(1), persons=2) == [["Many", "Other"]]
    (nearest,) = search.search(encoding_of(1, 17)[None], 1)[0]
    assert nearest.distance == 0 and nearest.photo_id == gallery.photos(many)[17].id


def test_encoders_are_never_mixed(gallery):
    gallery.enrol("Ada", made_face(1, 0, ENCODER), by="ada")
    gallery.enrol("Bob", made_face(2, 0, "other"), by="ada")
    assert names(GallerySearch(gallery, ENCODER), encoding_of(2)) == [["Ada"]]
    assert names(GallerySearch(gallery, "other"), encoding_of(1)) == [["Bob"]]
    assert names(GallerySearch(gallery, "third"), encoding_of(1)) == [[]]
    with pytest.raises(GalleryError, match="have 128 numbers, the one to look for has 64"):
        GallerySearch(gallery, ENCODER).search(np.zeros((1, 64), np.float32))
    with pytest.raises(ValueError, match=r"shape \(Q, D\)"):
        GallerySearch(gallery, ENCODER).search(np.zeros(128, np.float32))


def test_owners_are_never_mixed(gallery):
    other = Gallery(gallery.store, "user:bob@example.org")
    other.give_consent("bob")
    other.enrol("Bob", made_face(1), by="bob")
    gallery.enrol("Ada", made_face(2), by="ada")
    assert names(GallerySearch(gallery, ENCODER), encoding_of(1)) == [["Ada"]]
    assert names(GallerySearch(other, ENCODER), encoding_of(2)) == [["Bob"]]


def test_follows_every_change(gallery):
    search = GallerySearch(gallery, ENCODER)
    ada = gallery.enrol("Ada", made_face(1), by="ada")
    assert names(search, encoding_of(1)) == [["Ada"]] and not search.refresh()
    bob = gallery.enrol("Bob", made_face(2), by="ada")
    assert names(search, encoding_of(2)) == [["Bob", "Ada"]]
    gallery.rename(bob, "Robert", version=1, by="ada")
    assert names(search, encoding_of(2)) == [["Robert", "Ada"]]
    second = gallery.add_photo(ada, made_face(1, 1), by="ada")
    assert search.search(encoding_of(1, 1)[None])[0][0].distance == 0
    gallery.delete_photo(second, version=2, by="ada")
    assert search.search(encoding_of(1, 1)[None])[0][0].distance > 0.1
    gallery.delete(ada, version=3)
    assert names(search, encoding_of(1)) == [["Robert"]] and len(search) == 1
    # The numbers of who was deleted are gone from memory too.
    assert not (search.index._encodings == encoding_of(1)).all(axis=1).any()
    gallery.withdraw_consent()
    assert names(search, encoding_of(2)) == [[]]


def test_is_rebuilt_from_the_database(gallery):
    for number in range(5):
        gallery.enrol(f"Person {number}", made_face(number), by="ada")
    before = GallerySearch(gallery, ENCODER).search(encoding_of(3, 1)[None])
    assert GallerySearch(gallery, ENCODER).search(encoding_of(3, 1)[None]) == before


def test_a_database_that_was_put_back_is_read_anew(gallery):
    gallery.enrol("Ada", made_face(1), by="ada")
    search = GallerySearch(gallery, ENCODER)
    search.search(encoding_of(1)[None])
    search._seen += 100  # as after a change that the older copy does not know
    assert names(search, encoding_of(1)) == [["Ada"]]


def test_those_used_last_are_kept(gallery, monkeypatch):
    monkeypatch.setattr(gallery_search, "INDEXES_KEPT", 2)
    monkeypatch.setattr(gallery_search, "_kept", gallery_search.OrderedDict())
    first = search_of(gallery, "a")
    assert search_of(gallery, "a") is first
    search_of(gallery, "b")
    search_of(gallery, "c")
    assert search_of(gallery, "a") is not first


OTHER_APP = textwrap.dedent(
    """
    import json, sys
    import numpy as np
    from core.faces.gallery import Gallery
    from core.faces.gallery_search import GallerySearch
    from core.faces.gallery_store import GalleryStore
    from core.faces.gallery_types import GalleryError
    from tests.core.faces.made_faces import ENCODER, encoding_of, made_face

    gallery = Gallery(GalleryStore(sys.argv[1]))
    search = GallerySearch(gallery, ENCODER)
    for line in sys.stdin:
        action, number = line.split()
        number = int(number)
        try:
            if action == "enrol":
                answer = gallery.enrol(f"Person {number}", made_face(number), by="the other app")
            elif action == "delete":
                answer = gallery.delete(number, version=gallery.person(number).version)
            elif action == "rename":
                answer = gallery.rename(number, "From the other app", version=1, by="the other app")
            else:
                answer = [match.name for match in search.search(encoding_of(number)[None])[0]]
        except GalleryError as error:
            answer = str(error)
        print(json.dumps(answer), flush=True)
    """
)


def test_two_apps_on_one_database_see_each_others_changes(gallery, database):
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER_APP, database],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )

    def ask(question: str):
        assert other.stdin is not None and other.stdout is not None
        other.stdin.write(question + "\n")
        other.stdin.flush()
        return json.loads(other.stdout.readline())

    try:
        search = GallerySearch(gallery, ENCODER)
        assert ask("search 1") == [] and names(search, encoding_of(1)) == [[]]
        mine = gallery.enrol("Person 1", made_face(1), by="this app")
        assert ask("search 1") == ["Person 1"]
        theirs = ask("enrol 2")
        assert names(search, encoding_of(2)) == [["Person 2", "Person 1"]]
        assert gallery.person(theirs).enrolled_by == "the other app"
        gallery.rename(theirs, "Renamed here", version=1, by="this app")
        assert "“Renamed here” was changed by this app" in ask(f"rename {theirs}")
        assert ask("search 2") == ["Renamed here", "Person 1"]
        ask(f"delete {mine}")
        assert names(search, encoding_of(1)) == [["Renamed here"]]
    finally:
        other.stdin.close()
        assert other.wait(timeout=60) == 0
        other.stdout.close()


def test_a_hostile_name_is_only_a_name(gallery):
    name = "<img src=x onerror=alert(1)> 'quoted' \"twice\" 👩‍🚀"
    gallery.enrol(name, NewFace(jpeg_of(1), made_face(1).points, {ENCODER: encoding_of(1)}), by="ada")
    assert names(GallerySearch(gallery, ENCODER), encoding_of(1)) == [[name]]
