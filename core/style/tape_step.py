"""J of one transfer and its gradient as a TensorFlow function whose way back the tape finds; for GPUs, and to compare.

Importing this module imports TensorFlow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from core.style import costs
from core.style.targets import Targets

Floats = NDArray[np.float32]


class TapeStep:
    """A step (see `core.style.targets`) that is traced once for pictures of one shape."""

    def __init__(self, network: Any, shape: tuple[int, ...], targets: Targets) -> None:
        """Leave the compiling to the first step.

        Args:
            network: answers a picture (1, H, W, 3) with the activations of the style layers and, last, the content's.
            shape: of the picture.
            targets: what to compare with.
        """
        self._network, self._targets = network, targets
        self._run = tf.function(self._evaluate, input_signature=[tf.TensorSpec(shape, tf.float32)])

    def _evaluate(self, image: Any) -> tuple[Any, Any]:
        targets = self._targets
        with tf.GradientTape() as tape:
            tape.watch(image)
            answers = self._network(image[None], training=False)
            *style_answers, content_answer = answers if isinstance(answers, (list, tuple)) else [answers]
            content = costs.content_cost(targets.content, content_answer[0])
            style: dict[str, Any] = {}
            for (name, target), answer in zip(targets.styles.items(), style_answers, strict=True):
                _, height, width, channels = answer.shape
                spread = target.spread / (2.0 * height * width * channels) ** 2
                style[name] = costs.style_cost(target.gram, costs.gram_matrix(answer[0]), height * width) + spread
            variation = costs.total_variation(image)
            weights = {name: target.weight for name, target in targets.styles.items()}
            weighted = costs.overall_style_cost(style, weights)
            total = costs.overall_cost(content, weighted, variation, targets.alpha, 1.0, targets.gamma)
        return ops.stack([content, variation, *style.values()]), tape.gradient(total, image)

    def __call__(self, picture: Floats) -> tuple[Floats, Floats]:
        """The costs unweighted, and the gradient."""
        parts, gradient = self._run(tf.constant(picture, tf.float32))
        return parts.numpy(), gradient.numpy()
