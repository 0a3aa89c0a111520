"""The five experiments on tiny settings: every number is there, and follows from what the networks answer."""

import dataclasses

import numpy as np
import pytest

from core.runtime.report import JobCancelled, Report
from core.training import experiment_tasks as tasks
from core.training.datasets import drawn_shapes
from core.training.experiments import ensemble, looks
from core.training.experiments.augmentation_effect import Augmenter, augmentation_experiment
from core.training.experiments.hog import hog_experiment
from core.training.experiments.learner import Learner
from core.training.experiments.measurements import measurements_of
from core.training.experiments.multi_crop import crop_probabilities, multi_crop_experiment
from core.training.experiments.settings import (
    AugmentationSettings,
    EnsembleSettings,
    ExperimentError,
    HogSettings,
    MultiCropSettings,
    TransferSettings,
)
from core.training.experiments.transfer import transfer_experiment
from core.training.networks import build_classifier


@pytest.fixture(scope="module")
def shapes():
    return drawn_shapes(150)


class Points(Report):
    """Keeps what is reported; ends the job after so many measurements."""

    def __init__(self, end_after=10**6):
        super().__init__()
        self.points, self.fractions, self._end_after = [], [], end_after

    def __call__(self, fraction=None, message="", metrics=None, preview=None):
        if fraction is not None:
            assert -1e-9 <= fraction <= 1 + 1e-9
            self.fractions.append(fraction)
        if metrics:
            self.points.append(metrics)
        if len(self.points) >= self._end_after:
            raise JobCancelled


def held(result, report, methods, count):
    """What holds of every experiment."""
    assert measurements_of(report.points) == result.measurements and len(result.measurements) == count
    assert {one.method for one in result.measurements} == methods
    assert all(0 <= one.value <= 1 for one in result.measurements)
    assert report.fractions == sorted(report.fractions) and report.fractions[-1] <= 1


def test_transfer(shapes):
    settings = TransferSettings(per_class=(1, 3), network="lenet5", steps=4, tuning_steps=2, batch=4, seeds=2)
    report = Points()
    result = transfer_experiment(shapes, settings, report)
    held(result, report, {"scratch", "frozen", "fine_tuned"}, 2 * 2 * 3)
    weights = dict(result.trained_weights)
    assert weights["frozen"] == (result.features + 1) * 6 < weights["fine_tuned"]
    assert "embedded" in result.answered_by


def test_augmentation(shapes):
    settings = AugmentationSettings(per_class=2, network="lenet5", steps=6, looks=2, batch=4, seeds=2)
    report = Points()
    result = augmentation_experiment(shapes, settings, report)
    held(result, report, {"plain", "augmented", "plain_training", "augmented_training"}, 2 * 2 * 2 * 2)
    assert {one.x for one in result.measurements} == {3, 6}


def test_no_change_is_no_augmentation(shapes):
    nothing = AugmentationSettings(shift_px=0, flip=False, rotate_deg=0, zoom=0, colour=0)
    images = shapes.images[:16]
    assert (Augmenter(nothing, images.shape[1:])(images, np.random.default_rng(0)) == images).all()
    mirrored = Augmenter(dataclasses.replace(nothing, flip=True), images.shape[1:])(images, np.random.default_rng(0))
    same = [(one == image).all() for one, image in zip(mirrored, images, strict=True)]
    turned = [(one == image[:, ::-1]).all() for one, image in zip(mirrored, images, strict=True)]
    assert all(a or b for a, b in zip(same, turned, strict=True)) and any(turned) and any(same)


def test_hog(shapes):
    report = Points()
    result = hog_experiment(shapes, HogSettings(shares=(0.5, 1.0), steps=4, batch=4, seeds=2), report)
    held(result, report, {"hog_svm", "pixel_svm", "cnn"}, 2 * 2 * 3)
    assert {one.x for one in result.measurements} == {54, 108} or len({one.x for one in result.measurements}) == 2


