"""The page "Why convolutions": its numbers, its links, and what it says about input that cannot be used."""

import re

import pytest

from core.convolution.equivalence import convolution_cost, fully_connected_cost
from core.convolution.settings import ConvolutionSettings
from pages.parts.why.cost import cost_snippets
from pages.parts.why.input_size import input_size_snippets
from pages.parts.why.numbers import count_text, memory_text, ratio_text

PAGE = "why_convolutions"


def texts(app):
    elements = [*app.markdown, *app.caption, *app.info, *app.success, *app.warning]
    return "\n".join(element.value for element in elements)


def test_it_opens_with_the_example_of_the_notes(open_page):
    app = open_page(PAGE)
    assert app.header[0].value == "Why convolutions"
    assert [metric.value for metric in app.metric] == ["3 million", "3 billion", "12 GB"]
    assert "27,000" in app.info[0].value
    assert any("3{,}000{,}000{,}000" in latex.value for latex in app.latex)


def test_a_size_in_the_link_is_used(open_page):
    app = open_page(PAGE, height="28", width="28", channels="1", units="10")
    assert [metric.value for metric in app.metric] == ["784", "7,840", "31.4 kB"]
    app.number_input(key="units").set_value(100).run()
    assert [metric.value for metric in app.metric][1] == "78,400"


def test_the_largest_image_is_counted_without_making_it(open_page):
    app = open_page(PAGE, height="20000", width="20000", channels="512", units="100000")
    assert app.metric[1].value == "20,480 trillion"
    assert app.metric[2].value == "81.92 PB"


def test_an_example_sets_all_sizes(open_page):
    app = open_page(PAGE)
    app.button(key="input_12 Mpx").click().run()
    assert (app.number_input(key="height").value, app.number_input(key="width").value) == (3000, 4000)
    assert app.metric[1].value == "36 billion"


def test_the_layer_of_the_schematic_network_has_608_parameters(open_page):
    app = open_page(PAGE, part="Against fully connected")
    table = app.dataframe[0].value
    assert table["Convolution"].tolist()[:3] == ["608", "470,400", "470,400"]
    assert table["Fully connected"].tolist()[:3] == ["19,273,856", "19,267,584", "19,267,584"]
    assert "**32 × 32 × 3** → **28 × 28 × 8**" in texts(app)


def test_a_filter_larger_than_the_image_gets_one_sentence(open_page):
    app = open_page(PAGE, part="Against fully connected", cost_n="3", cost_f="5")
    assert len(app.error) == 1
    assert "The filter covers 5 pixels" in app.error[0].value
    app.number_input(key="cost_f").set_value(3).run()
    assert not app.error and not app.exception


SHAPES = [((32, 32, 3), 5, 8, ConvolutionSettings()), ((20, 31, 2), 4, 3, ConvolutionSettings(3, "same"))]


@pytest.mark.parametrize("library", ["NumPy", "TensorFlow", "Keras"])
@pytest.mark.parametrize(("shape", "f", "filters", "settings"), SHAPES)
def test_the_code_of_the_costs_counts_what_the_page_shows(library, shape, f, filters, settings):
    names: dict[str, object] = {}
    exec(cost_snippets(shape, f, filters, settings)[library], names)  # noqa: S102
    convolution = convolution_cost(shape, f, filters, settings)
    dense = fully_connected_cost(shape, convolution.output_shape)
    assert tuple(int(count) for count in names["result"]) == (convolution.parameters, dense.parameters)


@pytest.mark.parametrize("library", ["NumPy", "TensorFlow", "Keras"])
def test_the_code_of_the_input_size_counts_three_billion_weights(library):
    names: dict[str, object] = {}
    exec(input_size_snippets((1000, 1000, 3), 1000)[library], names)  # noqa: S102
    assert int(names["result"]) == 3_000_000_000


def test_the_matrix_is_built_and_equal_to_the_convolution(open_page):
    app = open_page(
        PAGE,
        part="As a matrix",
        matrix_p="same",
        matrix_n="5",
        matrix_x="Random",
        filter="Sobel, vertical edges",
    )
    assert "25 outputs × 25 inputs" in texts(app)
    difference = float(re.search(r"at most \*\*([^*]+)\*\*", app.success[0].value)[1])
    assert difference < 1e-5
    # 3 x 3 windows over 5 x 5 pixels, of which the border cuts off a row or a column: (3 * 5 - 2)^2.
    assert "**169** of 625 places" in texts(app)


def test_a_link_to_an_output_beyond_the_map_shows_the_last_one(open_page):
    app = open_page(PAGE, part="As a matrix", matrix_row="99", matrix_col="99")
    assert any(r"_{15} &= 0" in latex.value for latex in app.latex)


def test_a_matrix_for_a_filter_that_does_not_fit_is_refused(open_page):
    app = open_page(PAGE, part="As a matrix", matrix_n="2")
    assert len(app.error) == 1 and "take a smaller filter" in app.error[0].value


def test_the_code_beside_the_matrix_runs_in_three_libraries(open_page):
    app = open_page(PAGE, part="As a matrix")
    app.button(key="matrix_code_run").click().run()
    assert not app.error
    pairs = app.dataframe[1].value
    assert len(pairs) == 3 and pairs["Largest difference"].max() < 1e-4


def test_the_map_moves_with_the_image_and_a_fully_connected_output_does_not(open_page):
    app = open_page(PAGE, part="Under a shift", dx="-7", dy="5")
    assert "Its map moves along: **0 %** changed" in texts(app)
    change = float(re.search(r"Its output does not: \*\*([\d.]+) %\*\*", texts(app))[1])
    assert change > 20
    assert "stays the same" in app.info[0].value


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"shift_s": "2", "dx": "3"}, "no multiple of the stride 2"),
        ({"shift_p": "same", "dy": "4"}, "Only the rim differs"),
    ],
)
def test_where_the_map_cannot_move_the_page_says_why(open_page, query, says):
    app = open_page(PAGE, part="Under a shift", image="Cameraman (grey)", **query)
    assert says in app.info[0].value
    assert "Its map changes" in texts(app)


def test_large_numbers_are_written_for_people():
    assert [count_text(value) for value in (999_999, 1e6, 3e9, 2.5e12)] == [
        "999,999",
        "1 million",
        "3 billion",
        "2.5 trillion",
    ]
    assert [memory_text(value) for value in (999, 12_000_004_000, 3e15)] == ["999 B", "12 GB", "3 PB"]
    assert (ratio_text(12_000_000, 3), ratio_text(5, 2)) == ("4,000,000", "2.5")
