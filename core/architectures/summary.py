"""A network layer by layer: shapes, parameters, multiply-adds, memory of the activations, receptive fields.

All numbers are for one image and a forward pass. Run as `python -m core.architectures.summary NAME` it
prints the same without a browser. Light: the result classes and their export import nothing heavy;
`summarise_model` reads a Keras model that the caller has built.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.architectures.receptive_field import ReceptiveField

Shape = tuple[int | None, ...]

_ITEM_BYTES = {
    "float64": 8,
    "int64": 8,
    "float32": 4,
    "int32": 4,
    "float16": 2,
    "bfloat16": 2,
    "uint8": 1,
    "bool": 1,
}

CSV_COLUMNS = (
    *("layer", "type", "block", "output_shape", "parameters", "trainable", "non_trainable", "multiply_adds"),
    *("activation_bytes", "field_size", "field_stride", "field_offset", "inbound", "notes"),
)


@dataclass(frozen=True)
class LayerSummary:
    """One layer as it is applied once.

    Shapes are without the batch axis. `multiply_adds`, `activation_bytes` and `receptive_field` are None
    where they are not known, and `multiply_adds_note` or `receptive_field_note` says why. Weights that are
    shared with a layer further up are counted there.
    """

    name: str
    type: str
    block: str
    output_shape: Shape
    trainable_parameters: int
    non_trainable_parameters: int
    multiply_adds: int | None
    multiply_adds_note: str
    activation_bytes: int | None
    receptive_field: ReceptiveField | None
    receptive_field_note: str
    inbound: tuple[str, ...]

    @property
    def parameters(self) -> int:
        """Trainable and not."""
        return self.trainable_parameters + self.non_trainable_parameters


@dataclass(frozen=True)
class ModelSummary:
    """A network: its layers in the order in which they run, and totals.

    `multiply_adds` sums what is known; `uncounted_layers` names the layers that are missing from it.
    `depth` is the largest number of layers with weights on a path. `activation_bytes` is the memory of all
    outputs together.
    """

    name: str
    input_shape: Shape
    layers: tuple[LayerSummary, ...]
    trainable_parameters: int
    non_trainable_parameters: int
    weight_bytes: int
    multiply_adds: int
    uncounted_layers: tuple[str, ...]
    activation_bytes: int
    depth: int

    @property
    def parameters(self) -> int:
        """Trainable and not."""
        return self.trainable_parameters + self.non_trainable_parameters

    def layer(self, name: str) -> LayerSummary:
        """The layer of this name.

        Raises:
            ValueError: If there is none.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"{self.name} has no layer {name!r}.")

    def to_csv(self) -> str:
        """The layers as comma-separated values with a heading; spaces part the values of a cell."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        writer.writerows(_csv_row(layer) for layer in self.layers)
        return text.getvalue()

    def to_json(self) -> str:
        """Everything as JSON."""
        data = asdict(self)
        data["parameters"] = self.parameters
        for row, layer in zip(data["layers"], self.layers, strict=True):
            row["parameters"] = layer.parameters
        return json.dumps(data, indent=2)


def summarise_model(model: Any, name: str | None = None) -> ModelSummary:
    """Reads a Functional or Sequential Keras model; its weights are not touched and need not be allocated.

    Raises:
        UnreadableModelError: If the model's layers cannot be listed.
    """
    from core.architectures.blocks import BlockInput, find_blocks
    from core.architectures.graph import read_graph

    nodes = read_graph(model)
    block_inputs = [BlockInput(n.name, n.inbound, n.kind, _has_weights(n.layer), n.parent) for n in nodes]
    blocks = find_blocks(block_inputs)
    fields: list[ReceptiveField | None] = []
    rows: list[LayerSummary] = []
    for node, block in zip(nodes, blocks, strict=True):
        products, products_note = _multiply_adds(node)
        field, field_note = _receptive_field(node, [(rows[i].name, fields[i]) for i in node.inbound])
        fields.append(field)
        trainable, fixed = _parameters(node.layer) if node.first_use else (0, 0)
        rows.append(
            LayerSummary(
                name=node.name,
                type=node.kind,
                block=block,
                output_shape=node.output_shape,
                trainable_parameters=trainable,
                non_trainable_parameters=fixed,
                multiply_adds=products,
                multiply_adds_note=products_note,
                activation_bytes=_bytes(node.output_shape, node.output_dtype),
                receptive_field=field,
                receptive_field_note=field_note,
                inbound=tuple(rows[i].name for i in node.inbound),
            )
        )
    inputs = [row for row in rows if not row.inbound]
    return ModelSummary(
        name=name or model.name,
        input_shape=inputs[0].output_shape,
        layers=tuple(rows),
        trainable_parameters=sum(row.trainable_parameters for row in rows),
        non_trainable_parameters=sum(row.non_trainable_parameters for row in rows),
        weight_bytes=sum(
            _bytes(tuple(variable.shape), str(variable.dtype)) or 0
            for node in nodes
            if node.first_use
            for variable in getattr(node.layer, "weights", [])
        ),
        multiply_adds=sum(row.multiply_adds or 0 for row in rows),
        uncounted_layers=tuple(row.name for row in rows if row.multiply_adds is None),
        activation_bytes=sum(row.activation_bytes or 0 for row in rows),
        depth=_depth(nodes),
    )


def _multiply_adds(node: Any) -> tuple[int | None, str]:
    """The node's multiply-adds, or None and why."""
    from core.architectures.layer_rules import NoRuleError, multiply_adds

    try:
        return multiply_adds(node.layer, node.input_shapes, node.output_shape), ""
    except NoRuleError as error:
        return None, str(error)


