"""Engines that run a network, and the choice among them.

An engine is a function of fixed signature from a batch NHWC float32 to the network's answer. On a GPU that is a
compiled TensorFlow function. On a CPU it is the fastest one whose answer agrees with Keras': measured once for the
weights and the machine, and remembered in the data folder.

For the embedded detector on two cores ONNX Runtime takes 0.4 of the time of a compiled TensorFlow function, which
takes a tenth of a plain Keras call. OpenVINO and LiteRT were measured too and left out: OpenVINO (180 MB) is 1.2 times
as fast at float32 on an idle machine and slower on a busy one, and at its own precision the answer differs by 0.4 %;
LiteRT (60 MB) was slower than TensorFlow.

TensorFlow, Keras and ONNX Runtime are imported when an engine is made.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from core.runtime.devices import gpu_driver_present, processor_name
from core.runtime.download import put_in_place
from core.runtime.settings import cpu_cores, settings

Floats = NDArray[np.float32]

ONNX_RUNTIME, TENSORFLOW = "ONNX Runtime", "TensorFlow"
# How far an engine's answer may lie from Keras', relative to the largest value of Keras' answer.
TOLERANCE = 1e-3
ROUNDS = 8
FATAL_ONLY = 4  # ONNX Runtime's level of messages


class EngineError(ValueError):
    """A file that an engine cannot read as a network."""


class InferenceEngine(Protocol):
    """A network ready to run: a batch (N, H, W, C) float32 of the size it was made for, to its answer."""

    @property
    def name(self) -> str:
        """What runs the network, in words for people."""
        ...

    def __call__(self, batch: Floats) -> Floats:
        """Run the network."""
        ...


class TensorFlowEngine:
    """A Keras model compiled for batches of one shape; on a GPU where there is one."""

    name = TENSORFLOW

    def __init__(self, model: Any, shape: tuple[int, ...]) -> None:
        """Compile `model` for batches of `shape` (N, H, W, C)."""
        import tensorflow as tf

        signature = [tf.TensorSpec(shape, tf.float32)]
        self._run: Any = tf.function(lambda batch: model(batch, training=False), input_signature=signature)

    def __call__(self, batch: Floats) -> Floats:
        """Run the network."""
        answer: Floats = self._run(batch).numpy()
        return answer


class OnnxRuntimeEngine:
    """A network of an ONNX file on the CPU; networks with channels first are fed from NHWC batches all the same."""

    name = ONNX_RUNTIME

    def __init__(self, path: Path, threads: int | None = None) -> None:
        """Load `path` for `threads` threads (all the cores that this process may use).

        Raises:
            EngineError: If the file is no network of one float32 input (N, H, W, 3) or (N, 3, H, W).
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or cpu_cores()
        options.log_severity_level = FATAL_ONLY  # errors are raised, and that is enough
        # Threads that wait busily for the next layer take the cores from other workers: on a busy machine the same
        # network takes twice as long with it.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # a class of its own for each kind of broken file
            raise EngineError(f"{path} cannot be read as an ONNX network") from error
        inputs = self._session.get_inputs()
        shape = [side if isinstance(side, int) else None for side in inputs[0].shape] if inputs else []
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(shape) != 4 or 3 not in (shape[1], shape[3]):
            raise EngineError(
                f"{path} is no network with one picture (N, H, W, 3) or (N, 3, H, W) float32 as its input"
            )
        self._input = inputs[0].name
        self._channels_first = shape[1] == 3 and shape[3] != 3
        batch, first, second, third = shape
        self.input_shape = (batch, second, third, first) if self._channels_first else (batch, first, second, third)

    def __call__(self, batch: Floats) -> Floats:
        """Run the network and return its first output."""
        fed = _channels_first(batch) if self._channels_first else batch
        answer: Floats = self._session.run(None, {self._input: fed})[0]
        return answer


def _channels_first(batch: Floats) -> Floats:
    """(N, H, W, C) to (N, C, H, W), by OpenCV's splitting of channels, which is faster than a transposed copy."""
    planes = np.empty((len(batch), batch.shape[3], *batch.shape[1:3]), np.float32)
    for picture, split in zip(batch, planes, strict=True):
        cv2.split(picture, list(split))
    return planes


