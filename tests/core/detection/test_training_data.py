import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from core.detection.augmentation import (
    compose,
    letterbox,
    mosaic_windows,
    move_boxes,
    random_placement,
    recolour,
)
from core.detection.boxes import pairwise_iou
from core.detection.datasets import DatasetError, DetectionRecord, TeacherBoxes, load_archive
from core.detection.grid import cell_centres
from core.detection.labels import Labels, teaching_labels

NAMES = ["person", "car", "cat"]


def record(exhaustive: list[bool], teacher: TeacherBoxes | None = None, crowd: bool = False) -> DetectionRecord:
    return DetectionRecord(
        image_id=7, file_name="a.jpg", width_px=100, height_px=80, split="train", source="made",
        exhaustive=np.array(exhaustive), boxes_xyxy=np.array([[10, 10, 50, 50]], np.float32),
        class_ids=np.array([1]), is_crowd=np.array([crowd]), teacher=teacher,
    )  # fmt: skip


def seen(*boxes: tuple[list[float], int, float]) -> TeacherBoxes:
    return TeacherBoxes(
        np.array([b for b, _, _ in boxes], np.float32),
        np.array([c for _, c, _ in boxes]),
        np.array([s for _, _, s in boxes], np.float32),
    )


def test_teacher_fills_only_what_is_not_exhaustive():
    teacher = seen(([60, 10, 90, 40], 0, 0.8), ([60, 40, 90, 70], 1, 0.9), ([5, 60, 15, 75], 2, 0.2))
    labels = teaching_labels(record([False, True, False], teacher))
    assert labels.class_ids.tolist() == [1, 0]  # the annotated car and the teacher's person, not its car
    np.testing.assert_allclose(labels.weights, [1.0, 0.8])
    assert labels.ignored_class_ids.tolist() == [2]  # the half-seen cat
    np.testing.assert_allclose(labels.background, [0.7, 1.0, 0.7])


def test_teacher_does_not_rename_an_annotated_object():
    labels = teaching_labels(record([False, False, False], seen(([10, 10, 50, 49], 2, 0.9))))
    assert labels.class_ids.tolist() == [1]


def test_without_teacher_there_is_no_background_for_such_a_class():
    labels = teaching_labels(record([False, True, False]))
    assert labels.background.tolist() == [0.0, 1.0, 0.0]


def test_crowds_are_ignored():
    labels = teaching_labels(record([True] * 3, crowd=True))
    assert not len(labels.class_ids) and labels.ignored_class_ids.tolist() == [1]


def square_scene() -> tuple[np.ndarray, Labels]:
    """A red square on black, and its box."""
    image = np.zeros((80, 100, 3), np.uint8)
    image[20:60, 30:80] = (255, 0, 0)
    none = np.zeros((0, 4), np.float32)
    labels = Labels(
        np.array([[30, 20, 80, 60]], np.float32), np.array([2]), np.ones(1, np.float32), none,
        np.zeros(0, np.int64), np.array([1, 0, 0.5], np.float32),
    )  # fmt: skip
    return image, labels


def box_of_red(canvas: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero((canvas[..., 0] > 128) & (canvas[..., 1] < 60))
    return np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float64)


@pytest.mark.parametrize("mosaic", [False, True])
def test_boxes_move_with_the_picture(mosaic):
    """Scale, shift and mirror: the box found in the canvas's pixels is the box that was computed."""
    rng = np.random.default_rng(0)
    image, labels = square_scene()
    cells = cell_centres(128, 128)
    compared = 0
    for _ in range(40):
        place = random_placement(100, 80, (0, 0, 128, 128), rng, mosaic)
        canvas = compose([(image, labels, place)], 128, cells)
        if len(canvas.boxes_xyxy):
            assert pairwise_iou(canvas.boxes_xyxy, box_of_red(canvas.image))[0, 0] > 0.9
            compared += 1
    assert compared > 20


def test_letterbox_is_what_the_detector_sees_at_inference():
    image, labels = square_scene()
    canvas = compose([(image, labels, letterbox(100, 80, 128))], 128, cell_centres(128, 128))
    resized = cv2.resize(image, (128, 102), interpolation=cv2.INTER_LINEAR)
    difference = np.abs(canvas.image[:102].astype(int) - resized.astype(int))
    assert difference.mean() < 2
    assert (canvas.image[103:] == 114).all()
    np.testing.assert_allclose(canvas.boxes_xyxy, labels.boxes_xyxy * 1.28, rtol=1e-5)


