"""Detection without the app.

    python -m core.detection.detect IMAGE_OR_FOLDER...
        [--model embedded|rcnn|fast_rcnn|faster_rcnn|yolox_nano|yolox_s|FILE.onnx]
        [--confidence 0.25] [--iou 0.45] --json OUT.json [--draw DIR]

The JSON is a list of {"file_name", "category", "bbox" [x, y, w, h] in pixels of the original, "score"}.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.detection.drawing import draw_detections
from core.detection.embedded import WeightsError
from core.detection.predictions import PictureError, select
from core.detection.rcnn.results import FORMS
from core.detection.report_rows import coco_rows
from core.detection.tasks import EMBEDDED, PRETRAINED, run_network
from core.detection.yolox import ModelError
from core.runtime.images import ImageError, decode_image, encode_jpeg

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"}


def picture_files(paths: list[Path]) -> Iterator[tuple[Path, str]]:
    """Files as they are given, and the pictures of folders; each with the name that it gets in the results.

    Raises:
        FileNotFoundError: If a path is neither.
    """
    for path in paths:
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                if file.suffix.lower() in SUFFIXES and file.is_file():
                    yield file, file.relative_to(path).as_posix()
        elif path.is_file():
            yield path, path.name
        else:
            raise FileNotFoundError(f"there is no file or folder {path}")


def detect_file(
    path: Path, name: str, model: str, confidence: float, iou: float, draw: Path | None
) -> list[dict[str, Any]]:
    """The rows of a picture; its annotated copy goes into the folder `draw`."""
    pixels = decode_image(path.read_bytes()).pixels
    answer = run_network(pixels, model)
    found = select(answer, confidence, iou).detections
    if draw is not None:
        target = (draw / name).with_suffix(".jpg")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(encode_jpeg(draw_detections(pixels, found, answer.class_names)))
    return coco_rows(name, found, answer.class_names)


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line: 0 if every picture was read, 1 if some were not, 2 for no result at all."""
    parser = argparse.ArgumentParser(description="detect objects in pictures")
    parser.add_argument("paths", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER")
    parser.add_argument(
        "--model",
        default=EMBEDDED,
        help=f"embedded, {', '.join((*FORMS, *PRETRAINED))}, or an ONNX file of a YOLOX network",
    )
    parser.add_argument("--confidence", type=float, default=0.25)
    parser.add_argument("--iou", type=float, default=0.45)
    parser.add_argument("--json", type=Path, required=True, metavar="OUT.json")
    parser.add_argument("--draw", type=Path, metavar="DIR")
    args = parser.parse_args(arguments)
    for name in ("confidence", "iou"):
        if not 0 <= getattr(args, name) <= 1:
            parser.error(f"--{name} expects a number in 0..1, received {getattr(args, name)}")
    rows: list[dict[str, Any]] = []
    refused = 0
    try:
        for path, name in picture_files(args.paths):
            try:
                rows += detect_file(path, name, args.model, args.confidence, args.iou, args.draw)
            except (ImageError, PictureError) as error:
                refused += 1
                print(f"{path}: {error}", file=sys.stderr)
    except (FileNotFoundError, ModelError, WeightsError) as error:
        print(error, file=sys.stderr)
        return 2
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
