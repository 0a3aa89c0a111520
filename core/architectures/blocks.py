"""Which layers belong together: blocks of a network by the names of its layers, or else by its branches.

Networks name their parts (conv2_block1_1_conv, inception_3a_1x1); where names say nothing, a stretch
between two layers that every path passes is a block, named after the layer in which its branches meet, and
in a plain chain a block is a layer with weights and what follows it. Light: imports nothing heavy.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

# The first group is the block's name. Ours, those of keras.applications, and what people use after them.
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(conv\d+_block\d+)_",
        r"(.*?stage_?\d+_block_?\d+)_",
        r"(block_?\d+[a-z]?(?:_\d+)?)_",
        r"(inception_\d[a-z])_",
        r"(side_\w+?)_",
        r"(mlpconv\d+)_",
        r"(expanded_conv(?:_\d+)?)_",
        r"(?:conv_dw|conv_pw|conv_pad)_(\d+)(?:_|$)",
        r"(stem|top|head)_",
        r"(fc\d+)(?:_|$)",
    )
)
_NUMBERED = re.compile(r"(?:conv|norm|pool|join)(\d+)(?:_|$)")
_LARGEST_SEGMENT = 40


@dataclass(frozen=True)
class BlockInput:
    """What is to be known of a node; `parent` is the name of the model it is nested in."""

    name: str
    inbound: tuple[int, ...]
    kind: str
    has_weights: bool
    parent: str = ""


def find_blocks(nodes: Sequence[BlockInput]) -> list[str]:
    """The name of each node's block, for nodes in the order in which they run.

    >>> chain = [BlockInput("image", (), "InputLayer", False), BlockInput("c1", (0,), "Conv2D", True),
    ...          BlockInput("c1_tanh", (1,), "ScaledTanh", False), BlockInput("c2", (2,), "Conv2D", True)]
    >>> find_blocks(chain)
    ['image', 'c1', 'c1', 'c2']
    """
    named = _by_name(nodes)
    segments = _segments(nodes)
    blocks: list[str] = []
    for index, node in enumerate(nodes):
        name = named[index]
        segment = segments[index]
        if name is None and len(segment) > 1:
            others = Counter(named[i] for i in segment if named[i] is not None)
            name = others.most_common(1)[0][0] if others else _end_of_part(nodes, segment, index)
        if name is None:
            follows = node.inbound[0] if len(node.inbound) == 1 else None
            joins = (
                follows is not None
                and not node.has_weights
                and node.kind != "InputLayer"
                and nodes[follows].kind != "InputLayer"
                and named[follows] is None
            )
            name = blocks[follows] if joins and follows is not None else node.name
        blocks.append(name)
    return blocks


def _by_name(nodes: Sequence[BlockInput]) -> list[str | None]:
    """Each node's block if its name, or the model it is nested in, says it."""
    convolutions = {match.group(1) for node in nodes if (match := re.match(r"conv(\d+)(?:_|$)", node.name))}
    names: list[str | None] = []
    for node in nodes:
        matches = (pattern.match(node.name) for pattern in _PATTERNS)
        found = next((match.group(1) for match in matches if match), None)
        numbered = _NUMBERED.match(node.name)
        if node.parent:
            names.append(node.parent)
        elif found:
            names.append(found if not found.isdigit() else f"block{found}")
        elif numbered and numbered.group(1) in convolutions:
            names.append(f"conv{numbered.group(1)}")
        else:
            names.append(None)
    return names


def _segments(nodes: Sequence[BlockInput]) -> list[tuple[int, ...]]:
    """For each node the nodes of its stretch.

    A stretch ends at a layer that every path to the main output passes. Without branches it is a single
    node, and so are the layers on the way to other outputs.
    """
    main = _leading_to_main_output(nodes)
    farthest = list(range(len(nodes)))
    for index in main:
        for source in nodes[index].inbound:
            farthest[source] = max(farthest[source], index)
    segments: list[tuple[int, ...]] = [(index,) for index in range(len(nodes))]
    stretch: list[int] = []
    reach = 0
    for index in main:
        stretch.append(index)
        if reach <= index:  # no path jumps over this node
            for member in stretch:
                segments[member] = tuple(stretch)
            stretch = []
        reach = max(reach, farthest[index])
    return segments


def _leading_to_main_output(nodes: Sequence[BlockInput]) -> list[int]:
    """The nodes from which the output at the end of the longest path can be reached, in order."""
    depth: list[int] = []
    for node in nodes:
        depth.append(1 + max((depth[source] for source in node.inbound), default=0))
    wanted = {max(range(len(nodes)), key=lambda index: depth[index])}
    for index in range(len(nodes) - 1, -1, -1):
        if index in wanted:
            wanted.update(nodes[index].inbound)
    return sorted(wanted)


def _end_of_part(nodes: Sequence[BlockInput], segment: tuple[int, ...], index: int) -> str:
    """The name of the node that ends the part of a segment in which a node lies.

    A long segment (cells that see the two before them) is parted where branches are concatenated, or else
    added.
    """
    if len(segment) > _LARGEST_SEGMENT:
        for kind in ("Concatenate", "Add"):
            ends = [i for i in segment if nodes[i].kind == kind]
            if ends:
                return nodes[next((i for i in ends if i >= index), segment[-1])].name
    return nodes[segment[-1]].name
