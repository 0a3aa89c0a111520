"""The device report: what TensorFlow in a worker says, held against TensorFlow here."""

from __future__ import annotations

import os

import pytest

from core.runtime.devices import DeviceReport, device_line, device_report, processor_name
from core.runtime.settings import cpu_cores


def test_report_agrees_with_tensorflow() -> None:
    tf = pytest.importorskip("tensorflow")
    keras = pytest.importorskip("keras")
    report = device_report()
    gpus = tf.config.list_physical_devices("GPU")
    assert report.kind == ("GPU" if gpus else "CPU")
    assert report.count == max(1, len(gpus))
    assert report.memory_growth == bool(gpus)
    assert (report.tensorflow_version, report.keras_version) == (tf.__version__, keras.__version__)
    assert report.name and report.cpu_cores == cpu_cores()


def test_processor_has_a_name_and_cores() -> None:
    assert processor_name().strip()
    assert 1 <= cpu_cores() <= (os.cpu_count() or 1)


def test_line_counts_several_gpus_and_one_core() -> None:
    assert device_line(DeviceReport("GPU", "NVIDIA H200", 4, True, "2", "3", 64)) == "GPU, 4 x NVIDIA H200"
    assert device_line(DeviceReport("CPU", "AMD", 1, False, "2", "3", 1)) == "CPU, 1 core"
