"""Made encodings by the million, from a seed: persons as dlib's network lays them out, or without any structure."""

import numpy as np

DIMENSIONS, QUERIES = 128, 300
BLOCK = 50_000


def encodings(kind: str, count: int) -> np.ndarray:
    """Stored encodings (N, 128) float32."""
    blocks = [_block(kind, start, min(BLOCK, count - start)) for start in range(0, count, BLOCK)]
    return np.concatenate(blocks)


def _block(kind: str, start: int, count: int) -> np.ndarray:
    rng = np.random.default_rng([1, start])
    rows = rng.normal(size=(count, DIMENSIONS)).astype(np.float32)
    if kind != "uniform":
        # Faces differ in few ways a lot and in many a little: variances fall like those of a face encoder.
        rows *= (0.22 * np.arange(1, DIMENSIONS + 1, dtype=np.float32) ** -0.55)[None]
    return rows


def queries(kind: str, count: int) -> np.ndarray:
    """Encodings to look for (Q, 128): other photos of enrolled persons, or of nobody who is enrolled."""
    rng = np.random.default_rng(2)
    if kind == "photos":
        rows = rng.choice(min(count, BLOCK), QUERIES, replace=False)
        stored = _block(kind, 0, min(BLOCK, count))[rows]
        noise = rng.normal(size=stored.shape).astype(np.float32)
        return stored + 0.35 * np.linalg.norm(stored, axis=1, keepdims=True) * noise / np.sqrt(DIMENSIONS)
    return _block(kind, count + BLOCK, QUERIES)
