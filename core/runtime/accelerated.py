"""Training of Keras networks on an accelerator: one compiled step, and batches prepared by processes.

`fit` copies weights to the processor for a moving average and prepares batches in one thread; an accelerator then
waits most of the time. Here the state stays on the device from the first step to the last, the moving average is part
of the compiled step, pictures travel as bytes in memory shared with the processes that make them, and the rate follows
a cosine (Loshchilov and Hutter, 2017) over the minutes given.

For Keras on JAX (`KERAS_BACKEND=jax`); networks and losses are those that every other backend trains. Weights written
here are read by any backend.
"""

from __future__ import annotations

import logging
import math
import mmap
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

log = logging.getLogger("accelerated")
Batch = tuple[NDArray[np.uint8], Any]
Make = Callable[[Any], Batch]
Values = list[NDArray[np.float32]]
# Steps whose end is not waited for.
IN_FLIGHT = 4
LEAST_RATE = 0.01

_made: Make | None = None
_slots: list[mmap.mmap] = []


def _begin(make: Make, slots: list[mmap.mmap]) -> None:
    global _made
    _made = make
    _slots[:] = slots


def _fill(task: Any, slot: int) -> tuple[tuple[int, ...], Any]:
    if _made is None:
        raise RuntimeError("a process that makes batches was not told how")
    x, y = _made(task)
    np.frombuffer(_slots[slot], np.uint8, x.size).reshape(x.shape)[...] = x
    return x.shape, y


