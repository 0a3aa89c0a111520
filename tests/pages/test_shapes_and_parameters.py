"""The page on shapes and parameters: the notes' network, edits, links, broken stacks, Keras' own count."""

import pytest
import streamlit as st

from core.convolution.stack import (
    NOTES_INPUT,
    NOTES_SCHEMATIC,
    PRESETS,
    StackFormatError,
    StackLayer,
    describe_stack,
)
from pages.parts.shapes.address import parse_stack, stack_text
from pages.parts.shapes.controls import described
from pages.parts.shapes.details import csv_table
from pages.parts.shapes.table import ERROR_KEY, VERSION_KEY, edited, of_kind, table_frame, take_edits

PAGE = "shapes_and_parameters"
NOTES_TEXT = "conv-5-1-valid-8_max-2-2_conv-5-1-valid-16_max-2-2_fc-120_fc-84_softmax-10"


def texts(app):
    return "\n".join(element.value for element in [*app.markdown, *app.caption])


def formulas(app):
    return "\n".join(latex.value for latex in app.latex)


def table(app):
    return app.data_editor[0].value


def test_it_opens_with_the_schematic_network_of_the_notes(open_page):
    app = open_page(PAGE)
    frame = table(app)
    assert frame.index.tolist() == ["Input", "CONV1", "POOL1", "CONV2", "POOL2", "FC3", "FC4", "Softmax"]
    assert frame["Activation shape"].tolist() == [
        *("(32, 32, 3)", "(28, 28, 8)", "(14, 14, 8)", "(10, 10, 16)", "(5, 5, 16)"),
        *("(120, 1)", "(84, 1)", "(10, 1)"),
    ]
    assert frame["Size"].tolist() == ["3,072", "6,272", "1,568", "1,600", "400", "120", "84", "10"]
    assert frame["Parameters"].tolist() == ["0", "608", "0", "3,216", "0", "48,120", "10,164", "850"]
    assert frame["Notes print"].tolist() == ["0", "208", "0", "416", "0", "48,001", "10,081", "841"]
    assert "**62,958 parameters**" in texts(app)
    assert not app.error


def test_each_difference_to_the_notes_has_its_reason(open_page):
    reasons = open_page(PAGE).dataframe[1].value
    assert reasons["Layer"].tolist() == ["CONV1", "CONV2", "FC3", "FC4", "Softmax"]
    assert reasons["Notes print"].tolist() == [208, 416, 48001, 10081, 841]
    assert reasons["Right"].tolist() == [608, 3216, 48120, 10164, 850]
    assert "3 input channels" in reasons["Why"][0] and "one bias" in reasons["Why"][2]


def test_the_formula_of_the_chosen_layer_holds_its_numbers(open_page):
    app = open_page(PAGE, stack_layer="CONV2")
    assert r"(5^2 \cdot 8 + 1) \cdot 16 = 3{,}216" in formulas(app)
    assert r"\frac{14 + 2\cdot0 - 5}{1} + 1 \right\rfloor = 10" in formulas(app)
    app.selectbox(key="stack_layer").select("FC3").run()
    assert r"(400 + 1) \cdot 120 = 48{,}120" in formulas(app)
    app.selectbox(key="stack_layer").select("POOL1").run()
    assert "nothing is learned" in texts(app)


def test_a_stack_in_the_link_is_shown(open_page):
    app = open_page(
        PAGE, stack="conv-3-1-same-16_avg-2-2-same_flatten_softmax-5", stack_h="9", stack_w="8", stack_c="1"
    )
    assert table(app)["Activation shape"].tolist() == [
        "(9, 8, 1)",
        "(9, 8, 16)",
        "(5, 4, 16)",
        "(320, 1)",
        "(5, 1)",
    ]
    assert "The notes' numbers, and the right ones" not in [heading.value for heading in app.subheader]


@pytest.mark.parametrize(
    ("stack", "row", "sentence"),
    [
        (
            "conv-5-1-valid-8_max-40-2_softmax-10",
            2,
            "Layer 2 (POOL1): the 40 x 40 window is larger than its input",
        ),
        ("fc-10_conv-3-1-same-4", 2, "Layer 2 (CONV2): a convolution needs a volume"),
    ],
)
def test_a_stack_that_cannot_be_built_says_where_and_why(open_page, stack, row, sentence):
    app = open_page(PAGE, stack=stack)
    assert len(app.error) == 1 and sentence in app.error[0].value
    shapes = table(app)["Activation shape"].tolist()
    assert shapes[row] == "✗ cannot follow"
    assert all("✗" not in str(shape) for shape in shapes[:row])
    assert not app.exception


