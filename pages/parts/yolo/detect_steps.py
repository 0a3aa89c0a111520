"""Non-max suppression step by step: the stepper, and the table of one step."""

import pandas as pd
import streamlit as st

from core.detection.predictions import NetworkAnswer, Selection
from core.detection.steps import suppression_step
from core.detection.suppression import soft_non_max_suppression

SOFT_SIGMA = 0.5
# Soft-NMS looks at every box in turn; beyond this it takes longer than a slider may.
MOST_FOR_SOFT = 400
MOST_SPARED = 12


def chosen_step(steps: int) -> int:
    """Draw the stepper and return the step, kept inside 1..steps; 0 where there is no step."""
    # No max_value: a link made at a lower confidence must open.
    number = st.number_input(
        "Step",
        1,
        None,
        1,
        key="yolo_step",
        bind="query-params",
        persist_state="session",
        label_visibility="collapsed",
        width=130,
        help="Each step takes the best box that is left and drops those that overlap it too much.",
    )
    return min(int(number), steps)


def step_table(answer: NetworkAnswer, selection: Selection, number: int, *, agnostic: bool) -> None:
    """Draw what one step does to which box."""
    candidates, result = selection.candidates, selection.suppression
    class_ids = None if agnostic else candidates.class_ids
    step = suppression_step(candidates.boxes_xyxy, class_ids, result, number)
    soft = None
    if len(candidates.scores) <= MOST_FOR_SOFT:
        soft = soft_non_max_suppression(candidates.boxes_xyxy, candidates.scores, class_ids, sigma=SOFT_SIGMA).scores
    what_with_iou = [(step.picked, 1.0, "picked")]
    what_with_iou += [(int(i), float(iou), "dropped") for i, iou in zip(step.dropped, step.dropped_iou, strict=True)]
    spared = list(zip(step.spared, step.spared_iou, strict=True))[:MOST_SPARED]
    what_with_iou += [(int(i), float(iou), "stays") for i, iou in spared]
    names = [answer.class_names[int(class_id)] for class_id in candidates.class_ids]
    rows = [
        {
            "Box": f"{index + 1} {names[index]}" if agnostic else f"{index + 1}",
            "": what,
            "IoU": iou,
            "Score": float(candidates.scores[index]),
            "Soft": None if soft is None else float(soft[index]),
        }
        for index, iou, what in what_with_iou
    ]
    st.markdown(
        f"**Step {number} of {len(result.picked)}** · {names[step.picked]}, box {step.picked + 1}, is picked, "
        f"{len(step.dropped)} dropped, {len(step.waiting)} left"
    )
    two_digits = st.column_config.NumberColumn(format="%.2f", width=50)
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(rows), 335),
        column_config={
            "": st.column_config.TextColumn(width=64),
            **dict.fromkeys(("IoU", "Score", "Soft"), two_digits),
        },
        key="yolo_step_table",
    )
    st.caption(
        "Boxes are numbered by score, the best is 1. IoU is with the picked box. "
        + ("Boxes of all classes compete. " if agnostic else "Only boxes of one class compete, class after class. ")
        + (
            f"Soft: the score that soft-NMS leaves; it drops no box, each better one multiplies the score by "
            f"exp(−IoU² / {SOFT_SIGMA:g})."
            if soft is not None
            else f"Soft-NMS is shown for up to {MOST_FOR_SOFT} boxes."
        )
    )
