"""Which pictures are used: a content, one or two styles, and how the two are mixed."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from core.runtime.images import content_hash, display_jpeg, fit_within
from core.style.drawn_styles import DRAWN_STYLES, kept_style
from core.style.pictures import middle_square
from pages.parts.image_input import ChosenImage, image_input

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "china", "flower", "rocket", "motorcycle")
TEXTURES = ("flower", "brick", "grass", "immunohistochemistry", "hubble_deep_field", "retina", "coffee", "china")
OTHER, NONE = "photograph", "none"


@dataclass(frozen=True)
class Pictures:
    """What a transfer starts from: pictures RGB uint8, and one weight for each style."""

    content: ChosenImage
    styles: tuple[ChosenImage, ...]
    weights: tuple[float, ...]

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """The styles' pixels."""
        return tuple(style.pixels for style in self.styles)

    @property
    def fingerprint(self) -> str:
        """Equal for equal pictures and weights."""
        return " ".join([self.content.sha256, *(style.sha256 for style in self.styles), str(self.weights)])

    @property
    def name(self) -> str:
        """A name for files."""
        return "_".join([self.content.name, *(style.name for style in self.styles)])[:80]


@st.cache_resource(max_entries=16, show_spinner=False)
def _drawn(name: str) -> ChosenImage:
    pixels = kept_style(name)
    return ChosenImage(pixels, name, content_hash(pixels), is_sample=True)


def _label(name: str) -> str:
    if name == NONE:
        return "None"
    return DRAWN_STYLES[name][0] if name in DRAWN_STYLES else "Photograph or your own…"


def _style(key: str, label: str, default: str, optional: bool) -> ChosenImage | None:
    names = [*([NONE] if optional else []), *DRAWN_STYLES, OTHER]
    choice = st.selectbox(
        label,
        names,
        index=names.index(default),
        format_func=_label,
        key=key,
        bind="query-params",
        help="Drawn by this project, a photograph that a package carries, or a picture of your own: a painting, say.",
    )
    if choice == NONE:
        return None
    if choice == OTHER:
        return image_input(key=f"{key}_image", label=f"{label}: picture", default="flower", names=TEXTURES)
    return _drawn(choice)


def picture_controls() -> Pictures:
    """Draw the choice of content and styles."""
    content = image_input(key="style_content", label="Content", default="chelsea", names=PHOTOGRAPHS)
    first = _style("style_first", "Style", "night_strokes", optional=False)
    second = _style("style_second", "Second style", NONE, optional=True)
    if first is None or second is None:
        return Pictures(content, tuple(style for style in (first, second) if style is not None), (1.0,))
    share = st.slider(
        "Share of the second style",
        0,
        100,
        50,
        5,
        format="%d %%",
        key="style_share",
        bind="query-params",
        help="J_style is the weighted sum of both styles' costs; the feed-forward network mixes their statistics.",
    )
    if share in (0, 100):
        return Pictures(content, (second if share else first,), (1.0,))
    return Pictures(content, (first, second), (1 - share / 100, share / 100))


def thumbnails(pictures: Pictures) -> None:
    """Draw the middles of content and styles small, as squares side by side."""
    names = ["Style"] if len(pictures.styles) == 1 else [f"Style {number}" for number in (1, 2)]
    shown = [("Content", pictures.content), *zip(names, pictures.styles, strict=True)]
    for column, (label, image) in zip(st.columns(len(shown), gap="small"), shown, strict=True):
        column.image(
            display_jpeg(fit_within(middle_square(image.pixels), 240)),
            caption=label,
            width="stretch",
            alt=f"{label}: {image.name}",
        )
