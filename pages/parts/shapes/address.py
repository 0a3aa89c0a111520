"""A stack as a short text for the address, such as conv-5-1-valid-8_max-2-2_fc-120_softmax-10.

Layers are parted by `_`, their fields by `-`: conv-f-s-padding-filters, max-f-s and avg-f-s (with -same where
the pooling is padded), flatten, fc-units, softmax-units. What a stack is, `core.convolution.stack` says.
"""

import json
from collections.abc import Sequence

from core.convolution.stack import StackFormatError, StackLayer, from_json, to_json

SHORT = {
    "conv": "conv",
    "pool_max": "max",
    "pool_avg": "avg",
    "flatten": "flatten",
    "dense": "fc",
    "softmax": "softmax",
}
LONG = {short: kind for kind, short in SHORT.items()}
# Larger ones mean nothing, and their products would fit into no table.
LARGEST = 100_000


def stack_text(layers: Sequence[StackLayer]) -> str:
    """A stack as one short line.

    >>> stack_text([StackLayer("conv", 5, 1, "valid", 8), StackLayer("pool_max", 2, 2)])
    'conv-5-1-valid-8_max-2-2'
    """
    rows = json.loads(to_json((1, 1, 1), layers))[1:]
    words = []
    for kind, *fields in rows:
        if kind.startswith("pool") and fields[-1] == "valid":
            fields = fields[:-1]
        words.append("-".join(str(field) for field in (SHORT[kind], *fields)))
    return "_".join(words)


def parse_stack(text: str) -> tuple[StackLayer, ...]:
    """The layers of a text that `stack_text` wrote, or that a person typed.

    >>> parse_stack("avg-3-2-same_softmax-10")[0]
    StackLayer(kind='pool_avg', f=3, s=2, padding='same', units=0)

    Raises:
        StackFormatError: in one sentence, what is wrong with the text.
    """
    rows: list[list[object]] = [[1, 1, 1]]
    for word in text.replace(" ", "").lower().strip("_").split("_"):
        short, *fields = word.split("-")
        if short not in LONG:
            raise StackFormatError(
                f"“{word[:30]}” is no layer: layers are {', '.join(LONG)}, parted by _, as in conv-3-1-same-16_max-2-2."
            )
        if short in ("max", "avg") and len(fields) == 2:
            fields = [*fields, "valid"]
        rows.append([LONG[short], *(int(field) if field.isdecimal() else field for field in fields)])
    if any(isinstance(field, int) and field > LARGEST for row in rows for field in row):
        raise StackFormatError(f"The numbers of a stack go up to {LARGEST:,}.")
    return from_json(json.dumps(rows))[1]
