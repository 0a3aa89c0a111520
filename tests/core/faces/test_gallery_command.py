"""The gallery from the command line, with the networks' answers replaced by ones that are known."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.faces import gallery_command
from core.faces.gallery import Gallery
from core.faces.gallery_store import GalleryStore
from core.faces.types import EncodedFace, Face
from core.runtime.images import encode_jpeg
from tests.core.faces.made_faces import encoding_of

PROJECT = Path(__file__).parents[3]


def picture(person: int, photo: int = 0, faces: int = 1) -> bytes:
    """A grey picture whose shade says who is on it: what `known_faces` reads again."""
    pixels = np.full((120, 120, 3), 8 * person + photo, np.uint8)
    pixels[:8, :8] = 8 * faces
    return encode_jpeg(pixels, 100)


def known_faces(path: Path, encoder: str) -> tuple[np.ndarray, tuple[EncodedFace, ...]]:
    from core.runtime.images import decode_image

    pixels = decode_image(path.read_bytes()).pixels
    person, photo = divmod(int(pixels[60, 60, 0]), 8)
    box, points = np.array([20, 20, 90, 100], np.float32), np.array([[40, 50], [70, 50], [55, 65], [42, 80], [68, 80]])
    found = Face(box, points.astype(np.float32), 0.99)
    count = round(int(pixels[2, 2, 0]) / 8)
    encoded = EncodedFace(found, np.zeros((150, 150, 3), np.uint8), encoding_of(person, photo), encoder)
    return pixels, (encoded,) * count


@pytest.fixture
def gallery(tmp_path, monkeypatch):
    store = GalleryStore(f"sqlite:///{tmp_path / 'gallery.sqlite3'}")
    monkeypatch.setattr(gallery_command, "open_store", lambda: store)
    monkeypatch.setattr(gallery_command, "_faces", known_faces)
    yield Gallery(store)
    store.close()


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    (folder / "Grace").mkdir(parents=True)
    (folder / "Ada.jpg").write_bytes(picture(1))
    (folder / "Grace" / "one.jpg").write_bytes(picture(2))
    (folder / "Grace" / "two.jpg").write_bytes(picture(2, 1))
    (folder / "crowd.jpg").write_bytes(picture(3, 0, faces=3))
    (folder / "nobody.jpg").write_bytes(picture(4, 0, faces=0))
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


def run(*arguments: object) -> int:
    return gallery_command.main([str(argument) for argument in arguments])


def test_consent_comes_first(gallery, photos, capsys):
    assert run("enrol", photos / "Ada.jpg") == 2
    assert "say with --consent that the persons agreed" in capsys.readouterr().err
    assert run("enrol", photos / "Ada.jpg", "--consent") == 0 and gallery.consent() is not None
    assert run("enrol", photos / "Grace" / "one.jpg") == 0  # asked for once
    assert [person.name for person in gallery.persons()] == ["Ada", "one"]


def test_a_folder_is_enrolled_by_the_names_in_it(gallery, photos, capsys):
    assert run("enrol", photos, "--consent") == 1  # some photos were passed over
    said = capsys.readouterr().err
    assert "crowd.jpg: 3 faces found; a photo to enrol shows one." in said
    assert "nobody.jpg: no face found" in said and "broken.jpg:" in said
    assert [(person.name, person.photo_count) for person in gallery.persons()] == [("Ada", 1), ("Grace", 2)]
    assert run("enrol", photos / "Ada.jpg") == 0
    assert "is enrolled as “Ada” already" in capsys.readouterr().err and gallery.persons()[0].photo_count == 1


def test_search_says_who_it_is(gallery, photos, tmp_path, capsys):
    run("enrol", photos / "Ada.jpg", photos / "Grace" / "one.jpg", "--consent")
    capsys.readouterr()
    asked = tmp_path / "asked.jpg"
    asked.write_bytes(picture(1, 2))
    stranger = tmp_path / "stranger.jpg"
    stranger.write_bytes(picture(9))
    assert run("search", asked, stranger, photos / "nobody.jpg", "--json", tmp_path / "out.json") == 0
    said = capsys.readouterr()
    assert "asked.jpg, face 1: Ada (nearest: Ada 0." in said.out
    assert "stranger.jpg, face 1: not recognized (nearest: " in said.out and "nobody.jpg: no face found" in said.err
    rows = json.loads((tmp_path / "out.json").read_text())
    assert [row["name"] for row in rows] == ["Ada", None] and len(rows[0]["nearest"]) == 2
    assert run("search", asked, "--tau", "0.01") == 0
    assert "not recognized" in capsys.readouterr().out


def test_list_rename_delete_and_vacuum(gallery, photos, capsys):
    run("enrol", photos / "Ada.jpg", "--consent", "--name", "Ada <King>")
    (person,) = gallery.persons()
    capsys.readouterr()
    assert run("list") == 0
    listed = capsys.readouterr().out
    assert f"{person.id}  Ada <King>  (1 photo, by {person.enrolled_by}, " in listed
    assert run("rename", person.id, "Augusta") == 0 and gallery.person(person.id).name == "Augusta"
    assert run("list", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "Augusta"
    assert run("delete", person.id) == 0 and gallery.count() == 0
    assert run("delete", person.id) == 2
    assert "not in the gallery any more" in capsys.readouterr().err
    assert run("vacuum") == 0 and "bytes became" in capsys.readouterr().out


def test_export_and_import(gallery, photos, tmp_path, capsys):
    run("enrol", photos / "Ada.jpg", "--consent")
    for name in ("out.zip", "out.json"):
        assert run("export", tmp_path / name) == 0
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
        run("delete", gallery.persons()[0].id)
        assert run("import", tmp_path / name) == 0
        assert "1 new persons, 1 new photos, 0 known ones" in capsys.readouterr().out
    assert run("import", photos / "Ada.jpg") == 2
    assert "This file is no exported gallery" in capsys.readouterr().err
    assert run("import", tmp_path / "nothing") == 2


def test_another_owner(gallery, photos, capsys):
    run("--owner", "user:bob@example.org", "enrol", photos / "Ada.jpg", "--consent")
    assert gallery.count() == 0 and Gallery(gallery.store, "user:bob@example.org").count() == 1


def test_it_starts_as_a_program(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "core.faces.gallery", "list", "--json"],
        cwd=PROJECT,
        env={"CNN_WORKBENCH_HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [] and (tmp_path / "faces" / "gallery.sqlite3").is_file()
