"""The registry of models against a local server that serves, breaks off, lies, is silent, or is not there."""

import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from core.runtime import weights
from core.runtime.download import DownloadError, check_address, download
from core.runtime.inline import InlineEngine
from core.runtime.report import JobCancelled, Report
from core.runtime.settings import Settings
from core.runtime.weights import Registry, WeightsError

CONTENT = np.random.default_rng(0).integers(0, 256, 600_000, np.uint8).tobytes()


@dataclass
class Behaviour:
    """How the server answers: in the order of the requests, the last entry from then on."""

    content: bytes = CONTENT
    knows_ranges: bool = True
    says_length: bool = True
    break_after: list[int | None] = field(default_factory=lambda: [None])  # bytes of the answer, None for all
    status: int = 200
    redirect_to: str = ""
    silent: bool = False
    ranges: list[str | None] = field(default_factory=list)  # what was asked for


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        how: Behaviour = self.server.behaviour
        how.ranges.append(self.headers.get("Range"))
        self.close_connection = True
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", how.redirect_to)
            self.end_headers()
            return
        if how.status != 200:
            self.send_error(how.status)
            return
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked and how.knows_ranges else 0
        if start >= len(how.content) > 0 and asked and how.knows_ranges:
            self.send_error(416)
            return
        body = how.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(how.content) - 1}/{len(how.content)}")
        if how.says_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        limit = how.break_after.pop(0) if len(how.break_after) > 1 else how.break_after[0]
        self.wfile.write(body[:limit])
        self.wfile.flush()
        if how.silent:
            self.server.over.wait(10)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.behaviour, made.over = Behaviour(), threading.Event()
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        yield made
        made.over.set()
        made.shutdown()


def row(name: str, address: str, content: bytes = CONTENT, extra: str = "") -> str:
    return (
        f'[[weights]]\nname = "{name}"\ntitle = "Net {name}"\nfile = "{name}.onnx"\nbytes = {len(content)}\n'
        f'sha256 = "{hashlib.sha256(content).hexdigest()}"\naddress = "{address}"\nlicence = "MIT"\n{extra}\n'
    )


@pytest.fixture
def registry(tmp_path: Path, server: ThreadingHTTPServer) -> Registry:
    base = f"http://127.0.0.1:{server.server_address[1]}"
    gone = "http://127.0.0.1:1/file"  # nothing listens on port 1
    (tmp_path / "manifest.toml").write_text(
        row("net", f"{base}/file")
        + row("moved", f"{base}/moved")
        + row("gone", gone)
        + row("twice", gone, extra=f'mirror = "{base}/file"')
        + row("nowhere", "https://no-such-host.invalid/file")
    )
    return Registry(tmp_path / "manifest.toml", tmp_path / "fetched")


class Messages(Report):
    """A report that remembers, and cancels after a number of messages."""

    def __init__(self, cancel_after: int | None = None) -> None:
        super().__init__()
        self.said: list[tuple[float | None, str]] = []
        self.cancel_after = cancel_after

    def __call__(self, fraction=None, message="", metrics=None, preview=None) -> None:
        self.said.append((fraction, message))
        if self.cancel_after is not None and len(self.said) >= self.cancel_after:
            raise JobCancelled


def only_file(registry: Registry, name: str = "net") -> bool:
    """The file is there whole, and nothing lies beside it but the empty lock."""
    names = sorted(path.name for path in registry.folder.iterdir() if path.suffix != ".lock")
    return names == [f"{name}.onnx"] and (registry.folder / names[0]).read_bytes() == CONTENT


def test_fetches_once_with_progress(registry, server):
    assert registry.where("net") is None
    report = Messages()
    path = registry.fetch("net", report)
    assert path == registry.where("net") == registry.require("net") and only_file(registry)
    fractions = [fraction for fraction, _ in report.said]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == 1
    assert any("of 0.6 MB" in message for _, message in report.said)
    assert registry.fetch("net") == path and len(server.behaviour.ranges) == 1


def test_goes_on_where_it_broke_off(registry, server):
    server.behaviour.break_after = [100_000, 150_000, None]
    registry.fetch("net")
    assert server.behaviour.ranges == [None, "bytes=100000-", "bytes=250000-"] and only_file(registry)


def test_gives_up_in_the_end_and_goes_on_at_the_next_request(registry, server):
    server.behaviour.break_after = [100_000, 1, 1, None]
    with pytest.raises(WeightsError, match=r"Net net could not be fetched: .* broke off after 0\.1 MB of 0\.6 MB"):
        registry.fetch("net")
    assert registry.where("net") is None and not (registry.folder / "net.onnx").exists()
    registry.fetch("net")
    assert server.behaviour.ranges[-1] == "bytes=100002-" and only_file(registry)