def test_background_weights_stay_with_their_picture():
    image, labels = square_scene()
    cells = cell_centres(128, 128)
    full = Labels(*(getattr(labels, n) for n in list(labels.__dataclass_fields__)[:-1]), np.ones(3, np.float32))
    rng = np.random.default_rng(1)
    windows = [(0, 0, 64, 128), (64, 0, 128, 128)]
    places = [random_placement(100, 80, window, rng, mosaic=False) for window in windows]
    canvas = compose([(image, labels, places[0]), (image, full, places[1])], 128, cells)
    x1, y1, x2, y2 = places[0].window
    inside = (cells[:, 0] > x1) & (cells[:, 0] < x2) & (cells[:, 1] > y1) & (cells[:, 1] < y2)
    np.testing.assert_array_equal(canvas.background[inside][:, 1], 0)
    assert (canvas.background[cells[:, 0] > 64][:, 1] == 1).all()


def test_a_box_mostly_cut_off_is_neither_object_nor_background():
    image, labels = square_scene()
    shifted = replace(letterbox(100, 80, 128), shift_x=-90.0, window=(0, 0, 38, 102))
    cells = cell_centres(128, 128)
    canvas = compose([(image, labels, shifted)], 128, cells)
    assert not len(canvas.boxes_xyxy)
    cut = (cells[:, 0] < 12) & (cells[:, 1] > 26) & (cells[:, 1] < 76)
    assert (canvas.background[cut][:, 2] == 0).all() and (canvas.background[cut][:, 0] == 1).all()


def test_mosaic_windows_tile_the_canvas():
    windows = mosaic_windows(96, np.random.default_rng(2))
    covered = np.zeros((96, 96), int)
    for x1, y1, x2, y2 in windows:
        covered[y1:y2, x1:x2] += 1
    assert (covered == 1).all()


def test_mirrored_boxes_keep_left_before_right():
    place = letterbox(100, 80, 100)
    mirrored = replace(place, scale_x=-1.0, shift_x=100.0)
    np.testing.assert_array_equal(move_boxes(np.array([[10, 5, 30, 20]], np.float32), mirrored), [[70, 5, 90, 20]])


def test_recolour_changes_light_not_shapes():
    image, _ = square_scene()
    changed = recolour(image, np.random.default_rng(3))
    assert changed.shape == image.shape and changed.dtype == np.uint8 and (changed != image).any()


def write_archive(folder, images: int = 2, **changes) -> None:
    pictures = [cv2.imencode(".jpg", np.full((32, 48, 3), 60 * i + 40, np.uint8))[1].ravel() for i in range(images)]
    offsets = np.concatenate([[0], np.cumsum([len(p) for p in pictures])])
    np.savez(folder / "detection.npz", jpeg=np.concatenate(pictures), offsets=offsets)
    layout = {
        "categories": [{"id": i, "name": name} for i, name in enumerate(NAMES)],
        "images": [
            {"id": 10 + i, "file_name": f"{i}.jpg", "width": 48, "height": 32, "source": "made",
             "split": "val" if i else "train", "exhaustive": ["cat"]} for i in range(images)
        ],
        "annotations": [{"id": 1, "image_id": 10, "category_id": 2, "bbox": [4, 6, 10, 12], "iscrowd": 0}],
    } | changes  # fmt: skip
    (folder / "detection.json").write_text(json.dumps(layout), encoding="utf-8")


def test_archive_reads_pictures_boxes_and_teacher(tmp_path):
    write_archive(tmp_path)
    boxes = [
        {"image_id": 10, "category": c, "bbox": [0, 0, 5, 5], "score": s} for c, s in (("cat", 0.4), ("sofa", 0.9))
    ]
    (tmp_path / "teacher_boxes.json").write_text(json.dumps(boxes), encoding="utf-8")
    archive = load_archive(tmp_path)
    assert archive.class_names == tuple(NAMES) and archive.indices("val") == [1]
    first = archive.records[0]
    np.testing.assert_array_equal(first.boxes_xyxy, [[4, 6, 14, 18]])
    assert first.exhaustive.tolist() == [False, False, True]
    assert first.teacher.class_ids.tolist() == [2]  # "sofa" is no class of the data set
    assert archive.image(1).shape == (32, 48, 3) and abs(int(archive.image(1).mean()) - 100) < 3


def test_exception_annotation_of_a_missing_image(tmp_path):
    stray = [{"id": 5, "image_id": 99, "category_id": 0, "bbox": [0, 0, 1, 1]}]
    write_archive(tmp_path, annotations=stray)
    with pytest.raises(DatasetError, match="names image 99, which is missing"):
        load_archive(tmp_path)


def test_exception_missing_file(tmp_path):
    with pytest.raises(DatasetError, match=r"expected detection\.npz"):
        load_archive(tmp_path)
