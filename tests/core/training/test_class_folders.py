"""A user's own pictures: zips and folders of all kinds become one data set, or are refused in one sentence."""

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.runtime.archives import ZipLimits
from core.runtime.images import encode_png
from core.training import class_folders, tasks
from core.training.class_folders import own_key, own_path, read_folder, read_zip
from core.training.datasets import DatasetError, list_local, open_dataset


def png(seed: int = 0, height: int = 40, width: int = 50) -> bytes:
    return encode_png(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def encoded(array: np.ndarray) -> bytes:
    return cv2.imencode(".png", array)[1].tobytes()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return buffer.getvalue()


def two_classes(count: int = 6, top: str = "") -> dict[str, bytes]:
    return {f"{top}{name}/{index}.png": png(index) for name in ("cat", "dog") for index in range(count)}


def test_the_folder_is_the_class_wherever_it_lies() -> None:
    files = {**two_classes(6, "my pictures/"), "__MACOSX/cat/._1.png": b"x", "readme.txt": b"hello", ".DS_Store": b"x"}
    dataset = read_zip(zipped(files), 32, "mine")
    assert dataset.class_names == ("cat", "dog") and dataset.images.shape == (12, 32, 32, 3)
    assert np.bincount(dataset.labels).tolist() == [6, 6]
    assert min(len(dataset.train), len(dataset.validation), len(dataset.test)) >= 2
    for part in ("train", "validation", "test"):
        assert set(dataset.part(part)[1].tolist()) == {0, 1}


def test_pictures_of_all_modes_and_sizes_become_one_square() -> None:
    random = np.random.default_rng(0)
    grey, deep = random.integers(0, 256, (20, 90), np.uint8), random.integers(0, 65536, (33, 33), np.uint16)
    alpha, photo = random.integers(0, 256, (64, 20, 4), np.uint8), random.integers(0, 256, (300, 200, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", photo)[1].tobytes()
    mixed = {"a/1.png": encoded(grey), "a/2.png": encoded(deep), "a/3.PNG": encoded(alpha), "b/1.jpg": jpeg}
    dataset = read_zip(zipped({**mixed, "b/2.png": png(1), "b/3.png": png(2, 17, 400)}), 48)
    assert dataset.images.shape == (6, 48, 48, 3)


def test_grey_pictures_have_one_channel_and_the_middle_is_kept() -> None:
    wide = np.zeros((20, 60), np.uint8)
    wide[:, 20:40] = 200
    files = {f"{name}/{index}.png": encoded(wide) for name in "ab" for index in range(3)}
    dataset = read_zip(zipped(files), 32)
    assert dataset.images.shape == (6, 32, 32, 1)
    assert (dataset.images == 200).all()


def test_the_smallest_zip_has_three_pictures_a_class() -> None:
    dataset = read_zip(zipped(two_classes(3)), 32)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (2, 2, 2)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "0 bytes"),
        (b"no zip", "no zip archive"),
        (zipped({**two_classes(), "../../evil.png": png()}), r"leads out of it \(\.\./\.\./evil\.png\)"),
        (zipped({**two_classes(), "/etc/evil.png": png()}), "leads out of it"),
        (zipped({**two_classes(), "C:\\evil\\1.png": png()}), "leads out of it"),
        (zipped({"cat/1.png": png(), "cat/2.png": png(), "cat/3.png": png()}), "one class only, “cat”"),
        (zipped({**two_classes(), "bird/1.png": png()}), "class “bird” has one picture; each needs at least 3"),
        (zipped({**two_classes(), "bird/1.png": png(), "bird/2.png": png()}), "class “bird” has 2 pictures"),
        (zipped({"1.png": png(), "2.png": png()}), "lies in no folder"),
        (zipped({"cat/1.txt": b"text"}), "No picture was found"),
        (zipped({**two_classes(), "cat/9.png": b""}), r"cat/9\.png: "),
        (zipped({**two_classes(), "cat/9.png": png()[:200]}), r"cat/9\.png: "),
        (zipped({**two_classes(), "cat/9.png": b"GIF89a no picture"}), r"cat/9\.png: "),
    ],
)
def test_zips_that_cannot_be_used(data: bytes, sentence: str) -> None:
    with pytest.raises(DatasetError, match=sentence) as caught:
        read_zip(data, 32)
    assert "\n" not in str(caught.value)


