"""Measuring an encoder on labelled pairs, through the whole pipeline.

    python -m core.faces.measure --data DIR --encoder dlib|sface|ours [--out assets/faces] [--detector mtcnn]

Each validation face of the archive (see `core.faces.archive`) is taken as a photograph: the detector looks for the
face, its points align it, the encoder encodes it. Written are the distances of all pairs, each kind sorted, from which
any threshold's error rates follow, and the threshold with the most right answers. The accuracy is that of ten folds,
each judged with the threshold of the other nine.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from core.faces.archive import VALIDATION, ArchiveError, FaceArchive, load_archive
from core.faces.batch import encode_pictures
from core.faces.detector import DETECTORS, MTCNN
from core.faces.encoders import MEASURED, encoders
from core.faces.types import FaceError, Floats
from core.faces.verification import PairDistances, best_threshold, cross_validated_accuracy, pair_distances
from core.runtime.weights import WeightsError

UNIT = 10_000  # distances are kept as whole numbers of 1 / UNIT


def encode_validation(archive: FaceArchive, encoder: str, detector: str) -> tuple[Floats, int]:
    """Encodings of all validation faces, at their own index in (N, D), and how many were found."""
    rows = archive.indices(VALIDATION)

    def tell(done: int) -> None:
        print(f"\r{done} of {len(rows)} faces", end="", file=sys.stderr, flush=True)

    results = list(encode_pictures((archive.face(int(row)) for row in rows), encoder, detector, tell))
    encodings = np.full((len(archive.split), len(results[0].encoding)), np.nan, np.float32)
    encodings[rows] = np.stack([result.encoding for result in results])
    return encodings, sum(result.face is not None for result in results)


def measurement(archive: FaceArchive, encodings: Floats, found: int) -> dict[str, Any]:
    """Distances, threshold and accuracies as they are written."""
    first, second = (encodings[archive.pairs[:, side]] for side in (0, 1))
    distances, is_same = pair_distances(first, second), archive.is_same
    pairs = PairDistances.of(distances, is_same)
    threshold = best_threshold(distances, is_same)
    equal = pairs.equal_error()
    return {
        "pairs_of": f"{len(distances):,} validation pairs of CelebA faces, 80 px",
        "faces": int((archive.split == VALIDATION).sum()),
        "faces_found": found,
        "accuracy": round(cross_validated_accuracy(distances, is_same), 5),
        "threshold": round(threshold, 4),
        "equal_error_rate": round((equal.false_accept + equal.false_reject) / 2, 5),
        "unit": UNIT,
        "same": np.rint(pairs.same * UNIT).astype(int).tolist(),
        "different": np.rint(pairs.different * UNIT).astype(int).tolist(),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line: 0, or 1 with one sentence."""
    parser = argparse.ArgumentParser(description="measure a face encoder on labelled pairs")
    parser.add_argument("--data", type=Path, required=True, help="folder with celeba_aligned_80.npz")
    parser.add_argument("--encoder", choices=tuple(encoders()), default="dlib")
    parser.add_argument("--detector", choices=tuple(DETECTORS), default=MTCNN)
    parser.add_argument("--out", type=Path, default=MEASURED)
    args = parser.parse_args(arguments)
    try:
        archive = load_archive(args.data)
        encodings, found = encode_validation(archive, args.encoder, args.detector)
    except (ArchiveError, FaceError, WeightsError) as error:
        print(error, file=sys.stderr)
        return 1
    result = {"encoder": args.encoder, "detector": args.detector} | measurement(archive, encodings, found)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / f"{args.encoder}.json").write_text(json.dumps(result, separators=(",", ":")) + "\n", encoding="utf-8")
    shown = {name: value for name, value in result.items() if name not in ("same", "different", "unit")}
    print("\n" + json.dumps(shown, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
