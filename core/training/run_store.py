"""The runs that are kept, each a folder of the data folder: listed, read, renamed, deleted. Needs no Keras.

    run.json         what was trained on and how, what each epoch gave, how it ended
    epoch0003.keras  network and optimiser after the last whole epoch; `last.keras` once the run has ended
    curves.npz       the first filters after each epoch, the cost of each batch
    result.npz       what the test pictures gave, once it has ended
    train.py         a program that trains the same network with Keras alone
    alive.json       the process that trains it, while one does

A file is written beside its place and then put there: a process that is killed leaves whole files. Whether a run
is still being trained is decided by the process, which is looked for; on another machine by how lately it wrote.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
from numpy.typing import NDArray

from core.training.evaluation import evaluate_classifier
from core.training.runs import Mistakes, TrainedClassifier, TrainingError, TrainingRun, TrainingSettings

RunState = Literal["training", "stopped", "done", "failed"]
SILENT_AFTER_S = 120.0  # a run on another machine that has not written for so long is taken for stopped
MAX_NAME = 60
LAST = "last.keras"
_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class RunRecord:
    """What `run.json` holds.

    `data` opens the data set again, `dataset` is its name for people; `sizes` counts training, validation and test
    pictures. `failure` is the sentence of a run that could not go on.
    """

    settings: TrainingSettings
    dataset: str
    data: str = ""
    name: str = ""
    owner: str = "local"
    created_s: float = 0.0
    class_names: tuple[str, ...] = ()
    sizes: tuple[int, int, int] = (0, 0, 0)
    parameters: int = 0
    history: tuple[Mapping[str, float], ...] = ()
    seconds: float = 0.0
    finished: bool = False
    test_accuracy: float | None = None
    failure: str = ""


@dataclass(frozen=True)
class KeptRun:
    """A run of the store: its record, and whether it is being trained, can go on, or has ended."""

    id: str
    record: RunRecord
    state: RunState = field(compare=False)

    @property
    def can_resume(self) -> bool:
        """Whether it stopped before its end."""
        return self.state == "stopped"


def runs_folder(home: Path) -> Path:
    """Where the runs lie."""
    return home / "runs"


def new_run_id() -> str:
    """A name for a new run's folder."""
    return uuid.uuid4().hex[:12]


def run_folder(home: Path, run_id: str) -> Path:
    """The folder of a run.

    Raises:
        TrainingError: If that is no name of a run.
    """
    if not _ID.fullmatch(run_id):
        raise TrainingError(f"There is no run {run_id[:20]!r}.")
    return runs_folder(home) / run_id


def list_runs(home: Path, owner: str = "local") -> list[KeptRun]:
    """An owner's runs, the newest first; folders that hold no readable run are passed over."""
    found = []
    with contextlib.suppress(OSError):
        for folder in runs_folder(home).iterdir():
            with contextlib.suppress(TrainingError):
                run = read_run(home, folder.name)
                if run.record.owner == owner:
                    found.append(run)
    return sorted(found, key=lambda run: -run.record.created_s)


def read_run(home: Path, run_id: str) -> KeptRun:
    """One run.

    Raises:
        TrainingError: If there is none of this name, or it cannot be read.
    """
    folder = run_folder(home, run_id)
    record = read_record(folder)
    if record is None:
        raise TrainingError("There is no such run any more.")
    state: RunState = "stopped"
    if record.finished:
        state = "failed" if record.failure else "done"
    elif is_alive(folder):
        state = "training"
    return KeptRun(run_id, record, state)


def read_record(folder: Path) -> RunRecord | None:
    """The record of a run's folder; None where there is none.

    Raises:
        TrainingError: If it cannot be read.
    """
    path = folder / "run.json"
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        content["settings"] = TrainingSettings(**content["settings"])
        content["history"] = tuple(content["history"])
        content["class_names"] = tuple(content.get("class_names", ()))
        first, second, third = content.get("sizes", (0, 0, 0))
        content["sizes"] = (first, second, third)
        return RunRecord(**content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"The run in {folder} cannot be read; start it anew.") from error


