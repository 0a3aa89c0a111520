"""The diagram of a network: blocks that open to layers, as data and as Graphviz DOT text.

Closed blocks stand in rows that run to and fro like the furrows of a field, so that five layers and a
hundred and eighty fit the width of a page; an open block is a frame with its layers from top to bottom.
Light: imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from core.architectures.summary import LayerSummary, ModelSummary

# What a node does, by the layer's type; everything else is "other".
_KINDS = {
    "InputLayer": "input",
    **dict.fromkeys(("Dense", "EuclideanRBF"), "dense"),
    **dict.fromkeys(("Add", "Concatenate", "Multiply", "Average", "CustomScaleLayer"), "join"),
    **dict.fromkeys(("TrainableSubsampling", "PaddedShortcut", "ZeroPadding2D", "Cropping2D"), "pool"),
}
# Fills that black text reads on; the words on a node say the same.
FILLS: Mapping[str, str] = {
    "input": "#e8e8e8",
    "convolution": "#a6c8e8",
    "dense": "#f2c59b",
    "pool": "#b9dfb4",
    "normalisation": "#d9d0ea",
    "join": "#f4e3a1",
    "other": "#f5f5f5",
    "block": "#cfe3f5",
}
_LINE = "#808a99"  # seen on white and on black
_CHOSEN = "#d1495b"


@dataclass(frozen=True)
class DiagramNode:
    """A layer, or a closed block: what is written on it, its kind, its block, and its layers' names."""

    id: str
    lines: tuple[str, ...]
    kind: str
    block: str
    layers: tuple[str, ...]

    @property
    def is_block(self) -> bool:
        """Whether it stands for several layers."""
        return self.kind == "block"


@dataclass(frozen=True)
class DiagramEdge:
    """From the node with the id `source` to the one with the id `target`."""

    source: str
    target: str


@dataclass(frozen=True)
class Diagram:
    """Nodes in the order in which they run, edges, and the blocks that are open."""

    nodes: tuple[DiagramNode, ...]
    edges: tuple[DiagramEdge, ...]
    open_blocks: tuple[str, ...]

    def node_of(self, layer: str) -> DiagramNode:
        """The node that is, or stands for, a layer.

        Raises:
            ValueError: If no node does.
        """
        for node in self.nodes:
            if layer in node.layers:
                return node
        raise ValueError(f"The diagram has no layer {layer!r}.")


def build_diagram(summary: ModelSummary, open_blocks: Collection[str] = ()) -> Diagram:
    """The diagram of a network with some of its blocks open; a block of one layer is that layer.

    Args:
        summary: The network's layers.
        open_blocks: Names of the blocks whose layers are shown; names that are no block are passed over.
    """
    members: dict[str, list[LayerSummary]] = {}
    for layer in summary.layers:
        members.setdefault(layer.block, []).append(layer)
    opened = [block for block, layers in members.items() if block in open_blocks and len(layers) > 1]
    block_of = {layer.name: layer.block for layer in summary.layers}
    fed_on = {source for layer in summary.layers for source in layer.inbound}
    leaving = {s for layer in summary.layers for s in layer.inbound if block_of[s] != layer.block}
    nodes: list[DiagramNode] = []
    node_of: dict[str, str] = {}
    for layer in summary.layers:
        layers = members[layer.block]
        if layer.block in opened or len(layers) == 1:
            nodes.append(_layer_node(f"n{len(nodes)}", layer))
        elif layer is layers[0]:
            exits = [one for one in layers if one.name in leaving or one.name not in fed_on]
            nodes.append(_block_node(f"n{len(nodes)}", layer.block, layers, exits))
        else:
            node_of[layer.name] = node_of[layers[0].name]
            continue
        node_of[layer.name] = nodes[-1].id
    pairs = {
        (node_of[source], node_of[layer.name]): None
        for layer in summary.layers
        for source in layer.inbound
        if node_of[source] != node_of[layer.name]
    }
    edges = tuple(DiagramEdge(source, target) for source, target in pairs)
    return Diagram(tuple(nodes), edges, tuple(opened))


