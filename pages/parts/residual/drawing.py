"""A block of a residual network as a few parts (a convolution with what follows it), and as a diagram."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.architectures.diagram import FILLS
from core.architectures.summary import LayerSummary, ModelSummary

LINE = "#808a99"  # seen on white and on black
# Layers that are drawn together with the one before them.
FOLLOWING = {"BatchNormalization": "BN", "ReLU": "ReLU"}
NAMES = {"Conv2D": "conv", "Add": "add", "ZeroPadding2D": "pad", "PaddedShortcut": "subsample, pad channels with 0"}
KINDS = {"input": "input", "add": "join", "conv": "convolution"}


@dataclass(frozen=True)
class BlockPart:
    """A layer of a block and those that follow it alone; the first part of a block is its input.

    Attributes:
        layers: Their names.
        label: What they do, such as "conv, BN, ReLU".
        kind: Of the diagram's colours.
        output_shape: (H, W, C).
        parameters: Of all of them.
        multiply_adds: Of all of them, for one image.
        sources: Indices of the parts whose outputs it takes.
        on_shortcut: Whether it stands on the shortcut.
    """

    layers: tuple[str, ...]
    label: str
    kind: str
    output_shape: tuple[int | None, ...]
    parameters: int
    multiply_adds: int
    sources: tuple[int, ...]
    on_shortcut: bool


def shape_text(shape: Iterable[int | None]) -> str:
    """A shape as people write it, with an open size as a question mark.

    >>> shape_text((32, 32, 16))
    '32 × 32 × 16'
    """
    return " × ".join("?" if size is None else f"{size:,}" for size in shape)


def block_parts(layers: Sequence[LayerSummary], summary: ModelSummary) -> list[BlockPart]:
    """The parts of one block in the order in which they run, its input first."""
    names = {layer.name for layer in layers}
    outside = next(source for layer in layers for source in layer.inbound if source not in names)
    groups: list[list[LayerSummary]] = []
    group_of: dict[str, int] = {outside: 0}
    for layer in layers:
        source = layer.inbound[0]
        joins = source in names and (
            layer.type in FOLLOWING or groups[group_of[source] - 1][-1].type == "ZeroPadding2D"
        )
        if joins:
            groups[group_of[source] - 1].append(layer)
            group_of[layer.name] = group_of[source]
        else:
            groups.append([layer])
            group_of[layer.name] = len(groups)
    given = summary.layer(outside)
    parts = [BlockPart((outside,), "a[l], the input", "input", given.output_shape, 0, 0, (), False)]
    for group in groups:
        label = ", ".join(FOLLOWING.get(layer.type, NAMES.get(layer.type, layer.type)) for layer in group)
        head = group[-1] if group[0].type == "ZeroPadding2D" else group[0]
        parts.append(
            BlockPart(
                layers=tuple(layer.name for layer in group),
                label=label,
                kind=_kind(group),
                output_shape=head.output_shape if len(group) == 1 else group[-1].output_shape,
                parameters=sum(layer.parameters for layer in group),
                multiply_adds=sum(layer.multiply_adds or 0 for layer in group),
                sources=tuple(group_of[source] for source in group[0].inbound),
                on_shortcut="_0_" in group[0].name,
            )
        )
    return parts


def _kind(group: Sequence[LayerSummary]) -> str:
    types = {layer.type for layer in group}
    return "convolution" if "Conv2D" in types else "join" if "Add" in types else "pool"


def block_dot(parts: Sequence[BlockPart]) -> str:
    """The block as Graphviz DOT, from top to bottom; the shortcut is dashed."""
    join = next(index for index, part in enumerate(parts) if part.kind == "join")
    lines = [
        "digraph block {",
        '  graph [rankdir=TB, bgcolor="transparent", nodesep=0.35, ranksep=0.3];',
        f'  node [shape=box, style="filled,rounded", color="{LINE}", fontname="Helvetica", fontsize=12, '
        'margin="0.14,0.06"];',
        f'  edge [color="{LINE}", fontcolor="{LINE}", fontname="Helvetica", fontsize=11, arrowsize=0.7];',
    ]
    for index, part in enumerate(parts):
        extra = f"\\n{part.parameters:,} parameters" if part.parameters else ""
        label = f"{part.label}\\n{shape_text(part.output_shape)}{extra}"
        lines.append(f'  p{index} [label="{label}", fillcolor="{FILLS[part.kind]}"];')
    for index, part in enumerate(parts):
        for source in part.sources:
            skips = parts[source].on_shortcut or part.on_shortcut or (index == join and source == 0)
            label = ', label=" identity"' if index == join and source == 0 else ""
            lines.append(f"  p{source} -> p{index} [{'style=dashed' if skips else ''}{label}];")
    return "\n".join([*lines, "}"])
