"""How much memory a transfer takes, said before it starts, and how large a picture may be.

A step keeps the activations of every layer for the way back, and their gradients; L-BFGS keeps its last steps and
gradients as well.
"""

from __future__ import annotations

from pathlib import Path

import psutil

from core.style.settings import TransferSettings

BASE_MB = 500.0  # TensorFlow itself with a network
# Bytes a pixel, reckoned: the float32 activations of all layers, three to four times over for gradients and copies.
BYTES_PER_PIXEL = {"embedded": 1600.0, "random": 1600.0, "vgg16": 4400.0, "vgg19": 4800.0}
LBFGS_MEMORY = 20
SAFE_PART = 0.7


def needed_mb(settings: TransferSettings, height_px: int, width_px: int) -> float:
    """Estimated peak in MB at the final size."""
    pixels = height_px * width_px
    search = search_bytes(settings.optimizer, 3 * pixels)
    return BASE_MB + (BYTES_PER_PIXEL[settings.backbone] * pixels + search) / 2**20


def search_bytes(optimizer: str, numbers: int) -> float:
    """What a search over so many numbers, three a pixel, keeps besides J itself: bytes at its peak.

    L-BFGS as SciPy carries it: 2 m + 5 vectors of doubles in its workspace, and some twenty more for the point, the
    gradient, bounds and copies. The others: ten vectors of single precision.

    >>> search_bytes("lbfgs", 1), search_bytes("adam", 1)
    (520.0, 40.0)
    """
    return float(numbers * (8 * (2 * LBFGS_MEMORY + 25) if optimizer == "lbfgs" else 4 * 10))


def available_mb() -> float:
    """Memory that is free for a process now, in MB: the machine's, or what a container's limit leaves."""
    free = float(psutil.virtual_memory().available) / 2**20
    limit, used = _number("/sys/fs/cgroup/memory.max"), _number("/sys/fs/cgroup/memory.current")
    if limit is not None and used is not None:
        free = min(free, (limit - used) / 2**20)
    return free


def _number(path: str) -> float | None:
    try:
        return float(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
