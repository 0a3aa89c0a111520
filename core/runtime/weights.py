"""The list of models, and where each model's file is.

``assets/weights/manifest.toml`` has a row for every file. A model comes in one of three ways: *embedded*, the file lies
beside the list; *package*, a Python package that ``pip`` installed carries it; *pretrained*, it is fetched once from
its official address into the data folder, or given by hand. A file counts only if its size and sha256 are those of
its row.

    python -m core.runtime.weights                    the list, and what is here
    python -m core.runtime.weights fetch NAME         download a pretrained model
    python -m core.runtime.weights accept NAME FILE   take over a file that was downloaded elsewhere
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from core.runtime.download import TIMEOUT_S, DownloadError, download, megabytes, put_in_place, sha256_of
from core.runtime.report import Report
from core.runtime.settings import settings

MANIFEST = Path(__file__).parents[2] / "assets" / "weights" / "manifest.toml"

Way = Literal["embedded", "package", "pretrained"]


class WeightsError(ValueError):
    """A model's file is missing, is another one, or cannot be fetched; the message says what to do."""


@dataclass(frozen=True)
class ModelFile:
    """A row of the list.

    `address` is where a pretrained file is fetched from and `mirror` another place with the same bytes; `package` names
    the distribution that carries the file. `facts` holds everything else that the row says.
    """

    name: str
    title: str
    file: str
    size_bytes: int
    sha256: str
    licence: str = ""
    what_for: str = ""
    address: str = ""
    mirror: str = ""
    package: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def way(self) -> Way:
        """How the file comes to the user."""
        if self.package:
            return "package"
        return "pretrained" if self.address else "embedded"


@dataclass(frozen=True)
class Registry:
    """The models of a list, and the folder into which pretrained ones are fetched (None: in the data folder)."""

    manifest: Path = MANIFEST
    folder: Path | None = None

    def models(self) -> tuple[ModelFile, ...]:
        """All rows in the list's order.

        Raises:
            WeightsError: If the list is missing or broken.
        """
        if not self.manifest.is_file():
            raise WeightsError(f"expected the list of models at {self.manifest}, found none")
        try:
            rows = tomllib.loads(self.manifest.read_text(encoding="utf-8")).get("weights", [])
            return tuple(_model_file(row) for row in rows)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(f"the list of models {self.manifest} is broken: {error}") from error

    def describe(self, name: str) -> ModelFile:
        """The row of a model.

        Raises:
            WeightsError: If there is none.
        """
        for row in self.models():
            if row.name == name:
                return row
        raise WeightsError(f"the list of models has no {name!r}")

    def expected_path(self, row: ModelFile) -> Path | None:
        """Where a model's file belongs; None if it comes with a package that is not installed."""
        if row.way == "package":
            try:
                return Path(str(importlib.metadata.distribution(row.package).locate_file(row.file)))
            except importlib.metadata.PackageNotFoundError:
                return None
        if row.way == "embedded":
            return self.manifest.parent / row.file
        return (self.folder or settings().home / "weights") / row.file

    def where(self, name: str) -> Path | None:
        """The verified file of a model; None if it is not here or is another one.

        Raises:
            WeightsError: If the list has no such model.
        """
        row = self.describe(name)
        path = self.expected_path(row)
        return path if path is not None and _is_right(path, row) else None

    def require(self, name: str) -> Path:
        """The verified file of a model.

        Raises:
            WeightsError: If it is not here or is another one; the sentence says what to do.
        """
        row = self.describe(name)
        path = self.expected_path(row)
        if path is not None and _is_right(path, row):
            return path
        if row.way == "package":
            raise WeightsError(f"{row.title} comes with the package {row.package}: install it with pip")
        if row.way == "pretrained":
            raise WeightsError(
                f"{row.title} is not here yet ({megabytes(row.size_bytes)} from {urlsplit(row.address).hostname}): "
                f"fetch it on its page, or with python -m core.runtime.weights fetch {name}"
            )
        if path is None or not path.is_file():
            raise WeightsError(f"the weights of {name!r} are missing: expected {path}")
        raise WeightsError(f"{path} is not the file that the list of models describes")

    def fetch(self, name: str, report: Report | None = None, timeout_s: float = TIMEOUT_S) -> Path:
        """Download a pretrained model and return its file; a model that is here is not fetched again.

        Raises:
            WeightsError: If it could not be fetched, for one reason in one sentence.
        """
        report = report or Report()
        row = self.describe(name)
        there = self.where(name)
        if there is not None:
            return there
        path = self.expected_path(row)
        if row.way != "pretrained" or path is None:
            return self.require(name)  # says what to do instead

        def tell(size_bytes: int, message: str) -> None:
            report(min(1.0, size_bytes / row.size_bytes), f"{row.title}: {message}")

        addresses = [row.address, *([row.mirror] if row.mirror else [])]
        reasons: list[str] = []
        for address in addresses:
            try:
                download(address, path, row.size_bytes, row.sha256, tell, timeout_s)
                report(1.0, f"{row.title} is here")
                return path
            except DownloadError as error:
                reasons.append(str(error))
        raise WeightsError(f"{row.title} could not be fetched: {'; '.join(dict.fromkeys(reasons))}")

    def accept(self, name: str, data: bytes) -> Path:
        """Take over a pretrained model's file that the user has; it must be the very same bytes.

        Raises:
            WeightsError: If it is another file, the model is no pretrained one, or it cannot be written.
        """
        row = self.describe(name)
        path = self.expected_path(row)
        if row.way != "pretrained" or path is None:
            raise WeightsError(f"{row.title} is not a model that is fetched: no file is needed for it")
        if len(data) != row.size_bytes:
            raise WeightsError(
                f"this is not the file of {row.title}: expected {row.size_bytes:,} bytes, received {len(data):,}"
            )
        if hashlib.sha256(data).hexdigest() != row.sha256:
            raise WeightsError(f"this is not the file of {row.title}: its sha256 is another one")
        try:
            put_in_place(data, path)
        except OSError as error:
            raise WeightsError(f"{path.parent} cannot be written to ({error.strerror})") from error
        return path


