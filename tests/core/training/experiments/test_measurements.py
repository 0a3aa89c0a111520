"""Means, error bars and paired differences, against NumPy; and measurements on their way through a job's report."""

import numpy as np
import pytest

from core.runtime.report import MetricHistory
from core.training.experiments.log import ExperimentLog
from core.training.experiments.measurements import (
    Measurement,
    differences,
    gain_over_members,
    gain_over_setting,
    measurements_of,
    summarise,
)


def made(method, x, values):
    return [Measurement(method, x, seed, value) for seed, value in enumerate(values)]


def test_mean_and_deviation_are_numpys():
    values = [0.91, 0.87, 0.95, 0.9]
    (found,) = summarise(made("cnn", 10, values))
    assert found.mean == pytest.approx(np.mean(values)) and found.count == 4
    assert found.deviation == pytest.approx(np.std(values, ddof=1))


def test_one_seed_has_no_deviation():
    assert summarise(made("cnn", 10, [0.5]))[0].deviation == 0


def test_settings_come_in_order_and_methods_as_first_measured():
    found = summarise([*made("b", 20, [0.2]), *made("a", 10, [0.1]), *made("b", 10, [0.3])])
    assert [(one.method, one.x) for one in found] == [("b", 10), ("b", 20), ("a", 10)]


def test_differences_are_paired_by_seed():
    hog, cnn = [0.9, 0.8, 0.7], [0.6, 0.85, 0.7]
    (found,) = differences([*made("hog", 5, hog), *made("cnn", 5, cnn), Measurement("hog", 5, 9, 1.0)], "hog", "cnn")
    gaps = np.subtract(hog, cnn)
    assert found.mean == pytest.approx(gaps.mean()) and found.count == 3
    assert found.error == pytest.approx(gaps.std(ddof=1) / np.sqrt(3))
    assert (found.wins, found.ties) == (1, 1)


def test_gain_of_ten_crops_over_one():
    found = gain_over_setting([*made("crops", 1, [0.4, 0.5]), *made("crops", 10, [0.5, 0.7])], "crops", 10, 1)
    assert found.mean == pytest.approx(0.15) and found.wins == 2
    assert gain_over_setting(made("crops", 1, [0.4]), "crops", 10, 1) is None


def test_gain_of_an_ensemble_over_its_members():
    measured = []
    for seed, (members, together) in enumerate([([0.6, 0.7], [0.6, 0.75]), ([0.5, 0.6], [0.5, 0.65])]):
        for k, (member, mean) in enumerate(zip(members, together, strict=True), 1):
            measured += [Measurement("member", k, seed, member), Measurement("ensemble", k, seed, mean)]
    found = gain_over_members(measured)
    assert found.x == 2 and found.mean == pytest.approx(0.1) and found.count == 2
    # An ensemble that has only begun does not count among those of two members.
    begun = [*measured, Measurement("member", 1, 2, 0.1), Measurement("ensemble", 1, 2, 0.1)]
    assert gain_over_members(begun).count == 2
    assert gain_over_members([]) is None


def test_measurements_survive_the_way_through_a_job():
    points = []
    log = ExperimentLog(lambda *_, metrics=None, **__: points.append(metrics) if metrics else None, 10)
    for seed in range(3):
        for x in (2, 5):
            log.keep("frozen", x, seed, 0.1 * seed + x / 100)
            log.keep("scratch", x, seed, 0.2)
    history = MetricHistory(5000)
    history.extend([*points, {"loss": 1.0}])
    assert measurements_of(history.points()) == log.measurements


def test_the_log_makes_one_fraction_of_all_trainings():
    told = []
    log = ExperimentLog(lambda fraction=None, message="", **_: told.append((fraction, message)), 20, start=0.2)
    log.training(10, "first")(10, 0.0)
    log.training(10, "second")(5, 0.0)
    assert told == [(pytest.approx(0.6), "first"), (pytest.approx(0.8), "second")]
