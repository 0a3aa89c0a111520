"""The weights of the R-CNN family in one compact file: every array as float16, by network, layer and place.

Float16 keeps three digits; the networks compute in float32 all the same. The file is a plain `.npz`, read without
unpickling anything.
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from core.detection.rcnn.networks import build_head, build_proposal_network, build_shared_map


class StorageError(ValueError):
    """A file that does not hold these networks."""


class RcnnNetworks:
    """The shared map, the proposal network, the head for regions of the map and the head for crops."""

    def __init__(self, class_count: int) -> None:
        """Build them with fresh weights."""
        self.class_count = class_count
        self.shared_map = build_shared_map(class_count)
        self.proposal_network = build_proposal_network()
        self.head = build_head(class_count)
        self.crop_head = build_head(class_count)

    def parts(self) -> dict[str, keras.Model]:
        """The networks by the names that the file uses."""
        return {
            "shared_map": self.shared_map,
            "proposal_network": self.proposal_network,
            "head": self.head,
            "crop_head": self.crop_head,
        }

    def save(self, path: Path) -> None:
        """Write all weights; an interrupted write leaves the earlier file."""
        arrays = {
            f"{part}/{layer.name}/{place}": np.asarray(value, np.float16)
            for part, network in self.parts().items()
            for layer in network.layers
            for place, value in enumerate(layer.get_weights())
            if not isinstance(layer, keras.layers.Dropout)
        }
        written = path.with_suffix(".part.npz")
        np.savez_compressed(written, allow_pickle=False, **arrays)
        written.replace(path)

    def load(self, path: Path, skip: tuple[str, ...] = ()) -> None:
        """Read the weights of all parts that are not in `skip`.

        Raises:
            StorageError: If an array is missing or has another shape.
        """
        with np.load(path, allow_pickle=False) as arrays:
            for part, network in self.parts().items():
                for layer in network.layers:
                    wanted = layer.get_weights()
                    if part in skip or not wanted or isinstance(layer, keras.layers.Dropout):
                        continue
                    names = [f"{part}/{layer.name}/{place}" for place in range(len(wanted))]
                    missing = [
                        n for n, w in zip(names, wanted, strict=True) if n not in arrays or arrays[n].shape != w.shape
                    ]
                    if missing:
                        raise StorageError(f"expected an array {missing[0]} of its shape in {path.name}, found none")
                    layer.set_weights([arrays[name].astype(np.float32) for name in names])