@pytest.mark.parametrize(
    ("stack", "sentence"),
    [
        ("dropout-5", "“dropout-5” is no layer"),
        ("conv-3-1-same", "Layer 1 of the stack (conv) must have 5 entries"),
        ("conv-x-1-same-8", "'x'"),
        ("fc-999999999", "go up to 100,000"),
        ("_".join(["flatten"] * 65), "64 are allowed"),
        ("max-2-2-3", "pooling takes valid or same"),
        ("conv-0-1-valid-4", "must be at least 1"),
        ("__", "is no layer"),
    ],
)
def test_a_link_that_is_no_stack_gets_one_sentence(open_page, stack, sentence):
    app = open_page(PAGE, stack=stack)
    assert len(app.error) == 1 and sentence in app.error[0].value
    assert not app.exception


def test_absurd_sizes_are_counted_all_the_same(open_page):
    app = open_page(PAGE, stack_h="20000", stack_w="20000", stack_c="10000", stack="fc-100000_fc-100000")
    assert not app.exception and not app.error
    assert table(app)["Parameters"].tolist()[1] == "4e+17"


def test_examples_set_input_and_stack(open_page):
    app = open_page(PAGE)
    app.menu_button(key="shapes_example").click("LeNet-5, fully connected C3").run()
    assert app.number_input(key="stack_c").value == 1
    assert "**61,706 parameters**" in texts(app)


def test_layers_are_moved_copied_removed_and_added(open_page):
    app = open_page(PAGE, stack="conv-3-1-same-8_max-2-2_softmax-10", stack_layer="CONV1")
    app.button(key="shapes_down").click().run()
    assert app.text_input(key="stack").value == "max-2-2_conv-3-1-same-8_softmax-10"
    assert app.selectbox(key="stack_layer").value == "CONV1"
    app.button(key="shapes_up").click().run()
    app.button(key="shapes_copy").click().run()
    assert app.text_input(key="stack").value == "conv-3-1-same-8_conv-3-1-same-8_max-2-2_softmax-10"
    assert app.selectbox(key="stack_layer").value == "CONV2"
    app.button(key="shapes_remove").click().run()
    app.menu_button(key="shapes_add").click("Flatten").run()
    assert app.text_input(key="stack").value == "conv-3-1-same-8_flatten_max-2-2_softmax-10"
    assert app.selectbox(key="stack_layer").value == "Flatten"
    assert "pooling needs a volume" in app.error[0].value


def test_the_last_layer_cannot_be_removed(open_page):
    app = open_page(PAGE, stack="softmax-10")
    assert app.button(key="shapes_remove").disabled
    assert app.button(key="shapes_up").disabled and app.button(key="shapes_down").disabled


def test_a_chosen_layer_that_is_gone_gives_way_to_another(open_page):
    app = open_page(PAGE, stack_layer="Softmax")
    app.text_input(key="stack").set_value("conv-3-1-same-8").run()
    assert not app.exception and r"(3^2 \cdot 3 + 1) \cdot 8 = 224" in formulas(app)


def test_keras_counts_the_same(open_page):
    app = open_page(PAGE)
    app.button(key="shapes_build").click().run(timeout=120)
    assert not app.error and not app.exception
    assert "Keras counts **62,958 parameters**, this page 62,958: they agree." in texts(app)
    assert "Model (.keras)" in [button.label for button in app.download_button]
    app.text_input(key="stack").set_value("softmax-10").run()
    assert "they agree" not in texts(app)


def test_a_stack_too_large_for_a_file_is_counted_by_keras(open_page):
    app = open_page(PAGE, stack="fc-100000_fc-100000")
    assert app.button(key="shapes_build").label == "Count with Keras"
    app.button(key="shapes_build").click().run(timeout=120)
    assert "they agree" in texts(app)
    assert "Model (.keras)" not in [button.label for button in app.download_button]


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_the_address_holds_every_stack(preset):
    assert parse_stack(stack_text(preset.layers)) == preset.layers


def test_the_address_is_short_and_readable():
    assert stack_text(NOTES_SCHEMATIC) == NOTES_TEXT
    layers = (StackLayer("conv", 3, 2, 4, 8), StackLayer("pool_avg", 3, 1, "same"))
    assert stack_text(layers) == "conv-3-2-4-8_avg-3-1-same"
    assert parse_stack(stack_text(layers)) == layers


@pytest.mark.parametrize("text", ["", "conv", "conv-1-1-valid-1-1", "max-2", "fc-1.5", "conv--1-1-valid-3", "fc-²"])
def test_texts_that_are_no_stack(text):
    with pytest.raises(StackFormatError):
        parse_stack(text)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"f": 7}, StackLayer("conv", 7, 1, "valid", 8)),
        ({"s": 2.0}, StackLayer("conv", 5, 2, "valid", 8)),
        ({"Padding": "same"}, StackLayer("conv", 5, 1, "same", 8)),
        ({"Padding": "3"}, StackLayer("conv", 5, 1, 3, 8)),
        ({"Units": 12, "f": 1}, StackLayer("conv", 1, 1, "valid", 12)),
        ({"Kind": "POOL max"}, StackLayer("pool_max", 5, 1, "valid")),
        ({"Kind": "FC"}, StackLayer("dense", units=8)),
        ({"Kind": "Flatten"}, StackLayer("flatten")),
    ],
)
def test_a_cell_that_was_edited(changes, expected):
    assert edited(NOTES_SCHEMATIC[0], "CONV1", changes) == expected


