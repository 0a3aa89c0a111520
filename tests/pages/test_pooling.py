"""The pooling page: its numbers, where maxima came from, shifts, links, and input that cannot be used."""

import numpy as np
import pytest

from core.convolution.pooling import pool
from core.convolution.windows import window_positions
from core.runtime.samples import SAMPLES
from pages.parts.pixels import Pixel
from pages.parts.pooling.layout import Layout, all_sources, sources_of

PAGE = "pooling"
LARGER = "1 3 2 1 3; 2 9 1 1 5; 1 3 2 3 2; 8 3 5 1 0; 5 6 1 2 9"


def texts(app):
    return "\n".join(element.value for element in [*app.markdown, *app.caption])


def formulas(app):
    return "\n".join(latex.value for latex in app.latex)


def test_it_opens_with_a_matrix_and_its_maxima(open_page):
    app = open_page(PAGE)
    assert app.header[0].value == "Pooling"
    assert "**Input** · 4 × 4" in texts(app) and "**Output** · 2 × 2" in texts(app)
    assert r"\max(1,\,3,\,2,\,9) = 9" in formulas(app)
    assert "row 1, column 1 of the input" in texts(app)
    assert "**0 parameters**" in texts(app)
    assert not app.error


def test_the_size_formula_stands_with_and_without_the_one(open_page):
    app = open_page(PAGE, pool_matrix=LARGER, pool_f="3", pool_s="1")
    assert r"\left\lfloor \frac{n - f}{s} + 1 \right\rfloor" in formulas(app)
    assert r"\frac{5 - 3}{1} + 1 \right\rfloor = 3" in formulas(app)
    assert "2 × 2, not 3 × 3" in texts(app)


def test_the_average_of_another_output(open_page):
    app = open_page(PAGE, pool_mode="Average", pool_row="1", pool_col="1")
    assert r"\tfrac{1}{4} (2 + 3 + 1 + 2) = 2" in formulas(app)
    assert "maxima" not in texts(app)


def test_a_link_to_an_output_that_is_not_there_shows_the_last_one(open_page):
    app = open_page(PAGE, pool_row="70", pool_col="70")
    assert r"\max(2,\,3,\,1,\,2) = 3" in formulas(app)


def test_the_examples_set_matrix_window_and_stride(open_page):
    app = open_page(PAGE)
    app.menu_button(key="pooling_example").click("Overlapping windows").run()
    assert app.number_input(key="pool_f").value == 3 and app.number_input(key="pool_s").value == 1
    assert "**Output** · 3 × 3" in texts(app)
    app.menu_button(key="pooling_example").click("A row and a column left over").run()
    assert "left over, in no window" in texts(app)


@pytest.mark.parametrize(
    ("matrix", "sentence"),
    [
        ("1 2; 3 four", "'four' in row 2, column 2 of the matrix is not a number."),
        ("1 2; 3", "Row 2 of the matrix has 1 numbers"),
        (" ", "The matrix is empty"),
        ("1 inf; 2 3", "'inf' in row 1, column 2"),
    ],
)
def test_a_matrix_that_is_none_gets_one_sentence(open_page, matrix, sentence):
    app = open_page(PAGE, pool_matrix=matrix)
    assert len(app.error) == 1 and sentence in app.error[0].value
    assert "**Output** · 2 × 2" in texts(app)


def test_a_window_larger_than_the_input_gets_one_sentence(open_page):
    app = open_page(PAGE, pool_f="5")
    assert [error.value for error in app.error] == [
        "The window is 5 × 5, but the input has only 4 × 4 values: choose f up to 4, or a larger input."
    ]
    app.number_input(key="pool_f").set_value(4).run()
    assert not app.error and "**Output** · 1 × 1" in texts(app)


def test_a_large_matrix_is_drawn_as_a_picture(open_page):
    matrix = "; ".join(" ".join(str(row * column) for column in range(20)) for row in range(-10, 10))
    app = open_page(PAGE, pool_matrix=matrix)
    assert "**Output** · 10 × 10" in texts(app)


