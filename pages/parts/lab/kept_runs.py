"""The runs that are kept: compared, opened, gone on with after a stop, renamed and deleted."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd
import streamlit as st

from core.training import run_store, tasks
from core.training.run_store import KeptRun
from core.training.runs import TrainingError
from pages.parts.compute import owner
from pages.parts.downloads import download_table
from pages.parts.figures import line_chart, show
from pages.parts.job_view import duration, start_job
from pages.parts.lab.controls import JOB, NETWORK_LABELS, OPTIMIZER_LABELS, SCHEDULE_LABELS, Chosen
from pages.parts.lab.result import draw_result

STATES = {"training": "in training", "stopped": "stopped", "done": "done", "failed": "failed"}
MOST_COMPARED = 8
FIRST_COMPARED = 4
VIEW_KEY = "lab_view"
DELETED = "_lab_deleted"


def all_runs() -> list[KeptRun]:
    """This person's runs, the newest first."""
    return run_store.list_runs(tasks.home_folder(), owner())


def run_name(run: KeptRun) -> str:
    """A run as people call it: the name it was given, or what was trained on what."""
    record = run.record
    return record.name or f"{NETWORK_LABELS[record.settings.network]} on {record.dataset}"


def run_label(run: KeptRun) -> str:
    """A run's name and when it began."""
    return f"{run_name(run)} · {datetime.fromtimestamp(run.record.created_s):%d %b %H:%M:%S}"


def offer_stopped() -> None:
    """Say which run was stopped last, and offer to go on with it."""
    stopped = [run for run in all_runs() if run.can_resume and run.id not in st.session_state.get(DELETED, ())]
    if not stopped:
        return
    run = stopped[0]
    done, epochs = len(run.record.history), run.record.settings.epochs
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="lab_offer"):
        more = f" {len(stopped) - 1} more under **Runs**." if len(stopped) > 1 else ""
        st.markdown(f":material/history: **{run_label(run)}** was stopped after {done} of {epochs} epochs.{more}")
        st.button(
            "Go on",
            key="lab_go_on",
            icon=":material/resume:",
            on_click=_resume,
            args=(run.id, run_name(run)),
        )
        st.button("Leave it", key="lab_leave", type="tertiary", on_click=_leave, args=(run.id,))


def _leave(run_id: str) -> None:
    st.session_state.setdefault(DELETED, set()).add(run_id)


def _resume(run_id: str, name: str) -> None:
    start_job(JOB, tasks.resume_classifier, run_id, owner(), title=f"{name}, going on")
    st.session_state[VIEW_KEY] = "train"


def view(chosen: Chosen) -> None:
    """Draw the runs: their curves over one another, the table, and what can be done with one."""
    runs = {run.id: run for run in all_runs()}
    if not runs:
        st.info("Runs are kept here, also after the workbench was closed. Train one.", icon=":material/history:")
        return
    with_curves = [run_id for run_id, run in runs.items() if run.record.history]
    compared = st.multiselect(
        "Compare",
        with_curves,
        default=with_curves[:FIRST_COMPARED],
        format_func=lambda run_id: run_label(runs[run_id]),
        key="lab_compared",
        max_selections=MOST_COMPARED,
        help="Validation part of each run after every epoch. Choose settings by it; the test is for the report.",
    )
    _overlaid([runs[run_id] for run_id in compared])
    _table(list(runs.values()))
    _one(runs)


def _overlaid(runs: Sequence[KeptRun]) -> None:
    if not runs:
        return
    left, right = st.columns(2, gap="medium")
    costs, shares = {}, {}
    for run in runs:
        epochs = np.arange(1, len(run.record.history) + 1)
        label = run_label(run)
        costs[label] = (epochs, np.array([row["val_loss"] for row in run.record.history]))
        shares[label] = (epochs, 100 * np.array([row["val_accuracy"] for row in run.record.history]))
    with left:
        show(
            line_chart(costs, x_title="epoch", y_title="validation cost J", log_y=True, height_px=280),
            key="lab_compare_cost",
        )
    with right:
        chart = line_chart(shares, x_title="epoch", y_title="validation accuracy (%)", height_px=280)
        show(chart, key="lab_compare_accuracy")


