"""The data sets: their parts are apart, what is drawn is drawn again, and bad files are refused in a sentence."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.training.datasets import (
    SHAPES,
    DatasetError,
    ImageDataset,
    digits,
    drawn_shapes,
    load_npz,
    stratified_split,
)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.floats(0.05, 0.5), st.integers(0, 100))
@settings(deadline=None, max_examples=60)
def test_a_stratified_split_takes_the_share_of_each_class(labels: list[int], share: float, seed: int) -> None:
    given_labels = np.array(labels, np.int64)
    rest, part = stratified_split(given_labels, share, seed)
    assert sorted([*rest.tolist(), *part.tolist()]) == list(range(len(labels)))
    for label in set(labels):
        members = labels.count(label)
        expected = max(1, round(share * members)) if members > 1 else 0
        assert int((given_labels[part] == label).sum()) == expected


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    dataset = digits()
    assert dataset.images.shape == (1797, 32, 32, 1)
    np.testing.assert_array_equal(dataset.labels, load_digits().target)
    parts = [set(part.tolist()) for part in (dataset.train, dataset.validation, dataset.test)]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 1797
    # a digit of 8 x 8 looks the same when it is shrunk back
    small = dataset.images[5, :, :, 0].reshape(8, 4, 8, 4).mean(axis=(1, 3))
    assert np.corrcoef(small.ravel(), load_digits().images[5].ravel())[0, 1] > 0.95


def test_shapes_are_drawn_again_from_the_same_seed() -> None:
    first, again, other = drawn_shapes(120, 32, 1), drawn_shapes(120, 32, 1), drawn_shapes(120, 32, 2)
    np.testing.assert_array_equal(first.images, again.images)
    assert (first.images != other.images).any()
    assert first.images.shape == (120, 32, 32, 3) and first.class_names == SHAPES
    assert np.bincount(first.labels).tolist() == [20] * 6
    assert first.images.reshape(120, -1).std(axis=1).min() > 8  # something is drawn on each


@pytest.mark.parametrize(("count", "side_px"), [(10, 32), (100, 8), (100, 500)])
def test_shapes_out_of_range(count: int, side_px: int) -> None:
    with pytest.raises(DatasetError, match="expected at least 60 pictures"):
        drawn_shapes(count, side_px)


def save(path: Path, **changed: object) -> Path:
    random = np.random.default_rng(0)
    arrays: dict[str, object] = {
        "x_train": random.integers(0, 256, (60, 28, 28), np.uint8),
        "y_train": np.arange(60, dtype=np.uint8) % 10,
        "x_test": random.integers(0, 256, (20, 28, 28), np.uint8),
        "y_test": np.arange(20, dtype=np.uint8) % 10,
    }
    kept = {name: value for name, value in (arrays | changed).items() if value is not None}
    np.savez(path, **kept)  # type: ignore[arg-type]
    return path


def test_a_file_keeps_its_own_test_part(tmp_path: Path) -> None:
    dataset = load_npz(save(tmp_path / "ten.npz"))
    assert dataset.images.shape == (80, 28, 28, 1) and len(dataset.class_names) == 10
    assert dataset.test.tolist() == list(range(60, 80))
    assert max(dataset.train.max(), dataset.validation.max()) < 60
    pictures, labels = dataset.part("validation")
    assert len(pictures) == len(labels) == 10


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"x_test": None}, "has no array"),
        ({"x_train": np.zeros((60, 28, 28))}, "expected pictures uint8"),
        ({"y_train": np.zeros(60)}, "has not one whole number"),
        ({"y_train": np.zeros(59, np.int64)}, "has not one whole number"),
        ({"y_train": np.zeros(60, np.int64), "y_test": np.zeros(20, np.int64)}, "at least two classes"),
        ({"x_train": np.array([object()])}, "cannot be read"),
    ],
)
def test_files_that_cannot_be_trained_on(tmp_path: Path, changed: dict[str, object], sentence: str) -> None:
    with pytest.raises(DatasetError, match=sentence):
        load_npz(save(tmp_path / "bad.npz", **changed))


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 broken"])
def test_files_that_are_no_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="cannot be read as a NumPy archive"):
        load_npz(path)
    with pytest.raises(DatasetError, match="There is no file"):
        load_npz(tmp_path / "absent.npz")


def test_a_picture_in_two_parts_is_refused() -> None:
    good = drawn_shapes(60)
    with pytest.raises(DatasetError, match="more than one of the parts"):
        dataclasses.replace(good, test=good.train)
    with pytest.raises(DatasetError, match="at least one picture"):
        dataclasses.replace(good, test=good.test[:0])
    with pytest.raises(DatasetError, match="Labels must lie"):
        ImageDataset("x", good.images, good.labels + 9, SHAPES, good.train, good.validation, good.test)
