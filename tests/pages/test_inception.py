"""The page "Inception": its numbers, its links, and that its code runs."""

import re

import numpy as np
import pytest

from core.architectures.googlenet_table import GOOGLENET_MODULES
from pages.parts.inception.cost import cost_snippets
from pages.parts.inception.module import MODULE_INPUTS, module_layers, module_snippets
from pages.parts.inception.one_by_one import one_by_one_snippets

PAGE = "inception"


def texts(app):
    elements = [*app.markdown, *app.caption, *app.info, *app.success, *app.warning]
    return "\n".join(element.value for element in elements)


def run(code):
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102
    return names


def test_it_opens_with_the_bottleneck_of_the_notes(open_page):
    app = open_page(PAGE)
    assert app.header[0].value == "Inception"
    assert [metric.value for metric in app.metric] == ["120.4 M", "12.4 M", "9.68 ×"]
    assert any("120{,}422{,}400" in latex.value for latex in app.latex)
    assert any("2{,}408{,}448 + 10{,}035{,}200 = 12{,}443{,}648" in latex.value for latex in app.latex)


def test_sizes_in_the_link_are_counted(open_page):
    app = open_page(PAGE, bottleneck_n="14", bottleneck_nc="10", bottleneck_f="3", bottleneck_filters="4")
    assert app.dataframe[0].value["Multiplications"].tolist() == [
        14 * 14 * 4 * 9 * 10,
        14 * 14 * 16 * 10,
        14 * 14 * 4 * 9 * 16,
    ]
    assert "does not pay" in texts(app)


def test_both_ways_are_measured_when_asked_for_and_for_these_sizes_only(open_page):
    app = open_page(PAGE, bottleneck_n="8")
    assert "Time (ms)" not in app.dataframe[0].value
    app.button(key="bottleneck_measure").click().run(timeout=120)
    assert not app.exception and not app.error
    times = app.dataframe[0].value["Time (ms)"]
    assert times[0] > 0 and times[2] > 0 and np.isnan(times[1])
    app.number_input(key="bottleneck_n").set_value(9).run()
    assert "Time (ms)" not in app.dataframe[0].value


def test_sizes_that_take_too_long_get_one_sentence(open_page):
    app = open_page(PAGE, bottleneck_n="224", bottleneck_nc="2048", bottleneck_f="11", bottleneck_filters="2048")
    app.button(key="bottleneck_measure").click().run(timeout=120)
    assert len(app.error) == 1 and "multiply-adds" in app.error[0].value
    assert not app.exception


def test_a_one_by_one_convolution_is_a_dense_layer_per_pixel(open_page):
    app = open_page(PAGE, inception_view="1 × 1 convolution", one_filters="2")
    assert not app.error
    differences = [float(value) for value in re.findall(r"\*\*([\d.e+-]+)\*\*", app.success[0].value)]
    assert len(differences) == 2 and max(differences) < 1e-5
    assert app.dataframe[0].value.shape == (2, 5)


def test_the_module_opens_as_inception_3a(open_page):
    app = open_page(PAGE, inception_view="Inception module")
    assert "**28 × 28 × 192** → **28 × 28 × 256** · 163,696 parameters" in texts(app)
    assert app.dataframe[0].value["Output"].tolist()[2] == "28 × 28 × 128"
    app.button(key="module_5b").click().run()
    assert "**7 × 7 × 832** → **7 × 7 × 1,024**" in texts(app)


@pytest.mark.parametrize("library", ["NumPy", "TensorFlow", "Keras"])
def test_the_code_of_the_bottleneck_runs(library):
    result = run(cost_snippets(7, 6, 3, 4, 2)[library])["result"]
    if library == "NumPy":
        assert result == (49 * 4 * 9 * 6, 49 * 2 * 6 + 49 * 4 * 9 * 2)
    else:
        assert [tuple(y.shape) for y in result] == [(1, 7, 7, 4)] * 2


@pytest.mark.parametrize("library", ["NumPy", "TensorFlow", "Keras"])
def test_the_code_of_the_equivalence_finds_no_difference(library):
    assert run(one_by_one_snippets((9, 8, 3), 5)[library])["result"] < 1e-5


@pytest.mark.parametrize("library", ["TensorFlow", "Keras"])
def test_the_code_of_the_module_gives_its_shape_and_parameters(library):
    names = run(module_snippets(28, 192, GOOGLENET_MODULES["3a"])[library])
    assert tuple(names["result"].shape) == (1, 28, 28, 256)
    if library == "Keras":
        layers = module_layers(28, 192, GOOGLENET_MODULES["3a"])
        assert names["module"].count_params() == sum(cost.parameters for cost in layers.values()) == 163_696


def test_each_module_takes_what_the_one_before_it_gives():
    widths = list(GOOGLENET_MODULES.values())
    channels = [channels for _, channels in MODULE_INPUTS.values()]
    assert channels[0] == 192 and channels[1:] == [width.output for width in widths[:-1]]


def test_the_side_outputs_say_what_will_be_measured_and_wait_for_the_button(open_page):
    app = open_page(PAGE, inception_view="Side outputs", side_weight="0.5")
    assert not app.error and "**4a** and **4d**" in texts(app)
    assert any(r"0.5\,(J_{4a} + J_{4d})" in latex.value for latex in app.latex)
