"""Controls that several views of the playground share: the filter, stride, padding, border, dilation."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from core.convolution.filters import FILTERS, filter_kernel, normalise, parse_kernel, resized, rotate, transpose
from core.convolution.operation import ConvolutionSettings
from pages.parts.pixels import Pixel, format_number, number_grid

CUSTOM = "custom"
KERNEL_KEY = "kernel"
OWN_KERNEL = "0 -1 0; -1 5 -1; 0 -1 0"
LARGEST_GRID = 15
# The keys of the sliders by the parameter of the filter that they set.
SLIDERS = {"size": "size", "sigma": "sigma", "orientation_deg": "angle", "wavelength_px": "wave"}


def matrix_text(matrix: np.ndarray) -> str:
    """A matrix as one line for the address: numbers parted by spaces, rows by semicolons.

    >>> matrix_text(np.array([[1, 0], [0.5, -1]]))
    '1 0; 0.5 -1'
    """
    return "; ".join(" ".join(f"{value:.6g}" for value in line) for line in matrix)


@dataclass(frozen=True)
class ChosenFilter:
    """The kernel in use (f, f) and the name it was chosen by."""

    name: str
    label: str
    kernel: np.ndarray


def _use_custom(kernel: np.ndarray) -> None:
    st.session_state[KERNEL_KEY] = matrix_text(kernel)
    st.session_state["filter"] = CUSTOM


def _choose_custom() -> None:
    st.session_state["filter"] = CUSTOM


def _apply(change: str, kernel: np.ndarray) -> None:
    _use_custom({"normalise": normalise, "transpose": transpose, "rotate": rotate}[change](kernel))


def filter_controls(*, default: str = "sobel_vertical") -> ChosenFilter:
    """Draw the choice of a filter with its parameters and return its kernel."""
    name = st.selectbox(
        "Filter",
        [*FILTERS, CUSTOM],
        index=list(FILTERS).index(default),
        format_func=lambda key: "Your own filter" if key == CUSTOM else FILTERS[key].label,
        key="filter",
        bind="query-params",
        help="Derivative filters find edges, smoothing filters blur, the others sharpen or pick one orientation.",
    )
    if name == CUSTOM:
        return ChosenFilter(CUSTOM, "your own filter", _own_kernel())
    parameters = FILTERS[name].parameters
    values: dict[str, float] = {}
    size = 3
    if "size" in parameters:
        size = st.slider(
            "Size f",
            1,
            31,
            5 if name != "identity" else 3,
            key="size",
            bind="query-params",
            help="The filter is f x f. Odd sizes have a middle pixel; even ones shift the picture by half a pixel.",
        )
    if "sigma" in parameters:
        values["sigma"] = st.slider(
            "Sigma (px)",
            0.3,
            8.0,
            1.0,
            0.1,
            key="sigma",
            bind="query-params",
            help="Standard deviation of the bell. Larger blurs more, and needs a larger f to hold the whole bell.",
        )
    if "orientation_deg" in parameters:
        values["orientation_deg"] = st.slider(
            "Orientation (degrees)",
            0,
            180,
            0,
            5,
            key="angle",
            bind="query-params",
            help="The direction across the stripes that the filter answers to.",
        )
    if "wavelength_px" in parameters:
        values["wavelength_px"] = st.slider(
            "Wavelength (px)",
            2.0,
            16.0,
            6.0,
            0.5,
            key="wave",
            bind="query-params",
            help="The distance between two stripes that the filter answers to.",
        )
    return ChosenFilter(name, FILTERS[name].label, filter_kernel(name, size, **values))


def moved_filter(chosen: ChosenFilter) -> ChosenFilter:
    """The same filter as its sliders stand now, without drawing them."""
    if chosen.name == CUSTOM:
        return chosen
    parameters = FILTERS[chosen.name].parameters
    values = {name: st.session_state[SLIDERS[name]] for name in parameters if SLIDERS[name] in st.session_state}
    return ChosenFilter(chosen.name, chosen.label, filter_kernel(chosen.name, int(values.pop("size", 3)), **values))


def _own_kernel() -> np.ndarray:
    """The kernel in the text field of `kernel_editor`, which stands on the page whichever filter is chosen."""
    text = st.session_state.get(KERNEL_KEY) or st.query_params.get(KERNEL_KEY) or OWN_KERNEL
    try:
        kernel = parse_kernel(text)
    except ValueError as error:
        st.error(str(error), icon=":material/error:")
        return filter_kernel("identity")
    side_key = f"own_size_{text}"
    st.number_input(
        "Size f",
        1,
        31,
        kernel.shape[0],
        key=side_key,
        on_change=lambda: _use_custom(resized(kernel, int(st.session_state[side_key]))),
        help="Crops the filter, or surrounds it with zeros.",
    )
    return kernel


def kernel_editor(chosen: ChosenFilter) -> None:
    """Draw the filter as a grid whose cells can be changed, and the three changes of the whole filter."""
    kernel = chosen.kernel
    side = kernel.shape[0]

    def edit(cell: Pixel, text: str) -> None:
        try:
            value = float(text.replace(",", "."))
            if not np.isfinite(value) or abs(value) > 1e6:
                raise ValueError
        except ValueError:
            st.session_state["_kernel_error"] = (
                f"“{text}” is not a number the filter can hold; the cell was left as it was."
            )
            return
        changed = kernel.copy()
        changed[cell.row, cell.column] = value
        _use_custom(changed)

    number_grid(
        kernel,
        key="kernel_grid",
        label=f"Filter, {side} by {side}",
        on_edit=edit if side <= LARGEST_GRID else None,
        cell_px=min(44, 300 // side) if side <= LARGEST_GRID else max(8, 300 // side),
    )
    if message := st.session_state.pop("_kernel_error", None):
        st.error(message, icon=":material/error:")
    with st.container(horizontal=True, horizontal_alignment="center", gap="small"):
        for change, icon, explanation in (
            (
                "normalise",
                ":material/percent:",
                "Divide by the sum (or by the sum of absolute values where the sum is 0)",
            ),
            ("transpose", ":material/swap_horiz:", "Swap rows and columns: vertical edges become horizontal ones"),
            ("rotate", ":material/rotate_right:", "Turn by a quarter"),
        ):
            st.button(
                change.capitalize(),
                icon=icon,
                help=explanation,
                key=f"kernel_{change}",
                on_click=_apply,
                args=(change, kernel),
                type="tertiary",
            )
        with st.popover("As text", icon=":material/edit_note:", type="tertiary"):
            st.text_input(
                "Your own filter: rows parted by ;",
                OWN_KERNEL,
                key=KERNEL_KEY,
                bind="query-params",
                on_change=_choose_custom,
                help="Numbers parted by spaces, rows by semicolons, from 1 x 1 to 31 x 31.",
            )
    st.caption(
        f"Sum {format_number(float(kernel.sum()))}; "
        f"sum of absolute values {format_number(float(np.abs(kernel).sum()))}."
    )


def settings_controls() -> ConvolutionSettings:
    """Draw stride, padding, border, dilation and flip, and return them."""
    left, right = st.columns(2)
    stride = left.number_input(
        "Stride s",
        1,
        16,
        1,
        key="stride",
        bind="query-params",
        help="How far the window moves. At 2 only every second position is computed: half the height and width.",
    )
    padding = right.selectbox(
        "Padding p",
        ["valid", "same", *range(1, 16)],
        index=1,
        key="pad",
        bind="query-params",
        help="valid: none, the output shrinks. same: the output keeps the input's size (at stride 1). "
        "A number: that many pixels on every side.",
    )
    with st.popover("Border, dilation, flip", icon=":material/tune:", width="stretch"):
        border = st.selectbox(
            "Border",
            ["zero", "reflect", "replicate"],
            key="border",
            bind="query-params",
            help="What stands outside the image. Zero darkens the rim and draws false edges there; "
            "reflect and replicate do not.",
        )
        dilation = st.slider(
            "Dilation d",
            1,
            8,
            1,
            key="dilation",
            bind="query-params",
            help="Distance between neighbouring weights: a wider view with the same number of weights.",
        )
        flip = st.toggle(
            "True convolution (flip the filter)",
            key="flip",
            bind="query-params",
            help="Mathematics turns the filter by half a turn first. Networks do not: what they call convolution is "
            "cross-correlation. Symmetric filters do not tell the difference.",
        )
    return ConvolutionSettings(
        stride=int(stride),
        padding=padding if padding in ("valid", "same") else int(padding),
        border=border,
        dilation=int(dilation),
        flip=bool(flip),
    )