def _receptive_field(
    node: Any, inbound: Sequence[tuple[str, ReceptiveField | None]]
) -> tuple[ReceptiveField | None, str]:
    """The node's field, or None and why."""
    from core.architectures.layer_rules import NoRuleError, receptive_field

    unknown = next((name for name, field in inbound if field is None), None)
    if unknown is not None:
        return None, f"it follows {unknown}, whose field is not known"
    try:
        known = [field for _, field in inbound if field is not None]
        return receptive_field(node.layer, known, node.input_shapes, node.output_shape), ""
    except NoRuleError as error:
        return None, str(error)


def _parameters(layer: Any) -> tuple[int, int]:
    """Trainable and other parameters of a layer."""
    total = sum(_size(variable) for variable in getattr(layer, "weights", []))
    trainable = sum(_size(variable) for variable in getattr(layer, "trainable_weights", []))
    return trainable, total - trainable


def _depth(nodes: Sequence[Any]) -> int:
    """The largest number of layers with weights on a path; normalisation does not count."""
    depths: list[int] = []
    for node in nodes:
        before = max((depths[i] for i in node.inbound), default=0)
        depths.append(before + _has_weights(node.layer))
    return max(depths)


def _has_weights(layer: Any) -> bool:
    """Whether papers would count it as a layer."""
    from core.architectures.layer_rules import NORMALISATIONS

    kind = type(layer).__name__
    return bool(getattr(layer, "weights", [])) and kind not in NORMALISATIONS | {
        "GroupNormalization",
        "PReLU",
    }


def _size(variable: Any) -> int:
    """Number of values of a variable."""
    size = 1
    for side in tuple(variable.shape):
        size *= int(side)
    return size


def _bytes(shape: Shape, dtype: str) -> int | None:
    """Memory of an array, or None if a side is not known."""
    size = 1
    for side in shape:
        if side is None:
            return None
        size *= int(side)
    return size * _ITEM_BYTES.get(dtype, 4)


def _csv_row(layer: LayerSummary) -> list[Any]:
    """The cells of a layer."""
    field = layer.receptive_field
    cells = [_spaced(field.size), _spaced(field.stride), _spaced(field.offset)] if field else ["", "", ""]
    notes = "; ".join(note for note in (layer.multiply_adds_note, layer.receptive_field_note) if note)
    return [
        *(layer.name, layer.type, layer.block, _spaced(layer.output_shape), layer.parameters),
        *(layer.trainable_parameters, layer.non_trainable_parameters, _or_empty(layer.multiply_adds)),
        *(_or_empty(layer.activation_bytes), *cells, " ".join(layer.inbound), notes),
    ]


def _spaced(values: Sequence[int | None]) -> str:
    """Values with spaces between; "?" where one is not known."""
    return " ".join("?" if value is None else str(value) for value in values)


def _or_empty(value: int | None) -> int | str:
    """The value, or an empty cell."""
    return "" if value is None else value


if __name__ == "__main__":
    from core.architectures.summary_command import main

    raise SystemExit(main())
