"""The playground's views "Padding and stride" and "Volumes": numbers, links, and unusable input."""

import math

import pytest

PAGE = "convolution_playground"
PADDING = {"view": "Padding and stride"}
VOLUMES = {"view": "Volumes"}


def texts(app):
    elements = [*app.markdown, *app.caption, *app.info, *app.success, *app.warning]
    return "\n".join(element.value for element in elements)


def test_padding_opens_with_the_corners_that_count_least(open_page):
    app = open_page(PAGE, **PADDING)
    assert not app.error
    assert "8 × 8 padded → **6 × 6** output" in texts(app)
    assert "Corner **1** · edge **3** · centre **9**" in texts(app)
    table = app.dataframe[0].value
    assert table["Output"].tolist() == ["6 × 6", "8 × 8"]


# (query, padded and output size, what is said about the end)
LINKS = [
    ({"n": "7", "s": "2"}, "7 × 7 padded → **3 × 3** output", "Nothing is left over"),
    ({"n": "8", "s": "3"}, "8 × 8 padded → **2 × 2** output", "**2 rows and columns are left over**"),
    ({"n": "6", "p": "1", "s": "2"}, "8 × 8 padded → **3 × 3** output", "**1 row and column are left over**"),
    ({"n": "9", "p": "same", "d": "2"}, "13 × 13 padded → **9 × 9** output", "Nothing is left over"),
    ({"n": "224", "f": "7", "p": "3", "s": "2"}, "230 × 230 padded → **112 × 112** output", "Drawn: 32 rows"),
    ({"n": "1", "f": "1"}, "1 × 1 padded → **1 × 1** output", "Nothing is left over"),
]


@pytest.mark.parametrize(("query", "sizes", "end"), LINKS)
def test_a_link_shows_the_windows_it_was_made_for(open_page, query, sizes, end):
    app = open_page(PAGE, **PADDING, **query)
    assert sizes in texts(app)
    assert end in texts(app)


def test_the_formula_holds_the_users_numbers(open_page):
    app = open_page(PAGE, **PADDING, n="7", p="1", s="2")
    assert any(r"\left\lfloor \frac{7 + 2\cdot1 - 3}{2} + 1 \right\rfloor = 4" in latex.value for latex in app.latex)


def test_a_filter_that_does_not_fit_gets_one_sentence_and_the_page_lives_on(open_page):
    app = open_page(PAGE, **PADDING, n="4", f="9")
    assert len(app.error) == 1
    assert app.error[0].value.startswith("The filter covers 9 pixels, but the image has only 4")
    app.selectbox(key="p").set_value(3).run()
    assert not app.error and "10 × 10 padded → **2 × 2** output" in texts(app)


def test_an_example_sets_every_control(open_page):
    app = open_page(PAGE, **PADDING, n="100", d="3")
    app.button(key="example_s = 2").click().run()
    assert [app.number_input(key=key).value for key in ("n", "f", "s")] == [7, 3, 2]
    assert (app.selectbox(key="p").value, app.slider(key="d").value) == ("valid", 1)


def test_valid_layers_run_out_of_image(open_page):
    app = open_page(PAGE, **PADDING, n0="32", L="20")
    assert "only **15** of 20 layers of f = 3 fit: 2 × 2" in app.warning[0].value
    app.slider(key="L").set_value(10).run()
    assert not app.warning
    assert "12 × 12 with valid, 32 × 32 with same" in texts(app)


def test_a_window_beyond_the_output_is_the_last_one(open_page):
    app = open_page(PAGE, **PADDING, wrow="500", wcol="500")
    assert not app.error


def test_the_code_of_the_padding_runs_in_three_libraries(open_page):
    app = open_page(PAGE, **PADDING, s="2", d="2", p="2")
    app.button(key="padding_code_run").click().run()
    assert not app.error
    pairs = app.dataframe[2].value
    assert len(pairs) == 3 and pairs["Largest difference"].max() == 0


def test_volumes_open_with_a_result(open_page):
    app = open_page(PAGE, **VOLUMES)
    assert not app.error
    assert "Σ of the three + b = z" in texts(app)
    # 512 x 512 scaled to 480 x 480, and 3 x 3 filters without padding.
    assert any(r"478 \times 478 \times 6" in latex.value for latex in app.latex)


def numbers_at_the_pixel(app):
    """The products of the three channels, b, and z, as the page writes them."""
    sentence = next(caption.value for caption in app.caption if caption.value.startswith("At row"))
    left, right = sentence.split(": ")[1].split(". Red")[0].replace("−", "-").split(" = ")
    return [float(term.strip("()")) for term in left.split(" + ")], float(right)


def test_products_and_bias_add_up_to_the_output(open_page):
    app = open_page(PAGE, **VOLUMES, image="Coffee cup", b="0.5", vrow="100", vcol="120", g="sigmoid")
    terms, z = numbers_at_the_pixel(app)
    assert terms[3] == 0.5
    assert math.isclose(sum(terms), z, abs_tol=0.02)
    activation = next(caption.value for caption in app.caption if caption.value.startswith("a = sigmoid"))
    assert float(activation.split("**")[1]) == pytest.approx(1 / (1 + math.exp(-z)), abs=0.01)