def _model_file(row: Mapping[str, Any]) -> ModelFile:
    facts = dict(row)
    known = {key: str(facts.pop(key, "")) for key in ("licence", "what_for", "address", "mirror", "package")}
    name, file = str(facts.pop("name")), str(facts.pop("file"))
    title = str(facts.pop("title", name))
    if not known["package"] and Path(file).name != file:
        raise KeyError(f"{file} is not the bare name of a file")
    return ModelFile(name, title, file, int(facts.pop("bytes")), str(facts.pop("sha256")), **known, facts=facts)


def _is_right(path: Path, row: ModelFile) -> bool:
    try:
        status = path.stat()
        return status.st_size == row.size_bytes and _known_sha256(path, status.st_mtime_ns) == row.sha256
    except OSError:
        return False


@lru_cache(maxsize=64)
def _known_sha256(path: Path, modified_ns: int) -> str:
    """The sha256 of a file, read once for each time it was written."""
    return sha256_of(path)


def describe(name: str) -> ModelFile:
    """The row of one of the project's models; errors as `Registry.describe`'s."""
    return Registry().describe(name)


def where(name: str) -> Path | None:
    """The verified file of one of the project's models, or None; errors as `Registry.where`'s."""
    return Registry().where(name)


def require(name: str) -> Path:
    """The verified file of one of the project's models; errors as `Registry.require`'s."""
    return Registry().require(name)


def fetch(name: str, report: Report | None = None) -> Path:
    """Download one of the project's pretrained models, as a job; errors as `Registry.fetch`'s."""
    return Registry().fetch(name, report)


def accept(name: str, data: bytes) -> Path:
    """Take over the file of one of the project's pretrained models; errors as `Registry.accept`'s."""
    return Registry().accept(name, data)


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line: 0, or 1 with one sentence."""
    parser = argparse.ArgumentParser(description="the models and their files")
    actions = parser.add_subparsers(dest="action")
    fetching = actions.add_parser("fetch", help="download a pretrained model")
    fetching.add_argument("name")
    accepting = actions.add_parser("accept", help="take over a file that was downloaded elsewhere")
    accepting.add_argument("name")
    accepting.add_argument("path", type=Path, metavar="FILE")
    args = parser.parse_args(arguments)
    try:
        if args.action == "fetch":
            print(fetch(args.name))
        elif args.action == "accept":
            print(accept(args.name, args.path.read_bytes()))
        else:
            for row in Registry().models():
                there = "here" if where(row.name) else "not here"
                print(f"{row.name:14} {megabytes(row.size_bytes):>9}  {row.way:10} {there:8} {row.what_for}")
    except (WeightsError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
