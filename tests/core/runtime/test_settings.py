"""Settings: defaults, every variable, and one sentence for each that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.runtime import settings as module
from core.runtime.settings import SettingsError, is_loopback, load_settings, parse_bytes, settings


def environment(**values: str) -> dict[str, str]:
    return {f"CNN_WORKBENCH_{name}": value for name, value in values.items()}


def test_nothing_needs_to_be_set() -> None:
    found = load_settings({"PATH": "/bin"})
    assert found.scheduler is None and found.tls_ca is None
    assert found.home.is_absolute() and "cnn-workbench" in str(found.home)
    total = found.worker_memory_limit_bytes * (found.call_workers + found.job_workers)
    assert total <= 0.9 * module.machine_memory_bytes()
    assert (found.max_queued_jobs, found.max_jobs_per_owner) == (8, 4)


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 1), (7, 1), (8, 2), (64, 2)])
def test_bigger_machines_have_two_workers_for_calls_and_all_may_have_two_for_jobs(
    monkeypatch: pytest.MonkeyPatch, cores: int, workers: int
) -> None:
    monkeypatch.setattr(module, "cpu_cores", lambda: cores)
    found = load_settings({})
    assert (found.call_workers, found.job_workers) == (workers, 2)


def test_every_variable_is_read(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("TLS_CA", "TLS_CERT", "TLS_KEY")}
    for file in files.values():
        file.write_text("PEM")
    found = load_settings(
        environment(
            HOME=str(tmp_path / "home"),
            SCHEDULER="tls://compute.example:8786",
            CALL_WORKERS="3",
            JOB_WORKERS="2",
            WORKER_MEMORY="1.5GB",
            QUEUED_JOBS="20",
            OWNER_JOBS=" 5 ",
            DATABASE_URL="postgresql://ada:secret@host/faces",
            **{name: str(file) for name, file in files.items()},
        )
    )
    assert found.home == tmp_path / "home" and not found.home.exists()
    assert found.scheduler == "tls://compute.example:8786"
    assert (found.tls_ca, found.tls_cert, found.tls_key) == tuple(files.values())
    assert (found.call_workers, found.job_workers) == (3, 2)
    assert found.worker_memory_limit_bytes == 1_500_000_000
    assert found.worker_recycle_bytes == 750_000_000
    assert (found.max_queued_jobs, found.max_jobs_per_owner) == (20, 5)
    assert found.database_url == "postgresql://ada:secret@host/faces" and "secret" not in repr(found)


def test_empty_variable_counts_as_not_set() -> None:
    assert load_settings(environment(SCHEDULER="", HOME=" ")) == load_settings({})


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "tcp://localhost:8786", "tcp://[::1]:8786"])
def test_unencrypted_address_is_accepted_on_loopback(address: str) -> None:
    assert load_settings(environment(SCHEDULER=address)).scheduler == address


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"SCHEDULER": "tcp://10.0.0.5:8786"},
            "'tcp://10.0.0.5:8786' is not encrypted, which is accepted on this",
        ),
        ({"SCHEDULER": "tcp://127.0.0.1.example.org:1"}, "is not encrypted"),
        (
            {"SCHEDULER": "tls://host:8786"},
            "needs CNN_WORKBENCH_TLS_CA, CNN_WORKBENCH_TLS_CERT and CNN_WORKBENCH",
        ),
        ({"SCHEDULER": "host:8786"}, "expected an address such as tls://host:8786, received 'host:8786'."),
        ({"SCHEDULER": "tls://host"}, "expected an address such as tls://host:8786, received 'tls://host'."),
        ({"SCHEDULER": "tls://host:port"}, "expected an address such as"),
        ({"SCHEDULER": "http://127.0.0.1:80/"}, "expected an address such as"),
        ({"TLS_CA": "/nowhere/ca.pem"}, "CNN_WORKBENCH_TLS_CA: there is no file /nowhere/ca.pem."),
        ({"DATABASE_URL": "mysql://ada:secret@host/faces"}, "DATABASE_URL: expected postgresql://user:password@host"),
        ({"HOME": __file__}, "CNN_WORKBENCH_HOME: expected a folder, but"),
        (
            {"CALL_WORKERS": "0"},
            "CNN_WORKBENCH_CALL_WORKERS: expected a whole number from 1 to 1000, received '0'.",
        ),
        ({"JOB_WORKERS": "two"}, "received 'two'."),
        ({"QUEUED_JOBS": "-1"}, "received '-1'."),
        ({"WORKER_MEMORY": "lots"}, "expected a size such as 512MB or 6GB, received 'lots'."),
        ({"WORKER_MEMORY": "10MB"}, "a worker needs at least 500MB to load TensorFlow, received '10MB'."),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_sentence(values: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environment(**values))
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("CNN_WORKBENCH_") and str(caught.value).endswith(".")


@given(st.integers(1, 10**6), st.sampled_from([("", 1), ("kb", 10**3), ("MiB", 2**20), (" GB", 10**9)]))
def test_sizes_are_read_in_their_unit(count: int, unit: tuple[str, int]) -> None:
    assert parse_bytes(f"{count}{unit[0]}") == count * unit[1]


@given(st.ip_addresses())
def test_loopback_is_what_the_standard_library_says(address: object) -> None:
    assert is_loopback(str(address)) == address.is_loopback  # type: ignore[attr-defined]


def test_settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    settings.cache_clear()
    monkeypatch.setenv("CNN_WORKBENCH_QUEUED_JOBS", "3")
    assert settings().max_queued_jobs == 3
    monkeypatch.setenv("CNN_WORKBENCH_QUEUED_JOBS", "5")
    assert settings().max_queued_jobs == 3
    settings.cache_clear()
