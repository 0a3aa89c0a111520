"""Compare the faces of two photographs without the app.

    python -m core.faces.compare A.jpg B.jpg [--encoder dlib|sface|ours] [--detector mtcnn|yunet] [--threshold T]
        [--json]

Prints the distance, the threshold and the verdict, and how often the threshold errs on the pairs that it was measured
on. Ends with 0 for the same person, 1 for different ones, 2 with a sentence where that cannot be told.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from core.faces.detector import DETECTORS, MTCNN
from core.faces.encoders import describe, encoders, measured
from core.faces.tasks import Comparison, compare
from core.faces.types import FLAG_SENTENCES, FaceError
from core.runtime.images import ImageError, decode_image
from core.runtime.weights import WeightsError


def report(result: Comparison, names: tuple[str, str], encoder: str) -> str:
    """The comparison in words."""
    verdict, sign = ("the same person", "<=") if result.is_same else ("different persons", ">")
    lines = [f"{verdict}: distance {result.distance:.3f} {sign} {result.threshold:.3f} ({describe(encoder).title})"]
    known = measured(encoder)
    if known is not None:
        rates = known.pairs.at(result.threshold)
        lines.append(
            f"at this threshold {100 * rates.false_accept:.2f} % of pairs of different persons are taken for one, "
            f"{100 * rates.false_reject:.2f} % of pairs of one person for two ({known.pairs_of})"
        )
    for name, face, count in zip(names, (result.first.face, result.second.face), result.faces_found, strict=True):
        if count > 1:
            lines.append(f"{name}: {count} faces were found, the largest one was compared")
        lines += [f"{name}: {FLAG_SENTENCES[flag]}" for flag in face.flags]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line: 0 for the same person, 1 for different ones, 2 with a sentence for no answer."""
    parser = argparse.ArgumentParser(description="compare the faces of two photographs")
    parser.add_argument("first", type=Path, metavar="A")
    parser.add_argument("second", type=Path, metavar="B")
    parser.add_argument("--encoder", choices=tuple(encoders()), default="dlib")
    parser.add_argument("--detector", choices=tuple(DETECTORS), default=MTCNN)
    parser.add_argument("--threshold", type=float, help="distance up to which two faces count as one person's")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(arguments)
    pictures = []
    for path in (args.first, args.second):
        try:
            pictures.append(decode_image(path.read_bytes()).pixels)
        except (ImageError, OSError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 2
    try:
        result = compare(pictures[0], pictures[1], args.encoder, args.detector, args.threshold)
    except (FaceError, WeightsError) as error:
        print(error, file=sys.stderr)
        return 2
    if args.json:
        answer = {
            "distance": round(result.distance, 6),
            "threshold": result.threshold,
            "same": result.is_same,
            "encoder": args.encoder,
            "faces": list(result.faces_found),
            "flags": [list(face.flags) for face in (result.first.face, result.second.face)],
        }
        print(json.dumps(answer))
    else:
        print(report(result, (args.first.name, args.second.name), args.encoder))
    return 0 if result.is_same else 1


if __name__ == "__main__":
    sys.exit(main())
