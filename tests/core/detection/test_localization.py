"""Target vectors and their losses against TensorFlow and finite differences; scenes; what a short run learns."""

import numpy as np
import pytest
import tensorflow as tf

from core.detection.localization import (
    LOSS_KINDS,
    LocalizationError,
    localization_loss,
    normalised_classes,
    target_vector,
    vector_box,
)
from core.detection.localization_scenes import (
    CLASS_NAMES,
    SCENE_PX,
    contact_sheet,
    draw_scenes,
    score_predictions,
)
from core.detection.localization_snippets import compare_losses
from core.detection.localization_tasks import LocalizerSettings, localize, train_localizer
from core.runtime.report import JobCancelled, Report

Y = np.array([1, 0.5, 0.55, 0.8, 0.6, 0, 1, 0.0])
Y_HAT = np.array([0.7, 0.4, 0.5, 0.7, 0.7, 0.2, 0.9, 0.3])


def tensorflow_loss(y, y_hat, kind):
    if kind == "squared":
        return float(tf.reduce_sum((y_hat - y) ** 2) if y[0] else (y_hat[0] - y[0]) ** 2)
    total = float(tf.keras.losses.binary_crossentropy(y[:1], y_hat[:1].astype(np.float64)))
    if y[0]:
        total += float(tf.reduce_sum((y_hat[1:5] - y[1:5]) ** 2))
        total += float(tf.keras.losses.categorical_crossentropy(y[5:], y_hat[5:] / y_hat[5:].sum()))
    return total


@pytest.mark.parametrize("kind", LOSS_KINDS)
@pytest.mark.parametrize("y", [Y, np.zeros(8)])
def test_the_loss_is_tensorflows(kind, y):
    assert localization_loss(y, Y_HAT, kind).total == pytest.approx(tensorflow_loss(y, Y_HAT, kind), abs=1e-6)


@pytest.mark.parametrize("kind", LOSS_KINDS)
@pytest.mark.parametrize("y", [Y, np.zeros(8)])
def test_the_gradient_is_that_of_finite_differences(kind, y):
    gradient = localization_loss(y, Y_HAT, kind).gradient
    for index in range(8):
        step = np.eye(8)[index] * 1e-6
        up, down = (localization_loss(y, Y_HAT + sign * step, kind).total for sign in (1, -1))
        assert gradient[index] == pytest.approx((up - down) / 2e-6, abs=1e-5)


def test_without_an_object_nothing_but_p_c_counts():
    other = Y_HAT.copy()
    other[1:] = 0.123
    for kind in LOSS_KINDS:
        assert localization_loss(np.zeros(8), Y_HAT, kind).total == localization_loss(np.zeros(8), other, kind).total


@pytest.mark.parametrize("kind", LOSS_KINDS)
def test_the_three_programs_agree(kind):
    for y in (Y, np.zeros(8)):
        comparison = compare_losses(y, Y_HAT, kind)
        assert [run.name for run in comparison.runs] == ["NumPy", "TensorFlow", "Keras"]
        assert max(difference.largest for difference in comparison.differences) < 1e-6


def test_outputs_of_zero_and_one_have_a_finite_loss():
    wrong = np.array([0, 0, 0, 0, 0, 1, 0, 0.0])
    assert np.isfinite(localization_loss(Y, wrong, "logistic").total)
    assert np.isfinite(localization_loss(np.zeros(8), np.ones(8), "logistic").gradient).all()
    assert normalised_classes(np.zeros(4)).tolist() == [0.25] * 4


def test_a_vector_and_its_box_are_one():
    rng = np.random.default_rng(0)
    for _ in range(50):
        corners = np.sort(rng.uniform(0, 200, (2, 2)), axis=0)
        box = (*corners[0], *corners[1])
        assert vector_box(target_vector(box, 0, 2, (200, 300)), (200, 300)) == pytest.approx(box)


