"""The layers that a stack is made of, as data (notes, 1.7).

A layer is what a table row says of it: kind, f, s, padding, n_C. Layers are named as in the notes: a
convolution and the pooling after it share a number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.convolution.geometry import Padding

Kind = Literal["conv", "pool_max", "pool_avg", "flatten", "dense", "softmax"]
KINDS: tuple[Kind, ...] = ("conv", "pool_max", "pool_avg", "flatten", "dense", "softmax")


@dataclass(frozen=True)
class StackLayer:
    """One layer.

    Attributes:
        kind: a convolution with ReLU, maximum or average pooling, flatten, a fully connected layer with ReLU,
            or a fully connected layer with softmax.
        f: side of the filter or window; for conv and pooling.
        s: stride; for conv and pooling.
        padding: "valid", "same" or p pixels; pooling takes no p.
        units: filters n_C of a convolution, outputs of a fully connected layer.
    """

    kind: Kind
    f: int = 1
    s: int = 1
    padding: Padding = "valid"
    units: int = 0

    @property
    def n_c(self) -> int:
        """Filters of a convolution, by the notes' name."""
        return self.units


class StackError(ValueError):
    """A stack that cannot be built; layer_index is the layer to blame, None for the input."""

    def __init__(self, message: str, layer_index: int | None) -> None:
        """Keep the index beside the sentence, so that a table can mark the row."""
        super().__init__(message)
        self.layer_index = layer_index


def layer_names(layers: Sequence[StackLayer]) -> tuple[str, ...]:
    """Return the names of the layers: numbers count the layers with weights, pooling takes the one before it.

    >>> layer_names([StackLayer("conv"), StackLayer("pool_max"), StackLayer("dense"), StackLayer("softmax")])
    ('CONV1', 'POOL1', 'FC2', 'Softmax')
    """
    names: list[str] = []
    number = 0
    for layer in layers:
        number += layer.kind in ("conv", "dense", "softmax")
        words = {
            "conv": f"CONV{number}",
            "pool_max": f"POOL{number}",
            "pool_avg": f"POOL{number}",
            "flatten": "Flatten",
            "dense": f"FC{number}",
            "softmax": "Softmax",
        }
        name = words.get(layer.kind, str(layer.kind))
        repeated = sum(other == name or other.startswith(f"{name}-") for other in names)
        names.append(f"{name}-{repeated + 1}" if repeated else name)
    return tuple(names)