def to_dot(diagram: Diagram, columns: int = 6, chosen: str | None = None, fills: Mapping[str, str] = FILLS) -> str:
    """The diagram as Graphviz DOT text.

    Args:
        diagram: Nodes and edges.
        columns: Closed blocks in a row, 1 or more.
        chosen: Name of a layer whose node is framed.
        fills: Colour of each kind of node.

    Raises:
        ValueError: If `columns` is under 1.
    """
    if columns < 1:
        raise ValueError(f"A row has at least one column; got {columns}.")
    lines = [
        "digraph network {",
        '  graph [rankdir=TB, newrank=true, bgcolor="transparent", nodesep=0.25, ranksep=0.35, fontname="Helvetica"];',
        f'  node [shape=box, style="filled,rounded", color="{_LINE}", fontname="Helvetica", fontsize=11, '
        'width=1.5, margin="0.08,0.05"];',
        f'  edge [color="{_LINE}", arrowsize=0.6];',
    ]
    lines += [f"  {_statement(node, chosen, fills)}" for node in diagram.nodes]
    drawn: set[tuple[str, str]] = set()
    edges = {(edge.source, edge.target) for edge in diagram.edges}
    above: dict[int, str] = {}
    for run in _runs(diagram):
        if run[0].block in diagram.open_blocks:
            lines += _frame(run)
            above = {column: node for column, node in above.items() if column == 0}
        else:
            rows, above = _rows(run, columns, edges, drawn, above)
            lines += rows
    by_id = {node.id: node for node in diagram.nodes}
    for edge in diagram.edges:
        if (edge.source, edge.target) not in drawn:
            inside = by_id[edge.source].block == by_id[edge.target].block
            skips = not inside and not _are_neighbours(diagram, edge)
            lines.append(f"  {edge.source} -> {edge.target}{' [style=dashed]' if skips else ''};")
    return "\n".join([*lines, "}"])


def _layer_node(node_id: str, layer: LayerSummary) -> DiagramNode:
    """The node of one layer."""
    shape = _written(layer.output_shape)
    parameters = (f"{layer.parameters:,} parameters",) if layer.parameters else ()
    lines = (layer.name, f"{layer.type}  {shape}", *parameters)
    return DiagramNode(node_id, lines, _kind(layer), layer.block, (layer.name,))


def _block_node(node_id: str, block: str, layers: Sequence[LayerSummary], exits: Sequence[LayerSummary]) -> DiagramNode:
    """The node of a closed block, with the shape that leaves it."""
    parameters = sum(layer.parameters for layer in layers)
    shape = _written(exits[-1].output_shape)
    alike = len(exits) > 1 and len({layer.output_shape for layer in exits}) == 1
    lines = [block, f"{len(exits)} of {shape}" if alike else shape, f"{len(layers)} layers"]
    if parameters:
        lines.append(f"{parameters:,} parameters")
    return DiagramNode(node_id, tuple(lines), "block", block, tuple(layer.name for layer in layers))


def _kind(layer: LayerSummary) -> str:
    """What a layer does, for its colour."""
    if layer.type in _KINDS:
        return _KINDS[layer.type]
    for part, kind in (("Conv", "convolution"), ("Pool", "pool"), ("Normali", "normalisation")):
        if part in layer.type:
            return kind
    return "other"


def _written(shape: Sequence[int | None]) -> str:
    """A shape for people.

    >>> _written((28, 28, 512))
    '28 × 28 × 512'
    """
    return " × ".join("?" if side is None else str(side) for side in shape)


def _runs(diagram: Diagram) -> list[list[DiagramNode]]:
    """The nodes parted into stretches of closed blocks and single open blocks, in order."""
    runs: list[list[DiagramNode]] = []
    for node in diagram.nodes:
        opened = node.block if node.block in diagram.open_blocks else None
        if runs:
            last = runs[-1][0].block if runs[-1][0].block in diagram.open_blocks else None
            if last == opened:
                runs[-1].append(node)
                continue
        earlier = next((run for run in runs if opened and run[0].block == opened), None)
        if earlier is not None:
            earlier.append(node)
        else:
            runs.append([node])
    return runs


def _frame(run: Sequence[DiagramNode]) -> list[str]:
    """An open block: a frame round its layers."""
    block = run[0].block
    return [
        f"  subgraph {_quoted(f'cluster_{run[0].id}')} {{",
        f'    label={_quoted(block)}; labeljust=l; style=rounded; color="{_LINE}"; fontcolor="{_LINE}";',
        f"    {'; '.join(node.id for node in run)};",
        "  }",
    ]


