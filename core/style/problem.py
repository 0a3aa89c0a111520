"""One transfer at one size as a function from pixels to J and its gradient, compiled once.

The content's activations and the styles' Gram matrices are computed before and are constants of it. A style picture of
another size than the generated one has other sums over positions: its Gram matrix is scaled by the ratio of the
positions, so that with equal sizes the cost is exactly the notes'. With several styles the cost is the weighted sum of
their style costs.

Importing this module imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from core.style import costs
from core.style.backbones import taps
from core.style.settings import Costs, GramPicture, Pixels, TransferSettings

Floats = NDArray[np.float32]


def _batch(image: NDArray[Any]) -> Any:
    return tf.constant(np.asarray(image, np.float32)[None])  # (1, H, W, 3)


class TransferProblem:
    """J(G) and dJ/dG for pictures of the content's size."""

    def __init__(
        self, content: Pixels, styles: Sequence[Pixels], style_weights: Sequence[float], settings: TransferSettings
    ) -> None:
        """Compute what stays the same, and leave the compiling to the first evaluation.

        Args:
            content: RGB uint8 (H, W, 3).
            styles: pictures of any size.
            style_weights: one for each style; they are divided by their sum.
            settings: backbone, layers and weights.
        """
        self.settings = settings
        self.shape = content.shape
        self.layers = [name for name, weight in settings.lambdas.items() if weight > 0]
        names = [*self.layers, settings.content_layer]
        self._network = taps(settings.backbone, names, settings.pooling)
        *_, target = self._network(_batch(content), training=False)
        self._content = target[0]  # (n_H, n_W, n_C)
        total = sum(style_weights)
        self._weights = [weight / total for weight in style_weights]
        self._style_grams = [self._grams_per_position(style) for style in styles]
        self.alpha = settings.alpha / float(np.prod(self._content.shape))
        self.gamma = settings.gamma / float(np.prod(content.shape))
        self._compiled = tf.function(self._evaluate, input_signature=[tf.TensorSpec(content.shape, tf.float32)])

    def _grams_per_position(self, style: Pixels) -> list[Any]:
        answers = self._network(_batch(style), training=False)[:-1]
        return [costs.gram_matrix(a[0]) / (a.shape[1] * a.shape[2]) for a in answers]

    def _evaluate(self, image: Any) -> tuple[Any, Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(image)
            *style_answers, content_answer = self._network(image[None], training=False)
            content = costs.content_cost(self._content, content_answer[0])
            layer_costs: dict[str, Any] = {}
            for index, (name, answer) in enumerate(zip(self.layers, style_answers, strict=True)):
                positions = answer.shape[1] * answer.shape[2]
                gram = costs.gram_matrix(answer[0])
                layer_costs[name] = sum(
                    weight * costs.style_cost(grams[index] * positions, gram, positions)
                    for weight, grams in zip(self._weights, self._style_grams, strict=True)
                )
            style = costs.overall_style_cost(layer_costs, self.settings.lambdas)
            variation = costs.total_variation(image)
            total = costs.overall_cost(content, style, variation, self.alpha, self.settings.beta, self.gamma)
        parts = ops.stack([total, content, variation, *layer_costs.values()])
        return total, parts, tape.gradient(total, image)

    def __call__(self, image: Floats) -> tuple[Costs, Floats]:
        """The costs at a picture float32 (H, W, 3) in 0..255, and the gradient of J (H, W, 3)."""
        _, parts, gradient = self._compiled(tf.constant(image, tf.float32))
        values = [float(value) for value in parts.numpy()]
        answer = Costs(
            total=values[0],
            content=values[1],
            variation=values[2],
            style=dict(zip(self.layers, values[3:], strict=True)),
            alpha=self.alpha,
            beta=self.settings.beta,
            gamma=self.gamma,
            lambdas={name: self.settings.lambdas[name] for name in self.layers},
        )
        return answer, gradient.numpy()


def gram_pictures(
    content: Pixels, style: Pixels, generated: Pixels | None, backbone: str, layers: Sequence[str], pooling: str = "max"
) -> tuple[GramPicture, ...]:
    """The Gram matrices of several layers, per position, of content, style and generated picture."""
    network = taps(backbone, list(layers), pooling)

    def grams(image: Pixels) -> list[Floats]:
        answers = network(_batch(image), training=False)
        answers = answers if isinstance(answers, (list, tuple)) else [answers]
        return [np.asarray(costs.gram_matrix(a[0]) / (a.shape[1] * a.shape[2])) for a in answers]

    of_content, of_style = grams(content), grams(style)
    of_generated = [None] * len(layers) if generated is None else grams(generated)
    return tuple(
        GramPicture(name, c, s, g) for name, c, s, g in zip(layers, of_content, of_style, of_generated, strict=True)
    )