def test_a_slice_of_zeros_ignores_its_channel(open_page):
    app = open_page(PAGE, **VOLUMES, vrow="50", vcol="60")
    app.button(key="volume_Red only").click().run()
    terms, z = numbers_at_the_pixel(app)
    assert terms[1:] == [0, 0, 0] and terms[0] == z


def test_slices_of_ones_own_come_from_the_link(open_page):
    own = {"slice_r": "Your own", "slice_g": "Your own", "slice_b": "Your own"}
    weights = {"wr": "1", "wg": "-1", "wb": "1/2"}
    app = open_page(PAGE, **VOLUMES, **own, **weights, vf="1", image="Cameraman (grey)")
    (red, green, blue, _), _ = numbers_at_the_pixel(app)
    # A grey picture has three equal channels.
    assert red == -green == pytest.approx(2 * blue, rel=0.01)
    assert red > 0


@pytest.mark.parametrize("text", ["1 a; 2 3", "", "1 2 3", "1e99"])
def test_a_slice_that_is_no_matrix_gets_one_sentence(open_page, text):
    app = open_page(PAGE, **VOLUMES, slice_g="Your own")
    app.text_input(key="wg").set_value(text).run()
    assert len(app.error) == 1 and not app.exception
    assert "matrix" in app.error[0].value


def test_typing_a_slice_chooses_it(open_page):
    app = open_page(PAGE, **VOLUMES)
    app.text_input(key="wb").set_value("0 0 0; 0 2 0; 0 0 0").run()
    assert app.selectbox(key="slice_b").value == "custom"


def test_sixteen_filters_make_sixteen_maps(open_page):
    app = open_page(PAGE, **VOLUMES, image="Chelsea the cat", vp="same", vs="2")
    options = app.multiselect(key="bank").options
    app.multiselect(key="bank").set_value(["vertical", *app.multiselect(key="bank").value][:1]).run()
    assert any(r"\times 2" in latex.value for latex in app.latex)
    assert len(options) >= 15
    from core.convolution.filters import FILTERS

    app.multiselect(key="bank").set_value(list(FILTERS)[:15]).run()
    assert not app.error and not app.exception
    # The cat is 451 x 300 pixels; at stride 2 with same padding that is half of it, rounded up.
    assert any(r"150 \times 226 \times 16" in latex.value.replace("  ", " ") for latex in app.latex)


def test_the_notation_shows_the_sizes_of_the_batch(open_page):
    app = open_page(PAGE, **VOLUMES, m="10")
    table = next(markdown.value for markdown in app.markdown if "| Notation |" in markdown.value)
    assert "10 × 478 × 478 × 6 | 13,709,040 |" in table
    assert "3 × 3 × 3 × 6 | 162 |" in table


def test_the_code_of_the_layer_runs_in_three_libraries(open_page):
    app = open_page(PAGE, **VOLUMES, g="tanh", vs="2", vp="same")
    app.button(key="volume_code_run").click().run()
    assert not app.error
    pairs = app.dataframe[1].value
    assert len(pairs) == 3 and pairs["Largest difference"].max() < 1e-4


# (filter, key of its slider, new value)
MOVED = [
    ("Gaussian blur", "sigma", 2.5),
    ("Gaussian blur", "size", 9),
    ("Gabor", "angle", 60),
    ("Gabor", "wave", 9.5),
]


def shown_first(app):
    """What stands under the headings of input and output, and the sums of the inspector."""
    heads = [element.value for element in app.markdown if element.value.startswith(("**Input", "**Output", "Σ"))]
    return sorted(heads), [latex.value for latex in app.latex], app.caption[-1].value


@pytest.mark.parametrize(("name", "key", "value"), MOVED)
def test_a_moved_slider_shows_what_a_link_with_its_value_shows(open_page, monkeypatch, name, key, value):
    from pages.parts import pace

    monkeypatch.setattr(pace, "PAUSE_S", 0.0)
    query = {"filter": name, "pad": "valid", "row": "100", "col": "120"}
    app = open_page(PAGE, **query)
    before = shown_first(app)
    app.slider(key=key).set_value(value).run()
    assert not app.exception
    moved = shown_first(app)
    assert moved != before
    assert moved == shown_first(open_page(PAGE, **query, **{key: str(value)}))


def test_a_slider_that_makes_the_filter_too_large_gets_one_sentence(open_page):
    app = open_page(PAGE, image="Chelsea the cat", filter="Gaussian blur", pad="valid", size="5")
    app.slider(key="dilation").set_value(8).run()
    app.slider(key="size").set_value(31).run()
    assert not app.exception
    assert [error.value[:10] for error in app.error] in ([], ["The filter"])
    app.slider(key="size").set_value(3).run()
    assert not app.exception and not app.error
