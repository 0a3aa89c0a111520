"""How the Inception page writes counts and shapes."""

from collections.abc import Iterable


def millions(count: float) -> str:
    """A count of multiplications, in millions where it is large.

    >>> millions(120_422_400), millions(12_443_648), millions(2_500), millions(3.2e9)
    ('120.4 M', '12.4 M', '2,500', '3,200 M')
    """
    if count < 1e5:
        return f"{count:,.0f}"
    return f"{count / 1e6:,.1f} M" if count < 1e9 else f"{count / 1e6:,.0f} M"


def times_text(larger: float, smaller: float) -> str:
    """A ratio of two costs.

    >>> times_text(120_422_400, 12_443_648), times_text(1, 2)
    ('9.68 ×', '0.5 ×')
    """
    return f"{larger / smaller:.3g} ×"


def shape_text(shape: Iterable[int | None]) -> str:
    """A shape as people write it, with an open size as a question mark.

    >>> shape_text((28, 28, 192))
    '28 × 28 × 192'
    """
    return " × ".join("?" if size is None else f"{size:,}" for size in shape)
