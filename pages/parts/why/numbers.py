"""Large numbers as people read them."""

_NAMES = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))
_UNITS = ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def count_text(value: float) -> str:
    """A count in words where it is long.

    >>> count_text(3_000_000_000), count_text(48_120), count_text(1_500_000)
    ('3 billion', '48,120', '1.5 million')
    """
    for size, name in _NAMES:
        if value >= size:
            return f"{value / size:.4g} {name}" if value < 1000 * size else f"{value / size:,.0f} {name}"
    return f"{value:,.0f}"


def memory_text(size_bytes: float) -> str:
    """Bytes in decimal units.

    >>> memory_text(12_000_000_000), memory_text(608)
    ('12 GB', '608 B')
    """
    for size, name in _UNITS:
        if size_bytes >= size:
            return f"{size_bytes / size:.4g} {name}"
    return f"{size_bytes:.0f} B"


def ratio_text(larger: float, smaller: float) -> str:
    """How many times larger one number is than another.

    >>> ratio_text(12_000_000, 3), ratio_text(5, 2)
    ('4,000,000', '2.5')
    """
    ratio = larger / smaller
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"
