"""What the experiments measure, and the error bars over seeds: mean, deviation, and paired differences.

A measurement is one accuracy: of a method, at one setting (x), with one seed. The seeds are the repetitions: each
draws other pictures to learn from, other weights and another order, and all methods of a seed get the same pictures,
so that two methods are compared seed by seed. While an experiment runs, its measurements are the metrics that its job
reports, so that what is there so far can be drawn at any time, also when it was stopped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

X, SEED = "x", "seed"
MEMBER, ENSEMBLE = "member", "ensemble"  # methods that `gain_over_members` knows


@dataclass(frozen=True)
class Measurement:
    """One accuracy, 0..1, of a method at the setting `x` with one seed."""

    method: str
    x: float
    seed: int
    value: float

    def point(self) -> dict[str, float]:
        """The measurement as a job reports it."""
        return {X: self.x, SEED: float(self.seed), self.method: self.value}


@dataclass(frozen=True)
class Summary:
    """A method at one setting over its seeds: mean and sample standard deviation (0 with one seed)."""

    method: str
    x: float
    mean: float
    deviation: float
    values: tuple[float, ...]

    @property
    def count(self) -> int:
        """How many seeds were measured."""
        return len(self.values)


@dataclass(frozen=True)
class Difference:
    """A method minus a baseline at one setting, seed by seed.

    `error` is the standard error of the mean difference (0 with one seed); `wins` counts the seeds in which the
    method was better, `ties` those in which both were the same.
    """

    x: float
    mean: float
    error: float
    wins: int
    ties: int
    count: int


def measurements_of(points: Iterable[Mapping[str, float]]) -> tuple[Measurement, ...]:
    """The measurements among the metrics of a job.

    >>> measurements_of([{"x": 10.0, "seed": 0.0, "cnn": 0.5}, {"loss": 2.0}])
    (Measurement(method='cnn', x=10.0, seed=0, value=0.5),)
    """
    found = []
    for point in points:
        if X in point and SEED in point:
            found += [
                Measurement(name, float(point[X]), int(point[SEED]), float(value))
                for name, value in point.items()
                if name not in (X, SEED)
            ]
    return tuple(found)


def summarise(measurements: Iterable[Measurement]) -> tuple[Summary, ...]:
    """Mean and deviation of every method at every setting, methods in the order of their first measurement.

    >>> summarise([Measurement("cnn", 1, 0, 0.5), Measurement("cnn", 1, 1, 0.7)])[0].mean
    0.6
    """
    groups: dict[str, dict[float, list[float]]] = {}
    for one in measurements:
        groups.setdefault(one.method, {}).setdefault(one.x, []).append(one.value)
    return tuple(
        Summary(method, x, *_mean_and_deviation(values), tuple(values))
        for method, by_x in groups.items()
        for x, values in sorted(by_x.items())
    )


def differences(measurements: Iterable[Measurement], method: str, baseline: str) -> tuple[Difference, ...]:
    """How much better a method is than a baseline at each setting, over the seeds in which both were measured."""
    by_place = {(one.method, one.x, one.seed): one.value for one in measurements}
    pairs: dict[float, list[float]] = {}
    for (name, x, seed), value in by_place.items():
        if name == method and (baseline, x, seed) in by_place:
            pairs.setdefault(x, []).append(value - by_place[baseline, x, seed])
    return tuple(_difference(x, gaps) for x, gaps in sorted(pairs.items()))


def gain_over_setting(
    measurements: Iterable[Measurement], method: str, x: float, baseline_x: float
) -> Difference | None:
    """How much better a method is at one setting than at another, seed by seed; None while no seed has both."""
    by_place = {(one.x, one.seed): one.value for one in measurements if one.method == method}
    gaps = [
        value - by_place[baseline_x, seed]
        for (at, seed), value in by_place.items()
        if at == x and (baseline_x, seed) in by_place
    ]
    return _difference(x, gaps) if gaps else None


def gain_over_members(measurements: Iterable[Measurement]) -> Difference | None:
    """How much better an ensemble is than its members are on average, over the ensembles of the most members."""
    by_seed: dict[int, dict[str, dict[float, float]]] = {}
    for one in measurements:
        by_seed.setdefault(one.seed, {}).setdefault(one.method, {})[one.x] = one.value
    whole = [found for found in by_seed.values() if {ENSEMBLE, MEMBER} <= found.keys()]
    if not whole:
        return None
    most = max(max(found[ENSEMBLE]) for found in whole)
    gaps = [
        found[ENSEMBLE][most] - math.fsum(found[MEMBER].values()) / len(found[MEMBER])
        for found in whole
        if most in found[ENSEMBLE]
    ]
    return _difference(most, gaps)


def _difference(x: float, gaps: list[float]) -> Difference:
    mean, deviation = _mean_and_deviation(gaps)
    wins, ties = sum(gap > 0 for gap in gaps), sum(gap == 0 for gap in gaps)
    return Difference(x, mean, deviation / math.sqrt(len(gaps)), wins, ties, len(gaps))


def _mean_and_deviation(values: list[float]) -> tuple[float, float]:
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, 0.0
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
