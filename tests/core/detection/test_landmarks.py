"""Landmarks: MTCNN's points where they are known to lie, the vector they are learned as, and several photographs."""

import numpy as np
import pytest

from core.detection.batch import PictureFile
from core.detection.landmarks import (
    LANDMARKS,
    Face,
    LandmarkError,
    crop_around,
    draw_faces,
    eye_line_degrees,
    face_scales,
    in_face,
    landmark_vector,
    turned_photographs,
)
from core.detection.landmarks_tasks import find_landmarks, follow_landmarks
from core.detection.predictions import PictureError
from core.runtime.images import encode_png
from core.runtime.report import JobCancelled, Report
from core.runtime.samples import load_sample

FACE = Face((10.0, 20.0, 60.0, 80.0), 0.9, np.array([[20, 40], [50, 40], [35, 55], [25, 70], [45, 70.0]]))


@pytest.mark.parametrize("smallest_px", [20, 64, 100])
def test_the_astronauts_face(smallest_px):
    faces = find_landmarks(load_sample("astronaut"), smallest_px).faces
    assert len(faces) == 1
    # Eyes, nose and mouth corners as marked by hand in the photograph.
    by_hand = np.array([[204, 100], [246, 102], [225, 127], [201, 138], [244, 140]])
    assert np.abs(faces[0].points - by_hand).max() < 6


def test_the_package_finds_the_same_face():
    from mtcnn import MTCNN

    photograph = load_sample("astronaut")
    theirs = MTCNN().detect_faces(photograph)
    ours = find_landmarks(photograph, 20).faces
    assert len(theirs) == len(ours) == 1
    names = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
    assert np.abs(ours[0].points - [theirs[0]["keypoints"][name] for name in names]).max() < 2


@pytest.mark.parametrize("shape", [(30, 15, 3), (8, 8, 3), (400, 600, 3)])
def test_pictures_without_a_face(shape):
    assert find_landmarks(np.full(shape, 90, np.uint8), 20).faces == ()


def test_input_that_cannot_be_used():
    with pytest.raises(LandmarkError):
        find_landmarks(np.zeros((50, 50, 3), np.uint8), 5)
    with pytest.raises(PictureError):
        find_landmarks(np.zeros((50, 50), np.uint8), 20)
    with pytest.raises(LandmarkError, match="can be read"):
        follow_landmarks([PictureFile("a.jpg", b"no picture")])
    with pytest.raises(LandmarkError):
        follow_landmarks([])


def test_no_size_of_the_pyramid_is_smaller_than_the_window():
    for side in (24, 100, 777, 4000):
        for smallest in (20, 64, 300):
            assert all(side * scale >= 12 for scale in face_scales(side, side + 5, smallest))


def test_the_vector_and_back():
    vector = landmark_vector(FACE, (200, 100))
    assert vector.shape == (1 + 2 * len(LANDMARKS),) and vector[0] == 1
    assert vector[1:].reshape(-1, 2) * [200, 100] == pytest.approx(FACE.points)
    assert not landmark_vector(None, (200, 100)).any()


def test_places_in_the_face_do_not_move_with_it():
    moved = Face((110.0, 40.0, 210.0, 160.0), 0.9, (FACE.points - [10, 20]) * 2 + [110, 40])
    assert in_face(moved) == pytest.approx(in_face(FACE))
    assert eye_line_degrees(FACE) == 0


def test_turned_photographs_are_followed():
    views = turned_photographs()[:3]
    followed = follow_landmarks([PictureFile(f"{i}.png", encode_png(p)) for i, (_, p) in enumerate(views)])
    assert followed.skipped == () and [photo.name for photo in followed.photos] == ["0.png", "1.png", "2.png"]
    faces = [photo.face for photo in followed.photos]
    assert all(face is not None for face in faces)
    turns = [eye_line_degrees(face) for face in faces]
    assert turns[1] - turns[0] == pytest.approx(-18, abs=6) and turns[2] - turns[0] == pytest.approx(22, abs=6)


def test_a_cancelled_look_ends():
    class Stopped(Report):
        def __call__(self, fraction=None, message="", metrics=None, preview=None):
            raise JobCancelled

    with pytest.raises(JobCancelled):
        follow_landmarks([PictureFile("a.png", encode_png(np.zeros((40, 40, 3), np.uint8)))], report=Stopped())


def test_drawing_leaves_the_picture_alone():
    canvas = np.zeros((100, 100, 3), np.uint8)
    drawn = draw_faces(canvas, [FACE], 1.0, chosen=0, landmark=2)
    assert not canvas.any() and drawn[55, 35].any()


def test_a_crop_has_its_point_in_the_middle():
    image = np.zeros((60, 60, 3), np.uint8)
    image[30, 41] = 255
    crop = crop_around(image, np.array([41.0, 30.0]), 20.0, 40)
    row, column = np.argwhere(crop[..., 0] == crop[..., 0].max()).mean(axis=0)
    assert abs(row - 20) <= 2 and abs(column - 20) <= 2