class Feeder:
    """Processes that make batches: `make(task)` gives pictures uint8 (…, H, W, 3) and what belongs to them.

    They are forked at once, so that they share what is loaded: make a feeder before anything runs on the device.
    """

    def __init__(self, make: Make, largest_bytes: int, processes: int) -> None:
        """`largest_bytes` is the size of the largest batch of pictures."""
        context = multiprocessing.get_context("fork")
        self.ahead = 2 * processes
        self.slots = [mmap.mmap(-1, largest_bytes) for _ in range(self.ahead + 1)]
        self.pool = context.Pool(processes, _begin, (make, self.slots))

    def batches(self, next_task: Callable[[], Any]) -> Iterator[Batch]:
        """Batches without end; a task is asked for some steps before its batch is used.

        The pictures of a batch are overwritten once the next one was asked for.
        """
        free = deque(range(len(self.slots)))
        waiting: deque[tuple[int, Any]] = deque()
        while True:
            while len(waiting) < self.ahead:
                slot = free.popleft()
                waiting.append((slot, self.pool.apply_async(_fill, (next_task(), slot))))
            slot, answer = waiting.popleft()
            shape, y = answer.get()
            yield np.frombuffer(self.slots[slot], np.uint8, math.prod(shape)).reshape(shape), y
            free.append(slot)

    def close(self) -> None:
        """End the processes."""
        self.pool.terminate()
        self.pool.join()


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: minutes, peak rate, steps of warm-up, and the decay of the moving average a step."""

    minutes: float
    peak_rate: float
    warm_up: int = 300
    average_decay: float = 0.999
    report_every: int = 100
    save_every_s: float = 60.0

    def rate(self, step: int, fraction: float) -> float:
        """The learning rate of a step.

        >>> schedule = Schedule(1.0, 2.0, warm_up=10)
        >>> [round(schedule.rate(step, fraction), 2) for step, fraction in ((0, 0.0), (9, 0.0), (99, 0.5), (99, 1.0))]
        [0.2, 2.0, 1.01, 0.02]
        """
        cosine = LEAST_RATE + (1 - LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * fraction))
        return self.peak_rate * min(1.0, (step + 1) / self.warm_up) * cosine


class CompiledSteps:
    """A model's training step on JAX, with the moving average of some of its weights.

    `training` is compiled with a Keras optimizer and has its loss by `compile` or `compute_loss`.
    """

    def __init__(self, training: keras.Model, averaged: Sequence[Any]) -> None:
        """Take the weights as they are.

        Raises:
            RuntimeError: If Keras runs on another backend.
        """
        if keras.backend.backend() != "jax":
            raise RuntimeError(f"expected Keras on JAX (KERAS_BACKEND=jax), found {keras.backend.backend()}")
        import jax

        training.built = True
        optimizer = training.optimizer
        optimizer.build(training.trainable_variables)
        places = {id(v): (0, i) for i, v in enumerate(training.trainable_variables)}
        places |= {id(v): (1, i) for i, v in enumerate(training.non_trainable_variables)}
        self.training = training
        self.places = [places[id(weight)] for weight in averaged]
        # Copies, since the step gives its arguments' memory to its answers.
        self.state: list[list[Any]] = [
            [jax.numpy.array(v.value) for v in group]
            for group in (training.trainable_variables, training.non_trainable_variables, optimizer.variables)
        ]
        self.metrics = [v.value for v in training.metrics_variables]
        self.average = [jax.numpy.array(self.state[group][i], "float32") for group, i in self.places]
        self.rate_at = next(i for i, v in enumerate(optimizer.variables) if v is optimizer.learning_rate)
        self.compiled = jax.jit(self._step, donate_argnums=(0, 1))
        self.gradient = jax.value_and_grad(training.compute_loss_and_updates, has_aux=True)

    def _step(self, state: Any, average: Any, x: Any, y: Any, rate: Any, decay: Any) -> Any:
        trainable, other, optimizer = state
        optimizer = [rate if i == self.rate_at else v for i, v in enumerate(optimizer)]
        x = ops.cast(x, "float32")
        (loss, answers), slopes = self.gradient(
            trainable, other, self.metrics, x, y, None, training=True, optimizer_variables=optimizer
        )
        trainable, optimizer = self.training.optimizer.stateless_apply(optimizer, slopes, trainable)
        state = [list(trainable), list(answers[2]), list(optimizer)]
        moved = [
            old + (1 - decay) * (ops.cast(state[group][i], "float32") - old)
            for old, (group, i) in zip(average, self.places, strict=True)
        ]
        return state, moved, loss

    def __call__(self, x: NDArray[np.uint8], y: Any, rate: float, decay: float) -> Any:
        """One step; the loss as a scalar on the device, perhaps not computed yet."""
        import jax

        x, y = jax.device_put((x, y))
        self.state, self.average, loss = self.compiled(
            self.state, self.average, x, y, np.float32(rate), np.float32(decay)
        )
        jax.block_until_ready(x)  # its memory is overwritten soon
        return loss

    def averaged(self) -> Values:
        """The moving average, in the order of the weights that were named."""
        return [np.array(value) for value in self.average]


def train(
    training: keras.Model,
    averaged: Sequence[Any],
    feeder: Feeder,
    task_of: Callable[[int, float], Any],
    schedule: Schedule,
    save: Callable[[Values, list[dict[str, float]]], None],
) -> tuple[Values, list[dict[str, float]]]:
    """Train for the schedule's minutes, counted from the end of the first step; returns the average and the history.

    `averaged` are the variables whose moving average is kept, those of a network perhaps.
    `task_of(step, fraction)` says what the feeder makes; `save(average, history)` is called now and then and at the
    end.
    """
    steps = CompiledSteps(training, averaged)
    started = math.inf
    begun = time.monotonic()
    asked = done = 0

    def fraction() -> float:
        return min(1.0, max(0.0, time.monotonic() - started) / (60 * schedule.minutes))

    def next_task() -> Any:
        nonlocal asked
        asked += 1
        return task_of(asked - 1, fraction())

    history: list[dict[str, float]] = []
    recent: list[Any] = []
    saved = time.monotonic()
    for x, y in feeder.batches(next_task):
        part = fraction()
        decay = schedule.average_decay * (1 - math.exp(-done / 300))
        recent.append(steps(x, y, schedule.rate(done, part), decay))
        done += 1
        if len(recent) > IN_FLIGHT:
            recent[-IN_FLIGHT].block_until_ready()
        if done == 1:
            recent[0].block_until_ready()
            started = time.monotonic()
            log.info("first step after %.0f s", started - begun)
        over = part >= 1.0
        if len(recent) >= schedule.report_every or over:
            row = {
                "step": done,
                "elapsed_s": round(time.monotonic() - started, 1),
                "size_px": x.shape[-2],
                "loss": round(float(np.mean([float(value) for value in recent])), 4),
            }
            log.info("%s", row)
            history.append(row)
            recent = []
            if not math.isfinite(row["loss"]):
                raise FloatingPointError(f"the loss is {row['loss']} after {done} steps")
        if over or time.monotonic() - saved > schedule.save_every_s:
            save(steps.averaged(), history)
            saved = time.monotonic()
        if over:
            break
    feeder.close()
    return steps.averaged(), history
