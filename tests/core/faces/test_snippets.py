"""The programs on the page find one distance, and changes of a photograph change what they say they change."""

import numpy as np
import pytest

from core.faces.disturbances import CHANGES, changed
from core.faces.snippets import compare_distances, distance_snippets
from core.faces.types import FaceError
from core.runtime.samples import load_sample


def test_all_programs_find_the_same_distance():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 128)).astype(np.float32)
    result = compare_distances(first, second, 0.6)
    expected = np.linalg.norm(first.astype(np.float64) - second)
    assert [run.name for run in result.runs] == ["NumPy", "SciPy", "Keras"]
    assert all(run.result == pytest.approx(expected, rel=1e-5) and run.time_ms >= 0 for run in result.runs)
    assert len(result.differences) == 3 and max(pair.largest for pair in result.differences) < 1e-4


@pytest.mark.parametrize("threshold", [float("nan"), -0.1, float("inf")])
def test_only_a_threshold_goes_into_a_program(threshold):
    with pytest.raises(FaceError, match="A threshold is a number"):
        distance_snippets(threshold)


def test_encodings_of_different_encoders_are_not_compared():
    with pytest.raises(FaceError, match="Two encodings of one length"):
        compare_distances(np.zeros(128, np.float32), np.zeros(64, np.float32), 0.5)


def test_changes_are_pictures_and_leave_the_photograph_alone():
    image = load_sample("astronaut")
    before = image.copy()
    for name in CHANGES:
        other = changed(image, name)
        assert other.dtype == np.uint8 and other.ndim == 3 and other.shape[2] == 3, name
        np.testing.assert_array_equal(other, changed(image, name))
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(changed(changed(image, "mirrored"), "mirrored"), image)
    assert changed(image, "dark").mean() < 0.7 * image.mean()
    grey = changed(image, "grey")
    np.testing.assert_array_equal(grey[..., 0], grey[..., 2])
