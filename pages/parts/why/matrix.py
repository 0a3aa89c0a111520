"""The convolution as one matrix: a doubly blocked Toeplitz matrix, and its product with the image."""

import numpy as np
import streamlit as st

from core.convolution import tasks
from core.convolution.display import signed_to_rgb
from core.convolution.geometry import FilterTooLarge, Padding
from core.convolution.matrix_form import MatrixForm, matrix_form
from core.convolution.settings import ConvolutionSettings
from core.convolution.snippets import convolution_snippets
from core.runtime.images import content_hash, encode_png
from pages.parts.code_tabs import code_tabs
from pages.parts.compute import compute
from pages.parts.downloads import download_array, download_picture
from pages.parts.formula import formula, number
from pages.parts.pixels import Box, Pixel, number_grid, picture
from pages.parts.playground.controls import ChosenFilter, filter_controls, kernel_editor
from pages.parts.why.numbers import count_text

LARGEST_N = 14
INPUTS = {"step": "10 | 0", "ramp": "0, 1, 2, …", "random": "Random"}


@st.fragment
def view() -> None:
    """Draw the view."""
    controls, matrix, grids = st.columns([1.05, 1.9, 1.05], gap="medium")
    with controls:
        image, settings = _controls()
        chosen = filter_controls(default="vertical")
    try:
        form = matrix_form(image, chosen.kernel, settings)
    except FilterTooLarge as error:
        matrix.error(str(error), icon=":material/error:")
        return
    with controls:
        pixel = _chosen_output(form)
    with matrix:
        _draw_matrix(form, chosen, pixel, padded=settings.padding != "valid")
    with grids:
        _draw_grids(image, form, pixel)

    st.divider()
    editor, mathematics = st.columns([1, 2], gap="medium")
    with editor:
        st.markdown("**The filter**: change a number and see it move through the matrix")
        kernel_editor(chosen)
    with mathematics:
        _mathematics(form, chosen, pixel)
    _code(image, chosen, settings)
    with st.container(horizontal=True):
        download_picture(signed_to_rgb(form.matrix), name="toeplitz_matrix", key="matrix_png", label="Matrix (PNG)")
        download_array(form.matrix, name="toeplitz_matrix", key="matrix_npy", label="Matrix (.npy)")


def _controls() -> tuple[np.ndarray, ConvolutionSettings]:
    left, right = st.columns(2)
    n = int(
        left.number_input(
            "Image n (px)",
            1,
            LARGEST_N,
            6,
            key="matrix_n",
            bind="query-params",
            help="The matrix has a column for each of the n x n pixels: it grows with n to the fourth power.",
        )
    )
    kind = right.selectbox(
        "Input",
        list(INPUTS),
        format_func=INPUTS.__getitem__,
        key="matrix_x",
        bind="query-params",
        help="What stands in the image. The matrix does not depend on it.",
    )
    left, right = st.columns(2)
    stride = left.number_input(
        "Stride s",
        1,
        8,
        1,
        key="matrix_s",
        bind="query-params",
        help="At 2, every second row of pixels gets no row here.",
    )
    padding: Padding = right.selectbox(
        "Padding p",
        ["valid", "same", 1, 2, 3],
        key="matrix_p",
        bind="query-params",
        help="Zeros around the image add rows for the border, in which the weights that fall outside are missing.",
    )
    images = {
        "step": np.tile(np.where(np.arange(n) < n / 2, 10.0, 0.0), (n, 1)),
        "ramp": np.arange(n * n, dtype=np.float64).reshape(n, n),
        "random": np.random.default_rng(0).integers(0, 10, (n, n)).astype(np.float64),
    }
    if padding not in ("valid", "same"):
        padding = int(padding)
    return images[kind], ConvolutionSettings(stride=int(stride), padding=padding)


def _chosen_output(form: MatrixForm) -> Pixel:
    rows, columns = form.product.shape
    left, right = st.columns(2)
    # No max_value: a link made for a larger output must open; the pixel is kept inside below.
    row = left.number_input(
        "Output row",
        0,
        None,
        1,
        key="matrix_row",
        bind="query-params",
        help=f"The output whose row of the matrix is framed, 0 to {rows - 1}. Or click the matrix or the output.",
    )
    column = right.number_input(
        "Column", 0, None, 1, key="matrix_col", bind="query-params", help=f"Its column, 0 to {columns - 1}."
    )
    return Pixel(min(int(row), rows - 1), min(int(column), columns - 1))


