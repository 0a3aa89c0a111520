"""The log of an experiment: what was measured so far, and how much of the work is done."""

from __future__ import annotations

from collections.abc import Callable

from core.runtime.report import Report
from core.training.experiments.measurements import Measurement


class ExperimentLog:
    """Keeps measurements, and tells a job of each and of the steps of all trainings as one fraction."""

    def __init__(self, report: Report | None, steps: int, start: float = 0.0) -> None:
        """Take where to report, the steps of all trainings together, and the fraction that was done before them."""
        self._report = report or Report()
        self._steps = steps
        self._start = start
        self._done = 0
        self._measurements: list[Measurement] = []

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """All so far."""
        return tuple(self._measurements)

    def keep(self, method: str, x: float, seed: int, value: float) -> None:
        """Keep an accuracy, and report it."""
        self._measurements.append(Measurement(method, float(x), seed, value))
        self._report(metrics=self._measurements[-1].point())

    def training(self, steps: int, message: str) -> Callable[[int, float], None]:
        """What the next training, of so many steps, is to tell its steps and cost."""
        before = self._done
        self._done += steps

        def tell(step: int, cost: float) -> None:
            self._report(self._start + (1 - self._start) * (before + step) / self._steps, message)

        return tell
