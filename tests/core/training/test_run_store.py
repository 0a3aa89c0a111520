"""Kept runs: listed by owner, renamed, deleted, and known to be alive or stopped; bad names lead nowhere."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.training import run_store
from core.training.run_store import RunRecord, list_runs, read_run, run_folder, write_record
from core.training.runs import TrainingError, TrainingSettings

RECORD = RunRecord(TrainingSettings(), "digits", owner="ada", created_s=5.0, history=({"loss": 1.0},))


def kept(home: Path, record: RunRecord = RECORD) -> str:
    run_id = run_store.new_run_id()
    run_folder(home, run_id).mkdir(parents=True)
    write_record(run_folder(home, run_id), record)
    return run_id


def test_runs_are_listed_by_owner_the_newest_first(tmp_path: Path) -> None:
    assert list_runs(tmp_path, "ada") == []
    old, new = kept(tmp_path), kept(tmp_path, dataclasses.replace(RECORD, created_s=9.0))
    kept(tmp_path, dataclasses.replace(RECORD, owner="eve"))
    (tmp_path / "runs" / "notes").mkdir()
    broken = run_folder(tmp_path, kept(tmp_path))
    (broken / "run.json").write_text("{")
    assert [run.id for run in list_runs(tmp_path, "ada")] == [new, old]
    assert read_run(tmp_path, old).record == RECORD


def test_a_run_is_renamed_and_deleted(tmp_path: Path) -> None:
    run_id = kept(tmp_path)
    run_store.rename_run(tmp_path, run_id, "  best \n of all " + "x" * 100)
    assert read_run(tmp_path, run_id).record.name == ("best of all " + "x" * 100)[:60]
    run_store.delete_run(tmp_path, run_id)
    assert list_runs(tmp_path, "ada") == []
    with pytest.raises(TrainingError, match="no such run any more"):
        run_store.rename_run(tmp_path, run_id, "x")


@pytest.mark.parametrize("name", ["../../etc", "", "/", "abc", "A" * 12, "0123456789ab/.."])
def test_names_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    for act in (run_store.delete_run, run_store.read_run, run_store.load_trained):
        with pytest.raises(TrainingError, match="There is no run"):
            act(tmp_path, name)


def test_the_state_of_a_run(tmp_path: Path) -> None:
    run_id = kept(tmp_path)
    folder = run_folder(tmp_path, run_id)
    assert read_run(tmp_path, run_id).state == "stopped" and read_run(tmp_path, run_id).can_resume
    run_store.claim(folder)
    assert read_run(tmp_path, run_id).state == "training"
    with pytest.raises(TrainingError, match="being trained"):
        run_store.delete_run(tmp_path, run_id)
    run_store.release(folder)
    write_record(folder, dataclasses.replace(RECORD, finished=True))
    assert read_run(tmp_path, run_id).state == "done"
    write_record(folder, dataclasses.replace(RECORD, finished=True, failure="It grew."))
    assert read_run(tmp_path, run_id).state == "failed"
    with pytest.raises(TrainingError, match="has not come to its end"):
        run_store.load_trained(tmp_path, run_id)
    write_record(folder, dataclasses.replace(RECORD, finished=True))
    with pytest.raises(TrainingError, match="damaged or missing"):
        run_store.load_trained(tmp_path, run_id)


def end(program: "subprocess.Popen[bytes]") -> None:
    program.kill()
    program.communicate()


def test_a_process_that_is_gone_trains_nothing(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    code = (
        "import sys; from pathlib import Path; from core.training import run_store; "
        "run_store.claim(Path(sys.argv[1])); print('claimed', flush=True); input()"
    )
    claimer = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert claimer.stdout is not None and claimer.stdout.readline().strip() == b"claimed"
    assert run_store.is_alive(tmp_path)
    with pytest.raises(TrainingError, match="being trained already"):
        run_store.claim(tmp_path)
    end(claimer)
    assert not run_store.is_alive(tmp_path)
    # The number may be given to another process.
    note = json.loads((tmp_path / "alive.json").read_text()) | {"pid": other.pid}
    (tmp_path / "alive.json").write_text(json.dumps(note | {"created": 1.0}))
    assert not run_store.is_alive(tmp_path)
    end(other)


def test_a_run_on_another_machine_is_judged_by_its_files(tmp_path: Path) -> None:
    (tmp_path / "alive.json").write_text(json.dumps({"host": "elsewhere.example", "pid": 1, "created": 0.0}))
    assert run_store.is_alive(tmp_path)
    os.utime(tmp_path / "alive.json", (1.0, 1.0))
    assert not run_store.is_alive(tmp_path)
