"""The plain and the residual network train on the same batches; their gradients are those of a tape."""

import dataclasses
import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from core.architectures import gradient_flow as flow
from core.architectures import tasks
from core.architectures.gradient_flow import GradientFlowSettings, call_with_heartbeat, digits, gradient_norm
from core.architectures.resnet import cifar_resnet
from core.runtime.report import JobCancelled, Report

SMALL = GradientFlowSettings(depth=8, steps=6, batch_size=8, widths=(4, 4, 6), size_px=8, seed=1)


class Listener(Report):
    """Keeps what is reported, and when."""

    def __init__(self, cancel_after: int | None = None) -> None:
        self.cancel = threading.Event()
        super().__init__(cancelled=self.cancel)
        self.calls: list[tuple] = []
        self.times: list[float] = []
        self.cancel_after = cancel_after

    def __call__(self, fraction=None, message="", metrics=None, preview=None) -> None:
        self.calls.append((fraction, message, metrics, preview))
        self.times.append(time.perf_counter())
        if self.cancel_after is not None and len(self.calls) >= self.cancel_after:
            self.cancel.set()
        super().__call__(fraction, message, metrics, preview)


@pytest.fixture(scope="module")
def trained() -> tuple[flow.GradientFlow, Listener]:
    listener = Listener()
    return tasks.gradient_flow(SMALL, report=listener), listener


def reference(residual: bool) -> tuple[float, list[float], list[float]]:
    """Loss, kernel and signal norms of the first batch, by a tape over the layers one after the other."""
    model = cifar_resnet(
        8, residual, widths=SMALL.widths, batch_norm=False, initializer="glorot_uniform",
        input_shape=(8, 8, 1), seed=SMALL.seed,
    )  # fmt: skip
    data = digits(8, SMALL.seed)
    batch = np.random.default_rng(SMALL.seed).integers(0, len(data.train_labels), SMALL.batch_size)
    probe = [layer.output for layer in model.layers if layer.name.endswith(("_relu", "_out"))]
    reader = keras.Model(model.inputs[0], [*probe, model.get_layer("predictions").output])
    with tf.GradientTape() as tape:
        outputs = reader(data.train_images[batch])
        probabilities = tf.nn.softmax(outputs[-1])
        picked = tf.gather(probabilities, data.train_labels[batch], batch_dims=1)
        loss = -tf.reduce_mean(tf.math.log(picked))
    kernels = [layer.kernel.value for layer in model.layers if hasattr(layer, "kernel")]
    to_kernels, to_outputs = tape.gradient(loss, (kernels, outputs))
    norms = [[float(np.linalg.norm(g.numpy())) for g in group] for group in (to_kernels, to_outputs)]
    return float(loss), norms[0], norms[1]


@pytest.mark.parametrize("index", [0, 1])
def test_the_start_is_that_of_a_tape(index: int, trained: tuple[flow.GradientFlow, Listener]) -> None:
    result, _ = trained
    loss, kernels, signals = reference(residual=index == 1)
    assert result.losses[index, 0] == pytest.approx(loss, rel=1e-4)
    np.testing.assert_allclose(result.kernel_norms[index, 0], kernels, rtol=1e-3)
    np.testing.assert_allclose(result.signal_norms[index, 0], signals, rtol=1e-3)


def test_both_networks_are_followed_to_the_end(trained: tuple[flow.GradientFlow, Listener]) -> None:
    result, listener = trained
    assert result.kernel_norms.shape == result.signal_norms.shape == (2, 6, 8)
    assert result.losses.shape == result.accuracies.shape == (2, 6)
    assert result.snapshot_steps.tolist() == [0, 1, 2, 3, 4, 5] and result.validation_steps.tolist() == [5, 6]
    assert result.ended == "steps" and result.parameters[0] == result.parameters[1] > 0
    assert result.layers[0] == "conv1_conv" and result.layers[-1] == "predictions" and len(result.layers) == 8
    assert np.isfinite(result.losses).all() and ((result.accuracies >= 0) & (result.accuracies <= 1)).all()
    fractions = [fraction for fraction, *_ in listener.calls if fraction is not None]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    points = [metrics for _, _, metrics, _ in listener.calls if metrics and "plain_loss" in metrics]
    assert [point["step"] for point in points] == [1, 2, 3, 4, 5, 6]
    assert points[-1]["residual_loss"] == pytest.approx(float(result.losses[1, -1]))
    previews = [preview for *_, preview in listener.calls if preview is not None]
    assert len(previews) == 6 and previews[0].shape == (2, 2, 8)
    np.testing.assert_array_equal(previews[0], [result.kernel_norms[:, 0], result.signal_norms[:, 0]])