def run_table(runs: Sequence[KeptRun]) -> pd.DataFrame:
    """A row for each run: what was trained, and what came out."""
    rows = []
    for run in runs:
        record, settings = run.record, run.record.settings
        last = record.history[-1] if record.history else {}
        changes = [
            f"{settings.shift_px} px" if settings.shift_px else "",
            f"{settings.rotate_deg:g}°" if settings.rotate_deg else "",
            f"zoom {100 * settings.zoom:.0f} %" if settings.zoom else "",
            f"colour {100 * settings.colour:.0f} %" if settings.colour else "",
            "mirrored" if settings.flip else "",
        ]
        rows.append(
            {
                "Run": run_name(run),
                "Begun": datetime.fromtimestamp(record.created_s),
                "State": STATES[run.state],
                "Epochs": f"{len(record.history)} of {settings.epochs}",
                "Validation": last.get("val_accuracy"),
                "Test": record.test_accuracy,
                "Cost J": last.get("val_loss"),
                "Time": duration(record.seconds),
                "Optimiser": OPTIMIZER_LABELS[settings.optimizer],
                "Rate": settings.learning_rate,
                "Schedule": SCHEDULE_LABELS[settings.schedule],
                "Batch": settings.batch,
                "Augmentation": ", ".join(change for change in changes if change) or "none",
                "Seed": settings.seed,
                "Parameters": record.parameters,
                "Pictures": record.dataset,
            }
        )
    return pd.DataFrame(rows)


def _table(runs: Sequence[KeptRun]) -> None:
    table = run_table(runs)
    percent = st.column_config.NumberColumn(format="percent")
    st.dataframe(
        table,
        hide_index=True,
        height="content" if len(runs) <= 8 else 320,
        key="lab_runs",
        column_config={
            "Begun": st.column_config.DatetimeColumn(format="D MMM HH:mm"),
            "Validation": percent,
            "Test": percent,
            "Cost J": st.column_config.NumberColumn(format="%.4f"),
            "Rate": st.column_config.NumberColumn(format="%g"),
            "Parameters": st.column_config.NumberColumn(format="localized"),
        },
    )
    download_table(table, name="runs", key="lab_runs_csv")


def _one(runs: dict[str, KeptRun]) -> None:
    """Draw what can be done with one run, and its result."""
    picked, name, actions = st.columns([2.2, 1.6, 2.6], vertical_alignment="bottom")
    run_id = picked.selectbox(
        "Run", list(runs), format_func=lambda key: run_label(runs[key]), key="lab_run", help="What is shown below."
    )
    run = runs[run_id]
    name.text_input(
        "Its name",
        run.record.name,
        key=f"lab_name_{run_id}",
        placeholder=run_name(run),
        max_chars=run_store.MAX_NAME,
        on_change=_rename,
        args=(run_id,),
    )
    with actions.container(horizontal=True, gap="small"):
        st.button(
            "Go on",
            key="lab_resume",
            icon=":material/resume:",
            disabled=not run.can_resume,
            on_click=_resume,
            args=(run_id, run_name(run)),
            help="From its last whole epoch: at most one epoch is lost.",
        )
        with st.popover("Delete", icon=":material/delete:", disabled=run.state == "training", key="lab_delete"):
            st.markdown("The run and its network are gone for good.")
            st.button("Delete this run", key="lab_delete_sure", type="primary", on_click=_delete, args=(run_id,))
    if problem := st.session_state.pop("_lab_run_problem", None):
        st.error(problem, icon=":material/error:")
    if run.record.failure:
        st.error(run.record.failure, icon=":material/error:")
    if run.state == "done":
        try:
            draw_result(run_store.load_trained(tasks.home_folder(), run_id))
        except TrainingError as error:
            st.error(str(error), icon=":material/error:")


def _rename(run_id: str) -> None:
    try:
        run_store.rename_run(tasks.home_folder(), run_id, str(st.session_state[f"lab_name_{run_id}"]))
    except TrainingError as error:
        st.session_state["_lab_run_problem"] = str(error)


def _delete(run_id: str) -> None:
    try:
        run_store.delete_run(tasks.home_folder(), run_id)
    except TrainingError as error:
        st.session_state["_lab_run_problem"] = str(error)