def epoch_file(epochs: int) -> str:
    """The name of the network after so many epochs."""
    return f"epoch{epochs:04d}.keras"


def network_file(folder: Path, record: RunRecord) -> Path:
    """Where the network lies that belongs to the record: after its last epoch, or after the end."""
    path = folder / epoch_file(len(record.history))
    return path if path.is_file() else folder / LAST


def write_record(folder: Path, record: RunRecord) -> None:
    """Put a record in the place of the earlier one."""
    put_file(folder / "run.json", json.dumps(dataclasses.asdict(record), indent=1).encode())


def rename_run(home: Path, run_id: str, name: str) -> None:
    """Give a run another name; an empty one takes it away.

    Raises:
        TrainingError: If there is no such run.
    """
    folder = run_folder(home, run_id)
    record = read_run(home, run_id).record
    write_record(folder, dataclasses.replace(record, name=" ".join(name.split())[:MAX_NAME]))


def delete_run(home: Path, run_id: str) -> None:
    """Remove a run and all its files.

    Raises:
        TrainingError: If there is no such run, or it is being trained.
    """
    if read_run(home, run_id).state == "training":
        raise TrainingError("This run is being trained; stop it before it is deleted.")
    shutil.rmtree(run_folder(home, run_id), ignore_errors=True)


def put_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def put_arrays(path: Path, **arrays: NDArray[np.generic]) -> None:
    """Write arrays as an `.npz`, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    os.replace(partial, path)


# Which process trains


def claim(folder: Path) -> None:
    """Note that this process trains the run.

    Raises:
        TrainingError: If another does.
    """
    if is_alive(folder):
        raise TrainingError("This run is being trained already; watch it, or stop it first.")
    process = psutil.Process()
    note = {"host": socket.gethostname(), "pid": process.pid, "created": process.create_time()}
    put_file(folder / "alive.json", json.dumps(note).encode())


def release(folder: Path) -> None:
    """Note that nobody trains the run any more."""
    with contextlib.suppress(OSError):
        (folder / "alive.json").unlink()


def is_alive(folder: Path) -> bool:
    """Whether a process trains the run."""
    path = folder / "alive.json"
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        host, pid, created = str(note["host"]), int(note["pid"]), float(note["created"])
        if host != socket.gethostname():
            newest = max(entry.stat().st_mtime for entry in folder.iterdir())
            return time.time() - newest < SILENT_AFTER_S
        process = psutil.Process(pid)
        # Another process may have been given the number since.
        return bool(abs(process.create_time() - created) < 1.0 and process.status() != psutil.STATUS_ZOMBIE)
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return False


# What a run gave


def load_trained(home: Path, run_id: str) -> TrainedClassifier:
    """A finished run with everything a page shows.

    Raises:
        TrainingError: If it has not ended, or its files cannot be read.
    """
    run = read_run(home, run_id)
    if run.state != "done":
        raise TrainingError("This run has not come to its end; there is no result yet.")
    folder, record = run_folder(home, run_id), run.record
    try:
        with np.load(folder / "result.npz", allow_pickle=False) as kept:
            result = {name: kept[name] for name in kept.files}
        with np.load(folder / "curves.npz", allow_pickle=False) as kept:
            filters, batch_losses = kept["filters"], kept["batch_losses"]
        probabilities, labels = result["probabilities"], result["labels"]
        shown = result["shown"]
        trained = TrainingRun(
            record.settings,
            record.history,
            filters,
            batch_losses,
            probabilities,
            evaluate_classifier(labels, probabilities),
            record.parameters,
            record.seconds,
        )
        mistakes = Mistakes(
            result["images"],
            labels[shown],
            probabilities[shown].argmax(axis=1),
            probabilities[shown].max(axis=1),
            probabilities[shown],
        )
        model, script = (folder / LAST).read_bytes(), (folder / "train.py").read_text(encoding="utf-8")
    except Exception as error:  # NumPy and zipfile raise a dozen types on damaged files
        raise TrainingError("The files of this run are damaged or missing; train it again.") from error
    return TrainedClassifier(
        run_id, record.dataset, record.data, record.class_names, record.sizes, trained, mistakes, model, script
    )
