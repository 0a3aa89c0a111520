"""Encoders: what they promise of themselves, how they align, what a picture and its mirror image give."""

import numpy as np
import pytest

from core.faces import tasks
from core.faces.alignment import TEMPLATE_112
from core.faces.disturbances import changed
from core.faces.encoders import describe, encode_crops, encoders, is_here, measured, template_of
from core.faces.types import FLAG_SENTENCES, FaceError
from core.faces.verification import best_threshold
from core.runtime import weights
from core.runtime.samples import load_sample


def here(name: str) -> str:
    if not is_here(name):
        pytest.skip(f"{name} is not on this machine")
    return name


@pytest.mark.parametrize("name", ["dlib", "sface", "ours"])
def test_descriptions(name):
    description = describe(name)
    assert description.name == name and description.threshold > 0
    assert template_of(name).shape == (5, 2)
    assert 0 < template_of(name).min() and template_of(name).max() < description.input_px
    weights.describe(description.weights)  # it has a row in the list of models


def test_the_small_template_is_the_usual_one_scaled():
    np.testing.assert_allclose(template_of("ours"), TEMPLATE_112 * 64 / 112, rtol=1e-6)
    np.testing.assert_array_equal(template_of("sface"), TEMPLATE_112)


def test_refusals():
    with pytest.raises(FaceError, match="no face encoder 'vgg'; choose dlib, sface, ours"):
        describe("vgg")
    with pytest.raises(FaceError, match="reads faces of 150 x 150"):
        encode_crops(np.zeros((1, 64, 64, 3), np.uint8), "dlib")
    if not is_here("sface"):
        with pytest.raises(weights.WeightsError, match="SFace is not here yet"):
            encode_crops(np.zeros((1, 112, 112, 3), np.uint8), "sface")


@pytest.mark.parametrize("name", ["dlib", "sface", "ours"])
def test_shape_length_and_mirror_image(name):
    description = describe(here(name))
    side = description.input_px
    crops = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), np.uint8)
    encodings = encode_crops(crops, name)
    assert encodings.shape == (3, description.dimensions) and encodings.dtype == np.float32
    np.testing.assert_allclose(encode_crops(np.ascontiguousarray(crops[:, :, ::-1]), name), encodings, atol=1e-5)
    if description.is_unit:
        np.testing.assert_allclose(np.linalg.norm(encodings, axis=1), 1, atol=1e-5)
    assert encode_crops(crops[:0], name).shape == (0, description.dimensions)


@pytest.mark.parametrize("name", ["dlib", "sface", "ours"])
def test_one_person_is_nearer_than_two(name):
    here(name)
    astronaut, cameraman = load_sample("astronaut"), load_sample("camera")
    same = tasks.compare(astronaut, changed(astronaut, "several"), name)
    different = tasks.compare(astronaut, cameraman, name)
    assert same.is_same and same.faces_found == (1, 1)
    assert same.distance < different.distance and not different.is_same


@pytest.mark.parametrize("name", ["dlib", "sface", "ours"])
def test_what_was_measured_agrees_with_itself(name):
    known = measured(name)
    if known is None:
        pytest.skip(f"{name} was not measured")
    pairs = known.pairs
    assert (np.diff(pairs.same) >= 0).all() and (np.diff(pairs.different) >= 0).all()
    distances = np.concatenate([pairs.same, pairs.different])
    is_same = np.arange(len(distances)) < len(pairs.same)
    best = pairs.at(best_threshold(distances, is_same)).accuracy
    assert pairs.at(known.threshold).accuracy == pytest.approx(best, abs=5e-4)
    assert best - 0.01 < known.accuracy <= best + 1e-9
    assert describe(name).threshold == known.threshold


def test_no_face_is_said_in_a_sentence():
    cat = load_sample("chelsea")
    assert tasks.find_faces(cat) == () and tasks.encode_faces(cat) == ()
    with pytest.raises(FaceError, match="No face was found in the second picture"):
        tasks.compare(load_sample("astronaut"), cat)


def test_faces_that_are_given_are_not_looked_for():
    image = load_sample("astronaut")
    face = tasks.find_faces(image)[0]
    looked = tasks.encode_faces(image)
    given = tasks.encode_faces(image, faces=(face, face))
    np.testing.assert_allclose(given[0].encoding, looked[0].encoding, atol=1e-5)
    assert len(given) == 2 and given[0].aligned.shape == (150, 150, 3)
    timed = tasks.faces_of_picture(image)
    assert len(timed.faces) == 1 and timed.detect_ms > 0 and timed.encode_ms > 0


def test_every_flag_has_a_sentence():
    assert all(text.endswith(".") for text in FLAG_SENTENCES.values()) and len(encoders()) == 3
