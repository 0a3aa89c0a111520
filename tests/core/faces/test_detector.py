"""Faces of whole pictures: sizes, order, tight crops, what is flagged, and what is refused."""

import cv2
import numpy as np
import pytest

from core.faces import detector
from core.faces.cascade import Found
from core.faces.detector import detect
from core.faces.disturbances import CHANGES, changed
from core.faces.quality import flags_of, outside_share, sharpness, turn
from core.faces.types import Face, FaceError
from core.runtime import weights
from core.runtime.samples import load_sample

FRONT = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)


@pytest.fixture(scope="module")
def face() -> Face:
    found = detect(load_sample("astronaut"))
    assert len(found) == 1
    return found[0]


def crop_of(face: Face, margin: float) -> np.ndarray:
    left, top, right, bottom = face.box_xyxy
    middle, half = np.array([left + right, top + bottom]) / 2, (1 + margin) * (bottom - top) / 2
    low, high = np.maximum(middle - half, 0).astype(int), (middle + half).astype(int)
    return np.ascontiguousarray(load_sample("astronaut")[low[1] : high[1], low[0] : high[0]])


def test_a_good_face_has_no_flags(face):
    assert face.flags == () and face.score > 0.95 and face.detector == "MTCNN"
    assert 80 < face.size_px < 120


@pytest.mark.parametrize("side", [64, 80, 112, 160, 250])
@pytest.mark.parametrize("margin", [-0.05, 0.1, 0.4])
def test_finds_a_face_that_fills_the_picture(face, side, margin):
    crop = crop_of(face, margin)
    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA if side < len(crop) else cv2.INTER_CUBIC)
    found = detect(np.asarray(small, np.uint8))
    assert len(found) == 1
    left_eye, right_eye = found[0].points[:2] / side
    assert 0.15 < left_eye[0] < 0.5 < right_eye[0] < 0.85


def test_largest_first_of_thirty():
    tile = crop_of(detect(load_sample("astronaut"))[0], 0.6)
    rows = []
    for row in range(5):
        side = 60 + 10 * row
        small = cv2.resize(tile, (side, side), interpolation=cv2.INTER_AREA)
        strip = np.full((120, 720, 3), 128, np.uint8)
        for column in range(6):
            strip[10 : 10 + side, column * 120 + 5 : column * 120 + 5 + side] = small
        rows.append(strip)
    found = detect(np.concatenate(rows))
    assert len(found) == 30
    sizes = [one.size_px for one in found]
    assert sizes == sorted(sizes, reverse=True)


def test_changed_photographs_keep_their_face(face):
    for name in CHANGES:
        if name in ("small", "blurred"):
            continue
        assert len(detect(changed(load_sample("astronaut"), name))) == 1, name


def test_small_and_blurred_faces_are_flagged():
    small = detect(cv2.resize(load_sample("astronaut"), (150, 150), interpolation=cv2.INTER_AREA))
    assert "small" in small[0].flags
    blurred = detect(cv2.GaussianBlur(load_sample("astronaut"), (0, 0), 5))
    assert "blurred" in blurred[0].flags


def test_a_face_at_the_edge_is_cut_off(face):
    left, _, right, _ = face.box_xyxy
    middle = round(float(left + 0.28 * (right - left)))
    found = detect(np.ascontiguousarray(load_sample("astronaut")[:, middle:]))
    assert not found or "cut off" in found[0].flags


@pytest.mark.parametrize(
    ("points", "flag"),
    [
        (FRONT + np.array([[0, 0], [0, 0], [14, 0], [0, 0], [0, 0]], np.float32), "turned"),
        (FRONT @ np.array([[0.5, 0.87], [-0.87, 0.5]], np.float32) + [80, 0], "tilted"),
    ],
)
def test_turned_and_tilted_faces_are_flagged(points, flag):
    image = np.random.default_rng(0).integers(0, 256, (120, 200, 3), np.uint8)
    box = np.array([20, 20, 90, 100], np.float32)
    assert flags_of(image, box, FRONT) == ()
    assert flag in flags_of(image, box, points.astype(np.float32))


def test_measures():
    assert turn(FRONT) == 0 and turn(FRONT + np.array([[0, 0]] * 2 + [[20, 0]] + [[0, 0]] * 2, np.float32)) == 1
    assert outside_share(np.array([0, 0, 10, 10], np.float32), 10, 10) == 0
    assert outside_share(np.array([5, 5, 5, 5], np.float32), 10, 10) == 1
    noise = np.random.default_rng(0).integers(0, 256, (120, 120, 3), np.uint8)
    assert sharpness(noise, FRONT) > 2 * sharpness(cv2.GaussianBlur(noise, (0, 0), 3), FRONT)


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 200, 3), (11, 11, 3)])
def test_tiny_pictures_have_no_face(shape):
    assert detect(np.zeros(shape, np.uint8)) == ()


@pytest.mark.parametrize("image", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3)), np.zeros((0, 9, 3), np.uint8)])
def test_refuses_what_is_no_picture(image):
    with pytest.raises(FaceError, match="shape"):
        detect(image)


def test_refuses_unknown_and_missing_detectors():
    with pytest.raises(FaceError, match="no face detector"):
        detect(np.zeros((40, 40, 3), np.uint8), "haar")
    if weights.where("yunet") is None:
        with pytest.raises(weights.WeightsError, match="YuNet is not here yet"):
            detect(load_sample("astronaut"), "yunet")


def test_yunet_finds_the_same_face(face):
    if weights.where("yunet") is None:
        pytest.skip("YuNet was not fetched")
    found = detect(load_sample("astronaut"), "yunet")
    assert len(found) == 1 and np.abs(found[0].points - face.points).max() < 0.1 * face.size_px


def test_numbers_that_are_none_are_left_out(monkeypatch):
    nothing = np.full((1, 5, 2), np.nan, np.float32)
    found = Found(np.zeros((1, 4), np.float32), nothing, np.ones(1, np.float32))
    monkeypatch.setattr(detector, "_look", lambda *_: found)
    monkeypatch.setattr(detector, "flags_of", lambda *_: ())
    assert detect(np.zeros((400, 400, 3), np.uint8)) == ()
