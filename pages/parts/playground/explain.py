"""The window behind one output pixel, and the same computation as a formula and as code."""

import numpy as np
import streamlit as st

from core.convolution import tasks
from core.convolution.operation import ConvolutionSettings, WindowProducts, padding_amounts
from core.convolution.snippets import convolution_snippets
from core.runtime.images import content_hash
from pages.parts.code_tabs import code_tabs
from pages.parts.compute import compute
from pages.parts.formula import formula, output_size_formula, sum_of_products
from pages.parts.pixels import number_grid
from pages.parts.playground.controls import ChosenFilter, kernel_editor
from pages.parts.playground.recipe import Input


def number_text(value: float) -> str:
    """A number for running text, with a true minus sign."""
    return f"{value:.4g}".replace("-", "−")


def inspector(window: WindowProducts, chosen: ChosenFilter) -> None:
    """Draw the window under the filter, the filter, their products, and the sum."""
    side = window.window.shape[0]
    cell_px = max(8, min(44, 230 // side))
    under, times, kernel, equals, products = st.columns([4, 0.4, 4, 0.4, 4])
    with under:
        st.caption(f"Under the filter: rows from {window.top}, columns from {window.left}")
        number_grid(
            window.window,
            key="window_grid",
            label="Input under the filter",
            faded=~window.inside,
            colours="intensity" if window.window.min() >= 0 and window.window.max() > 20 else "signed",
            cell_px=cell_px,
        )
    for column, sign in ((times, "×"), (equals, "=")):
        column.space("large")
        column.markdown(f"### {sign}", text_alignment="center")
    with kernel:
        st.caption(f"Filter: {chosen.label}")
        kernel_editor(chosen)
    with products:
        st.caption("Products, and their sum")
        number_grid(window.products, key="product_grid", label="Products", faded=~window.inside, cell_px=cell_px)
        st.markdown(f"Σ = **{number_text(float(window.total))}**", text_alignment="center")
    if side <= 3:
        st.latex(sum_of_products(window.window.ravel().tolist(), window.kernel.ravel().tolist(), float(window.total)))


def mathematics(
    height: int, width: int, chosen: ChosenFilter, settings: ConvolutionSettings, shape: tuple[int, ...]
) -> None:
    """Draw the formula of an output of this shape, made from an input of `height` by `width`."""
    lines = []
    side = chosen.kernel.shape[0]
    for axis, n, result in (("H", height, shape[0]), ("W", width, shape[1])):
        before, after = padding_amounts(n, side, settings)
        lines += output_size_formula(
            n=n,
            before=before,
            after=after,
            f=side,
            stride=settings.stride,
            dilation=settings.dilation,
            result=result,
            axis=axis,
        )
    formula(
        r"z_{i,j} = \sum_{a=0}^{f-1} \sum_{b=0}^{f-1} W_{a,b}\; x_{\,i s + a d - p,\; j s + b d - p}",
        lines[0],
        lines[1],
        lines[3],
        explanation="x input, W filter, z output; f filter size, s stride, d dilation, p padding. "
        + (
            "The filter is turned by half a turn first."
            if settings.flip
            else "Not turned: mathematicians call this cross-correlation."
        ),
    )


def code(values: np.ndarray, given: Input, chosen: ChosenFilter, settings: ConvolutionSettings) -> None:
    """Draw the computation as code in three libraries; `values` is what the filter is applied to."""
    code_tabs(
        convolution_snippets(settings, chosen.kernel.shape, values.shape),
        key="convolution_code",
        inputs=_inputs_as_code(values, given, chosen),
        fingerprint=f"{given.fingerprint} {content_hash(chosen.kernel)} {settings}",
        compare=lambda: compute(
            tasks.compare_implementations,
            values,
            chosen.kernel,
            settings.stride,
            settings.padding,
            settings.border,
            settings.dilation,
            settings.flip,
        ),
    )


def _inputs_as_code(values: np.ndarray, given: Input, chosen: ChosenFilter) -> str:
    """Lines that define `image` and `kernel`; a large filter is read from its download."""
    if not given.is_image:
        image = f"image = np.array({np.round(values, 6).tolist()}, np.float32)"
    else:
        mode = "L" if values.ndim == 2 else "RGB"
        image = f'from PIL import Image\nimage = np.asarray(Image.open("photo.jpg").convert("{mode}"), np.float32)'
    if chosen.kernel.shape[0] <= 7:
        kernel = f"kernel = np.array({np.round(chosen.kernel, 6).tolist()})"
    else:
        kernel = f'kernel = np.load("filter_{chosen.name}.npy")  # the download below'
    return f"{image}\n{kernel}"