def _select(pixel: Pixel) -> None:
    st.session_state["matrix_row"], st.session_state["matrix_col"] = pixel.row, pixel.column


def _draw_matrix(form: MatrixForm, chosen: ChosenFilter, pixel: Pixel, *, padded: bool) -> None:
    outputs, inputs = form.matrix.shape
    columns = form.product.shape[1]
    st.markdown(f"**The matrix** · {outputs} outputs × {inputs} inputs")
    picture(
        encode_png(signed_to_rgb(form.matrix)),
        rows=outputs,
        columns=inputs,
        key="matrix_picture",
        alt=f"The doubly blocked Toeplitz matrix of {chosen.label}, {outputs} by {inputs}",
        boxes=[Box(form.row_of(pixel.row, pixel.column), 0, 1, inputs, "window")],
        on_pick=lambda cell: _select(Pixel(*divmod(cell.row, columns))),
        max_height_px=380,
    )
    outside = ", less what falls into the padding" if padded else ""
    st.caption(
        f"**{form.connections:,}** of {form.matrix.size:,} places hold a weight ({100 * form.density:.3g} "
        "%), "
        f"all others are always 0: *sparsity*. Each row holds the same **{chosen.kernel.size}** weights"
        f"{outside}: *sharing*. A fully connected layer has {count_text(form.matrix.size)} weights of its "
        "own "
        "here. Red is above zero, blue below. Click a row."
    )
    st.success(
        f"Matrix product and convolution differ by at most **{form.largest_difference:.2g}**.",
        icon=":material/equal:",
    )


def _draw_grids(image: np.ndarray, form: MatrixForm, pixel: Pixel) -> None:
    cell_px = max(14, min(36, 220 // max(image.shape) - 2))
    st.markdown("**Image** x")
    number_grid(
        image,
        key="matrix_input",
        label="The image; framed are the inputs of the chosen output",
        marked=[Pixel(*cell) for cell in form.inputs_of(pixel.row, pixel.column)],
        cell_px=cell_px,
    )
    st.markdown("**Output** M x")
    number_grid(
        form.product,
        key="matrix_output",
        label="The product of the matrix and the image",
        selected=pixel,
        on_pick=_select,
        cell_px=cell_px,
    )


def _mathematics(form: MatrixForm, chosen: ChosenFilter, pixel: Pixel) -> None:
    outputs, inputs = form.matrix.shape
    (height, width), (out_height, out_width) = form.input_shape, form.product.shape
    row = form.row_of(pixel.row, pixel.column)
    formula(
        r"\operatorname{vec}(x * W) = M \operatorname{vec}(x), \quad M \in "
        r"\mathbb{R}^{n'_H n'_W \times n_H n_W}",
        rf"M \in \mathbb{{R}}^{{{out_height} \cdot {out_width} \times {height} \cdot {width}}} "
        rf"= \mathbb{{R}}^{{{outputs} \times {inputs}}}",
        rf"\left(M \operatorname{{vec}}(x)\right)_{{{row}}} = "
        f"{number(float(form.product[pixel.row, pixel.column]), 5)} "
        rf"= (x * W)_{{{pixel.row},{pixel.column}}}",
        explanation="vec reads an image row by row. M consists of blocks, one for each row of the image; "
        "along every "
        "diagonal the blocks are the same, and so are the numbers within each: a doubly blocked Toeplitz "
        "matrix.",
    )


def _code(image: np.ndarray, chosen: ChosenFilter, settings: ConvolutionSettings) -> None:
    st.subheader("The same as code", anchor=False)
    code_tabs(
        convolution_snippets(settings, chosen.kernel.shape, image.shape),
        key="matrix_code",
        inputs=f"image = np.array({image.tolist()})\nkernel = np.array({np.round(chosen.kernel, 6).tolist()})\n",
        fingerprint=f"{content_hash(image)} {content_hash(chosen.kernel)} {settings}",
        compare=lambda: compute(tasks.compare_implementations, image, chosen.kernel, settings.stride, settings.padding),
    )
