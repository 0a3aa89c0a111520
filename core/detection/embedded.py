"""The detector's weights that come with the project: where they are and what they know.

`assets/weights/manifest.toml` has a row for every model file; this module reads the row of the detector and
holds the file against its size and sha256.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

WEIGHTS_FOLDER = Path(__file__).parents[2] / "assets" / "weights"
NAME = "yolo_11"


class WeightsError(ValueError):
    """The weights are missing or not those that the manifest describes."""


@dataclass(frozen=True)
class DetectorWeights:
    """A weights file, the names of its classes, and the side of the square that its network reads."""

    name: str
    path: Path
    class_names: tuple[str, ...]
    input_px: int


@lru_cache(maxsize=4)
def embedded_detector(folder: Path = WEIGHTS_FOLDER, name: str = NAME) -> DetectorWeights:
    """The weights of the embedded detector, verified.

    Raises:
        WeightsError: If the manifest has no such row, or the file is missing or another one.
    """
    manifest = folder / "manifest.toml"
    if not manifest.is_file():
        raise WeightsError(f"expected the list of models at {manifest}, found none")
    rows = tomllib.loads(manifest.read_text(encoding="utf-8")).get("weights", [])
    row = next((row for row in rows if row["name"] == name), None)
    if row is None:
        raise WeightsError(f"the list of models has no {name!r}")
    path = folder / row["file"]
    if not path.is_file():
        raise WeightsError(f"the weights of {name!r} are missing: expected {path}")
    content = path.read_bytes()
    if len(content) != row["bytes"] or hashlib.sha256(content).hexdigest() != row["sha256"]:
        raise WeightsError(f"{path} is not the file that the list of models describes")
    return DetectorWeights(name, path, tuple(row["classes"]), int(row["input_px"]))
