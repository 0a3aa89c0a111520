"""Training of the networks that chapter 5.2 carries: the embedded backbone, and the decoder of feed-forward transfer.

    python -m core.style.train backbone --data DIR --out DIR [--minutes 50]
    python -m core.style.train decoder --data DIR --out DIR [--minutes 35]

`DIR` holds `imagenette/`, `detection/` and `paintings/`; nothing of it goes into the project but the weights. Each
writes its settings, history and final evaluation beside them. With `KERAS_BACKEND=jax` and `--processes 4` they train
on an accelerator (`core.runtime.accelerated`).
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="train the networks of the chapter on style")
    parts = parser.add_subparsers(dest="part", required=True)
    for name, minutes in (("backbone", 50.0), ("decoder", 35.0)):
        part = parts.add_parser(name)
        part.add_argument("--data", type=Path, required=True, help="folder with imagenette/ and the others")
        part.add_argument("--out", type=Path, required=True)
        part.add_argument("--minutes", type=float, default=minutes)
        part.add_argument("--seed", type=int, default=0)
        part.add_argument(
            "--precision",
            choices=("float32", "mixed_bfloat16"),
            default="float32",
            help="mixed_bfloat16 halves the time where the processor multiplies it (AMX, AVX512-BF16); elsewhere it "
            "takes many times as long",
        )
        part.add_argument(
            "--processes", type=int, default=0, help="that make batches for an accelerator (KERAS_BACKEND=jax)"
        )
        part.add_argument("--resume", type=Path, help="weights of an earlier run to go on from")
        if name == "decoder":
            part.add_argument("--backbone", type=Path, help="weights of the backbone; default: the embedded ones")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    if args.part == "backbone":
        from core.style.train_backbone import train_backbone

        train_backbone(args.data, args.out, args.minutes, args.seed, args.precision, args.resume, args.processes)
    else:
        from core.style.train_decoder import train_decoder

        train_decoder(
            args.data, args.out, args.minutes, args.seed, args.precision, args.backbone, args.resume, args.processes
        )


if __name__ == "__main__":
    main()
