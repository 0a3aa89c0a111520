"""The optimisers against Keras' Adam, the notes' update by hand, and a bowl whose bottom is known."""

import numpy as np
import pytest

from core.style import optimisers
from core.style.optimisers import adam, gradient_descent, lbfgs, minimise

GOAL = np.linspace(40, 200, 12, dtype=np.float32)
CURVATURE = np.geomspace(1, 300, 12).astype(np.float32)


class Bowl:
    """J = 1/2 sum of c (x - goal)^2, and how often it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, x):
        self.asked.append(x.copy())
        away = x - GOAL
        return float(0.5 * np.sum(CURVATURE * away**2)), (CURVATURE * away).astype(np.float32)


START = np.full(12, 128, np.float32)


@pytest.mark.parametrize("optimizer", ["gradient_descent", "adam", "lbfgs"])
def test_each_goes_downhill_in_exactly_so_many_evaluations(optimizer):
    bowl = Bowl()
    best = minimise(optimizer, bowl, START, 25)
    assert len(bowl.asked) == 25
    assert bowl(best)[0] < 0.5 * bowl(START)[0]
    assert best.min() >= 0 and best.max() <= 255


def test_lbfgs_is_at_the_bottom_when_adam_is_not():
    first, second = Bowl(), Bowl()
    by_lbfgs, by_adam = lbfgs(first, START, 40), adam(second, START, 40)
    assert Bowl()(by_lbfgs)[0] < 0.01 * Bowl()(by_adam)[0]


@pytest.mark.parametrize("seed", range(3))
def test_lbfgs_finds_the_lowest_point_within_the_range_as_a_bounded_search_does(seed):
    from scipy.optimize import minimize

    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(40, 40))
    matrix = mixing @ mixing.T / 40 + 0.05 * np.eye(40)  # pixels depend on each other: many go out and must come back
    goal = rng.uniform(-300, 500, 40)

    def bowl(x):
        away = x.astype(np.float64) - goal
        return float(0.5 * away @ matrix @ away), (matrix @ away).astype(np.float32)

    start = np.full(40, 128, np.float32)
    bounded = minimize(
        lambda x: (bowl(x)[0], matrix @ (x - goal)),
        start.astype(np.float64),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, 255)] * 40,
    )
    assert bowl(lbfgs(bowl, start, 400))[0] == pytest.approx(bounded.fun, rel=0.03)


def test_the_first_update_is_the_notes():
    bowl = Bowl()
    gradient_descent(bowl, START, 2, first_step_px=1.0)
    gradient = CURVATURE * (START - GOAL)
    rate = 1.0 / np.abs(gradient).mean()
    np.testing.assert_allclose(bowl.asked[1], START - rate * gradient, rtol=1e-5)


def test_adam_agrees_with_keras():
    import keras

    bowl = Bowl()
    adam(bowl, START, 9, learning_rate_px=2.0)
    scale = np.abs(CURVATURE * (START - GOAL)).mean()
    variable = keras.Variable(START)
    optimizer = keras.optimizers.Adam(2.0, epsilon=1e-8)
    for asked in bowl.asked:
        np.testing.assert_allclose(asked, np.asarray(variable), rtol=1e-4)
        optimizer.apply([CURVATURE * (np.asarray(variable) - GOAL) / scale], [variable])


@pytest.mark.parametrize("optimizer", ["gradient_descent", "adam", "lbfgs"])
def test_a_cost_that_is_no_number_ends_the_search_with_the_best_picture(optimizer):
    calls = []

    def broken(x):
        calls.append(x)
        good = len(calls) < 3
        return (1.0 / len(calls), np.ones(12, np.float32)) if good else (float("nan"), np.full(12, np.nan, np.float32))

    best = minimise(optimizer, broken, START, 8)
    assert np.isfinite(best).all()


def test_an_unknown_optimiser_is_refused():
    with pytest.raises(ValueError, match="expected lbfgs"):
        minimise("sgd", Bowl(), START, 3)


@pytest.mark.parametrize("seed", range(6))
def test_pixels_that_a_long_step_throws_out_of_the_range_come_back(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    directions, _ = np.linalg.qr(rng.normal(size=(60, 60)))
    curvature = directions * np.geomspace(1, 1e-3, 60) @ directions.T  # steep one way, shallow another
    lowest = rng.uniform(40, 250, 60)  # inside the range

    def evaluate(x):
        away = x.astype(np.float64) - lowest
        return 0.5 * float(away @ curvature @ away), (curvature @ away).astype(np.float32)

    start = rng.uniform(0, 255, 60).astype(np.float32)
    assert evaluate(lbfgs(evaluate, start, 120))[0] < 0.01
    monkeypatch.setattr(optimisers, "BEYOND_PX", 1e30)  # J is flat beyond the range: some of them stay there
    assert evaluate(lbfgs(evaluate, start, 120))[0] > 10
