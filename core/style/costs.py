"""The costs of neural style transfer, each as the notes write it.

    J(G) = alpha J_content(C, G) + beta J_style(S, G) + gamma J_variation(G)

C is the content image, S the style image and G the generated one. Activations are those of one picture in one layer,
(n_H, n_W, n_C) float32. Sources: Gatys et al., 2015, equations 1 to 7; total variation: Mahendran and Vedaldi, 2015,
section 2.1.

Importing this module imports Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras import ops


def content_cost(content: Any, generated: Any) -> Any:
    """Half the squared difference of one layer's activations: 1/2 ||a_C - a_G||^2, summed over all elements.

    >>> float(content_cost([[[1.0, 2.0]]], [[[1.0, 4.0]]]))
    2.0
    """
    return 0.5 * ops.sum(ops.square(ops.subtract(content, generated)))


def gram_matrix(activations: Any) -> Any:
    """How often channels answer together: G_kk' = sum over positions of a_ijk a_ijk', (n_H, n_W, n_C) to (n_C, n_C).

    >>> gram_matrix(ops.array([[[1.0, 2.0], [3.0, 0.0]]])).numpy().tolist()
    [[10.0, 2.0], [2.0, 4.0]]
    """
    columns = ops.reshape(activations, (-1, activations.shape[-1]))  # (n_H * n_W, n_C)
    return ops.matmul(ops.transpose(columns), columns)


def style_cost(style_gram: Any, generated_gram: Any, positions: int) -> Any:
    """Squared difference of two Gram matrices over (2 n_H n_W n_C)^2; `positions` is n_H n_W.

    >>> float(style_cost(ops.array([[2.0]]), ops.array([[6.0]]), 4))
    0.25
    """
    channels = generated_gram.shape[-1]
    return ops.sum(ops.square(ops.subtract(style_gram, generated_gram))) / (2.0 * positions * channels) ** 2


def total_variation(image: Any) -> Any:
    """Squared differences of neighbouring pixels, summed: (H, W, 3) to a number that is small for smooth pictures.

    >>> float(total_variation(ops.array([[[0.0], [3.0]], [[0.0], [3.0]]])))
    18.0
    """
    down = image[1:] - image[:-1]  # (H - 1, W, 3)
    right = image[:, 1:] - image[:, :-1]  # (H, W - 1, 3)
    return ops.sum(ops.square(down)) + ops.sum(ops.square(right))


def overall_style_cost(style_costs: Mapping[str, Any], lambdas: Mapping[str, float]) -> Any:
    """J_style(S, G) = sum over layers of lambda^(l) J_style^(l)(S, G)."""
    return sum(lambdas[layer] * cost for layer, cost in style_costs.items())


def overall_cost(
    content: Any, style: Any, variation: Any, alpha: float = 1.0, beta: float = 1.0, gamma: float = 0.0
) -> Any:
    """J(G) = alpha J_content(C, G) + beta J_style(S, G), and gamma times the total variation."""
    return alpha * content + beta * style + gamma * variation
