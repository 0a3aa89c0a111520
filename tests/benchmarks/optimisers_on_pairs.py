"""J that L-BFGS and Adam reach after the same number of evaluations, on photographs in the style of paintings.

    python -m tests.benchmarks.optimisers_on_pairs --paintings DIR [--size 128] [--evaluations 60]

Photographs are the samples `astronaut`, `chelsea` and `china`; styles the pictures in DIR and all drawn styles. Both
start from the content and minimise the default costs. Prints a line a pair, and on how many L-BFGS is lower.
"""

import argparse
from pathlib import Path

import numpy as np

PHOTOGRAPHS = ("astronaut", "chelsea", "china")


def pairs(paintings: Path | None):
    """(photograph's name, its pixels, style's name, its pixels) of each pair."""
    from core.runtime.images import decode_image
    from core.runtime.samples import load_sample
    from core.style.drawn_styles import DRAWN_STYLES, kept_style

    files = sorted(paintings.glob("*.jpg")) if paintings else []
    styles = {path.stem: decode_image(path.read_bytes()).pixels for path in files}
    styles |= {name: kept_style(name) for name in DRAWN_STYLES}
    for style_name, style in styles.items():
        for name in PHOTOGRAPHS:
            yield name, load_sample(name), style_name, style


def compare(content, style, size_px: int, evaluations: int) -> dict[str, float]:
    """The lowest J of each optimiser."""
    from core.style.optimisers import minimise
    from core.style.pictures import scaled
    from core.style.problem import TransferProblem
    from core.style.settings import TransferSettings

    picture = scaled(content, size_px)
    problem = TransferProblem(picture, [scaled(style, size_px)], [1.0], TransferSettings(size_px=size_px))
    start = picture.astype(np.float32)
    ends = {"start": problem(start)[0].total}

    def evaluate(flat):
        values, gradient = problem(flat.reshape(picture.shape))
        return values.total, gradient.reshape(-1)

    for optimizer in ("lbfgs", "adam"):
        best = minimise(optimizer, evaluate, start.reshape(-1), evaluations)
        ends[optimizer] = problem(best.reshape(picture.shape))[0].total
    return ends


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="J after the same number of evaluations")
    parser.add_argument("--paintings", type=Path)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--evaluations", type=int, default=60)
    args = parser.parse_args()
    lower, ratios = 0, []
    for name, content, style_name, style in pairs(args.paintings):
        ends = compare(content, style, args.size, args.evaluations)
        ratios.append(ends["lbfgs"] / ends["adam"])
        lower += ratios[-1] < 1
        print(
            f"{name:10s} {style_name:15s} J at the start {ends['start']:9.4g}  L-BFGS {ends['lbfgs']:8.4g}  "
            f"Adam {ends['adam']:8.4g}  ratio {ratios[-1]:.3f}",
            flush=True,
        )
    print(f"L-BFGS is lower on {lower} of {len(ratios)}; ratio {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    main()
