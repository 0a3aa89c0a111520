"""The cells of the network's three grids, as light as NumPy.

Arrays: cells float32 (A, 3) holding centre x, centre y and stride in pixels, the finest grid first, row by
row.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

STRIDES_PX = (8, 16, 32)
# exp() of more than this is a box of 4,700 pixels at stride 32: nothing is lost, nothing overflows.
MAX_LOG_DISTANCE = 5.0


@lru_cache(maxsize=8)
def cell_centres(height_px: int, width_px: int) -> NDArray[np.float32]:
    """Centre x, centre y and stride in pixels of all cells, in the order of the network's rows: (A, 3), read-only.

    Raises:
        ValueError: If a side is not a positive multiple of 32.

    >>> cell_centres(32, 32)[[0, 1, -1]]
    array([[ 4.,  4.,  8.],
           [12.,  4.,  8.],
           [16., 16., 32.]], dtype=float32)
    """
    if height_px < 32 or width_px < 32 or height_px % 32 or width_px % 32:
        raise ValueError(f"expected sides that are multiples of 32, received {height_px} x {width_px}")
    rows = []
    for stride in STRIDES_PX:
        y, x = np.mgrid[0 : height_px // stride, 0 : width_px // stride]
        centres = np.stack([x.ravel(), y.ravel()], axis=1) + 0.5  # (hw, 2)
        rows.append(np.column_stack([centres * stride, np.full(len(centres), stride)]))
    cells = np.concatenate(rows).astype(np.float32)  # (A, 3)
    cells.flags.writeable = False  # everyone gets the same array
    return cells
