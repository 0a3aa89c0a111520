"""The loss of a localization as short programs in NumPy, TensorFlow and Keras, to read, copy, run and compare.

The texts on the page are the very texts that `compare_losses` runs; each expects `y` and `y_hat` (5 + n,) float64
and leaves the loss in `result`. Only numbers go into a text, never anything that a person typed.
"""

from __future__ import annotations

import itertools
import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.detection.localization import EPSILON, LossKind, localization_loss

TIMED_RUNS = 5
SQUARED = {
    "NumPy": """
import numpy as np

everything = np.sum((y_hat - y) ** 2)
only_p_c = (y_hat[0] - y[0]) ** 2
result = np.where(y[0] == 1, everything, only_p_c)
""",
    "TensorFlow": """
import numpy as np
import tensorflow as tf

everything = tf.reduce_sum(tf.math.squared_difference(y_hat, y))
only_p_c = tf.math.squared_difference(y_hat[0], y[0])
result = tf.where(y[0] == 1, everything, only_p_c)
""",
    "Keras": """
import numpy as np
from keras import ops

everything = ops.sum(ops.square(ops.subtract(y_hat, y)))
only_p_c = ops.square(ops.subtract(y_hat[0], y[0]))
result = ops.where(y[0] == 1, everything, only_p_c)
""",
}
LOGISTIC = {
    "NumPy": f"""
import numpy as np

p_c = np.clip(y_hat[0], {EPSILON}, 1 - {EPSILON})
classes = np.maximum(y_hat[5:], {EPSILON})
classes = classes / classes.sum()  # as a softmax answers
object_loss = -y[0] * np.log(p_c) - (1 - y[0]) * np.log(1 - p_c)
box_loss = np.sum((y_hat[1:5] - y[1:5]) ** 2)
class_loss = -np.sum(y[5:] * np.log(classes))
result = object_loss + y[0] * (box_loss + class_loss)
""",
    "TensorFlow": f"""
import numpy as np
import tensorflow as tf

p_c = tf.clip_by_value(y_hat[0], {EPSILON}, 1 - {EPSILON})
classes = tf.maximum(y_hat[5:], {EPSILON})
logits = tf.math.log(classes)  # their softmax is classes / sum(classes)
object_loss = tf.nn.sigmoid_cross_entropy_with_logits(y[0], tf.math.log(p_c / (1 - p_c)))
box_loss = tf.reduce_sum(tf.math.squared_difference(y_hat[1:5], y[1:5]))
class_loss = tf.nn.softmax_cross_entropy_with_logits(y[5:], logits)
result = object_loss + y[0] * (box_loss + class_loss)
""",
    "Keras": f"""
import numpy as np
from keras import ops

p_c = ops.clip(y_hat[0], {EPSILON}, 1 - {EPSILON})
classes = ops.maximum(y_hat[5:], {EPSILON})
object_loss = ops.binary_crossentropy(y[:1], ops.reshape(p_c, (1,)))[0]
box_loss = ops.sum(ops.square(ops.subtract(y_hat[1:5], y[1:5])))
class_loss = ops.categorical_crossentropy(y[5:], classes / ops.sum(classes))
result = object_loss + y[0] * (box_loss + class_loss)
""",
}


@dataclass(frozen=True)
class LossRun:
    """What one program computed, and the median time of its runs."""

    name: str
    result: float
    time_ms: float


@dataclass(frozen=True)
class LossDifference:
    """How far two programs lie apart."""

    first: str
    second: str
    largest: float


@dataclass(frozen=True)
class LossComparison:
    """The runs of all programs, their differences, and a sentence on what they computed."""

    runs: tuple[LossRun, ...]
    differences: tuple[LossDifference, ...]
    note: str


def loss_snippets(kind: LossKind) -> dict[str, str]:
    """Programs by the name of their library."""
    return {name: text.lstrip("\n") for name, text in (SQUARED if kind == "squared" else LOGISTIC).items()}


def vector_lines(target: NDArray[Any], prediction: NDArray[Any]) -> str:
    """Lines that define `y` and `y_hat`."""
    return "\n".join(
        f"{name} = np.array([{', '.join(f'{float(value):.6g}' for value in vector)}])"
        for name, vector in (("y", target), ("y_hat", prediction))
    )


def compare_losses(target: NDArray[Any], prediction: NDArray[Any], kind: LossKind) -> LossComparison:
    """Run the three programs on the same vectors.

    Raises:
        LocalizationError: If the vectors cannot be compared.
    """
    ours = localization_loss(target, prediction, kind).total  # says what is wrong with the vectors
    inputs = {"y": np.asarray(target, np.float64), "y_hat": np.asarray(prediction, np.float64)}
    runs = []
    for name, text in loss_snippets(kind).items():
        code = compile(text, f"<{name} snippet>", "exec")
        times_s = []
        names: dict[str, Any] = {}
        for _ in range(1 + TIMED_RUNS):
            names = dict(inputs)
            start = time.perf_counter()
            exec(code, names)  # noqa: S102
            times_s.append(time.perf_counter() - start)
        runs.append(LossRun(name, float(names["result"]), 1e3 * statistics.median(times_s[1:])))
    differences = tuple(
        LossDifference(a.name, b.name, abs(a.result - b.result)) for a, b in itertools.combinations(runs, 2)
    )
    return LossComparison(tuple(runs), differences, f"Each computes the loss above: {ours:.6f}.")