@pytest.mark.parametrize(
    ("box", "class_id"),
    [((10, 10, 10, 20), 0), ((0, 0, 5, 5), 3), ((200, 0, 300, 50), 0), ((0, 0, float("nan"), 5), 0)],
)
def test_what_is_no_target_is_refused(box, class_id):
    with pytest.raises(LocalizationError):
        target_vector(box, class_id, 3, (100, 100))


@pytest.mark.parametrize(("y", "y_hat"), [(Y, Y_HAT[:7]), (Y * 0.5, Y_HAT), (Y, Y_HAT * np.nan), (Y[:5], Y_HAT[:5])])
def test_vectors_that_do_not_fit_are_refused(y, y_hat):
    with pytest.raises(LocalizationError):
        localization_loss(y, y_hat)


class TestScenes:
    def test_are_the_same_each_time_and_differ_by_split(self):
        first, again, other = draw_scenes("train", 3), draw_scenes("train", 3), draw_scenes("test", 3)
        assert (first.images == again.images).all() and (first.targets == again.targets).all()
        assert (first.images != other.images).any()

    def test_hold_what_the_vector_says(self):
        scenes = draw_scenes("validation", 60)
        objects = scenes.targets[:, 0] == 1
        assert 0.5 < objects.mean() < 0.95
        assert (scenes.targets[~objects] == 0).all()
        assert (scenes.targets[objects, 5:].sum(axis=1) == 1).all()
        assert set(scenes.targets[objects, 5:].argmax(axis=1)) == set(range(len(CLASS_NAMES)))
        half = scenes.targets[objects, 3:5] / 2  # height, width
        middle = scenes.targets[objects, 1:3]  # x, y
        assert (middle - half[:, ::-1] > -1e-4).all() and (middle + half[:, ::-1] < 1 + 1e-4).all()

    def test_the_truth_itself_scores_best(self):
        scenes = draw_scenes("validation", 20)
        scores = score_predictions(scenes.targets, scenes.targets)
        assert scores.mean_iou == pytest.approx(1.0, abs=1e-6)
        assert scores.accuracy == scores.presence == scores.class_accuracy == 1.0
        moved = scenes.targets.copy()
        moved[:, 1] += moved[:, 4] / 2  # half a width to the side: two thirds of the union are not shared
        inside = moved[:, 1] + moved[:, 4] / 2 <= 1
        iou = score_predictions(moved, scenes.targets).iou[inside & (scenes.targets[:, 0] == 1)]
        assert iou == pytest.approx(1 / 3, abs=1e-5)

    def test_a_sheet_shows_all_of_them(self):
        scenes = draw_scenes("new", 8)
        assert contact_sheet(scenes.images, scenes.targets, scenes.targets).shape == (320, 640, 3)


class TestLearning:
    def test_a_short_run_learns_and_answers_from_its_file(self):
        trained = train_localizer(LocalizerSettings(scenes=256, epochs=6, learning_rate=0.005))
        assert trained.ended == "epochs" and len(trained.history) == 6
        assert trained.history[-1][2] < trained.history[0][2]
        # Few scenes and few epochs: better than the commonest answer, which is right about a third.
        assert trained.test.presence > 0.7 and len(trained.test.iou) == 500
        answers = localize(trained.keras_file, trained.shown.images)
        assert answers == pytest.approx(trained.shown_predictions, abs=1e-5)
        assert answers[:, 5:].sum(axis=1) == pytest.approx(1.0, abs=1e-5)

    def test_a_cancelled_run_ends(self):
        class Stopped(Report):
            def __call__(self, fraction=None, message="", metrics=None, preview=None):
                if message.startswith("Epoch"):
                    raise JobCancelled

        with pytest.raises(JobCancelled):
            train_localizer(LocalizerSettings(scenes=64, epochs=2), Stopped())

    def test_settings_and_images_that_cannot_be_used(self):
        with pytest.raises(LocalizationError):
            train_localizer(LocalizerSettings(scenes=3))
        with pytest.raises(LocalizationError):
            localize(b"", np.zeros((1, SCENE_PX, SCENE_PX + 1, 3), np.uint8))
