"""The controls of a transfer: weights of the costs, layers, search, size and colours."""

import streamlit as st

from core.style.backbones import VGG_FILES, accept_vgg, is_here
from core.style.settings import (
    BACKBONES,
    CONTENT_LAYERS,
    OPTIMIZERS,
    STYLE_LAYERS,
    StyleError,
    TransferSettings,
)
from core.style.tasks import fetch_backbone
from pages.parts.job_view import job_view, start_job

DEFAULTS = TransferSettings()
BETAS = [0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0, 100000.0]
ALPHAS = [0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]
GAMMAS = [0.0, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2]
LAMBDAS = [0.0, 0.05, 0.1, 0.2, 0.5, 1.0]
SIZES = [96, 128, 192, 256, 384, 512, 768, 1024, 1536]
STEPS = [20, 40, 60, 80, 120, 160, 240, 320, 500, 800, 1500]
COLOURS = {"style": "The style's", "luminance": "The content's: luminance", "histogram": "The content's: matched style"}
STARTS = {"content": "Content image", "noise": "Noise"}
POOLINGS = {"average": "Average, smoother", "max": "Max, as trained"}


def transfer_settings(strip: bool = False) -> TransferSettings | None:
    """Draw the controls and return what they say; None, with a sentence, where that cannot be computed."""
    prefix = "strip" if strip else "style"
    beta = DEFAULTS.beta
    if not strip:
        beta = st.select_slider(
            "β, weight of the style",
            BETAS,
            DEFAULTS.beta,
            format_func=lambda value: f"{value:g}",
            key="style_beta",
            bind="query-params",
            help="Larger: more of the style, less of the content.",
        )
    size = st.select_slider(
        "Longest side",
        SIZES[:5] if strip else SIZES,
        128 if strip else DEFAULTS.size_px,
        format_func=lambda value: f"{value} px",
        key=f"{prefix}_size",
        bind="query-params",
        help="Time grows with the square of it. The picture grows from half the size.",
    )
    weights_place, search_place = st.columns(2, gap="small")
    with weights_place.popover("Weights", icon=":material/balance:", width="stretch"):
        alpha = st.select_slider(
            "α, weight of the content",
            ALPHAS,
            DEFAULTS.alpha,
            format_func=lambda value: f"{value:g}",
            key=f"{prefix}_alpha",
            bind="query-params",
            help="Per activation of the content layer.",
        )
        gamma = st.select_slider(
            "γ, weight of the total variation",
            GAMMAS,
            DEFAULTS.gamma,
            format_func=lambda value: f"{value:g}",
            key=f"{prefix}_gamma",
            bind="query-params",
            help="Larger: smoother, with fewer single pixels that differ from their neighbours.",
        )
        layer = st.selectbox(
            "Content layer",
            CONTENT_LAYERS,
            index=CONTENT_LAYERS.index(DEFAULTS.content_layer),
            key=f"{prefix}_layer",
            bind="query-params",
            help="Not too shallow, or every pixel is kept; not too deep, or the content is lost.",
        )
        lambdas = {
            name: st.select_slider(
                f"λ of {name}",
                LAMBDAS,
                DEFAULTS.lambdas[name],
                format_func=lambda value: f"{value:g}",
                key=f"{prefix}_lambda_{index}",
                bind="query-params",
            )
            for index, name in enumerate(STYLE_LAYERS, 1)
        }
    with search_place.popover("Search", icon=":material/tune:", width="stretch"):
        optimizer = st.selectbox(
            "Optimiser",
            list(OPTIMIZERS),
            format_func=OPTIMIZERS.__getitem__,
            key=f"{prefix}_optimizer",
            bind="query-params",
        )
        steps = st.select_slider(
            "Steps",
            STEPS,
            40 if strip else DEFAULTS.steps,
            key=f"{prefix}_steps",
            bind="query-params",
            help="Evaluations of J and its gradient, over both sizes.",
        )
        start = st.selectbox(
            "Start from", list(STARTS), format_func=STARTS.__getitem__, key=f"{prefix}_from", bind="query-params"
        )
        colour = st.selectbox(
            "Colours", list(COLOURS), format_func=COLOURS.__getitem__, key=f"{prefix}_colour", bind="query-params"
        )
        backbone = st.selectbox(
            "Network", list(BACKBONES), format_func=BACKBONES.__getitem__, key=f"{prefix}_network", bind="query-params"
        )
        pooling = st.selectbox(
            "Pooling", list(POOLINGS), format_func=POOLINGS.__getitem__, key=f"{prefix}_pool", bind="query-params"
        )
    backbone = _answering(backbone, prefix)
    try:
        return TransferSettings(
            size_px=int(size),
            steps=int(steps),
            optimizer=optimizer,
            backbone=backbone,
            alpha=float(alpha),
            beta=float(beta),
            gamma=float(gamma),
            content_layer=layer,
            lambdas={name: float(weight) for name, weight in lambdas.items()},
            start=start,
            colour=colour,
            pooling=pooling,
        )
    except StyleError as error:
        st.error(str(error), icon=":material/error:")
        return None


def _answering(backbone: str, prefix: str) -> str:
    """The chosen network if its weights are here; else draw how to get them, and answer with the embedded one."""
    if is_here(backbone):
        return backbone
    file = VGG_FILES[backbone]
    with st.container(border=True):
        st.markdown(
            f"**{BACKBONES[backbone]}** is not on this machine yet: about {file.about_mb:.0f} MB from "
            "storage.googleapis.com. Until it is here, the embedded network answers."
        )
        st.button(
            "Fetch it",
            icon=":material/download:",
            key=f"{prefix}_fetch",
            on_click=start_job,
            args=(f"fetch_{backbone}", fetch_backbone, backbone),
            kwargs={"title": f"Fetching {BACKBONES[backbone]}"},
        )
        given = st.file_uploader(f"Or give {file.name}", type=["h5"], key=f"{prefix}_file_{backbone}")
        if given is not None:
            try:
                accept_vgg(backbone, given.getvalue())
            except StyleError as error:
                st.error(str(error), icon=":material/error:")
            else:
                st.rerun()
        job_view(f"fetch_{backbone}", draw_live=lambda job: None, draw_result=lambda result, job: st.rerun())
    return "embedded"
