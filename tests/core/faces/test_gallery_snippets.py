"""The programs on the recognition page: they run, agree with each other and with the index."""

from __future__ import annotations

import numpy as np
import pytest

from core.faces.gallery_snippets import compare_recognition, recognition_snippets
from core.faces.index import FaceIndex
from core.faces.types import FaceError
from tests.core.faces.made_faces import encoding_of


def test_programs_agree_with_each_other_and_with_the_index():
    database = np.stack([encoding_of(person) for person in range(200)])
    query = encoding_of(17, 3)
    found = compare_recognition(database, query, 5, 0.6)
    assert [run.name for run in found.runs] == ["NumPy", "TensorFlow", "FAISS"]
    assert max(pair.largest for pair in found.differences) < 1e-4
    index = FaceIndex(128)
    index.add(np.arange(1, 201), database)
    expected = index.search(query[None], 5)
    np.testing.assert_allclose(found.runs[0].result, expected.distances[0], rtol=1e-5)
    assert expected.ids[0, 0] == 18 and all(run.time_ms > 0 for run in found.runs)


def test_few_encodings_and_the_very_same_one():
    database = np.stack([encoding_of(1), encoding_of(2)])
    found = compare_recognition(database, encoding_of(1), 5, 0.6)
    assert all(run.result.shape == (2,) and np.isfinite(run.result).all() for run in found.runs)
    assert found.runs[0].result[0] == 0


def test_the_threshold_stands_in_the_text():
    for _, text in recognition_snippets(3, 0.55).items():
        assert "<= 0.550 else None" in text


@pytest.mark.parametrize("shape", [(0, 128), (3, 64), (128,)])
def test_what_cannot_be_searched(shape):
    with pytest.raises(FaceError, match="expected encodings"):
        compare_recognition(np.zeros(shape, np.float32), encoding_of(1), 5, 0.6)
