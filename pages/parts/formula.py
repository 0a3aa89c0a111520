"""Formulas as the notes print them, and again with the user's own numbers put in."""

from collections.abc import Sequence

import streamlit as st


def formula(symbolic: str, *with_numbers: str, explanation: str = "") -> None:
    """Draw a formula in LaTeX, each line of numbers under it, and what its letters mean."""
    lines = [symbolic, *with_numbers]
    st.latex(r"\begin{aligned}" + r" \\[2pt] ".join(_aligned(line) for line in lines) + r"\end{aligned}")
    if explanation:
        st.caption(explanation)


def _aligned(line: str) -> str:
    """Align at the first equals sign, where there is one."""
    if "&" in line or "=" not in line:
        return line if "&" in line else "&" + line
    left, right = line.split("=", 1)
    return f"{left}&={right}"


def number(value: float, digits: int = 3) -> str:
    r"""A number for LaTeX: thousands parted by thin spaces, negative ones in brackets.

    >>> number(48120), number(-2.5)
    ('48{,}120', '(-2.5)')
    """
    rounded = float(value)
    if rounded == int(rounded) and abs(rounded) < 1e15:
        text = f"{int(rounded):,}".replace(",", "{,}")
    else:
        text = f"{rounded:.{digits}g}"
        if "e" in text:
            mantissa, exponent = text.split("e")
            text = rf"{mantissa}\cdot10^{{{int(exponent)}}}"
    return f"({text})" if rounded < 0 else text


def output_size_formula(
    *, n: int, before: int, after: int, f: int, stride: int, dilation: int, result: int, axis: str = "H"
) -> tuple[str, str]:
    """The size formula of a convolution and the same with the user's numbers.

    Args:
        n: Input size in pixels along the axis.
        before: Padding before the first pixel.
        after: Padding after the last pixel.
        f: Filter size.
        stride: Stride in pixels.
        dilation: Distance of neighbouring weights in pixels.
        result: Output size in pixels.
        axis: Index of the n in the formula.
    """
    reach = f"{dilation}({f}-1)" if dilation > 1 else f"{f}"
    letter = r"d(f-1)" if dilation > 1 else "f"
    one = " - 1" if dilation > 1 else ""
    padding = f"2\\cdot{before}" if before == after else f"{before}+{after}"
    padding_letter = "2p" if before == after else r"p_{before}+p_{after}"
    return (
        rf"n'_{axis} = \left\lfloor \frac{{n_{axis} + {padding_letter} - {letter}{one}}}{{s}} + 1 \right\rfloor",
        rf"n'_{axis} = \left\lfloor \frac{{{n} + {padding} - {reach}{one}}}{{{stride}}} + 1 \right\rfloor = {result}",
    )


def sum_of_products(window: Sequence[float], kernel: Sequence[float], total: float, *, most: int = 9) -> str:
    r"""One output number as the sum of its products, all of them when they are few.

    >>> sum_of_products([10, 0], [1, -1], 10)
    '10\\cdot1 + 0\\cdot(-1) = 10'
    """
    terms = [
        rf"{number(pixel)}\cdot{number(weight)}" for pixel, weight in zip(window[:most], kernel[:most], strict=True)
    ]
    dots = r" + \dots" if len(window) > most else ""
    return " + ".join(terms) + dots + f" = {number(total)}"