def test_a_zip_bomb_is_refused_before_it_unpacks(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped({f"cat/{index}.png": bytes(2_000_000) for index in range(3)})
    assert len(bomb) < 20_000
    monkeypatch.setattr(class_folders, "LIMITS", ZipLimits(unpacked_bytes=5 * 2**20))
    with pytest.raises(DatasetError, match="unpacks to more than 5 MB"):
        read_zip(bomb, 32)
    monkeypatch.setattr(class_folders, "LIMITS", ZipLimits(files=2))
    with pytest.raises(DatasetError, match="holds 3 files"):
        read_zip(bomb, 32)
    huge = np.zeros((3, 3), np.uint8)
    header = bytearray(encoded(huge))
    header[16:24] = (60_000).to_bytes(4, "big") * 2  # a picture that says it has 3.6 billion pixels
    monkeypatch.setattr(class_folders, "LIMITS", ZipLimits())
    with pytest.raises(DatasetError, match=r"cat/1\.png: "):
        read_zip(zipped({**two_classes(), "cat/1.png": bytes(header)}), 32)


@given(st.binary(max_size=200), st.integers(0, 2000))
@settings(deadline=None, max_examples=40)
def test_damaged_zips_end_in_a_sentence(noise: bytes, place: int) -> None:
    data = bytearray(zipped({f"{name}/{index}.png": png(0, 4, 4) for name in "ab" for index in range(3)}))
    data[place : place + len(noise)] = noise
    try:
        read_zip(bytes(data), 16)
    except DatasetError as error:
        assert str(error)


def test_a_kept_zip_is_opened_again_and_nothing_is_written_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CNN_WORKBENCH_HOME", str(tmp_path / "home"))
    data = zipped(two_classes())
    key, sample = tasks.keep_zip(data, 32, "<b>mine</b>", "ada")
    assert sample.sizes == {"training": 8, "validation": 2, "test": 2} and sample.counts == (6, 6)
    first, again = read_zip(data, 32), open_dataset(f"own:{key}", folder=tmp_path / "home" / "datasets")
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.test, again.test)
    assert class_folders.list_own(tmp_path / "home" / "datasets", "ada") == {key: "<b>mine</b>, 32 px"}
    assert class_folders.list_own(tmp_path / "home" / "datasets", "eve") == {}
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    with pytest.raises(DatasetError):
        tasks.keep_zip(zipped({"../../x/1.png": png()}), 32, "evil", "ada")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written == [own_path(tmp_path / "home" / "datasets", key)]
    class_folders.forget(tmp_path / "home" / "datasets", key)
    assert class_folders.list_own(tmp_path / "home" / "datasets", "ada") == {}


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "a/b", own_key(b"x", 32, "ada") + "/.."])
def test_keys_lead_nowhere_else(key: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such set"):
        open_dataset(f"own:{key}", folder=tmp_path)


def test_a_kept_zip_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no longer kept"):
        open_dataset(f"own:{own_key(b'x', 32, 'ada')}", folder=tmp_path)


def test_a_local_folder_is_read(tmp_path: Path) -> None:
    for name, body in two_classes().items():
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("x")
    (tmp_path / "pets" / "cat" / "link.png").symlink_to("/etc/hostname")
    (tmp_path / "pets.zip").write_bytes(zipped(two_classes()))
    (tmp_path / "mnist.npz").write_bytes(b"")
    assert list_local(tmp_path) == ("pets", "pets.zip")
    folder, archive = open_dataset("local:pets", folder=tmp_path), open_dataset("local:pets.zip", folder=tmp_path)
    np.testing.assert_array_equal(folder.images, archive.images)
    np.testing.assert_array_equal(open_dataset(str(tmp_path / "pets")).labels, folder.labels)
    for wrong in ("local:../pets", "local:absent"):
        with pytest.raises(DatasetError, match="There is no data set"):
            open_dataset(wrong, folder=tmp_path / "pets")
    with pytest.raises(DatasetError, match="There is no folder"):
        read_folder(tmp_path / "absent", 32)
