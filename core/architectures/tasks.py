"""The chapter's door: what pages ask of the workers; plain arguments in, frozen dataclasses back.

Keras and TensorFlow are imported inside the functions. A network is named by its name in the catalogue or in
`keras.applications`, or given as the bytes of a `.keras` file.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.architectures.catalog_types import OptionValue
from core.architectures.summary import ModelSummary


def summarise(
    network: str | bytes,
    input_shape: tuple[int, int, int] | None = None,
    options: Mapping[str, OptionValue] | None = None,
) -> ModelSummary:
    """Summarises a network layer by layer without allocating its weights.

    Args:
        network: A name, or the bytes of a `.keras` file.
        input_shape: (H, W, channels); the network's own if None.
        options: Choices among the options of a catalogue entry.

    Raises:
        ValueError: If the network cannot be opened, in one sentence.
    """
    from core.architectures.networks import open_shapes
    from core.architectures.summary import summarise_model

    opened = open_shapes(network, input_shape, options)
    return summarise_model(opened.model, opened.label)