def test_the_ensemble_is_the_numpy_mean_of_its_members():
    random = np.random.default_rng(0)
    members = random.dirichlet(np.ones(4), (3, 50)).astype(np.float32)
    np.testing.assert_allclose(ensemble.ensemble_answer(members), np.mean(members, axis=0), rtol=1e-6)
    named = members.argmax(axis=2)
    pairs = [np.mean(named[a] != named[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert ensemble.disagreement(members) == pytest.approx(np.mean(pairs))
    labels = members.mean(axis=0).argmax(axis=1)
    assert ensemble.accuracy(ensemble.ensemble_answer(members), labels) == 1.0


def test_the_most_disputed_picture_is_one_that_the_mean_gets_right():
    members = np.array([[[0.4, 0.6], [0.9, 0.1]], [[0.9, 0.1], [0.9, 0.1]]], np.float32)
    assert ensemble.most_disputed(members, np.array([0, 0])) == 0


def test_ensemble(shapes):
    settings = EnsembleSettings(data="shapes", per_class=2, members=3, steps=4, batch=4, seeds=2)
    report = Points()
    result = ensemble.ensemble_experiment(shapes, settings, report)
    held(result, report, {"member", "ensemble"}, 2 * 3 * 2)
    first = [one for one in result.measurements if one.x == 1 and one.seed == 0]
    assert first[0].value == first[1].value  # an ensemble of one is its member
    assert result.example.probabilities.shape == (3, 6) and 0 <= result.disagreement <= 1
    np.testing.assert_allclose(result.example.probabilities.sum(axis=1), 1, rtol=1e-5)


def test_multi_crop(shapes):
    settings = MultiCropSettings(crop_share=0.75, per_class=2, network="lenet5", steps=4, batch=4, seeds=2)
    report = Points()
    result = multi_crop_experiment(shapes, settings, report)
    held(result, report, {"crops"}, 2 * 4)
    assert result.crop_px == 24 and result.example.probabilities.shape == (10, 6)


def test_crop_answers_are_the_networks_answers_to_each_crop():
    learner = Learner(lambda seed: build_classifier("lenet5", (24, 24, 3), 4, seed))
    crops = np.random.default_rng(0).integers(0, 256, (3, 10, 24, 24, 3), np.uint8)
    found = crop_probabilities(learner, crops)
    for index in (0, 4, 9):
        np.testing.assert_allclose(found[:, index], learner.probabilities(crops[:, index]), atol=1e-5)


def test_crops_too_small_for_the_network_are_told(shapes):
    with pytest.raises(ExperimentError, match="Crops of 13 px are too small"):
        multi_crop_experiment(shapes, MultiCropSettings(crop_share=0.4))


def test_a_stopped_experiment_leaves_what_it_measured(shapes):
    report = Points(end_after=3)
    with pytest.raises(JobCancelled):
        ensemble.ensemble_experiment(
            shapes, EnsembleSettings(data="shapes", per_class=2, members=3, steps=4, seeds=2), report
        )
    assert len(measurements_of(report.points)) == 3


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: TransferSettings(per_class=()), "at least one picture"),
        (lambda: HogSettings(shares=(0.0, 1.0)), "over 0 and up to 1"),
        (lambda: EnsembleSettings(members=1), "2 to 15 members"),
        (lambda: MultiCropSettings(crop_share=1.0), "less than all of it"),
        (lambda: AugmentationSettings(network="alexnet"), "must be one of"),
        (lambda: EnsembleSettings(seeds=11), "1 to 10"),
    ],
)
def test_settings_out_of_range_are_told(made, words):
    with pytest.raises(ExperimentError, match=words):
        made()


def test_first_looks(shapes):
    look = looks.transfer_look(shapes, "auto")
    assert look.per_class == 5 and look.pixel_count == 16 * 16 and 0 <= look.frozen <= 1
    hog = looks.hog_look(shapes, HogSettings())
    assert hog.features == 324 and hog.drawn.shape == hog.images.shape[:3]
    disputed = looks.ensemble_look(shapes, EnsembleSettings(per_class=2, batch=4))
    assert len(disputed.members) == 3 and disputed.example.probabilities.shape[0] == 3


def test_the_pictures_of_a_view():
    shown = tasks.varied(AugmentationSettings())
    assert shown.varied.shape == (3, 5, 32, 32, 3) and shown.images.shape == (3, 32, 32, 3)
    assert len(tasks.sample("photographs").names) == 10
