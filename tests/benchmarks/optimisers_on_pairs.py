"""J that L-BFGS and Adam reach after the same number of evaluations, on photographs in the style of paintings.

    python -m tests.benchmarks.optimisers_on_pairs --paintings DIR [--size 128] [--evaluations 60]

Photographs are the samples `astronaut`, `chelsea` and `china`; styles the pictures in DIR and all drawn styles. Both
start from the content and minimise the default costs. Prints a line a pair: the lowest J of each, and how many
evaluations each takes to 1.1 times L-BFGS's.
"""

import argparse
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Comparison:
    """Lowest J after the same number of evaluations, and the evaluations to 1.1 times L-BFGS's; None: not reached."""

    start: float
    lbfgs: float
    adam: float
    lbfgs_to_goal: int
    adam_to_goal: int | None
    adam_asked: int

    @property
    def part_of_adams(self) -> float:
        """L-BFGS's evaluations to the goal over Adam's, or over those that were not enough for Adam."""
        return self.lbfgs_to_goal / (self.adam_to_goal or self.adam_asked)


def compare(content, style, size_px: int, evaluations: int) -> Comparison:
    """Both optimisers on one pair; Adam is asked for three times L-BFGS's evaluations to the goal at least."""
    from core.style.optimisers import minimise
    from core.style.pictures import scaled
    from core.style.problem import TransferProblem
    from core.style.settings import TransferSettings

    picture = scaled(content, size_px)
    problem = TransferProblem(picture, [scaled(style, size_px)], [1.0], TransferSettings(size_px=size_px))
    start = picture.astype(np.float32).reshape(-1)

    def costs(optimizer: str, count: int) -> list[float]:
        seen: list[float] = []

        def evaluate(flat):
            values, gradient = problem(flat.reshape(picture.shape))
            seen.append(values.total)
            return values.total, gradient.reshape(-1)

        minimise(optimizer, evaluate, start, count)
        return seen

    by_lbfgs = costs("lbfgs", evaluations)
    goal = 1.1 * min(by_lbfgs)
    first = next(number for number, cost in enumerate(by_lbfgs, 1) if cost <= goal)
    asked = max(evaluations, 3 * first)
    by_adam = costs("adam", asked)
    second = next((number for number, cost in enumerate(by_adam, 1) if cost <= goal), None)
    return Comparison(by_lbfgs[0], min(by_lbfgs), min(by_adam[:evaluations]), first, second, asked)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="J after the same number of evaluations")
    parser.add_argument("--paintings", type=Path)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--evaluations", type=int, default=60)
    args = parser.parse_args()
    ratios, parts = [], []
    for name, content, style_name, style in pairs(args.paintings):
        found = compare(content, style, args.size, args.evaluations)
        ratios.append(found.lbfgs / found.adam)
        parts.append(found.part_of_adams)
        by_adam = found.adam_to_goal or f"more than {found.adam_asked}"
        print(
            f"{name:10s} {style_name:15s} J at the start {found.start:9.4g}  L-BFGS {found.lbfgs:8.4g}  "
            f"Adam {found.adam:8.4g}  ratio {ratios[-1]:.3f}  evaluations to 1.1 times L-BFGS's: "
            f"{found.lbfgs_to_goal}, Adam {by_adam}",
            flush=True,
        )
    lower, third = sum(ratio < 1 for ratio in ratios), sum(part <= 1 / 3 for part in parts)
    print(
        f"L-BFGS is lower on {lower} of {len(ratios)}, ratio {min(ratios):.3f} to {max(ratios):.3f}; it takes at most "
        f"a third of Adam's evaluations on {third}"
    )


if __name__ == "__main__":
    main()
