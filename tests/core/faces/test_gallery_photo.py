"""Photographs into the gallery: crops hold what alignment needs, and another encoder can read them."""

from __future__ import annotations

import numpy as np
import pytest

from core.faces import gallery_tasks
from core.faces.alignment import TEMPLATE_112, TEMPLATE_DLIB_150, align
from core.faces.encoders import aligned_face, template_of
from core.faces.gallery_photo import encoder_key, face_crop, face_in_crop, face_thumbnail, new_face, sheet_of
from core.faces.types import EncodedFace, Face, FaceError
from core.runtime.images import decode_image, encode_jpeg
from core.runtime.samples import load_sample

# Where the astronaut's face is (box and five points, by hand).
BOX = np.array([178, 63, 258, 172], np.float32)
POINTS = np.array([[203, 103], [243, 103], [222, 128], [204, 141], [240, 141]], np.float32)


def face(box=BOX, points=POINTS) -> Face:
    return Face(np.asarray(box, np.float32), np.asarray(points, np.float32), 0.99)


def test_the_crop_is_aligned_as_the_photograph_is():
    photograph = load_sample("astronaut")
    crop, points = face_crop(photograph, face())
    assert max(crop.shape) <= 320 and crop.shape[0] < photograph.shape[0]
    from_photograph = align(photograph, POINTS, TEMPLATE_DLIB_150, 150).astype(float)
    from_crop = align(crop, points, TEMPLATE_DLIB_150, 150).astype(float)
    assert np.abs(from_photograph - from_crop).mean() < 2


def test_a_large_face_is_kept_at_a_bounded_size():
    photograph = np.repeat(np.repeat(load_sample("astronaut"), 4, axis=0), 4, axis=1)
    crop, points = face_crop(photograph, face(4 * BOX, 4 * POINTS + 1.5))
    assert max(crop.shape) == 320
    small_crop, small_points = face_crop(load_sample("astronaut"), face())
    one = align(crop, points, TEMPLATE_112, 112).astype(float)
    other = align(small_crop, small_points, TEMPLATE_112, 112).astype(float)
    assert np.abs(one - other).mean() < 4


@pytest.mark.parametrize("shift", [(-178, -63), (252, 340)])
def test_a_face_at_the_edge(shift):
    photograph = np.ascontiguousarray(np.roll(load_sample("astronaut"), shift[::-1], axis=(0, 1)))
    moved = face(BOX + np.tile(shift, 2), POINTS + shift)
    crop, points = face_crop(photograph, moved)
    assert min(crop.shape[:2]) > 80
    one = align(photograph, moved.points, TEMPLATE_112, 112).astype(float)
    other = align(crop, points, TEMPLATE_112, 112).astype(float)
    assert np.abs(one - other)[30:90, 30:80].mean() < 3


def test_a_new_face_says_whose_encoding_it_is():
    encoded = EncodedFace(face(), np.zeros((150, 150, 3), np.uint8), np.ones(128, np.float32), "dlib")
    made = new_face(load_sample("astronaut"), encoded, "astronaut.png")
    assert list(made.encodings) == [encoder_key("dlib")] and encoder_key("dlib").startswith("dlib:")
    assert decode_image(made.jpeg).format == "JPEG" and made.source == "astronaut.png"
    # The same photograph gives the same bytes, by which it is known again.
    assert new_face(load_sample("astronaut"), encoded).jpeg == made.jpeg
    with pytest.raises(FaceError, match="no face encoder"):
        encoder_key("nobody")


def test_thumbnails_and_sheets():
    crop, points = face_crop(load_sample("astronaut"), face())
    thumbnail = face_thumbnail(crop, points, 80)
    assert thumbnail.shape == (80, 80, 3)
    assert sheet_of([thumbnail] * 11, columns=8, gap_px=4).shape == (164, 8 * 84 - 4, 3)
    assert sheet_of([thumbnail] * 3).shape == (80, 3 * 84 - 4, 3) and sheet_of([]).shape == (1, 1, 3)


def test_stored_photos_are_encoded_by_another_encoder(monkeypatch):
    batches = []

    def encode_crops(crops: np.ndarray, name: str) -> np.ndarray:
        batches.append((crops.shape, name))
        return crops.reshape(len(crops), -1)[:, :128].astype(np.float32)

    monkeypatch.setattr(gallery_tasks, "encode_crops", encode_crops)
    crop, points = face_crop(load_sample("astronaut"), face())
    jpeg = encode_jpeg(crop, 92)
    told = []
    found = gallery_tasks.encode_photos(
        list(range(5, 25)), [jpeg] * 20, [points] * 20, "dlib", lambda fraction, message: told.append(fraction)
    )
    assert [shape[0] for shape, _ in batches] == [16, 4] and batches[0] == ((16, 150, 150, 3), "dlib")
    assert sorted(found.encodings) == list(range(5, 25)) and found.encoder_key == encoder_key("dlib")
    pixels = decode_image(jpeg).pixels
    expected = aligned_face(pixels, face_in_crop(pixels, points), "dlib").reshape(-1)[:128]
    np.testing.assert_array_equal(found.encodings[7], expected.astype(np.float32))
    assert told == [0.8, 1.0] and template_of("dlib").shape == (5, 2)
