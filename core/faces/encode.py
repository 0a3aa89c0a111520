"""Encodings of many photographs without the app.

    python -m core.faces.encode --images FOLDER_OR_FILES... --encoder dlib|sface|ours --out FILE.npz
        [--detector mtcnn|yunet]

The file holds three arrays: `files` (N,) names as given, or relative to their folder; `encodings` (N, D) float32; and
`found` (N,) bool, whether a face was found. Each picture counts as one person's: the largest face near the middle. A
small square picture without a face that is found is encoded as a face that was aligned before; any other one has an
encoding of NaN.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.faces.batch import encode_pictures
from core.faces.detector import DETECTORS, MTCNN
from core.faces.encoders import describe, encoders
from core.faces.types import FaceError, Pixels
from core.runtime.images import ImageError, decode_image
from core.runtime.weights import WeightsError, require

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"}
LONGEST_SIDE_PX = 2048


def picture_files(paths: list[Path]) -> list[tuple[Path, str]]:
    """Files as they are given, and the pictures of folders; each with the name that it gets in the results.

    Raises:
        FileNotFoundError: If a path is neither.
    """
    files: list[tuple[Path, str]] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
            files += [(file, file.relative_to(path).as_posix()) for file in inside]
        elif path.is_file():
            files.append((path, str(path)))
        else:
            raise FileNotFoundError(f"there is no file or folder {path}")
    return files


def _read(files: list[tuple[Path, str]]) -> Iterator[Pixels | None]:
    for path, name in files:
        try:
            yield decode_image(path.read_bytes(), max_side_px=LONGEST_SIDE_PX).pixels
        except (ImageError, OSError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            yield None


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line: 0 if the file was written, 2 with one sentence if not."""
    parser = argparse.ArgumentParser(description="encode the face of each photograph")
    parser.add_argument("--images", type=Path, nargs="+", required=True, metavar="FOLDER_OR_FILE")
    parser.add_argument("--encoder", choices=tuple(encoders()), default="dlib")
    parser.add_argument("--detector", choices=tuple(DETECTORS), default=MTCNN)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    args = parser.parse_args(arguments)
    try:
        require(describe(args.encoder).weights)
        if args.detector != MTCNN:
            require(args.detector)
        files = picture_files(args.images)
        if not files:
            raise FileNotFoundError("there are no pictures (JPEG, PNG, WebP, BMP, GIF) to encode")

        def tell(done: int) -> None:
            print(f"\r{done} of {len(files)} pictures", end="", file=sys.stderr, flush=True)

        results = list(encode_pictures(_read(files), args.encoder, args.detector, tell))
    except (FileNotFoundError, FaceError, WeightsError) as error:
        print(error, file=sys.stderr)
        return 2
    found = np.array([result.face is not None for result in results])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("wb") as target:
        np.savez(
            target,
            files=np.array([name for _, name in files]),
            encodings=np.stack([result.encoding for result in results]),
            found=found,
        )
    print(f"\n{int(found.sum())} faces found in {len(files)} pictures", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