def _rows(
    run: Sequence[DiagramNode],
    columns: int,
    edges: set[tuple[str, str]],
    drawn: set[tuple[str, str]],
    above: dict[int, str],
) -> tuple[list[str], dict[int, str]]:
    """Closed blocks in rows that run to and fro, held in columns by edges that are not seen.

    Only nodes on one chain stand in rows; those beside it (side outputs) are left for Graphviz to place.
    `above` is the row above by column; the last row is given back in the same way.
    """
    inside = [node.id for node in run]
    chain = _longest_chain(inside, edges)
    lines: list[str] = []
    below = 1
    for number, start in enumerate(range(0, len(chain), columns)):
        row = chain[start : start + columns]
        backwards = number % 2 == 1
        # Branches that leave the chain get a line of their own between this row and the next.
        gap = 2 if any(s in row and t not in chain and t in inside for s, t in edges) else 1
        places = {(columns - 1 - i if backwards else i): node for i, node in enumerate(row)}
        lines.append(f"  {{ rank=same; {'; '.join(row)}; }}")
        in_columns = [places[column] for column in sorted(places)]
        for left, right in zip(in_columns, in_columns[1:], strict=False):
            lines.append(f"  {left} -> {right} [{'dir=back, ' if backwards else ''}weight=5];")
            drawn.add((right, left) if backwards else (left, right))
        if start:
            lines.append(f"  {chain[start - 1]} -> {chain[start]} [weight=20, minlen={below}];")
            drawn.add((chain[start - 1], chain[start]))
        lines += [
            f"  {above[column]} -> {node} [style=invis, weight=20, minlen={below}];"
            for column, node in places.items()
            if column in above and (above[column], node) not in drawn | edges
        ]
        above, below = {**above, **places}, gap
    return lines, above


def _longest_chain(nodes: Sequence[str], edges: set[tuple[str, str]]) -> list[str]:
    """The longest path through nodes that are in running order.

    >>> _longest_chain(["a", "b", "side", "c"], {("a", "b"), ("b", "side"), ("b", "c"), ("a", "c")})
    ['a', 'b', 'c']
    """
    length: dict[str, int] = {}
    came_from: dict[str, str | None] = {}
    for node in nodes:
        sources = [source for source in length if (source, node) in edges]
        best = max(sources, key=lambda source: length[source], default=None)
        length[node] = 1 + (length[best] if best is not None else 0)
        came_from[node] = best
    # Of two equally long chains the one that ends later is the network's main path.
    end: str | None = max(reversed(nodes), key=lambda node: length[node])
    chain: list[str] = []
    while end is not None:
        chain.append(end)
        end = came_from[end]
    return chain[::-1]


def _are_neighbours(diagram: Diagram, edge: DiagramEdge) -> bool:
    """Whether no other path leads from an edge's source to its target, so that it skips nothing."""
    targets: dict[str, list[str]] = {}
    for other in diagram.edges:
        targets.setdefault(other.source, []).append(other.target)
    order = {node.id: i for i, node in enumerate(diagram.nodes)}
    stack = [t for t in targets[edge.source] if t != edge.target]
    seen: set[str] = set()
    while stack:
        node = stack.pop()
        if node == edge.target:
            return False
        if node not in seen and order[node] < order[edge.target]:
            seen.add(node)
            stack.extend(targets.get(node, []))
    return True


def _statement(node: DiagramNode, chosen: str | None, fills: Mapping[str, str]) -> str:
    """A node in DOT."""
    label = "\\n".join(_escaped(line) for line in node.lines)
    extra = f', color="{_CHOSEN}", penwidth=3' if chosen in node.layers else ""
    fill = fills.get(node.kind, fills["other"])
    return f'{node.id} [label="{label}", tooltip="{_escaped(node.lines[0])}", fillcolor="{fill}"{extra}];'


def _quoted(text: str) -> str:
    """A DOT string."""
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    r"""Text for inside a DOT string.

    >>> print(_escaped('a"b\\n'))
    a\"b\\n
    """
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