@pytest.mark.parametrize(("channel", "shape", "windows"), [("All", "512 × 512 × 3", 3), ("Green", "512 × 512", 1)])
def test_an_image_is_pooled_by_channel(open_page, channel, shape, windows):
    app = open_page(PAGE, pool_input="Image", image="Astronaut", pool_channel=channel)
    assert f"**Input** · {shape}" in texts(app)
    assert f"**Output** · {shape.replace('512', '256')}" in texts(app)
    assert len([latex for latex in app.latex if r"\max(" in latex.value]) == windows


def test_a_window_too_large_for_numbers_is_shown_as_a_picture(open_page):
    app = open_page(PAGE, pool_input="Image", pool_f="64", pool_s="64", pool_mode="Average")
    assert "**Output** · 8 × 8 × 3" in texts(app)


def test_the_three_programs_agree(open_page):
    app = open_page(PAGE)
    app.button(key="pooling_code_run").click().run()
    assert not app.error
    differences = app.dataframe[1].value["Largest difference"]
    assert len(differences) == 3 and float(differences.max()) == 0.0


def test_the_code_runs_as_it_stands(open_page):
    app = open_page(PAGE, pool_matrix=LARGER, pool_f="3", pool_s="2")
    names: dict[str, object] = {}
    exec(app.code[0].value, names)  # noqa: S102
    assert np.array_equal(names["result"], [[9, 5], [8, 9]])


def test_a_shift_changes_the_pooled_map_less(open_page):
    app = open_page(PAGE, pool_view="Shift")
    assert "**Shifted by 1 px**" in texts(app)
    assert "more invariant to the position" in texts(app)
    app.slider(key="pool_shift").set_value(6).run()
    assert "**Shifted by 6 px**" in texts(app)


def test_fewer_shifts_than_the_one_shown(open_page):
    app = open_page(PAGE, pool_view="Shift", pool_shift="8")
    app.number_input(key="pool_k").set_value(3).run()
    assert not app.exception and "**Shifted by" in texts(app)
    app.number_input(key="pool_k").set_value(1).run()
    assert not app.exception and "**Shifted by 1 px**" in texts(app)


def test_the_shift_view_opens_from_its_link(open_page):
    app = open_page(
        PAGE, pool_view="Shift", image=SAMPLES["camera"].label, pool_f="4", pool_s="4", pool_axis="Down", pool_shift="3"
    )
    assert app.number_input(key="pool_f").value == 4
    assert "**Shifted by 3 px**" in texts(app)
    assert "**Unpooled**, 248 × 256" in texts(app) and "**Pooled**, 62 × 64" in texts(app)


def layout_of(values, f, s, pixel):
    rows, columns = values.shape
    return Layout(window_positions(rows, f, stride=s), window_positions(columns, f, stride=s), pixel)


def test_sources_are_where_the_maxima_stand():
    values = np.array([[1, 3, 2, 1], [2, 9, 1, 1], [1, 3, 2, 3], [5, 6, 1, 2]], np.float32)
    result = pool(values, 2, 2, "max")
    assert all_sources(result) == [Pixel(0, 2), Pixel(1, 1), Pixel(2, 3), Pixel(3, 1)]
    assert sources_of(result, Pixel(1, 0)) == [Pixel(3, 1)]
    assert all_sources(pool(values, 2, 2, "average")) == []
    for source in all_sources(result):
        assert values[source.row, source.column] in result.output


def test_the_layout_cuts_the_window_and_finds_what_is_left_over():
    values = np.arange(25, dtype=np.float32).reshape(5, 5)
    layout = layout_of(values, 2, 2, Pixel(1, 1))
    assert layout.cut(values).tolist() == [[12, 13], [17, 18]]
    assert layout.cells() == [Pixel(2, 2), Pixel(2, 3), Pixel(3, 2), Pixel(3, 3)]
    assert layout.in_window(Pixel(3, 3)) == Pixel(1, 1)
    assert np.argwhere(layout.left_over()).tolist() == [
        *([row, 4] for row in range(4)),
        *([4, column] for column in range(5)),
    ]
