"""A result at once: one pass of the feed-forward network."""

import streamlit as st

from core.runtime.engine import EngineError
from core.runtime.images import display_jpeg
from core.style import tasks
from core.style.snippets import SNIPPETS
from core.style.tasks import FastResult
from pages.parts.code_tabs import code_tabs
from pages.parts.compute import engine
from pages.parts.downloads import download_picture
from pages.parts.formula import formula
from pages.parts.style.pictures import Pictures, picture_controls, thumbnails

SIZES = [256, 384, 512, 768, 1024, 1536]
TIMEOUT_S = 240.0


@st.cache_resource(max_entries=24, show_spinner="One pass of the network in a worker…")
def _answer(fingerprint: str, size_px: int, strength: float, _pictures: Pictures) -> FastResult:
    return engine().call(
        tasks.stylise_fast,
        _pictures.content.pixels,
        _pictures.arrays,
        _pictures.weights,
        size_px,
        strength,
        timeout_s=TIMEOUT_S,
    )


def fast_result(pictures: Pictures, size_px: int = 512, strength: float = 1.0) -> FastResult | None:
    """The network's picture, asked for once; on failure say why on the page and answer None."""
    try:
        return _answer(pictures.fingerprint, size_px, strength, pictures)
    except EngineError as error:
        st.error(str(error), icon=":material/error:")
        return None


def view() -> None:
    """Draw the view."""
    controls, middle, right = st.columns([1.15, 2.2, 1.0], gap="medium")
    with controls:
        pictures = picture_controls()
        strength = st.slider(
            "Strength",
            0,
            100,
            100,
            5,
            format="%d %%",
            key="style_strength",
            bind="query-params",
            help="How much of the style's statistics the features take over; at 0 the content is drawn as it is.",
        )
        size_px = st.select_slider(
            "Longest side",
            SIZES,
            512,
            format_func=lambda size: f"{size} px",
            key="style_fast_size",
            bind="query-params",
            help="Size of the result, also of the file to download.",
        )
    with middle:
        result = fast_result(pictures, int(size_px), strength / 100)
        if result is not None:
            height, width = result.image.shape[:2]
            st.image(
                display_jpeg(result.image),
                width=int(min(width, 470 * width / height)),
                alt=f"{pictures.content.name} in the style of {pictures.styles[0].name}",
            )
            seconds = f"{1000 * result.elapsed_s:.0f} ms" if result.elapsed_s < 1 else f"{result.elapsed_s:.1f} s"
            st.caption(f"{width} × {height} px, one pass of the embedded feed-forward network: **{seconds}**.")
    with right:
        thumbnails(pictures)
        if result is not None:
            download_picture(result.image, name=f"{pictures.name}_fast", key="style_fast_png", label="PNG, full size")
            download_picture(
                result.image, name=f"{pictures.name}_fast", key="style_fast_jpg", label="JPEG, full size", jpeg=True
            )
        st.caption("“Step by step” minimises the cost J itself: slower, and closer to the style.")
    _explain(strength / 100)


def _explain(strength: float) -> None:
    as_formula = st.expander(
        "The same as a formula", icon=":material/function:", key="style_formula", on_change="rerun"
    )
    if as_formula.open:
        with as_formula:
            formula(
                r"\mathrm{AdaIN}(x, y) = \sigma(y)\,\frac{x - \mu(x)}{\sigma(x)} + \mu(y)",
                rf"t = {1 - strength:.2f}\,f(c) + {strength:.2f}\,\mathrm{{AdaIN}}(f(c), f(s)), \qquad G = g(t)",
                explanation="f: features of the backbone; μ, σ: mean and standard deviation of each channel over "
                "all positions; c: content, s: style; g: the trained decoder (Huang and Belongie 2017).",
            )
    as_code = st.expander("The same as code", icon=":material/code:", key="style_code", on_change="rerun")
    if as_code.open:
        with as_code:
            code_tabs(SNIPPETS, key="style_snippets")
