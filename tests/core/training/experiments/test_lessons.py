"""Each experiment shows its lesson at the page's default settings, over three seeds. Takes minutes."""

import pytest

from core.training import experiment_tasks as tasks
from core.training.experiments.measurements import differences, gain_over_members, gain_over_setting, summarise
from core.training.experiments.settings import (
    AugmentationSettings,
    EnsembleSettings,
    HogSettings,
    MultiCropSettings,
    TransferSettings,
)

pytestmark = pytest.mark.slow


def measured(task, settings):
    result = task(settings)
    print(f"\n{result.answered_by}, {result.seconds:.0f} s")
    for one in summarise(result.measurements):
        print(f"{one.method:20} {one.x:6g}  {100 * one.mean:5.1f} ± {100 * one.deviation:.1f}")
    return result.measurements


def test_transferred_features_win_where_pictures_are_few():
    found = measured(tasks.transfer, TransferSettings())
    for gap in differences(found, "frozen", "scratch"):
        assert gap.wins == gap.count == 3 and gap.mean > 2 * gap.error


def test_augmentation_helps_where_pictures_are_few():
    gap = differences(measured(tasks.augmentation, AugmentationSettings()), "augmented", "plain")[-1]
    assert gap.wins == 3 and gap.mean > 0.1


def test_hand_engineering_helps_where_labels_are_few_and_less_where_there_are_many():
    gaps = differences(measured(tasks.hog, HogSettings()), "hog_svm", "cnn")
    assert gaps[0].mean > 2 * gaps[0].error and gaps[0].mean > gaps[-1].mean + 0.02


def test_an_ensemble_beats_the_average_of_its_members():
    gap = gain_over_members(measured(tasks.ensemble, EnsembleSettings()))
    assert gap.wins == 3 and gap.mean > 2 * gap.error


def test_ten_crops_beat_one():
    gap = gain_over_setting(measured(tasks.multi_crop, MultiCropSettings()), "crops", 10, 1)
    assert gap.wins == 3 and gap.mean > 2 * gap.error
