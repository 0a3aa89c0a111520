"""A hand-written PyTorch program as a peer: in a process of its own, measured in turns with ours.

PyTorch is no part of the project. `CNN_WORKBENCH_TORCH_PYTHON` names the Python of an environment that has it
(`python3 -m venv peer && peer/bin/pip install torch numpy`, then `peer/bin/python`); without it the benchmark's own
environment is asked.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "CNN_WORKBENCH_TORCH_PYTHON"
MISSING = f"No PyTorch in this environment, and {VARIABLE} names no other: it was not measured."


def torch_python() -> str | None:
    """The Python that has PyTorch, None where there is none."""
    named = os.environ.get(VARIABLE)
    if named:
        return named
    return sys.executable if importlib.util.find_spec("torch") is not None else None


class TorchPeer:
    """A running program that answers each line with the seconds of one run of each of its forms, as `name=seconds`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Wrap a started program."""
        self._process = process

    def seconds(self) -> dict[str, float]:
        """Run once more."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the PyTorch program ended"
        return {name: float(value) for name, value in (part.split("=") for part in line.split())}


@contextmanager
def torch_peer(script: str, *arguments: object) -> Iterator[TorchPeer]:
    """Start a program that lies beside this file."""
    python = torch_python()
    assert python is not None, MISSING
    path = Path(__file__).with_name(script)
    command = [python, str(path), *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield TorchPeer(process)
