"""Diagrams show every layer once, keep every connection, and stay as narrow as a page."""

import re
import shutil
import subprocess
import sys

import pytest

from core.architectures import catalog
from core.architectures.building import build_without_weights
from core.architectures.diagram import build_diagram, to_dot
from core.architectures.summary import LayerSummary, ModelSummary, summarise_model

NETWORKS = ["lenet5", "alexnet", "googlenet", "resnet50", "resnet110_cifar", "NASNetMobile", "InceptionV3"]
POINTS_OF_A_LAPTOP = 1300


@pytest.fixture(scope="module")
def summaries() -> dict[str, ModelSummary]:
    options = {"googlenet": {"side_outputs": True}}
    return {
        name: summarise_model(build_without_weights(lambda n=name: catalog.build(n, options=options.get(n))))
        for name in NETWORKS
    }


def layer(name: str, block: str, *inbound: str) -> LayerSummary:
    return LayerSummary(name, "Conv2D", block, (4, 4, 2), 10, 0, 0, "", 0, None, "", inbound)


def network(*layers: LayerSummary) -> ModelSummary:
    return ModelSummary("net", (4, 4, 2), layers, 0, 0, 0, 0, (), 0, 0)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("opening", ["none", "one", "all"])
def test_each_layer_is_in_one_node_and_each_connection_in_one_edge(
    name: str, opening: str, summaries: dict[str, ModelSummary]
) -> None:
    summary = summaries[name]
    blocks = list(dict.fromkeys(row.block for row in summary.layers))
    opened = {"none": [], "one": blocks[2:3], "all": blocks}[opening]
    diagram = build_diagram(summary, opened)
    shown = [name for node in diagram.nodes for name in node.layers]
    assert sorted(shown) == sorted(row.name for row in summary.layers)
    expected = {
        (diagram.node_of(source).id, diagram.node_of(row.name).id) for row in summary.layers for source in row.inbound
    }
    assert {(edge.source, edge.target) for edge in diagram.edges} == {e for e in expected if e[0] != e[1]}
    if opening == "all":
        assert len(diagram.nodes) == len(summary.layers)
    # the text draws the same edges, each once, and those that only hold columns are not seen
    drawn = re.findall(r"^  (n\d+) -> (n\d+)( \[.*\])?;$", to_dot(diagram), re.M)
    seen = [(b, a) if "dir=back" in extra else (a, b) for a, b, extra in drawn if "invis" not in extra]
    assert sorted(seen) == sorted((edge.source, edge.target) for edge in diagram.edges)


@pytest.mark.parametrize("columns", [1, 3, 6])
def test_rows_hold_no_more_than_their_columns(columns: int, summaries: dict[str, ModelSummary]) -> None:
    text = to_dot(build_diagram(summaries["resnet50"]), columns)
    rows = re.findall(r"rank=same; (.*); }", text)
    sizes = [len(row.split("; ")) for row in rows]
    assert max(sizes) == columns and sum(sizes) == 20
    with pytest.raises(ValueError, match="at least one column"):
        to_dot(build_diagram(summaries["resnet50"]), 0)


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed here")
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("opening", ["none", "one", "all"])
def test_graphviz_draws_it_no_wider_than_a_laptop(name: str, opening: str, summaries: dict[str, ModelSummary]) -> None:
    summary = summaries[name]
    blocks = list(dict.fromkeys(row.block for row in summary.layers))
    opened = {"none": [], "one": blocks[3:4], "all": blocks}[opening]
    if name in ("NASNetMobile", "InceptionV3") and opening == "all":
        pytest.skip("hundreds of layers with a dozen branches side by side are opened block by block")
    text = to_dot(build_diagram(summary, opened))
    done = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True, check=True, timeout=60)
    width_points = float(done.stdout.split()[2]) * 72
    assert done.stderr == "" and width_points < POINTS_OF_A_LAPTOP


def test_closed_blocks_say_what_is_in_them(summaries: dict[str, ModelSummary]) -> None:
    diagram = build_diagram(summaries["alexnet"])
    assert diagram.node_of("conv1_top").lines == (
        "conv1",
        "2 of 27 × 27 × 48",
        "6 layers",
        "34,944 parameters",
    )
    assert diagram.node_of("flatten").kind == "other" and not diagram.node_of("flatten").is_block
    assert diagram.node_of("fc8").is_block
    with pytest.raises(ValueError, match="no layer 'fc9'"):
        diagram.node_of("fc9")


def test_opening_a_block_shows_its_layers(summaries: dict[str, ModelSummary]) -> None:
    diagram = build_diagram(summaries["resnet50"], ["conv3_block1", "no_such_block", "image"])
    assert diagram.open_blocks == ("conv3_block1",)
    assert [node.kind for node in diagram.nodes if node.block == "conv3_block1"].count("convolution") == 4
    text = to_dot(diagram)
    assert text.count("subgraph") == 1 and 'label="conv3_block1"' in text


def test_the_chosen_layer_is_framed_open_or_closed(summaries: dict[str, ModelSummary]) -> None:
    for opened in ([], ["conv3_block1"]):
        diagram = build_diagram(summaries["resnet50"], opened)
        text = to_dot(diagram, chosen="conv3_block1_2_conv")
        framed = re.findall(r"^  (n\d+) \[.*penwidth=3\];$", text, re.M)
        assert framed == [diagram.node_of("conv3_block1_2_conv").id]


def test_names_cannot_leave_their_quotes() -> None:
    name = 'a"]; evil [label="\\'
    text = to_dot(build_diagram(network(layer(name, name), layer("b\n", "b", name))))
    unquoted = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)
    assert "evil" not in unquoted and unquoted.count('"') % 2 == 0


def test_branches_that_skip_blocks_are_dashed() -> None:
    rows = [layer("a", "a"), layer("b", "b", "a"), layer("c", "c", "b", "a")]
    text = to_dot(build_diagram(network(*rows)))
    assert "n0 -> n2 [style=dashed];" in text and "n0 -> n1 [weight=5];" in text


def test_diagrams_are_light() -> None:
    code = "import sys, core.architectures.diagram; print('keras' in sys.modules, 'tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False", "False"]
