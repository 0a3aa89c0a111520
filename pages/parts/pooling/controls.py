"""What the views of the pooling page share: the window, the way of pooling, and the input that is pooled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import streamlit as st

from core.convolution.filters import parse_kernel
from core.runtime.images import content_hash
from pages.parts.image_input import image_input
from pages.parts.pixels import Pixel

Mode = Literal["max", "average"]

MATRIX = "1 3 2 1; 2 9 1 1; 1 3 2 3; 5 6 1 2"
LARGER_MATRIX = "1 3 2 1 3; 2 9 1 1 5; 1 3 2 3 2; 8 3 5 1 0; 5 6 1 2 9"
EXAMPLES: Mapping[str, Mapping[str, int | str]] = {
    "Windows side by side": {"pool_matrix": MATRIX, "pool_f": 2, "pool_s": 2},
    "Overlapping windows": {"pool_matrix": LARGER_MATRIX, "pool_f": 3, "pool_s": 1},
    "A row and a column left over": {"pool_matrix": LARGER_MATRIX, "pool_f": 2, "pool_s": 2},
}
INPUTS = {"matrix": "Matrix", "image": "Image"}
CHANNELS = {"all": "All", "red": "Red", "green": "Green", "blue": "Blue"}
LARGEST_NUMBERS = 16
LARGEST_WINDOW = 64


@dataclass(frozen=True)
class Window:
    """The hyperparameters of a pooling layer: window side f, stride s (both in pixels) and mode."""

    f: int
    s: int
    mode: Mode


@dataclass(frozen=True)
class Input:
    """What is pooled: values (H, W) or (H, W, 3), whether it is a picture, and names for caches and files.

    `channel` is 0 to 2 where the values are one channel of a picture.
    """

    values: np.ndarray
    is_image: bool
    name: str
    fingerprint: str
    channel: int | None = None

    @property
    def as_numbers(self) -> bool:
        """Whether it is small enough to be shown as a grid of numbers."""
        return max(self.values.shape[:2]) <= LARGEST_NUMBERS and not self.is_image


def window_controls() -> Window:
    """Draw f, s and the mode, and return them."""
    left, right = st.columns(2)
    f = left.number_input(
        "Window f",
        1,
        LARGEST_WINDOW,
        2,
        key="pool_f",
        bind="query-params",
        help="The window is f x f. Larger windows keep less of where something was, and stand more shift.",
    )
    s = right.number_input(
        "Stride s",
        1,
        LARGEST_WINDOW,
        2,
        key="pool_s",
        bind="query-params",
        help="How far the window moves. With s = f the windows lie side by side; with s < f they overlap.",
    )
    mode = st.segmented_control(
        "Keep of each window",
        ["max", "average"],
        format_func={"max": "Maximum", "average": "Average"}.__getitem__,
        default="max",
        required=True,
        key="pool_mode",
        bind="query-params",
        help="The maximum says whether a feature is anywhere in the window; the average says how much of it "
        "there is. Networks mostly use the maximum, and an average at their end.",
    )
    return Window(int(f), int(s), "average" if mode == "average" else "max")


def input_controls() -> Input:
    """Draw the choice of what is pooled and return it; there is always something."""
    kind = st.segmented_control(
        "Input",
        list(INPUTS),
        format_func=INPUTS.__getitem__,
        default="matrix",
        required=True,
        key="pool_input",
        bind="query-params",
        help="A small matrix, whose numbers can be followed by hand, or a picture.",
    )
    if kind == "image":
        return _image()
    text = st.text_input(
        "Rows parted by ;",
        MATRIX,
        key="pool_matrix",
        bind="query-params",
        help="Numbers parted by spaces, rows by semicolons, up to 31 x 31. Or type into the grid.",
    )
    try:
        values = parse_kernel(text, square=False).astype(np.float32)
    except ValueError as error:
        st.error(str(error), icon=":material/error:")
        values = parse_kernel(MATRIX, square=False).astype(np.float32)
    return Input(values, False, "matrix", content_hash(values))


def example_menu() -> None:
    """Draw the menu of examples; each sets the matrix, f and s."""
    st.menu_button(
        "Examples",
        list(EXAMPLES),
        key="pooling_example",
        on_click=lambda: st.session_state.update(EXAMPLES[st.session_state["pooling_example"]]),
        icon=":material/category:",
        help="Windows side by side, windows that overlap, and a row and a column that no window reaches.",
    )


def _image() -> Input:
    chosen = image_input(default="astronaut")
    channel = st.segmented_control(
        "Channel",
        list(CHANNELS),
        format_func=CHANNELS.__getitem__,
        default="all",
        required=True,
        key="pool_channel",
        bind="query-params",
        help="Each channel is pooled for itself: the maximum of red may stand elsewhere than that of blue.",
    )
    if channel in (None, "all"):
        return Input(chosen.pixels, True, chosen.name, chosen.sha256)
    index = list(CHANNELS).index(channel) - 1
    plane = chosen.pixels[:, :, index]  # (H, W, 3) -> (H, W)
    return Input(plane, True, f"{chosen.name}_{channel}", f"{chosen.sha256} {channel}", index)


def select(pixel: Pixel) -> None:
    """Put a picked output pixel into the address."""
    st.session_state["pool_row"], st.session_state["pool_col"] = pixel.row, pixel.column


def pixel_fields(rows: int, columns: int, *, is_image: bool) -> Pixel:
    """Draw the fields of the chosen output and return it, kept inside so many rows and columns."""
    # A picture's corner shows little.
    first = (rows // 3, columns // 2) if is_image else (0, 0)
    row_field, column_field = st.columns(2)
    # No max_value: a link made for a larger output must open; the pixel is kept inside below.
    row = row_field.number_input(
        "Output row",
        0,
        None,
        first[0],
        key="pool_row",
        bind="query-params",
        help=f"The output whose window is shown, row 0 to {rows - 1}. Or click it above.",
    )
    column = column_field.number_input(
        "Output column",
        0,
        None,
        first[1],
        key="pool_col",
        bind="query-params",
        help=f"Column 0 to {columns - 1}.",
    )
    return Pixel(min(int(row), rows - 1), min(int(column), columns - 1))
