"""What the lab trains on: known data sets, a zip of class folders, or what lies in the folder of data sets."""

from dataclasses import dataclass

import streamlit as st

from core.training import class_folders, tasks
from core.training.class_folders import SIDES_PX, list_own
from core.training.datasets import DOWNLOADS, list_local
from pages.parts.compute import engine, owner
from pages.parts.job_view import ACTIVE, current_job, progress_text, start_job

ZIP_JOB = "lab_zip"
UPLOAD = "zip"
KNOWN = {
    "digits": "Handwritten digits (1,797)",
    "shapes": "Drawn shapes (3,000)",
    "mnist": "MNIST (70,000)",
    "fashion_mnist": "Fashion-MNIST (70,000)",
    "cifar10": "CIFAR-10 (60,000)",
}
UPLOAD_LABEL = "Your own, as a zip…"
DONE = "_lab_zip_done"


@dataclass(frozen=True)
class ChosenData:
    """The chosen pictures: the key that opens them (empty while there are none), and their name."""

    key: str
    label: str

    @property
    def short(self) -> str:
        """The name without the number of pictures."""
        return self.label.split(" (")[0]

    @property
    def at_hand(self) -> bool:
        """Whether they can be opened without a download."""
        return bool(self.key) and (self.key not in DOWNLOADS or _downloaded(self.key))


def _downloaded(name: str) -> bool:
    return (tasks.datasets_folder() / f"{name}.npz").is_file()


def pictures_control() -> ChosenData:
    """Draw the choice of pictures."""
    folder = tasks.datasets_folder()
    own = {f"own:{key}": f"Yours: {name}" for key, name in list_own(folder, owner()).items()}
    local = {f"local:{name}": f"Folder: {name}" for name in list_local(folder)}
    labels = {**KNOWN, UPLOAD: UPLOAD_LABEL, **own, **local}
    fresh = st.session_state.pop(DONE, None)
    if fresh in labels:
        st.session_state["lab_data"] = fresh
    choice = st.selectbox(
        "Pictures",
        list(labels),
        format_func=lambda key: labels.get(key, key),
        key="lab_data",
        bind="query-params",
        help="scikit-learn carries the digits, and the shapes are drawn here. MNIST, Fashion-MNIST and CIFAR-10 are "
        "fetched once, or taken from a file of that name (mnist.npz) in the folder “datasets” of the workbench's data "
        "folder; class folders, zips and .npz files that you put there are offered too.",
    )
    if choice in own:
        st.button(
            "Remove these pictures",
            key="lab_zip_remove",
            icon=":material/delete:",
            type="tertiary",
            on_click=class_folders.forget,
            args=(folder, choice.removeprefix("own:")),
            help="From this machine; runs that were trained on them stay.",
        )
    if choice != UPLOAD:
        return ChosenData(choice, labels[choice])
    _upload()
    return ChosenData("", UPLOAD_LABEL)


def _upload() -> None:
    """Draw the upload of a zip, and read it as a job."""
    given = st.file_uploader(
        "Zip with a folder for each class", type=["zip"], key="lab_zip_file", label_visibility="collapsed"
    )
    side = st.select_slider(
        "Size (px)",
        list(SIDES_PX),
        64,
        key="lab_zip_side",
        help="The middle square of each picture is brought to this size. Twice the size is four times the work.",
    )
    job = current_job(ZIP_JOB)
    reading = job is not None and job.state in ACTIVE
    wanted = st.button(
        "Read the zip",
        key="lab_zip_read",
        icon=":material/folder_zip:",
        width="stretch",
        disabled=given is None or reading,
    )
    if wanted and given is not None:
        name = given.name.rsplit(".", 1)[0][:40] or "pictures"
        title = f"Reading {given.name[:40]}"
        start_job(ZIP_JOB, tasks.keep_zip, given.getvalue(), int(side), name, owner(), title=title)
        job = current_job(ZIP_JOB)
    if job is None:
        st.caption("A folder for each class with its pictures, at least three each: cat/1.jpg, cat/2.png, dog/1.jpg …")
    elif job.state in ACTIVE:
        _watch()
    elif job.state == "failed":
        st.error(job.error or "The zip could not be read.", icon=":material/folder_zip:")
    elif job.state == "done" and st.session_state.get("_lab_zip_seen") != job.id:
        st.session_state["_lab_zip_seen"] = job.id
        key, _ = engine().result(job.id)
        st.session_state[DONE] = f"own:{key}"
        st.rerun()


@st.fragment(run_every=0.4)
def _watch() -> None:
    job = current_job(ZIP_JOB)
    if job is None or job.state not in ACTIVE:
        st.rerun()
        return
    st.progress(job.fraction or 0.0, text=progress_text(job))
    st.button(
        "Stop reading", key="lab_zip_stop", icon=":material/stop_circle:", on_click=engine().cancel, args=(job.id,)
    )
