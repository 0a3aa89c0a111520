"""YOLO: objects in a photograph found by one pass of a network, and every step from its answer to the boxes."""

import streamlit as st

from pages.parts.header import header, paper_link
from pages.parts.yolo import anchors, detect, evaluation, finetune, iou, many, targets

VIEWS = {
    "detect": ("Detect", detect.view),
    "two_boxes": ("Two boxes", iou.view),
    "target": ("Target tensor", targets.view),
    "anchors": ("Anchors", anchors.view),
    "many": ("Many images and video", many.view),
    "evaluation": ("Evaluation", evaluation.view),
    "finetune": ("Fine-tune", finetune.view),
}

entry = header("yolo_detection")
chosen = st.segmented_control(
    "View",
    list(VIEWS),
    format_func=lambda name: VIEWS[name][0],
    default="detect",
    required=True,
    key="view",
    bind="query-params",
    persist_state="session",
    label_visibility="collapsed",
)
VIEWS[chosen or "detect"][1]()
paper_link(entry)
