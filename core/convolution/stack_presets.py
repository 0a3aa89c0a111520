"""Stacks to begin with: the schematic network of the notes (section 1.7) and three that everybody knows."""

from dataclasses import dataclass

from core.convolution.stack_layers import StackLayer


@dataclass(frozen=True)
class StackPreset:
    """A stack and the input (H, W, C) that it was made for."""

    name: str
    label: str
    source: str
    input_shape: tuple[int, int, int]
    layers: tuple[StackLayer, ...]


@dataclass(frozen=True)
class PrintedCount:
    """A number of parameters as the notes print it, the correct one, and why they differ."""

    layer: str
    printed: int
    correct: int
    reason: str


NOTES_INPUT = (32, 32, 3)
NOTES_SCHEMATIC: tuple[StackLayer, ...] = (
    StackLayer("conv", f=5, units=8),
    StackLayer("pool_max", f=2, s=2),
    StackLayer("conv", f=5, units=16),
    StackLayer("pool_max", f=2, s=2),
    StackLayer("dense", units=120),
    StackLayer("dense", units=84),
    StackLayer("softmax", units=10),
)

NOTES_PRINTED: tuple[PrintedCount, ...] = (
    PrintedCount("CONV1", 208, 608, "(5 x 5 + 1) x 8 leaves out the 3 input channels: (5 x 5 x 3 + 1) x 8."),
    PrintedCount("CONV2", 416, 3216, "(5 x 5 + 1) x 16 leaves out the 8 input channels: (5 x 5 x 8 + 1) x 16."),
    PrintedCount("FC3", 48001, 48120, "400 x 120 + 1 counts one bias; there is one for each of the 120 units."),
    PrintedCount("FC4", 10081, 10164, "120 x 84 + 1 counts one bias; there is one for each of the 84 units."),
    PrintedCount("Softmax", 841, 850, "84 x 10 + 1 counts one bias; there is one for each of the 10 classes."),
)

_LENET_5 = (
    StackLayer("conv", f=5, units=6),
    StackLayer("pool_avg", f=2, s=2),
    StackLayer("conv", f=5, units=16),
    StackLayer("pool_avg", f=2, s=2),
    StackLayer("conv", f=5, units=120),
    StackLayer("dense", units=84),
    StackLayer("softmax", units=10),
)

_SMALL_VGG = (
    *(StackLayer("conv", f=3, padding="same", units=32),) * 2,
    StackLayer("pool_max", f=2, s=2),
    *(StackLayer("conv", f=3, padding="same", units=64),) * 2,
    StackLayer("pool_max", f=2, s=2),
    *(StackLayer("conv", f=3, padding="same", units=128),) * 2,
    StackLayer("pool_max", f=2, s=2),
    StackLayer("flatten"),
    StackLayer("dense", units=128),
    StackLayer("softmax", units=10),
)

_STRIDES_ONLY = (
    StackLayer("conv", f=5, s=2, padding="same", units=32),
    StackLayer("conv", f=3, s=2, padding="same", units=64),
    StackLayer("conv", f=3, s=2, padding="same", units=128),
    StackLayer("conv", f=1, units=10),
    StackLayer("pool_avg", f=8, s=8),
    StackLayer("flatten"),
    StackLayer("softmax", units=10),
)

PRESETS: dict[str, StackPreset] = {
    preset.name: preset
    for preset in (
        StackPreset("notes", "Schematic network of the notes", "Section 1.7", NOTES_INPUT, NOTES_SCHEMATIC),
        StackPreset(
            "lenet5",
            "LeNet-5, fully connected C3",
            "LeCun, Bottou, Bengio and Haffner 1998",
            (32, 32, 1),
            _LENET_5,
        ),
        StackPreset("small_vgg", "Small VGG", "After Simonyan and Zisserman 2015", (32, 32, 3), _SMALL_VGG),
        StackPreset(
            "strides",
            "Strides instead of pooling",
            "After Springenberg et al. 2015",
            (64, 64, 3),
            _STRIDES_ONLY,
        ),
    )
}
