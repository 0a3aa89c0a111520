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
    search = (2 * LBFGS_MEMORY + 12) * 3 * 8 * pixels if settings.optimizer == "lbfgs" else 8 * 3 * 4 * pixels
    return BASE_MB + (BYTES_PER_PIXEL[settings.backbone] * pixels + search) / 2**20


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
