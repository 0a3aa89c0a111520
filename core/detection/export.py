"""The embedded detector as an ONNX file, made when its weights are made.

    python -m core.detection.export [--folder assets/weights] [--name yolo_11]

Reads `NAME.weights.h5`, writes `NAME.onnx` beside it, holds that both give the same answer, and puts the bytes and the
sha256 of both files into the list of models. The ONNX file's row says from which weights it was made.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.detection.embedded import NAME, WEIGHTS_FOLDER, WeightsError, onnx_name
from core.detection.predictions import letterbox_picture
from core.runtime.download import put_in_place, sha256_of
from core.runtime.inference import OnnxRuntimeEngine, agrees
from core.runtime.weights import Registry

ROW = "[[weights]]"
SAME = 1e-4  # largest difference, relative to the largest value


def onnx_of(model: Any, size_px: int) -> bytes:
    """A detector as ONNX for one picture (1, S, S, 3) float32; normalisations are folded into convolutions."""
    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        signature = [keras.InputSpec(shape=(1, size_px, size_px, 3), dtype="float32", name="image")]
        model.export(path, format="onnx", verbose=False, input_signature=signature)
        return path.read_bytes()


def export_detector(folder: Path = WEIGHTS_FOLDER, name: str = NAME) -> Path:
    """Write the ONNX file of a detector and the rows of both files.

    Raises:
        WeightsError: If the list has no such detector, its weights are missing, or the files disagree.
    """
    from core.detection.yolo import build_detector

    manifest = folder / "manifest.toml"
    row = Registry(manifest).describe(name)
    weights, size_px = folder / row.file, int(row.facts["input_px"])
    if not weights.is_file():
        raise WeightsError(f"the weights of {name!r} are missing: expected {weights}")
    network = build_detector(len(row.facts["classes"]))
    network.load_weights(weights)
    content = onnx_of(network, size_px)
    target = folder / f"{name}.onnx"
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / target.name
        fresh.write_bytes(content)
        picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
        batch = letterbox_picture(picture, size_px)[0][None].astype(np.float32)
        if not agrees(OnnxRuntimeEngine(fresh)(batch), network(batch, training=False).numpy(), SAME):
            raise WeightsError(f"the ONNX file of {name!r} does not give the network's answer; nothing was written")
    put_in_place(content, target)
    made_from = sha256_of(weights)
    text = manifest.read_text(encoding="utf-8")
    text = with_fields(text, name, {"bytes": weights.stat().st_size, "sha256": made_from})
    fields: dict[str, str | int] = {
        "file": target.name,
        "what_for": f"{name} for ONNX Runtime, {row.what_for}",
        "bytes": len(content),
        "sha256": sha256_of(target),
        "licence": row.licence,
        "made_from": made_from,
        "command": "python -m core.detection.export",
    }
    put_in_place(with_fields(text, onnx_name(name), fields, after=name).encode(), manifest)
    return target


def with_fields(text: str, name: str, fields: Mapping[str, str | int], after: str = "") -> str:
    r"""The list of models with fields of one row set; a row that is not there comes behind the row `after`.

    Everything else stays as it is written.

    >>> with_fields('[[weights]]\nname = "a"\nbytes = 1\n', "a", {"bytes": 2})
    '[[weights]]\nname = "a"\nbytes = 2\n'
    """
    head, *rows = re.split(rf"^(?={re.escape(ROW)})", text, flags=re.MULTILINE)
    names = [match[1] if (match := re.search(r'^name = "(.*)"', row, re.MULTILINE)) else "" for row in rows]
    if name not in names:
        index = names.index(after) + 1 if after in names else len(rows)
        if index and not rows[index - 1].endswith("\n\n"):
            rows[index - 1] = rows[index - 1].rstrip("\n") + "\n\n"
        rows.insert(index, f'{ROW}\nname = "{name}"\n' + ("\n" if index < len(rows) else ""))
        names.insert(index, name)
    index = names.index(name)
    body = rows[index].rstrip("\n")
    ending = rows[index][len(body) :]
    for key, value in fields.items():
        line = f"{key} = {json.dumps(value, ensure_ascii=False)}"
        body, count = re.subn(rf"^{key} = .*$", lambda _, line=line: line, body, flags=re.MULTILINE)
        body += "" if count else f"\n{line}"
    rows[index] = body + ending
    return head + "".join(rows)


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line: 0, or 1 with one sentence."""
    parser = argparse.ArgumentParser(description="write the embedded detector as an ONNX file")
    parser.add_argument("--folder", type=Path, default=WEIGHTS_FOLDER)
    parser.add_argument("--name", default=NAME)
    args = parser.parse_args(arguments)
    try:
        print(export_detector(args.folder, args.name))
    except WeightsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
