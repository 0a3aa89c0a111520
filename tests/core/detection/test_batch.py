"""Many pictures and video files: what is read, what is refused, and what comes out."""

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.detection import view_tasks
from core.detection.batch import (
    MAX_PICTURES,
    BatchError,
    PictureFile,
    above,
    collect_pictures,
    count_by_class,
    zip_of,
)
from core.detection.drawn_sets import drawn_zip
from core.detection.evaluation import ImageDetections
from core.detection.predictions import select
from core.detection.tasks import run_network
from core.detection.video import (
    VideoError,
    VideoWriter,
    frames_of,
    opened,
    video_kind,
    written_size,
)
from core.runtime.images import decode_image, encode_jpeg
from core.runtime.samples import load_sample


def flat(value: int) -> bytes:
    return encode_jpeg(np.full((40, 60, 3), value, np.uint8))


def a_video(folder: Path, frames: int = 30, size=(320, 240)) -> bytes:
    writer = VideoWriter(folder, size, 10.0)
    for index in range(frames):
        writer.write(np.full((size[1], size[0], 3), 8 * index, np.uint8))
    return writer.finish()


def test_pictures_come_from_files_and_zips_and_all_names_differ():
    inner = zip_of({"a.jpg": flat(1), "notes.txt": b"words", "deep/b.png": b"y", "__MACOSX/a.jpg": b"z"})
    pictures, skipped = collect_pictures([("a.jpg", flat(0)), ("all.ZIP", inner)])
    assert [picture.name for picture in pictures] == ["a.jpg", "a (2).jpg", "deep/b.png"]
    assert skipped == ["notes.txt: this is no picture by its name."]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([("a.zip", b"PK no zip")], "a.zip: The file is no zip archive."),
        ([("a.zip", zip_of({"b.txt": b"c"}))], "There is no picture in what you chose"),
        ([(f"{i}.jpg", b"x") for i in range(MAX_PICTURES + 1)], "at most 1,000 are read at once"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(files, sentence):
    with pytest.raises(BatchError, match=sentence):
        collect_pictures(files)


def test_a_zip_bomb_is_refused_before_it_unpacks():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for index in range(22):
            archive.writestr(f"{index}.jpg", bytes(29 * 2**20))
    assert len(buffer.getvalue()) < 4 * 2**20
    with pytest.raises(BatchError, match="unpacks to more than 600 MB"):
        collect_pictures([("bomb.zip", buffer.getvalue())])


def test_a_broken_picture_is_named_and_the_others_are_looked_at():
    chelsea = encode_jpeg(load_sample("chelsea"))
    files = [PictureFile("broken.jpg", chelsea[:500]), PictureFile("in/cat.png", chelsea)]
    result = view_tasks.detect_many(files)
    assert [picture.name for picture in result.pictures] == ["in/cat.png"]
    assert len(result.skipped) == 1 and result.skipped[0].startswith("broken.jpg: ")
    expected = select(run_network(decode_image(chelsea).pixels)).detections
    assert np.allclose(result.pictures[0].found.boxes_xyxy, expected.boxes_xyxy)
    assert count_by_class([result.pictures[0].found], result.class_names)["cat"] == 1
    copy = decode_image(result.copies["in/cat.jpg"]).pixels
    assert copy.shape == load_sample("chelsea").shape and not np.array_equal(copy, load_sample("chelsea"))
    with pytest.raises(BatchError, match="None of the 1 pictures"):
        view_tasks.detect_many(files[:1])


def test_boxes_are_narrowed_by_confidence_and_counted():
    found = ImageDetections(np.zeros((3, 4)), np.array([1, 1, 0]), np.array([0.9, 0.2, 0.5]))
    assert count_by_class([found, above(found, 0.5)], ("a", "b")) == {"b": 3, "a": 2}
    assert count_by_class([], ("a",)) == {}


def test_a_video_is_read_as_it_was_written(tmp_path):
    data = a_video(tmp_path)
    assert video_kind(data) in ("MP4", "AVI")
    with opened(data) as (capture, info):
        assert info.size_px == (320, 240) and info.frames == 30 and info.frames_per_s == pytest.approx(10)
        frames = list(frames_of(capture, 3))
    assert [number for number, _ in frames] == list(range(0, 30, 3))
    assert all(abs(float(frame.mean()) - 8 * number) < 8 for number, frame in frames)


def test_colours_keep_their_order(tmp_path):
    writer = VideoWriter(tmp_path, (64, 64), 5.0)
    for _ in range(5):
        writer.write(np.full((64, 64, 3), (220, 40, 90), np.uint8))
    with opened(writer.finish()) as (capture, _):
        _, frame = next(frames_of(capture, 1))
    assert np.abs(frame.mean(axis=(0, 1)) - (220, 40, 90)).max() < 12


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The file is no video"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "The file is no video"),
        (flat(3), "The file is no video"),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(200), "no picture can be read from it"),
        (b"RIFF\x00\x00\x00\x00AVI " + bytes(100), "no picture can be read from it"),
    ],
)
def test_a_file_that_is_no_video_is_refused(data, sentence):
    with pytest.raises(VideoError, match=sentence):
        view_tasks.detect_video(data)


def test_a_video_cut_in_the_middle_is_no_crash(tmp_path):
    data = a_video(tmp_path)
    try:
        result = view_tasks.detect_video(data[: len(data) // 2])
    except VideoError as error:
        assert str(error).endswith(".")
    else:
        assert result.frames


def test_a_video_is_looked_at_as_often_as_asked(tmp_path):
    result = view_tasks.detect_video(a_video(tmp_path), looks_per_s=5)
    assert [frame.frame for frame in result.frames] == list(range(0, 30, 2))
    assert result.frames[-1].time_s == pytest.approx(2.8) and not result.is_cut
    with opened(result.video) as (capture, info):
        assert info.size_px == written_size((320, 240)) and len(list(frames_of(capture, 1))) == 15
    assert all(cv2.imdecode(np.frombuffer(still, np.uint8), cv2.IMREAD_COLOR) is not None for _, still in result.stills)


def test_annotated_pictures_are_looked_at_in_their_order():
    run = view_tasks.detect_annotated(drawn_zip("collages", 3))
    assert len(run.found) == 3 and run.class_names[0] == "person"
    assert all(len(found.scores) == 0 or found.scores.min() >= 0.02 for found in run.found)