@pytest.mark.parametrize("says_length", [True, False])
def test_starts_again_where_the_server_knows_no_ranges(registry, server, says_length):
    server.behaviour.knows_ranges, server.behaviour.says_length = False, says_length
    server.behaviour.break_after = [100_000, None]
    registry.fetch("net")
    assert server.behaviour.ranges == [None, "bytes=100000-"] and only_file(registry)


def test_a_beginning_of_another_file_is_thrown_away(registry, server):
    registry.folder.mkdir()
    (registry.folder / "net.onnx.part").write_bytes(b"x" * 5000)
    registry.fetch("net")
    assert server.behaviour.ranges == ["bytes=5000-", None] and only_file(registry)
    for size in (len(CONTENT), len(CONTENT) + 1):  # as long as the file, and longer
        (registry.folder / "net.onnx").unlink()
        (registry.folder / "net.onnx.part").write_bytes(b"x" * size)
        if size == len(CONTENT):
            with pytest.raises(WeightsError, match="another file"):
                registry.fetch("net")
        registry.fetch("net")
        assert only_file(registry)


@pytest.mark.parametrize(
    ("content", "says_length", "reason"),
    [
        (CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), True, "another file"),  # one bit is wrong
        (b"<html>sign in</html>", True, "offers a file of 20 bytes"),  # a page in place of the file
        (CONTENT + b"more", False, "another file"),
    ],
)
def test_wrong_bytes_never_replace_a_file(registry, server, content, says_length, reason):
    registry.folder.mkdir()
    (registry.folder / "net.onnx").write_bytes(b"an earlier version")
    server.behaviour.content, server.behaviour.says_length = content, says_length
    with pytest.raises(WeightsError, match=reason):
        registry.fetch("net")
    assert (registry.folder / "net.onnx").read_bytes() == b"an earlier version"
    assert not (registry.folder / "net.onnx.part").exists()
    server.behaviour.content = CONTENT
    registry.fetch("net")
    assert only_file(registry)


@pytest.mark.parametrize(("status", "words"), [(404, "answered 404 .Not Found."), (503, "answered 503")])
def test_exception_server_refuses(registry, server, status, words):
    server.behaviour.status = status
    with pytest.raises(WeightsError, match=words):
        registry.fetch("net")


@pytest.mark.parametrize("arrived", [0, 1000])
def test_exception_server_is_silent(registry, server, arrived):
    server.behaviour.silent, server.behaviour.break_after = True, [arrived, 0]
    with pytest.raises(WeightsError, match="silent for too long.*try again"):
        registry.fetch("net", timeout_s=1.0)
    assert (registry.folder / "net.onnx.part").stat().st_size == arrived


def test_exception_nobody_there(registry):
    with pytest.raises(WeightsError, match=r"Net gone could not be fetched: 127\.0\.0\.1 cannot be reached"):
        registry.fetch("gone")
    with pytest.raises(WeightsError, match=r"no-such-host\.invalid cannot be (found|reached)|answered"):
        registry.fetch("nowhere")


def test_a_mirror_answers_where_the_first_address_does_not(registry):
    assert registry.fetch("twice").read_bytes() == CONTENT


def test_follows_redirects_over_http_alone(registry, server, tmp_path):
    server.behaviour.redirect_to = f"http://127.0.0.1:{server.server_address[1]}/file"
    registry.fetch("moved")
    assert only_file(registry, "moved")
    (registry.folder / "moved.onnx").unlink()
    (tmp_path / "secret").write_bytes(CONTENT)
    for bad in ((tmp_path / "secret").as_uri(), "ftp://127.0.0.1/file", "data:,x"):
        server.behaviour.redirect_to = bad
        with pytest.raises(WeightsError, match="could not be fetched"):
            registry.fetch("moved")


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://host/file", "host/file", "https://", ""])
def test_exception_not_a_web_address(address, tmp_path):
    with pytest.raises(DownloadError, match="https://"):
        check_address(address)
    with pytest.raises(DownloadError, match="https://"):
        download(address, tmp_path / "file", 1, "0", lambda *_: None)


def test_cancelling_keeps_what_has_arrived(registry, server):
    server.behaviour.silent, server.behaviour.break_after = True, [300_000, None]
    with pytest.raises(JobCancelled):
        registry.fetch("net", Messages(cancel_after=2), timeout_s=30)
    assert 0 < (registry.folder / "net.onnx.part").stat().st_size <= 300_000
    server.behaviour.silent = False
    registry.fetch("net")
    assert server.behaviour.ranges[-1].startswith("bytes=") and only_file(registry)


