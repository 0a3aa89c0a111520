"""Which device computes: a report made inside a worker, and its one-line form for the pages.

`device_report` imports TensorFlow and so runs as a task of the engine, never in the web server. Memory growth
is set on every GPU, so that the workers of one machine share it instead of the first taking it whole.
"""

from __future__ import annotations

import contextlib
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.runtime.settings import cpu_cores


@dataclass(frozen=True)
class DeviceReport:
    """The device that TensorFlow computes on in a worker.

    ``name`` is the model of the processor or GPU, ``count`` how many GPUs there are (1 for a CPU), and
    ``memory_growth`` whether GPU memory is taken as needed (False for a CPU).
    """

    kind: Literal["CPU", "GPU"]
    name: str
    count: int
    memory_growth: bool
    tensorflow_version: str
    keras_version: str
    cpu_cores: int


def device_report() -> DeviceReport:
    """Find the device, set memory growth on GPUs and run one small operation on it, all in a worker."""
    import keras
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # already in use, with growth set by its environment
            tf.config.experimental.set_memory_growth(gpu, True)
    name = processor_name()
    if gpus:
        name = str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU"))
    tf.reduce_sum(tf.ones((8, 8)))  # starts TensorFlow's threads, which the first task would wait for
    return DeviceReport(
        kind="GPU" if gpus else "CPU",
        name=name,
        count=max(1, len(gpus)),
        memory_growth=bool(gpus) and all(tf.config.experimental.get_memory_growth(gpu) for gpu in gpus),
        tensorflow_version=str(tf.__version__),
        keras_version=str(keras.__version__),
        cpu_cores=cpu_cores(),
    )


def gpu_driver_present() -> bool:
    """Say whether this machine has the driver of a GPU that TensorFlow may use."""
    drivers = ("/dev/nvidiactl", "/proc/driver/nvidia", "/dev/dxg", "/dev/kfd")
    return any(Path(driver).exists() for driver in drivers)


def processor_name() -> str:
    """Return the model of this machine's processor, as far as the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "CPU"


def device_line(report: DeviceReport | None) -> str:
    """Say in a few words which device computes; None stands for workers that are still starting.

    >>> device_line(DeviceReport("CPU", "AMD EPYC", 1, False, "2.21.0", "3.15.1", cpu_cores=2))
    'CPU, 2 cores'
    >>> device_line(DeviceReport("GPU", "NVIDIA H200", 1, True, "2.21.0", "3.15.1", cpu_cores=16))
    'GPU, NVIDIA H200'
    >>> device_line(None)
    'Starting'
    """
    if report is None:
        return "Starting"
    if report.kind == "GPU":
        return f"GPU, {report.count} x {report.name}" if report.count > 1 else f"GPU, {report.name}"
    return f"CPU, {report.cpu_cores} core" + ("s" if report.cpu_cores != 1 else "")
