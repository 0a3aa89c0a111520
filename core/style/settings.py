"""What a transfer is asked for and what it answers; nothing here computes, and Keras is not imported.

Pictures are RGB uint8 (H, W, 3). The weights of the costs are given per element, so that they mean the same at any
size: alpha over the n_H n_W n_C activations of the content layer, and gamma over the H W 3 numbers of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Optimizer = Literal["lbfgs", "adam", "gradient_descent"]
Start = Literal["content", "noise"]
Colour = Literal["style", "luminance", "histogram"]

OPTIMIZERS: dict[str, str] = {
    "lbfgs": "L-BFGS",
    "adam": "Adam",
    "gradient_descent": "Gradient descent (the notes' update)",
}
BACKBONES: dict[str, str] = {
    "embedded": "Embedded, trained on ten classes",
    "random": "Embedded, random weights",
    "vgg16": "VGG-16 (ImageNet)",
    "vgg19": "VGG-19 (ImageNet)",
}
STYLE_LAYERS = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1")
CONTENT_LAYERS = ("block1_conv2", "block2_conv2", "block3_conv2", "block4_conv2", "block5_conv2")
MIN_PX, MAX_PX, MAX_STEPS = 32, 2048, 5000


class StyleError(ValueError):
    """Something is asked for that cannot be done; the message is a sentence for people."""


@dataclass(frozen=True)
class TransferSettings:
    """How a picture is to be made.

    `alpha` and `gamma` are per element (see the module), `beta` is the notes'. `lambdas` weighs the layers of the
    style cost. `steps` counts evaluations of J and its gradient over all sizes; `levels` is from how many sizes the
    picture grows, each half of the next; `style_scale` is the style's longest side over the picture's.
    """

    size_px: int = 256
    steps: int = 120
    optimizer: Optimizer = "lbfgs"
    backbone: str = "embedded"
    alpha: float = 1.0
    beta: float = 1000.0
    gamma: float = 1e-3
    content_layer: str = "block4_conv2"
    lambdas: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(STYLE_LAYERS, 0.2))
    start: Start = "content"
    colour: Colour = "style"
    levels: int = 2
    pooling: str = "average"
    style_scale: float = 1.0
    learning_rate_px: float = 4.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be computed.

        Raises:
            StyleError: One sentence that says what was expected.
        """
        if not MIN_PX <= self.size_px <= MAX_PX:
            raise StyleError(f"expected a longest side of {MIN_PX} to {MAX_PX} px, received {self.size_px}")
        if not 1 <= self.steps <= MAX_STEPS:
            raise StyleError(f"expected 1 to {MAX_STEPS} steps, received {self.steps}")
        if self.optimizer not in OPTIMIZERS:
            raise StyleError(f"expected one of {', '.join(OPTIMIZERS)}, received {self.optimizer!r}")
        if self.backbone not in BACKBONES:
            raise StyleError(f"expected one of {', '.join(BACKBONES)}, received {self.backbone!r}")
        weights = (self.alpha, self.beta, self.gamma, *self.lambdas.values())
        if not all(np.isfinite(w) and w >= 0 for w in weights):
            raise StyleError("the weights alpha, beta, gamma and lambda are numbers of at least zero")
        if not any(w > 0 for w in weights[:3]):
            raise StyleError("at least one of alpha, beta and gamma must be above zero: there is nothing to minimise")


@dataclass(frozen=True)
class Costs:
    """J and its parts at one picture: weighted, so that they add up to `total`; and unweighted as the notes' costs.

    `style` has one number a layer: the layer's J_style^(l), unweighted.
    """

    total: float
    content: float
    style: Mapping[str, float]
    variation: float
    alpha: float
    beta: float
    gamma: float
    lambdas: Mapping[str, float]

    @property
    def overall_style(self) -> float:
        """J_style, the sum of lambda^(l) J_style^(l)."""
        return sum(self.lambdas[layer] * cost for layer, cost in self.style.items())

    def metrics(self) -> dict[str, float]:
        """J and its weighted parts by the names that charts show."""
        parts = {"J": self.total, "α J_content": self.alpha * self.content}
        parts |= {f"β λ J_style {name}": self.beta * self.lambdas[name] * cost for name, cost in self.style.items()}
        if self.gamma:
            parts["γ J_variation"] = self.gamma * self.variation
        return parts

    def line(self) -> str:
        """One line for the terminal."""
        layers = " ".join(f"{name.removesuffix('_conv1')} {cost:.4g}" for name, cost in self.style.items())
        return (
            f"J {self.total:.5g} | J_content {self.content:.5g} | J_style {self.overall_style:.5g} ({layers}) "
            f"| variation {self.variation:.4g}"
        )


@dataclass(frozen=True)
class TransferResult:
    """A made picture and how it was made; `history` has a point of `Costs.metrics` with "step" for each evaluation."""

    image: Pixels
    first: Costs
    last: Costs
    evaluations: int
    elapsed_s: float
    backbone: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class GramPicture:
    """The Gram matrices of one layer, each (n_C, n_C) and divided by n_H n_W."""

    layer: str
    content: NDArray[np.float32]
    style: NDArray[np.float32]
    generated: NDArray[np.float32] | None = None