def test_the_same_seed_gives_the_same_run(trained: tuple[flow.GradientFlow, Listener]) -> None:
    again = tasks.gradient_flow(dataclasses.replace(SMALL, steps=2))
    np.testing.assert_allclose(again.losses, trained[0].losses[:, :2], rtol=1e-4)


def test_no_steps_give_the_start_alone() -> None:
    start = tasks.gradient_flow(dataclasses.replace(SMALL, steps=0))
    assert start.kernel_norms.shape == (2, 1, 8) and start.losses.shape == (2, 0)
    assert start.validation_accuracies.shape == (2, 0)


@pytest.mark.parametrize("options", [{"batch_norm": True, "initializer": "he_normal"}, {"shortcuts": "B"}])
def test_other_networks_train_too(options: dict) -> None:
    result = tasks.gradient_flow(dataclasses.replace(SMALL, steps=2, **options))
    assert np.isfinite(result.losses).all() and (result.signal_norms > 0).all()
    assert result.kernel_norms.shape[2] == 8  # projections are no layers of their own


def test_time_runs_out() -> None:
    result = tasks.gradient_flow(dataclasses.replace(SMALL, steps=100_000, time_limit_s=1.0))
    assert result.ended == "time" and 0 < result.losses.shape[1] < 100_000
    assert result.validation_steps[-1] == result.losses.shape[1]


@pytest.mark.parametrize("after", [1, 3, 25])
def test_a_cancelled_job_ends_at_once(after: int) -> None:
    listener = Listener(cancel_after=after)
    with pytest.raises(JobCancelled):
        tasks.gradient_flow(dataclasses.replace(SMALL, steps=1000), report=listener)
    assert len(listener.calls) == after


def test_the_heartbeat_goes_on_while_a_function_runs() -> None:
    listener = Listener()
    assert call_with_heartbeat(lambda: time.sleep(2.0) or 7, listener, "waiting") == 7
    assert len(listener.calls) >= 3 and {call[1] for call in listener.calls} == {"waiting"}
    with pytest.raises(ZeroDivisionError):
        call_with_heartbeat(lambda: 1 // 0, listener, "failing")


@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e15, 0.0])
def test_norms_survive_tiny_and_huge_values(scale: float) -> None:
    values = np.random.default_rng(0).normal(size=(3, 3, 4)).astype(np.float32) * np.float32(scale)
    expected = np.linalg.norm(values.astype(np.float64))
    assert float(gradient_norm(tf.constant(values))) == pytest.approx(expected, rel=1e-5)


def test_digits_are_the_enlarged_originals() -> None:
    from sklearn.datasets import load_digits

    data = digits(8, seed=3)
    pixels = np.concatenate([data.train_images, data.validation_images])[..., 0]
    labels = np.concatenate([data.train_labels, data.validation_labels])
    assert len(data.validation_labels) == 359 and pixels.min() == -1.0 and pixels.max() == 1.0
    original = load_digits()
    assert np.bincount(labels).tolist() == np.bincount(original.target).tolist()
    ours = {image.tobytes(): label for image, label in zip((pixels + 1) * 8, labels, strict=True)}
    theirs = {i.astype(np.float32).tobytes(): t for i, t in zip(original.images, original.target, strict=True)}
    assert ours == theirs


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"depth": 57}, "depth is 6n"),
        ({"depth": 116}, "depth is 6n"),
        ({"initializer": "zeros"}, "glorot_uniform or he_normal"),
        ({"steps": -1}, "steps lies between 0"),
        ({"batch_size": 1}, "batch size lies between 2"),
        ({"learning_rate": float("nan")}, "learning rate lies between"),
        ({"widths": (1, 2, 3)}, "smallest width lies between 2"),
        ({"size_px": 100}, "image size lies between 8 and 64"),
        ({"shortcuts": "D"}, 'options are "A", "B" and "C"'),
    ],
)
def test_settings_out_of_range(change: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        tasks.gradient_flow(dataclasses.replace(SMALL, **change))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_plain_56_fades_and_residual_56_learns(seed: int) -> None:
    result = tasks.gradient_flow(GradientFlowSettings(depth=56, seed=seed))
    plain, residual = result.fading
    assert plain < 1e-6 and residual > 0.1
    # the plain network stays at chance while the residual one reads the digits
    assert result.seconds < 600 and result.ended == "steps"
    assert result.validation_accuracies[0, -1] < 0.2 and result.validation_accuracies[1, -1] > 0.85
    assert result.losses[0, -20:].mean() > 2.2 and result.losses[1, -20:].mean() < 0.5