def test_fetching_is_a_job_of_the_engine(registry, server, monkeypatch):
    monkeypatch.setattr(weights, "Registry", lambda: registry)
    engine = InlineEngine(Settings(registry.folder))
    try:
        done = engine.wait(engine.submit(weights.fetch, "net", owner="me", title="Fetching"), 20)
        assert (done.state, done.fraction, done.message) == ("done", 1.0, "Net net is here")
        assert engine.result(done.id) == registry.where("net")
        refused = engine.wait(engine.submit(weights.fetch, "gone", owner="me", title="Fetching"), 20)
        assert refused.state == "failed" and "Net gone could not be fetched: 127.0.0.1" in refused.error
    finally:
        engine.close()


def test_two_at_once_fetch_it_once(registry, server):
    threads = [threading.Thread(target=registry.fetch, args=("net",)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert only_file(registry) and len(server.behaviour.ranges) == 1


def test_exception_folder_cannot_be_written_to(registry, tmp_path):
    (tmp_path / "fetched").write_bytes(b"a file where the folder should be")
    with pytest.raises(WeightsError, match="cannot be written to"):
        registry.fetch("net")
    with pytest.raises(WeightsError, match="cannot be written to"):
        registry.accept("net", CONTENT)


def test_accepts_the_very_file_alone(registry):
    with pytest.raises(WeightsError, match="expected 600,000 bytes, received 3"):
        registry.accept("net", b"abc")
    with pytest.raises(WeightsError, match="sha256 is another one"):
        registry.accept("net", CONTENT[::-1])
    assert registry.where("net") is None
    assert registry.accept("net", CONTENT) == registry.where("net")


def test_a_file_that_was_changed_does_not_count(registry):
    path = registry.accept("net", CONTENT)
    path.write_bytes(CONTENT[::-1])
    assert registry.where("net") is None
    with pytest.raises(WeightsError, match="fetch it on its page"):
        registry.require("net")


def test_a_model_of_a_package_is_found_without_importing_it(tmp_path):
    import skimage

    content = (Path(skimage.__file__).parent / "data" / "astronaut.png").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    text = "".join(
        f'[[weights]]\nname = "{name}"\npackage = "{package}"\nfile = "skimage/data/astronaut.png"\n'
        f'bytes = {len(content)}\nsha256 = "{digest}"\n'
        for name, package in (("picture", "scikit-image"), ("other", "no-such-package"))
    )
    (tmp_path / "manifest.toml").write_text(text)
    registry = Registry(tmp_path / "manifest.toml")
    assert registry.describe("picture").way == "package"
    assert registry.require("picture").read_bytes() == content and registry.where("other") is None
    with pytest.raises(WeightsError, match="comes with the package no-such-package"):
        registry.fetch("other")
    with pytest.raises(WeightsError, match="no file is needed"):
        registry.accept("picture", content)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[weights]", "is broken"),
        ('[[weights]]\nname = "a"\n', "is broken: 'file'"),
        ('[[weights]]\nname = "a"\nfile = "../a"\nbytes = 1\nsha256 = ""\n', "bare name"),
        ("weights = 3", "is broken"),
        ("", "no 'a'"),
    ],
)
def test_exception_list(tmp_path, text, words):
    with pytest.raises(WeightsError, match="found none"):
        Registry(tmp_path / "manifest.toml").models()
    (tmp_path / "manifest.toml").write_text(text)
    with pytest.raises(WeightsError, match=words):
        Registry(tmp_path / "manifest.toml").where("a")


def test_rows_of_the_project_are_complete():
    rows = Registry().models()
    assert {"yolo_11", "yolox_nano", "yolox_s", "yunet", "sface"} <= {model.name for model in rows}
    assert len({model.name for model in rows}) == len({model.file for model in rows}) == len(rows)
    for model in rows:
        assert re.fullmatch(r"[0-9a-f]{64}", model.sha256) and model.size_bytes > 0
        assert model.licence and model.what_for
        if model.way == "pretrained":
            assert model.address.startswith("https://") and (not model.mirror or model.mirror.startswith("https://"))
        else:
            assert weights.require(model.name).stat().st_size == model.size_bytes


def test_command_lists_and_says_what_is_wrong(capsys, tmp_path):
    assert weights.main([]) == 0
    listed = capsys.readouterr().out
    assert re.search(r"yolo_11 +\d+\.\d MB +embedded +here", listed) and "not here" in listed
    assert weights.main(["accept", "yolox_nano", str(tmp_path / "none")]) == 1
    (tmp_path / "file").write_bytes(b"abc")
    assert weights.main(["accept", "yolox_nano", str(tmp_path / "file")]) == 1
    assert "not the file of YOLOX-Nano" in capsys.readouterr().err
