"""One transfer at one size as a function from pixels to J and its gradient, compiled once.

The content's activations and the styles' Gram matrices are computed before and are constants of it. A style picture of
another size than the generated one has other sums over positions: its Gram matrix is scaled by the ratio of the
positions, so that with equal sizes the cost is exactly the notes'. With several styles the cost is the weighted sum of
their style costs.

On a CPU the step is a graph of ONNX operators (`core.style.onnx_step`), on a GPU a TensorFlow function whose gradient
the tape finds (`core.style.tape_step`); both answer alike.

Importing this module imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from core.runtime.inference import ONNX_RUNTIME, TENSORFLOW, on_gpu
from core.runtime.settings import cpu_cores
from core.style import costs
from core.style.backbones import taps
from core.style.settings import Costs, GramPicture, Pixels, TransferSettings
from core.style.targets import Step, StyleTarget, Targets, mean_gram

Floats = NDArray[np.float32]


def _answers(network: Any, image: NDArray[Any]) -> list[Any]:
    """The activations (1, n_H, n_W, n_C) of each layer that the network answers with; Keras gives a lone one bare."""
    answers = network(tf.constant(np.asarray(image, np.float32)[None]), training=False)
    return list(answers) if isinstance(answers, (list, tuple)) else [answers]


class TransferProblem:
    """J(G) and dJ/dG for pictures of the content's size."""

    def __init__(
        self,
        content: Pixels,
        styles: Sequence[Pixels],
        style_weights: Sequence[float],
        settings: TransferSettings,
        engine: str | None = None,
    ) -> None:
        """Compute what stays the same, and compile.

        Args:
            content: RGB uint8 (H, W, 3).
            styles: pictures of any size.
            style_weights: one for each style; they are divided by their sum.
            settings: backbone, layers and weights.
            engine: "ONNX Runtime" or "TensorFlow"; the one that suits the machine if None.
        """
        self.settings = settings
        self.shape = content.shape
        self.layers = [name for name, weight in settings.lambdas.items() if weight > 0]
        self.engine = engine or (TENSORFLOW if on_gpu() else ONNX_RUNTIME)
        network = taps(settings.backbone, [*self.layers, settings.content_layer], settings.pooling)
        *answers, target = _answers(network, content)
        positions = [answer.shape[1] * answer.shape[2] for answer in answers]
        del answers
        self.alpha = settings.alpha / float(np.prod(target.shape))
        self.gamma = settings.gamma / float(np.prod(content.shape))
        self.targets = Targets(
            content_layer=settings.content_layer,
            content=target[0].numpy(),  # (n_H, n_W, n_C)
            alpha=self.alpha,
            styles=self._style_targets(network, positions, styles, style_weights),
            gamma=self.gamma,
        )
        self._step = self._compiled(network, content)

    def _style_targets(
        self, network: Any, positions: Sequence[int], styles: Sequence[Pixels], style_weights: Sequence[float]
    ) -> dict[str, StyleTarget]:
        weights = [weight / sum(style_weights) for weight in style_weights]
        of_styles = []
        for style in styles:
            answers = _answers(network, style)[:-1]
            of_styles.append([_gram_per_position(answer[0]) for answer in answers])
        targets = {}
        for name, count, grams in zip(self.layers, positions, zip(*of_styles, strict=True), strict=True):
            mean, spread = mean_gram([gram * count for gram in grams], weights)
            targets[name] = StyleTarget(mean, spread, self.settings.beta * self.settings.lambdas[name])
        return targets

    def _compiled(self, network: Any, content: Pixels) -> Step:
        if self.engine == TENSORFLOW:
            from core.style.tape_step import TapeStep

            return TapeStep(network, self.shape, self.targets)
        from core.style.onnx_step import OnnxStep

        return OnnxStep(network, content, self.targets, cpu_cores())

    def __call__(self, image: Floats) -> tuple[Costs, Floats]:
        """The costs at a picture float32 (H, W, 3) in 0..255, and the gradient of J (H, W, 3)."""
        parts, gradient = self._step(image)
        content, variation, *of_layers = (float(value) for value in parts)
        style = dict(zip(self.layers, of_layers, strict=True))
        lambdas = {name: self.settings.lambdas[name] for name in self.layers}
        answer = Costs(
            total=costs.overall_cost(
                content,
                costs.overall_style_cost(style, lambdas),
                variation,
                self.alpha,
                self.settings.beta,
                self.gamma,
            ),
            content=content,
            variation=variation,
            style=style,
            alpha=self.alpha,
            beta=self.settings.beta,
            gamma=self.gamma,
            lambdas=lambdas,
        )
        return answer, gradient


def _gram_per_position(activations: Any) -> Floats:
    """The Gram matrix of activations (n_H, n_W, n_C) over the number of positions."""
    return np.asarray(costs.gram_matrix(activations) / (activations.shape[0] * activations.shape[1]))


def gram_pictures(
    content: Pixels, style: Pixels, generated: Pixels | None, backbone: str, layers: Sequence[str], pooling: str = "max"
) -> tuple[GramPicture, ...]:
    """The Gram matrices of several layers, per position, of content, style and generated picture."""
    network = taps(backbone, list(layers), pooling)

    def grams(image: Pixels) -> list[Floats]:
        return [_gram_per_position(answer[0]) for answer in _answers(network, image)]

    of_content, of_style = grams(content), grams(style)
    of_generated = [None] * len(layers) if generated is None else grams(generated)
    return tuple(
        GramPicture(name, c, s, g) for name, c, s, g in zip(layers, of_content, of_style, of_generated, strict=True)
    )
