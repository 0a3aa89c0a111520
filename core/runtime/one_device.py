"""Training on one device in a process that goes on afterwards: its graphs end with what trained.

A Keras optimiser adds up the gradients of all devices before it descends (`ReplicaContext.all_reduce`), also where
there is but one. TensorFlow writes that sum as an operation with a gradient of its own, and what is to compute such
a gradient stands in a registry of the process from which nothing is taken (`tf.custom_gradient` in a graph). It knows
the graph it was made in: the step of every training, some megabytes of Python objects and nodes, would stay for good.
"""

from __future__ import annotations

from typing import Any, TypeVar

Optimizer = TypeVar("Optimizer")


def on_one_device(optimizer: Optimizer) -> Optimizer:
    """Let a Keras optimiser take the gradients as they are, with nothing to add to them; returns the same optimiser.

    To be called before a graph is made with it, and not where a `tf.distribute` strategy has several replicas. What
    it computes and what is saved of it stay as they were.
    """
    optimizer._all_reduce_sum_gradients = _as_they_are  # type: ignore[attr-defined]
    return optimizer


def _as_they_are(gradients_and_variables: Any) -> list[Any]:
    return list(gradients_and_variables)
