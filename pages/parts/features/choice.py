"""Which network, and which of its layers: the controls that the views of the page share."""

import streamlit as st

from core.interpretation import tasks
from core.interpretation.types import LayerField, SubjectInfo
from pages.parts.kept_calls import kept_call

LOAD_TIMEOUT_S = 180.0
NETWORKS = {
    "embedded": "Embedded backbone (VGG-like)",
    "untrained": "The same, untrained",
    "detector": "Embedded YOLO detector",
    "vgg16": "VGG-16, random weights",
    "resnet18": "ResNet-18, random weights",
    "VGG16": "VGG16, ImageNet (fetched)",
    "ResNet50": "ResNet50, ImageNet (fetched)",
    "MobileNetV2": "MobileNetV2, ImageNet (fetched)",
}
WITH_CLASSES = ("detector", "embedded")


def network_control(names: tuple[str, ...] = tuple(NETWORKS), key: str = "network") -> SubjectInfo | None:
    """Draw the choice of a network; None (with a sentence on the page) where it cannot be had."""
    name = st.selectbox(
        "Network",
        list(names),
        format_func=NETWORKS.__getitem__,
        key=key,
        bind="query-params",
        help="The embedded ones were trained by this project and are always there. An untrained network shows what is "
        "owed to learning. Those with ImageNet weights are fetched once by Keras, where a network is there.",
    )
    return kept_call(tasks.describe, name, timeout_s=LOAD_TIMEOUT_S)


def layer_control(info: SubjectInfo, default: int = 4) -> LayerField:
    """Draw the choice of a layer."""
    names = [layer.name for layer in info.layers]
    name = st.select_slider(
        "Layer",
        names,
        names[min(default, len(names) - 1)],
        key=f"layer_{info.name}",
        bind="query-params",
        help="From the first, next to the picture, to the last, next to the answer.",
    )
    return info.layer(name or names[0])


def answered_by(info: SubjectInfo) -> None:
    """Say which network and which weights answered."""
    st.caption(f":material/psychology: Answered by **{info.label}** with {info.weights}.")


def field_caption(layer: LayerField) -> str:
    """A layer in a line: channels, map, and what a unit sees."""
    return (
        f"**{layer.name}**: {layer.channels} channels of {layer.rows} × {layer.columns}. A unit sees "
        f"{layer.size_px} × {layer.size_px} px of the picture; its neighbour's field is {layer.stride_px} px further."
    )
