"""Table 1 of the GoogLeNet paper as data: widths of the Inception modules, and the printed costs.

Source: Szegedy et al., 2014, "Going deeper with convolutions", table 1. Widths are channels; parameters are
in thousands of 1,024 and operations in millions of multiply-adds, as printed. Light: imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class InceptionWidths:
    """The six widths of an Inception module, in the order of table 1's columns."""

    one: int
    three_reduce: int
    three: int
    five_reduce: int
    five: int
    pool_projection: int

    @property
    def output(self) -> int:
        """Channels of the concatenated output.

        >>> InceptionWidths(64, 96, 128, 16, 32, 32).output
        256
        """
        return self.one + self.three + self.five + self.pool_projection


GOOGLENET_MODULES: dict[str, InceptionWidths] = {
    "3a": InceptionWidths(64, 96, 128, 16, 32, 32),
    "3b": InceptionWidths(128, 128, 192, 32, 96, 64),
    "4a": InceptionWidths(192, 96, 208, 16, 48, 64),
    "4b": InceptionWidths(160, 112, 224, 24, 64, 64),
    "4c": InceptionWidths(128, 128, 256, 24, 64, 64),
    "4d": InceptionWidths(112, 144, 288, 32, 64, 64),
    "4e": InceptionWidths(256, 160, 320, 32, 128, 128),
    "5a": InceptionWidths(256, 160, 320, 32, 128, 128),
    "5b": InceptionWidths(384, 192, 384, 48, 128, 128),
}

# Output size and channels, thousands of parameters and millions of operations as printed. The printed
# widths give the printed operations within 1 % but in conv1 (a separable convolution, see
# `core.architectures.inception.googlenet`) and 5a (51.1), and the printed parameters, biases left out,
# within 1 % but in conv1 (9.2), 4c (497.5), 4d (590.5), 5a (1018) and 5b (1409).
PRINTED_STAGES: dict[str, tuple[tuple[int, int, int], float, float]] = {
    "conv1": ((112, 112, 64), 2.7, 34),
    "conv2": ((56, 56, 192), 112, 360),
    "inception_3a": ((28, 28, 256), 159, 128),
    "inception_3b": ((28, 28, 480), 380, 304),
    "inception_4a": ((14, 14, 512), 364, 73),
    "inception_4b": ((14, 14, 512), 437, 88),
    "inception_4c": ((14, 14, 512), 463, 100),
    "inception_4d": ((14, 14, 528), 580, 119),
    "inception_4e": ((14, 14, 832), 840, 170),
    "inception_5a": ((7, 7, 832), 1072, 54),
    "inception_5b": ((7, 7, 1024), 1388, 71),
    "predictions": ((1, 1, 1000), 1000, 1),
}
