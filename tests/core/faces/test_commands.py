"""The command line: encodings of a folder, two photographs compared, an encoder measured on a made archive."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.faces import batch, compare, encode, measure
from core.faces.archive import FILE_NAME, POINTS, SIDE_PX, ArchiveError, load_archive
from core.faces.batch import encode_pictures, main_face
from core.faces.types import Face, FaceError
from core.runtime.images import encode_jpeg, encode_png
from core.runtime.samples import load_sample


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    astronaut = load_sample("astronaut")
    (folder / "a.jpg").write_bytes(encode_jpeg(astronaut))
    (folder / "more" / "b.png").write_bytes(encode_png(np.ascontiguousarray(astronaut[:, ::-1])))
    (folder / "cat.jpg").write_bytes(encode_jpeg(load_sample("chelsea")))
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("not looked at")
    (folder / "plain.png").write_bytes(encode_png(np.full((80, 80, 3), 120, np.uint8)))
    return folder


def test_encode_writes_one_row_a_picture(photos, tmp_path, capsys):
    out = tmp_path / "new" / "out.npz"
    assert encode.main(["--images", str(photos), "--encoder", "dlib", "--out", str(out)]) == 0
    stored = np.load(out, allow_pickle=False)
    assert stored["files"].tolist() == ["a.jpg", "broken.jpg", "cat.jpg", "more/b.png", "plain.png"]
    assert stored["found"].tolist() == [True, False, False, True, False]
    encodings = stored["encodings"]
    assert encodings.shape == (5, 128) and encodings.dtype == np.float32
    # What is no picture, and a large one without a face, has no encoding; a small square one is taken as it is.
    assert np.isnan(encodings[[1, 2]]).all() and np.isfinite(encodings[[0, 3, 4]]).all()
    assert np.linalg.norm(encodings[0] - encodings[3]) < 0.3
    assert "broken.jpg" in capsys.readouterr().err


def test_encode_takes_files_and_keeps_their_order(photos, tmp_path):
    files = [str(photos / "more" / "b.png"), str(photos / "a.jpg")]
    assert encode.main(["--images", *files, "--encoder", "dlib", "--out", str(tmp_path / "o.npz")]) == 0
    assert np.load(tmp_path / "o.npz")["files"].tolist() == files


@pytest.mark.parametrize("given", ["nowhere", "empty"])
def test_encode_says_what_is_missing(given, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert encode.main(["--images", str(tmp_path / given), "--out", str(tmp_path / "o.npz")]) == 2
    assert "there" in capsys.readouterr().err and not (tmp_path / "o.npz").exists()


def test_compare_prints_the_verdict_and_what_it_rests_on(photos, capsys):
    pair = [str(photos / "a.jpg"), str(photos / "more" / "b.png")]
    assert compare.main(pair) == 0
    assert capsys.readouterr().out.startswith("the same person: distance 0.")
    assert compare.main([*pair, "--threshold", "0.0001"]) == 1
    assert capsys.readouterr().out.startswith("different persons: distance 0.")
    assert compare.main([*pair, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["same"] is True and answer["faces"] == [1, 1] and 0 < answer["distance"] < 0.3


@pytest.mark.parametrize(
    ("other", "message"),
    [("cat.jpg", "No face was found in the second picture"), ("broken.jpg", "broken.jpg"), ("none.jpg", "none.jpg")],
)
def test_compare_says_what_cannot_be_compared(photos, other, message, capsys):
    assert compare.main([str(photos / "a.jpg"), str(photos / other)]) == 2
    assert message in capsys.readouterr().err


def box(left: float, top: float, side: float) -> Face:
    return Face(np.array([left, top, left + side, top + side], np.float32), np.zeros((5, 2), np.float32), 1.0)


@pytest.mark.parametrize(
    ("faces", "chosen"),
    [
        ([box(80, 80, 90), box(0, 0, 60)], 0),  # large and in the middle
        ([box(0, 0, 100), box(80, 80, 90)], 1),  # a little larger, but at the corner
        ([box(0, 0, 30)], 0),
    ],
)
def test_the_face_that_is_meant(faces, chosen):
    assert main_face(tuple(faces), 250, 250) is faces[chosen]


def test_nobody_is_meant_where_nobody_is():
    assert main_face((), 100, 100) is None


def test_batches_end_where_pictures_end(monkeypatch):
    monkeypatch.setattr(batch, "CHUNK", 2)
    told: list[int] = []
    results = list(encode_pictures([None, load_sample("astronaut"), None], "dlib", tell=told.append))
    assert [result.face is not None for result in results] == [False, True, False]
    assert told == [2, 3]
    with pytest.raises(FaceError, match="no face detector"):
        list(encode_pictures([load_sample("astronaut")], "dlib", "haar"))


def made_archive(folder: Path, people: int = 6, photos: int = 4) -> None:
    """An archive of the sample's face, tinted for each person and disturbed for each photograph."""
    from core.faces.alignment import align
    from core.faces.tasks import find_faces

    rng = np.random.default_rng(0)
    image = load_sample("astronaut")
    plain = align(image, find_faces(image)[0].points, POINTS, SIDE_PX).astype(np.float32)
    coded, identity = [], []
    for person in range(people):
        tint = rng.uniform(0.5, 1.0, 3)
        for _ in range(photos):
            face = np.clip(plain * tint + rng.normal(0, 6, plain.shape), 0, 255).astype(np.uint8)
            coded.append(cv2.imencode(".jpg", face[:, :, ::-1])[1])
            identity.append(100 + 7 * person)
    split = np.repeat(np.arange(people) >= people // 2, photos).astype(np.int8)
    val = np.flatnonzero(split)
    first, second = np.triu_indices(len(val), 1)
    identity_array = np.array(identity, np.int32)
    np.savez(
        folder / FILE_NAME,
        jpeg=np.concatenate(coded),
        offsets=np.concatenate([[0], np.cumsum([len(part) for part in coded])]).astype(np.int64),
        identity=identity_array,
        split=split,
        val_a=val[first].astype(np.int32),
        val_b=val[second].astype(np.int32),
        val_same=identity_array[val[first]] == identity_array[val[second]],
    )


def test_an_encoder_is_measured_through_the_whole_pipeline(tmp_path, capsys):
    made_archive(tmp_path)
    assert measure.main(["--data", str(tmp_path), "--encoder", "dlib", "--out", str(tmp_path / "out")]) == 0
    stored = json.loads((tmp_path / "out" / "dlib.json").read_text())
    archive = load_archive(tmp_path)
    assert stored["faces"] == stored["faces_found"] == 12
    assert len(stored["same"]) + len(stored["different"]) == len(archive.pairs)
    assert 0.5 <= stored["accuracy"] <= 1
    assert "accuracy" in capsys.readouterr().out


def test_a_missing_archive_is_named(tmp_path, capsys):
    with pytest.raises(ArchiveError, match="expected the archive"):
        load_archive(tmp_path)
    assert measure.main(["--data", str(tmp_path)]) == 1
    assert FILE_NAME in capsys.readouterr().err


def test_training_writes_what_it_did_and_packs_into_the_network(tmp_path):
    """A run of one epoch on made faces: settings, history, evaluation, weights that load again."""
    import keras

    from core.faces.embedded_encoder import load_encoder, pack, unpack
    from core.faces.network import build_encoder
    from core.faces.train import main

    made_archive(tmp_path, people=8)
    out = tmp_path / "run"
    common = ["--data", str(tmp_path), "--persons", "4", "--epochs", "2", "--triplets-from", "0.5"]
    main([*common, "--out", str(out), "--without-teacher"])
    config = json.loads((out / "config.json").read_text())
    assert config["train_faces"] == 16 and config["train_persons"] == 4 and config["teacher_weight"] == 0
    history = json.loads((out / "history.json").read_text())
    assert len(history) == 2 and history[-1]["stage"] == "triplets" and np.isfinite(history[-1]["loss"])
    assert 0 <= json.loads((out / "evaluation.json").read_text())["accuracy"] <= 1
    trained = build_encoder()
    trained.load_weights(out / "last.weights.h5")
    (tmp_path / "encoder.npz").write_bytes(pack(trained))
    crops = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)
    expected = np.asarray(trained(crops.astype(np.float32), training=False))
    np.testing.assert_allclose(load_encoder(tmp_path / "encoder.npz")(crops), expected, atol=5e-3)
    with pytest.raises(ValueError, match="another network"):
        unpack(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="other")]), tmp_path / "encoder.npz")
    main([*common, "--out", str(tmp_path / "again"), "--resume", str(out / "last.weights.h5")])
    assert (tmp_path / "again" / "teacher.npy").is_file()  # dlib's network shows where the faces belong
