"""Three ways downhill: gradient descent as the notes write it, Adam, and L-BFGS.

All of them move a flat vector of pixels (n,) float32 in 0..255 and ask a function for J and its gradient; each call of
that function is an evaluation, the unit in which they are compared. Sources: the notes' update G := G - dJ/dG;
Adam: Kingma and Ba, 2014, algorithm 1; L-BFGS: Liu and Nocedal, 1989, as `scipy.optimize` carries it with bounds
(Byrd et al., 1995), which Gatys et al. (2015) found best.

Every optimiser answers with the best vector that it saw, so that a search along a line that went too far costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Evaluate = Callable[[Floats], tuple[float, Floats]]

LOW, HIGH = 0.0, 255.0
# The unit of the search: the first trial step of L-BFGS changes a pixel by about this much.
FIRST_STEP_PX = 3.0
BEYOND_PX = 20.0


class _Spent(Exception):
    """All evaluations are used."""


class _Best:
    """Counts evaluations and keeps the best vector."""

    def __init__(self, evaluate: Evaluate, start: Floats, evaluations: int) -> None:
        self._evaluate, self._evaluations = evaluate, evaluations
        self.x, self.cost, self.count = start.copy(), np.inf, 0

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        if self.count >= self._evaluations:
            raise _Spent
        cost, gradient = self._evaluate(x)
        self.count += 1
        if np.isfinite(cost) and cost < self.cost:
            self.x, self.cost = x.copy(), cost
        return cost, gradient


def gradient_descent(evaluate: Evaluate, start: Floats, evaluations: int, first_step_px: float = 4.0) -> Floats:
    """G := G - rate dJ/dG, the rate chosen once so that the first step moves a pixel by `first_step_px` on average.

    When J grows, the step is taken back and the rate halved.
    """
    best = _Best(evaluate, start, evaluations)
    cost, gradient = best(start)
    rate = first_step_px / max(float(np.abs(gradient).mean()), 1e-30)
    while best.count < evaluations and np.isfinite(cost):
        trial = np.clip(best.x - rate * gradient, LOW, HIGH)
        trial_cost, trial_gradient = best(trial)
        if np.isfinite(trial_cost) and trial_cost <= cost:
            cost, gradient = trial_cost, trial_gradient
        else:
            rate *= 0.5
    return best.x


def adam(
    evaluate: Evaluate,
    start: Floats,
    evaluations: int,
    learning_rate_px: float = 4.0,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
) -> Floats:
    """Adam with a constant rate in pixel values; the picture is kept within 0..255.

    The gradient is scaled by a constant first, its mean size at the start, so that epsilon does not depend on J's.
    """
    best = _Best(evaluate, start, evaluations)
    x = start.astype(np.float32)
    mean, square = np.zeros_like(x), np.zeros_like(x)
    scale = 0.0
    for step in range(1, evaluations + 1):
        _, gradient = best(x)
        if not np.isfinite(gradient).all():
            break
        scale = scale or max(float(np.abs(gradient).mean()), 1e-30)
        gradient = gradient / scale
        mean += (1 - beta_1) * (gradient - mean)
        square += (1 - beta_2) * (gradient * gradient - square)
        corrected = np.sqrt(square / (1 - beta_2**step)) + epsilon
        x = np.clip(x - learning_rate_px * (mean / (1 - beta_1**step)) / corrected, LOW, HIGH).astype(np.float32)
    return best.x


def lbfgs(evaluate: Evaluate, start: Floats, evaluations: int, memory: int = 20) -> Floats:
    """L-BFGS with the last `memory` steps and gradients as its picture of the curvature.

    The search is free and J is asked at the picture cut to 0..255: with bounds each iteration would sort all pixels.
    What lies beyond costs its squared distance besides. Without that J would be flat there, and pixels that a long
    step throws out would never come back.
    """
    from scipy.optimize import minimize

    # Measured in this unit the first trial step, of length one, moves a pixel by about FIRST_STEP_PX.
    unit = FIRST_STEP_PX * float(np.sqrt(len(start)))
    best = _Best(evaluate, start, evaluations)
    stiffness = 0.0

    def scaled(u: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        nonlocal stiffness
        x = u * unit
        inside = np.clip(x, LOW, HIGH)
        cost, gradient = best(inside.astype(np.float32))
        # BEYOND_PX outside, a pixel is drawn back as strongly as J draws at pixels at the start, on average.
        stiffness = stiffness or float(np.abs(gradient).mean()) / BEYOND_PX
        beyond = x - inside
        slope = np.where(beyond == 0, gradient, 0.0) + stiffness * beyond
        return cost + 0.5 * stiffness * float(beyond @ beyond), slope * unit

    options = {"maxcor": memory, "maxfun": 10**9, "maxiter": 10**9, "ftol": 0.0, "gtol": 0.0, "maxls": 20}
    try:
        while True:
            before = best.cost
            minimize(scaled, best.x.astype(np.float64) / unit, jac=True, method="L-BFGS-B", options=options)
            # It ended early: in single precision no way down was found. Once more, with a memory that is empty.
            if not best.cost < before:
                break
    except _Spent:
        pass
    return np.clip(best.x, LOW, HIGH)


def minimise(
    optimizer: str, evaluate: Evaluate, start: Floats, evaluations: int, learning_rate_px: float = 4.0
) -> Floats:
    """The best vector that the named optimiser finds in so many evaluations.

    Raises:
        ValueError: If there is no such optimiser.
    """
    if optimizer == "lbfgs":
        return lbfgs(evaluate, start, evaluations)
    if optimizer == "adam":
        return adam(evaluate, start, evaluations, learning_rate_px)
    if optimizer == "gradient_descent":
        return gradient_descent(evaluate, start, evaluations, learning_rate_px)
    raise ValueError(f"expected lbfgs, adam or gradient_descent, received {optimizer!r}")
