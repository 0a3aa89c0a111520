"""What `test_accelerated.py` runs in a process of its own, with Keras on JAX; prints a line of JSON."""

import json

import keras
import numpy as np

from core.runtime import accelerated

SIDE, BATCH = 8, 4


def network() -> keras.Model:
    """Brightness of a picture's middle, with batch normalisation."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((SIDE, SIDE, 3), name="picture")
    x = keras.layers.Rescaling(1 / 255, name="scale")(inputs)
    x = keras.layers.Conv2D(4, 3, use_bias=False, name="conv")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Dense(1, name="answer")(keras.layers.Flatten(name="flat")(x))
    model = keras.Model(inputs, x)
    model.compile(keras.optimizers.AdamW(1e-2, weight_decay=0.01), loss="mse", jit_compile=False)
    return model


def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (B, S, S, 3) and what to answer (B, 1)."""
    x = np.random.default_rng(step).integers(0, 256, (BATCH, SIDE, SIDE, 3), np.uint8)
    return x, x[:, 2:6, 2:6].mean(axis=(1, 2, 3), keepdims=True).reshape(-1, 1).astype(np.float32) / 255


def one_by_one() -> dict[str, float]:
    """Largest differences to Keras' own steps, and of the moving average to that of its weights."""
    ours, theirs = network(), network()
    steps = accelerated.CompiledSteps(ours, ours.weights)
    average = [np.array(w.value) for w in theirs.weights]
    losses = []
    for step in range(5):
        x, y = batch(step)
        rate, decay = 0.01 / (1 + step), 0.8
        theirs.optimizer.learning_rate.assign(rate)
        losses.append(abs(float(steps(x, y, rate, decay)) - float(theirs.train_on_batch(x.astype(np.float32), y))))
        theirs.jax_state_sync()
        average = [decay * a + (1 - decay) * np.array(w.value) for a, w in zip(average, theirs.weights, strict=True)]
    weights = max(float(np.abs(a - b).max()) for a, b in zip(average, steps.averaged(), strict=True))
    moved = max(float(np.abs(a - np.array(w.value)).max()) for a, w in zip(average, ours.weights, strict=True))
    return {"loss": max(losses), "average": weights, "moved": moved}


def whole(feeder: accelerated.Feeder) -> dict[str, object]:
    """A run of some seconds."""
    model, saved, asked = network(), [], []

    def task_of(step: int, fraction: float) -> int:
        asked.append((step, fraction))
        return step

    def save(values: accelerated.Values, history: list[dict[str, float]]) -> None:
        saved.append((len(values), history[-1]["step"]))

    schedule = accelerated.Schedule(0.05, 0.01, warm_up=5, report_every=10, save_every_s=1.0)
    values, history = accelerated.train(model, model.weights, feeder, task_of, schedule, save)
    model.set_weights(values)
    x, y = batch(10_000)
    return {
        "history": history,
        "saves": len(saved),
        "last_save": saved[-1],
        "weights": len(values),
        "asked": [asked[0][0], asked[1][0], round(asked[-1][1])],
        "error": float(np.abs(np.array(model(x.astype(np.float32), training=False)) - y).mean()),
    }


if __name__ == "__main__":
    made = accelerated.Feeder(batch, BATCH * SIDE * SIDE * 3, 2)
    print(json.dumps({"steps": one_by_one(), "run": whole(made)}))
