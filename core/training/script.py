"""A run as a program that a user takes home: it builds and trains the same network with Keras alone.

The program starts from the same weights, sees the same pictures in the same order and changes them in the same ways,
so that it comes to the same numbers, up to the order in which a machine adds them up. Imports Keras.
"""

from __future__ import annotations

import inspect
import json

import keras

from core.architectures.keras_code import keras_code
from core.training.augmentation import DRAWS, augment
from core.training.runs import TrainingSettings

_BATCHES = '''
def batches():
    """All epochs' batches: the order, and what is done to each picture, depend on seed and epoch alone."""
    for epoch in range(EPOCHS):
        random = np.random.default_rng([SEED, epoch])
        order = random.permutation(len(x_train))
        draws = random.random(({count}, {draws}), np.float32)
        for start in range(0, len(x_train), BATCH):
            part = slice(start, start + BATCH)
            pictures = x_train[order[part]].astype("float32")
{change}            yield pictures, y_train[order[part]]
'''

_HEAD = '''"""Trains the network {name} again, with Keras alone.

data.npz holds x_train, y_train, x_test, y_test as mnist.npz does, and x_validation, y_validation where there are any.
"""
'''


def training_script(model: keras.Model, settings: TrainingSettings) -> str:
    """A program that trains the network as the settings say, from the pictures in a file `data.npz`.

    Args:
        model: The network before its training, or after: its weights are not looked at, only how they were drawn.
        settings: The run's settings.

    Raises:
        NoCodeError: If the network has no short program.
    """
    given = f"{settings.shift_px}, {settings.flip}, {settings.rotate_deg}, {settings.zoom}, {settings.colour}"
    change = f"{12 * ' '}pictures = keras.ops.convert_to_numpy(augment(pictures, draws[part], {given}))\n"
    count = "len(x_train)" if settings.augments else "0"
    return "\n".join(
        [
            _HEAD.format(name=model.name),
            "from typing import Any\n" if settings.augments else "",
            keras_code(model).strip().replace("import keras\n", "import keras\nimport numpy as np\n", 1),
            "",
            "# How the weights of each layer are drawn at first",
            f"STARTS = {json.dumps(_starts(model))}",
            "for layer, (initializer, start) in STARTS.items():",
            "    kernel = model.get_layer(layer).kernel",
            "    kernel.assign(getattr(keras.initializers, initializer)(seed=start)(kernel.shape))",
            "",
            f"EPOCHS, BATCH, SEED = {settings.epochs}, {settings.batch}, {settings.seed}",
            'data = dict(np.load("data.npz"))',
            "data = {key: a[..., None] if key[0] == 'x' and a.ndim == 3 else a for key, a in data.items()}",
            'x_train, y_train = data["x_train"], data["y_train"]',
            "STEPS = -(-len(x_train) // BATCH)  # of an epoch; the last may be smaller",
            "",
            *([f"\n{inspect.getsource(augment)}"] if settings.augments else []),
            _BATCHES.format(count=count, draws=DRAWS, change=change if settings.augments else ""),
            "",
            f"rate = {_rate(settings)}",
            "model.compile(",
            f"    optimizer={_optimizer(settings)},",
            "    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),",
            '    metrics=["accuracy"],',
            ")",
            'validation = (data["x_validation"], data["y_validation"]) if "x_validation" in data else None',
            "given = {'steps_per_epoch': STEPS, 'shuffle': False, 'validation_data': validation}",
            "history = model.fit(batches(), epochs=EPOCHS, **given)",
            'print("test", model.evaluate(data["x_test"], data["y_test"]))',
            'model.save("trained.keras")',
            "",
        ]
    )


def _starts(model: keras.Model) -> dict[str, tuple[str, int]]:
    starts = {}
    for layer in model.layers:
        initializer = getattr(layer, "kernel_initializer", None)
        seed = getattr(initializer, "seed", None)
        if isinstance(seed, int):
            starts[layer.name] = (type(initializer).__name__, seed)
    return starts


def _rate(settings: TrainingSettings) -> str:
    rate, schedules = settings.learning_rate, "keras.optimizers.schedules"
    steps = "EPOCHS * STEPS"
    if settings.schedule == "cosine":
        return f"{schedules}.CosineDecay({rate!r}, {steps})"
    if settings.schedule == "step":
        after = f"[round(share * {steps}) for share in (0.6, 0.85)]"
        return f"{schedules}.PiecewiseConstantDecay({after}, [{rate!r}, {rate / 10!r}, {rate / 100!r}])"
    return repr(rate)


def _optimizer(settings: TrainingSettings) -> str:
    return {
        "adam": "keras.optimizers.Adam(rate)",
        "momentum": "keras.optimizers.SGD(rate, momentum=0.9)",
        "sgd": "keras.optimizers.SGD(rate)",
    }[settings.optimizer]
