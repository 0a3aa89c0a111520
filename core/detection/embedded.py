"""The detector's weights that come with the project: where they are and what they know.

Rows of the list of models (`core.runtime.weights`): the weights as Keras reads them, and the same network as ONNX.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core.runtime.weights import MANIFEST, Registry
from core.runtime.weights import WeightsError as WeightsError

WEIGHTS_FOLDER = MANIFEST.parent
NAME = "yolo_11"


@dataclass(frozen=True)
class DetectorWeights:
    """A weights file, the names of its classes, and the side of the square that its network reads.

    `onnx` is the same network as an ONNX file; None if there is none that was made from these very weights.
    """

    name: str
    path: Path
    class_names: tuple[str, ...]
    input_px: int
    sha256: str = ""
    onnx: Path | None = None


def onnx_name(name: str) -> str:
    """The name of a detector's ONNX file in the list of models."""
    return f"{name}_onnx"


@lru_cache(maxsize=4)
def embedded_detector(folder: Path = WEIGHTS_FOLDER, name: str = NAME) -> DetectorWeights:
    """The weights of the embedded detector, verified.

    Raises:
        WeightsError: If the list of models has no such row, or the file is missing or another one.
    """
    registry = Registry(folder / "manifest.toml")
    row = registry.describe(name)
    path = registry.require(name)
    onnx = None
    if any(other.name == onnx_name(name) for other in registry.models()):
        made_from = registry.describe(onnx_name(name)).facts.get("made_from")
        onnx = registry.where(onnx_name(name)) if made_from == row.sha256 else None
    return DetectorWeights(name, path, tuple(row.facts["classes"]), int(row.facts["input_px"]), row.sha256, onnx)
