"""Augmentation against OpenCV's warps and plain NumPy, and its draws."""

import cv2
import numpy as np
import pytest

from core.training.augmentation import DRAWS, augment, augmented, epoch_draws
from core.training.runs import TrainingSettings
from core.training.tasks import preview_augmentation


def pictures(count: int = 6, side: int = 12, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels)).astype(np.float32)


def draws(count: int, **places: float) -> np.ndarray:
    names = ("down", "right", "mirror", "turn", "zoom", "brightness", "contrast", "saturation")
    values = np.full((count, DRAWS), 0.5, np.float32)
    for name, value in places.items():
        values[:, names.index(name)] = value
    return values


def test_shifts_move_whole_pictures_and_repeat_the_rim() -> None:
    before, drawn = pictures(40, 9, 1), np.random.default_rng(1).random((40, DRAWS), np.float32)
    moved = np.asarray(augment(before, drawn, shift_px=2))
    seen = set()
    for one, after in zip(before, moved, strict=True):
        padded = np.pad(one, ((2, 2), (2, 2), (0, 0)), mode="edge")
        places = [(y, x) for y in range(5) for x in range(5)]
        found = [(y, x) for y, x in places if np.allclose(padded[y : y + 9, x : x + 9], after, atol=1e-3)]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) > 12


def test_a_mirror_image_is_numpys() -> None:
    before = pictures()
    np.testing.assert_allclose(augment(before, draws(6, mirror=0.2), flip=True), before[:, :, ::-1], atol=1e-2)
    np.testing.assert_allclose(augment(before, draws(6, mirror=0.8), flip=True), before, atol=1e-2)


@pytest.mark.parametrize(("turn", "zoom"), [(0.9, 0.5), (0.5, 1.0), (0.5, 0.0), (0.1, 0.8)])
def test_turn_and_zoom_are_opencvs(turn: float, zoom: float) -> None:
    before = cv2.GaussianBlur(pictures(1, 40)[0], (0, 0), 2)
    after = np.asarray(augment(before[None], draws(1, turn=turn, zoom=zoom), rotate_deg=30, zoom=0.3))[0]
    # A draw over one half turns clockwise; OpenCV counts the other way round.
    matrix = cv2.getRotationMatrix2D((19.5, 19.5), (1 - 2 * turn) * 30, 1 + 0.3 * (2 * zoom - 1))
    expected = cv2.warpAffine(before, matrix, (40, 40), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(after[4:-4, 4:-4], expected[4:-4, 4:-4], atol=2.0)  # OpenCV counts 1/32 pixels


def test_colour_is_the_formulas() -> None:
    before = pictures()
    after = np.asarray(augment(before, draws(6, brightness=1.0, contrast=0.0, saturation=0.75), colour=0.2))
    for one, found in zip(before, after, strict=True):
        expected = one.mean() + (one - one.mean()) * 0.8 + 127.5 * 0.2
        grey = expected.mean(axis=2, keepdims=True)
        np.testing.assert_allclose(found, np.clip(grey + (expected - grey) * 1.1, 0, 255), atol=0.01)
    assert np.asarray(augment(pictures(channels=1), draws(6), colour=0.5)).shape == (6, 12, 12, 1)


def test_draws_in_the_middle_change_nothing() -> None:
    before = pictures()
    after = augment(before, draws(6, mirror=0.9), shift_px=3, flip=True, rotate_deg=20, zoom=0.2, colour=0.3)
    np.testing.assert_allclose(after, before, atol=1e-2)


def test_order_and_draws_depend_on_seed_and_epoch_alone() -> None:
    settings = TrainingSettings(shift_px=2)
    order, drawn = epoch_draws(settings, 3, 50)
    again, redrawn = epoch_draws(settings, 3, 50)
    np.testing.assert_array_equal(order, again)
    np.testing.assert_array_equal(drawn, redrawn)
    assert sorted(order.tolist()) == list(range(50)) and drawn.shape == (50, DRAWS)
    assert (epoch_draws(settings, 4, 50)[0] != order).any()
    assert epoch_draws(TrainingSettings(shift_px=0), 3, 50)[1].shape == (0, DRAWS)


def test_the_preview_is_what_training_sees() -> None:
    settings = TrainingSettings(shift_px=2, flip=True, rotate_deg=15.0, colour=0.2)
    picture = pictures(1, 24)[0].astype(np.uint8)
    shown, plain = preview_augmentation(picture, [settings, TrainingSettings(shift_px=0)], 4)
    drawn = np.random.default_rng([0, 7]).random((4, DRAWS), np.float32)
    seen = np.asarray(augmented(np.repeat(picture[None].astype(np.float32), 4, axis=0), drawn, settings))
    assert shown.shape == (4, 24, 24, 3) and shown.dtype == np.uint8
    np.testing.assert_allclose(shown, seen, atol=0.51)
    np.testing.assert_array_equal(plain, np.repeat(picture[None], 4, axis=0))