@dataclass(frozen=True)
class Network:
    """A network in the forms that engines read: `sha256` of its weights, and the same weights as Keras and as ONNX.

    `keras_model` builds the model when it is needed; `onnx` is None where there is no such file.
    """

    sha256: str
    keras_model: Callable[[], Any]
    onnx: Path | None = None


@dataclass(frozen=True)
class Choice:
    """The engine that was chosen, and what each of those that agree takes for the sample, in milliseconds."""

    engine: str
    times_ms: Mapping[str, float]


def agrees(answer: Floats, reference: Floats, tolerance: float = TOLERANCE) -> bool:
    """Whether two answers have the same shape and differ by at most `tolerance` of the reference's largest value.

    >>> agrees(np.array([1.0, 2.0]), np.array([1.0, 2.001])), agrees(np.array([1.0, np.nan]), np.array([1.0, 2.0]))
    (True, False)
    """
    if answer.shape != reference.shape:
        return False
    largest = float(np.abs(reference).max(initial=0.0))
    return bool((np.abs(answer - reference) <= tolerance * largest).all())


def choose(engines: Mapping[str, InferenceEngine], reference: Floats, sample: Floats, rounds: int = ROUNDS) -> Choice:
    """The fastest of the engines whose answer for `sample` agrees with `reference`.

    They take turns, so that whatever else the machine does befalls all of them; the best time of each counts.

    Raises:
        EngineError: If none agrees.
    """
    right = {name: engine for name, engine in engines.items() if agrees(engine(sample), reference)}
    if not right:
        raise EngineError(f"no engine of {', '.join(engines)} gives the answer of the network")
    best = dict.fromkeys(right, float("inf"))
    for _ in range(rounds):
        for name, engine in right.items():
            start = time.perf_counter()
            engine(sample)
            best[name] = min(best[name], time.perf_counter() - start)
    return Choice(min(best, key=lambda name: best[name]), {name: 1000 * taken for name, taken in best.items()})


def fastest(network: Network, sample: Floats, folder: Path | None = None) -> InferenceEngine:
    """The engine to run a network with; `sample` (N, H, W, C) float32 gives the shape and is what is measured with.

    What was measured is kept as JSON in `folder` (None: in the data folder).
    """
    if network.onnx is None or on_gpu():
        return TensorFlowEngine(network.keras_model(), sample.shape)
    record = (folder or settings().home / "engines") / f"{_key(network.sha256, sample.shape)}.json"
    remembered = _remembered(record)
    with contextlib.suppress(EngineError):
        if remembered == ONNX_RUNTIME:
            return OnnxRuntimeEngine(network.onnx)
    compiled = TensorFlowEngine(network.keras_model(), sample.shape)
    if remembered == TENSORFLOW:
        return compiled
    engines: dict[str, InferenceEngine] = {TENSORFLOW: compiled}
    with contextlib.suppress(EngineError):
        engines[ONNX_RUNTIME] = OnnxRuntimeEngine(network.onnx)
    choice = choose(engines, compiled(sample), sample)
    kept = {"engine": choice.engine, "times_ms": dict(choice.times_ms), "machine": _machine(), "shape": sample.shape}
    with contextlib.suppress(OSError):  # without the file it is measured again the next time
        put_in_place(json.dumps(kept, indent=1).encode(), record)
    return engines[choice.engine]


def on_gpu() -> bool:
    """Whether TensorFlow has a GPU; it is imported only where a GPU's driver is present."""
    if not gpu_driver_present():
        return False
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _machine() -> str:
    versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in ("tensorflow", "onnxruntime"))
    return f"{processor_name()}, {cpu_cores()} cores, {versions}"


def _key(sha256: str, shape: tuple[int, ...]) -> str:
    return hashlib.sha256(f"{sha256} {shape} {_machine()}".encode()).hexdigest()[:32]


def _remembered(record: Path) -> str | None:
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))
        return str(kept["engine"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
