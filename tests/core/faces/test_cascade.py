"""The cascade against the package's own steps, and its parts against what is known."""

import cv2
import numpy as np
import pytest

from core.detection.suppression import non_max_suppression
from core.faces import cascade
from core.faces.cascade import find, pyramid_scales, suppress
from core.runtime.samples import load_sample


@pytest.fixture(scope="module")
def astronaut():
    return cascade.find(load_sample("astronaut"), 40)


def test_finds_the_face_that_the_package_finds(astronaut):
    from mtcnn import MTCNN

    reference = MTCNN().detect_faces(load_sample("astronaut"), output_type="numpy", box_format="xyxy")
    assert len(reference) == len(astronaut.scores) == 1
    box, points = reference[0, 1:5], np.stack([reference[0, 6:11], reference[0, 11:16]], axis=1)
    side = box[3] - box[1]
    # The package reads windows by single samples and shifts points by a pixel: near, not equal.
    assert np.abs(astronaut.boxes_xyxy[0] - box).max() < 0.06 * side
    assert np.abs(astronaut.points[0] - points).max() < 0.04 * side


def test_points_lie_as_in_a_face(astronaut):
    left_eye, right_eye, nose, left_mouth, right_mouth = astronaut.points[0]
    assert left_eye[0] < nose[0] < right_eye[0] and left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_a_mirrored_picture_has_mirrored_points(astronaut):
    mirrored = np.ascontiguousarray(load_sample("astronaut")[:, ::-1])
    found = find(mirrored, 40)
    back = found.points[0][[1, 0, 2, 4, 3]]
    back[:, 0] = 511 - back[:, 0]
    np.testing.assert_allclose(back, astronaut.points[0], atol=3)


@pytest.mark.parametrize("scale", [0.4, 1.7])
def test_points_scale_with_the_picture(astronaut, scale):
    side = round(512 * scale)
    larger = cv2.resize(
        load_sample("astronaut"), (side, side), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    points = (find(np.asarray(larger, np.uint8), max(20, 40 * scale)).points[0] + 0.5) / scale - 0.5
    np.testing.assert_allclose(points, astronaut.points[0], atol=3)


def test_the_smallest_face_bounds_the_pyramid():
    scales = pyramid_scales(1152, 864, 40)
    assert scales[0] == pytest.approx(0.3) and min(1152, 864) * scales[-1] >= 12
    np.testing.assert_allclose(np.array(scales[1:]) / scales[:-1], 0.709)
    assert pyramid_scales(30, 30, 40) == ()


@pytest.mark.parametrize("name", ["chelsea", "coffee", "checkerboard", "text"])
def test_finds_no_face_where_there_is_none(name):
    assert len(find(load_sample(name), 40).scores) == 0


def test_suppression_is_that_of_the_detection_chapter():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 60, (40, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(10, 40, (40, 2))], axis=1).astype(np.float32)
    scores = rng.random(40).astype(np.float32)
    reference = non_max_suppression(boxes, scores, None, 0.5)
    assert sorted(suppress(boxes, scores, 0.5)) == np.flatnonzero(reference.keep).tolist()


def test_a_small_box_inside_a_large_one_falls_by_the_smaller_area():
    boxes = np.array([[0, 0, 100, 100], [20, 20, 50, 50]], np.float32)
    scores = np.array([0.9, 0.8], np.float32)
    assert suppress(boxes, scores, 0.5).tolist() == [0, 1]
    assert suppress(boxes, scores, 0.5, of_smaller=True).tolist() == [0]
