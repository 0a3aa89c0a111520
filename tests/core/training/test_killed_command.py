"""The command is killed in the middle of an epoch, and goes on after its last whole one."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from core.training import run_store
from core.training.train import main
from tests.core.runtime.engines import wait_until

PROJECT = Path(__file__).parents[3]


def epochs_done(folder: Path) -> int:
    record = run_store.read_record(folder)
    return 0 if record is None else len(record.history)


def test_a_killed_command_loses_at_most_an_epoch(tmp_path: Path) -> None:
    arguments = ["--data", "digits", "--epochs", "20", "--batch", "32", "--out", str(tmp_path)]
    program = subprocess.Popen([sys.executable, "-m", "core.training.train", *arguments], cwd=PROJECT)
    try:
        assert wait_until(lambda: epochs_done(tmp_path) >= 2, 600)
    finally:
        program.kill()  # signal 9
        program.wait()
    stopped = run_store.read_record(tmp_path)
    assert stopped is not None and not stopped.finished and 2 <= len(stopped.history) < 20
    assert not run_store.is_alive(tmp_path)
    assert len(list(tmp_path.glob("epoch*.keras"))) in (1, 2)  # the one of an epoch that is not in the record yet
    arguments[3] = str(len(stopped.history) + 2)
    assert main([*arguments, "--resume"]) == 2  # other settings: refused, and left as it is
    arguments[3] = "20"
    shortened = run_store.read_record(tmp_path)
    assert shortened is not None and shortened.history == stopped.history and not shortened.finished
    assert main([*arguments, "--resume"]) == 0
    done = run_store.read_record(tmp_path)
    assert done is not None and done.finished and len(done.history) == 20
    assert done.history[: len(stopped.history)] == stopped.history
    with np.load(tmp_path / "curves.npz") as curves:
        assert len(curves["filters"]) == 21 and len(curves["batch_losses"]) == 20 * 42
    assert {path.name for path in tmp_path.glob("*.keras")} == {"last.keras"}
