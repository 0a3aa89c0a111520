"""Shapes and parameters: a stack of layers in a table, and what each layer puts out, learns and costs."""

import streamlit as st

from pages.parts.header import header, paper_link
from pages.parts.shapes.controls import layer_controls, stack_controls
from pages.parts.shapes.details import draw_chart, draw_formula, draw_notes, draw_totals
from pages.parts.shapes.export import draw_code
from pages.parts.shapes.table import draw_table


@st.fragment
def view() -> None:
    """Draw the table and everything that follows from it."""
    stack = stack_controls()
    draw_table(stack)
    draw_totals(stack)
    chosen = layer_controls(stack)
    left, right = st.columns([1.1, 1], gap="medium")
    with left:
        st.subheader("Mathematics", anchor=False)
        draw_formula(stack, chosen)
    with right:
        draw_chart(stack)
    if stack.is_notes_schematic:
        draw_notes()
    draw_code(stack)


entry = header("shapes_and_parameters")
view()
paper_link(entry)