@pytest.mark.parametrize(
    ("layer", "changes", "sentence"),
    [
        (NOTES_SCHEMATIC[0], {"f": None}, "f of CONV1 must be a whole number from 1 to 1,024"),
        (NOTES_SCHEMATIC[0], {"f": 2.5}, "whole number"),
        (NOTES_SCHEMATIC[0], {"Units": 0}, "filters or units of CONV1"),
        (NOTES_SCHEMATIC[0], {"Kind": None}, "needs a kind"),
        (NOTES_SCHEMATIC[1], {"Units": 4}, "no filters or units"),
        (NOTES_SCHEMATIC[1], {"Padding": "2"}, "valid or same"),
        (NOTES_SCHEMATIC[4], {"f": 3}, "only convolution and pooling"),
        (NOTES_SCHEMATIC[4], {"Padding": "same"}, "only convolution and pooling"),
    ],
)
def test_a_cell_that_cannot_be_used_is_refused(layer, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        edited(layer, "CONV1", changes)


def after_edits(monkeypatch, rows, stack="conv-3-1-same-8_max-2-2"):
    """The session after the table reported these rows as edited."""
    session = {"stack": stack, "editor": {"edited_rows": rows, "added_rows": [], "deleted_rows": []}}
    monkeypatch.setattr(st, "session_state", session)
    take_edits("editor")
    return session


def test_an_edit_of_the_table_reaches_the_address_and_keeps_the_table(monkeypatch):
    session = after_edits(monkeypatch, {1: {"f": 5, "Units": 4}, 2: {"s": 1}})
    assert session["stack"] == "conv-5-1-same-4_max-2-1"
    assert VERSION_KEY not in session and ERROR_KEY not in session


def test_an_edit_that_was_taken_already_changes_nothing(monkeypatch):
    session = after_edits(monkeypatch, {})
    assert session["stack"] == "conv-3-1-same-8_max-2-2" and VERSION_KEY not in session


def test_a_change_of_kind_starts_the_table_anew(monkeypatch):
    session = after_edits(monkeypatch, {2: {"Kind": "FC"}})
    assert session["stack"] == "conv-3-1-same-8_fc-64" and session[VERSION_KEY] == 1


@pytest.mark.parametrize("rows", [{0: {"f": 3}}, {1: {"f": None}}, {2: {"Units": 3}}])
def test_an_edit_that_is_refused_is_undone_with_a_sentence(monkeypatch, rows):
    session = after_edits(monkeypatch, rows)
    assert session["stack"] == "conv-3-1-same-8_max-2-2" and session[VERSION_KEY] == 1
    assert session[ERROR_KEY].endswith(".")


def test_a_new_kind_keeps_what_it_can():
    assert of_kind("conv", StackLayer("pool_max", 2, 2, "same")) == StackLayer("conv", 2, 2, "same", 16)
    assert of_kind("pool_avg", StackLayer("conv", 3, 1, 4, 8)) == StackLayer("pool_avg", 3, 1, "valid")
    assert of_kind("softmax", StackLayer("dense", units=7)) == StackLayer("softmax", units=7)


def test_the_table_and_the_csv_hold_what_the_core_reports():
    stack = described(NOTES_INPUT, NOTES_SCHEMATIC)
    frame, csv = table_frame(stack), csv_table(stack)
    reports = describe_stack(NOTES_INPUT, NOTES_SCHEMATIC)
    assert frame["Multiply-adds"].tolist()[1:] == [f"{report.multiply_adds:,}" for report in reports]
    assert csv["parameters"].tolist()[1:] == [report.parameters for report in reports]
    assert csv["size"].tolist() == [3072, *(report.size for report in reports)]


def test_what_can_be_taken_away(open_page):
    app = open_page(PAGE, stack="conv-3-1-same-16_softmax-5")
    labels = [button.label for button in app.download_button]
    assert labels == ["Table (CSV)", "Stack (JSON)", "Keras code (.py)"]
    assert "keras.layers.Conv2D(16" in app.code[0].value


def test_a_broken_stack_has_no_code(open_page):
    app = open_page(PAGE, stack="max-40-2")
    assert not app.code and not app.download_button
    assert "no code for a stack that cannot be built" in texts(app)
