"""The trainer: it learns, reports, is reproducible, goes on from its last epoch, and says when it cannot."""

import contextlib
import dataclasses
import gc
import io
import json
import threading
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest

from core.runtime.report import JobCancelled, Progress, Report
from core.training import run_store, tasks, trainer
from core.training.datasets import DatasetError, ImageDataset, digits, drawn_shapes, open_dataset
from core.training.networks import NetworkError, build_classifier
from core.training.runs import NETWORKS, TrainingError, TrainingRun, TrainingSettings
from core.training.train import main
from core.training.trainer import SHOWN_MISTAKES, train

FEW = TrainingSettings(epochs=2, batch=32, learning_rate=0.002, shift_px=0)


@pytest.fixture(scope="module")
def few_digits() -> ImageDataset:
    whole = digits()
    return dataclasses.replace(whole, train=whole.train[:320], validation=whole.validation[:60], test=whole.test[:100])


@pytest.fixture(scope="module")
def run(few_digits: ImageDataset, tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    return train(few_digits, FEW, tmp_path_factory.mktemp("run"))


def test_lenet5_reads_most_digits_after_a_few_epochs(tmp_path: Path) -> None:
    run = train(digits(), TrainingSettings(epochs=4, batch=32, shift_px=0), tmp_path)
    assert run.evaluation.accuracy > 0.9
    assert run.history[0]["loss"] > 2 * run.history[-1]["loss"]
    assert run.probabilities.shape == (359, 10)
    np.testing.assert_allclose(run.probabilities.sum(axis=1), 1, atol=1e-5)


def test_a_run_holds_its_history_and_filters(run: TrainingRun, few_digits: ImageDataset) -> None:
    assert [row["learning_rate"] for row in run.history] == pytest.approx([0.001, 0.0], abs=1e-6)  # half a cosine
    assert run.filters.shape == (3, 5, 5, 1, 6)
    assert run.batch_losses.shape == (20,)
    assert run.history[0]["loss"] == pytest.approx(run.batch_losses[:10].mean(), rel=1e-5)
    model = build_classifier("lenet5", (32, 32, 1), 10, FEW.seed)
    np.testing.assert_array_equal(run.filters[0], model.get_layer("C1").get_weights()[0])
    assert run.parameters == model.count_params()
    assert run.evaluation.confusion.sum() == len(few_digits.test)


def test_nothing_of_a_training_stays_when_it_has_ended(few_digits: ImageDataset, tmp_path: Path) -> None:
    """Neither its graphs nor its network, optimiser or pictures: as many objects after three trainings as before."""

    def alive() -> Counter[str]:
        gc.collect()
        return Counter(type(one).__name__ for one in gc.get_objects())

    def once(name: str) -> None:
        train(few_digits, dataclasses.replace(FEW, epochs=1, shift_px=1), tmp_path / name)

    once("first")  # what is made once for the process
    before = alive()
    for name in ("second", "third", "fourth"):
        once(name)
    more = alive() - before
    kept = {"FuncGraph", "WhileBodyFuncGraph", "AtomicFunction", "Operation", "SymbolicTensor", "EagerTensor"}
    kept |= {"Functional", "Variable", "ResourceVariable", "Adam", "BatchLoop", "Evaluator", "ndarray"}
    assert not kept & set(more), more.most_common(20)
    assert more.total() < 300, more.most_common(20)


@pytest.mark.parametrize("rate", [0.002, 1e4], ids=["to its end", "until it fails"])
def test_no_kernel_of_a_training_stays(
    rate: float, few_digits: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end drops the kernels that TensorFlow keeps, and what was built before it works on."""
    dropped: list[bool] = []
    forget = trainer.forget_kernels

    def noted() -> None:
        dropped.append(run_store.is_alive(tmp_path / "run"))
        forget()

    monkeypatch.setattr(trainer, "forget_kernels", noted)
    model = build_classifier("lenet5", (32, 32, 1), 10)
    answer = keras.ops.convert_to_numpy(model(few_digits.images[:2].astype(np.float32)))
    with contextlib.nullcontext() if rate < 1 else pytest.raises(TrainingError, match="grew beyond all bounds"):
        train(few_digits, dataclasses.replace(FEW, epochs=1, learning_rate=rate, optimizer="sgd"), tmp_path / "run")
    assert dropped == [True]
    again = keras.ops.convert_to_numpy(model(few_digits.images[:2].astype(np.float32)))
    np.testing.assert_array_equal(again, answer)


def test_the_same_seed_gives_the_same_run(run: TrainingRun, few_digits: ImageDataset, tmp_path: Path) -> None:
    again = train(few_digits, FEW, tmp_path / "again")
    np.testing.assert_allclose(again.probabilities, run.probabilities, atol=1e-4)
    other = train(few_digits, dataclasses.replace(FEW, seed=1, epochs=1), tmp_path / "other")
    assert (other.filters[0] != run.filters[0]).any()


def test_the_kept_network_is_the_one_that_was_tested(few_digits: ImageDataset, tmp_path: Path) -> None:
    run = train(few_digits, FEW, tmp_path)
    model = keras.models.load_model(tmp_path / "last.keras")
    logits = model.predict(few_digits.part("test")[0].astype(np.float32), verbose=0)
    np.testing.assert_allclose(keras.ops.softmax(logits), run.probabilities, atol=1e-5)
    kept = json.loads((tmp_path / "run.json").read_text())
    assert kept["finished"] and len(kept["history"]) == 2 and kept["settings"]["network"] == "lenet5"
    assert kept["test_accuracy"] == run.evaluation.accuracy and kept["sizes"] == [320, 60, 100]
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"run.json", "last.keras", "curves.npz", "result.npz", "train.py"}


def test_a_cancelled_run_goes_on_after_its_last_whole_epoch(few_digits: ImageDataset, tmp_path: Path) -> None:
    cancelled = threading.Event()

    class Stopper(Report):
        def __call__(self, fraction=None, message="", metrics=None, preview=None) -> None:  # type: ignore[no-untyped-def]
            if metrics and metrics["epoch"] > 2:
                cancelled.set()
            super().__call__(fraction, message, metrics, preview)

    longer = dataclasses.replace(FEW, epochs=4)
    with pytest.raises(JobCancelled):
        train(few_digits, longer, tmp_path, Stopper(lambda news: None, cancelled))
    kept = json.loads((tmp_path / "run.json").read_text())
    assert len(kept["history"]) == 2 and not kept["finished"]
    seen: list[Progress] = []
    run = train(few_digits, longer, tmp_path, Report(seen.append), resume=True)
    assert [row["loss"] for row in run.history[:2]] == [row["loss"] for row in kept["history"]]
    assert len(run.history) == 4 and run.filters.shape[0] == 5 and run.batch_losses.shape == (40,)
    assert run.history[3]["learning_rate"] == pytest.approx(0, abs=1e-6)
    whole = train(few_digits, longer, tmp_path / "whole")  # as if it had never been stopped
    np.testing.assert_allclose(run.batch_losses, whole.batch_losses, rtol=0.02, atol=1e-3)
    np.testing.assert_allclose(run.filters, whole.filters, atol=1e-3)
    assert train(few_digits, longer, tmp_path, resume=True).evaluation.accuracy == run.evaluation.accuracy
    with pytest.raises(TrainingError, match="made with other settings"):
        train(few_digits, FEW, tmp_path, resume=True)


def test_a_run_that_is_trained_already_is_left_alone(few_digits: ImageDataset, tmp_path: Path) -> None:
    run_store.claim(tmp_path)
    with pytest.raises(TrainingError, match="being trained already"):
        train(few_digits, FEW, tmp_path)


def test_a_damaged_run_is_refused(few_digits: ImageDataset, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"settings": 3}')
    with pytest.raises(TrainingError, match="cannot be read"):
        train(few_digits, FEW, tmp_path, resume=True)


def test_a_rate_that_is_too_large_is_told(few_digits: ImageDataset, tmp_path: Path) -> None:
    wild = dataclasses.replace(FEW, optimizer="sgd", learning_rate=1000.0, schedule="constant", epochs=3)
    with pytest.raises(TrainingError, match="learning rate 1000 is too large"):
        train(few_digits, wild, tmp_path)
    record = run_store.read_record(tmp_path)
    assert record is not None and record.finished and "too large" in record.failure


def test_the_rate_falls_in_steps(few_digits: ImageDataset, tmp_path: Path) -> None:
    run = train(few_digits, dataclasses.replace(FEW, schedule="step", epochs=10, batch=320), tmp_path)
    rates = [row["learning_rate"] for row in run.history]
    assert rates == pytest.approx([0.002] * 6 + [0.0002] * 2 + [0.00002] * 2)


def test_a_batch_larger_than_the_data_is_the_data(few_digits: ImageDataset, tmp_path: Path) -> None:
    run = train(few_digits, dataclasses.replace(FEW, batch=4096, epochs=1), tmp_path)
    assert run.batch_losses.shape == (1,)


STACK = '[[9, 9, 9], ["conv", 3, 1, 1, 4], ["pool_max", 2, 2, "valid"], ["dense", 12], ["softmax", 99]]'


def test_a_stacked_network_ends_in_a_logit_for_each_class(few_digits: ImageDataset, tmp_path: Path) -> None:
    model = build_classifier("stack", (32, 32, 1), 10, 0, STACK)
    assert [layer.name for layer in model.layers][-1] == "logits" and model.output.shape == (None, 10)
    assert model.count_params() == (9 + 1) * 4 + (16 * 16 * 4 + 1) * 12 + 13 * 10
    wrong = dataclasses.replace(FEW, network="stack", stack=STACK.replace("3, 1, 1", "99, 1, 1"))
    with pytest.raises(NetworkError, match="larger than its input"):
        train(few_digits, wrong, tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()
    run = train(few_digits, dataclasses.replace(FEW, network="stack", stack=STACK, epochs=1), tmp_path)
    assert run.filters.shape == (2, 3, 3, 1, 4)


@pytest.mark.parametrize(
    ("stack", "sentence"),
    [
        ('[[9, 9, 9], ["conv", 50, 1, "valid", 4]]', "On pictures of 32 x 32 x 1: .* larger than its input"),
        ('[[9, 9, 9], ["softmax", 4], ["dense", 4]]', "A softmax may stand at the end"),
        ('[[9, 9, 9], ["dense", 90000]]', "has more than 20,000,000 parameters"),
        ("no stack", "On pictures of 32 x 32 x 1"),
    ],
)
def test_stacks_that_do_not_fit(stack: str, sentence: str) -> None:
    with pytest.raises(NetworkError, match=sentence):
        build_classifier("stack", (32, 32, 1), 10, 0, stack)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_fits_pictures_in_grey_and_colour(network: str) -> None:
    for shape in ((28, 28, 1), (32, 48, 3)):
        model = build_classifier(network, shape, 6)
        assert model(np.zeros((2, *shape), np.float32)).shape == (2, 6)
    first, again = (build_classifier(network, (32, 32, 1), 10, 3).get_weights() for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_lenet5_has_the_parameters_of_the_course() -> None:
    for side in (28, 32):
        assert build_classifier("lenet5", (side, side, 1), 10).count_params() == 61_706
    assert build_classifier("lenet5", (28, 28, 1), 10).get_layer("S4").output.shape == (None, 5, 5, 16)


def test_resnet20_has_the_parameters_of_the_paper() -> None:
    """0.27 million (He et al. 2016, table 6), with projections in place of padded shortcuts a little more."""
    assert 0.26e6 < build_classifier("resnet20", (32, 32, 3), 10).count_params() < 0.28e6


def test_networks_that_cannot_be_built() -> None:
    with pytest.raises(NetworkError, match="expected one of"):
        build_classifier("vgg99", (32, 32, 1), 10)
    with pytest.raises(NetworkError, match="at least 16 x 16"):
        build_classifier("lenet5", (8, 8, 1), 10)


@pytest.mark.parametrize(
    "changed",
    [
        {"network": "vgg99"},
        {"optimizer": "magic"},
        {"schedule": "up"},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"batch": 0},
        {"epochs": 0},
        {"shift_px": 99},
        {"rotate_deg": 200.0},
        {"zoom": 0.9},
        {"colour": -1.0},
        {"network": "stack"},
        {"stack": "[]"},
    ],
)
def test_settings_out_of_range(changed: dict[str, object]) -> None:
    with pytest.raises(TrainingError):
        TrainingSettings(**changed)  # type: ignore[arg-type]


def test_the_command_trains_and_evaluates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = drawn_shapes(120)
    archive = tmp_path / "shapes.npz"
    (x_train, y_train), (x_test, y_test) = pictures.part("train"), pictures.part("test")
    np.savez(archive, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    assert main(["--data", str(archive), "--epochs", "1", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "epoch 1: loss" in said and ", val_accuracy" in said and "test accuracy" in said
    evaluation = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert np.sum(evaluation["confusion"]) == evaluation["test_pictures"] == len(x_test)
    assert main(["--data", str(tmp_path / "absent.npz"), "--out", str(tmp_path / "out")]) == 2
    assert "There is no file" in capsys.readouterr().err


def test_a_run_as_the_page_gets_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CNN_WORKBENCH_HOME", str(tmp_path))
    trained = tasks.train_classifier("digits", TrainingSettings(epochs=2, batch=32))
    assert trained.sizes == (1318, 120, 359) and trained.class_names[3] == "3"
    wrong = trained.run.evaluation.confusion.sum() - np.trace(trained.run.evaluation.confusion)
    assert len(trained.mistakes.images) == min(wrong, SHOWN_MISTAKES)
    assert (trained.mistakes.labels != trained.mistakes.predicted).all()
    np.testing.assert_allclose(trained.mistakes.all_probabilities.max(axis=1), trained.mistakes.probabilities)
    path = tmp_path / "again.keras"
    path.write_bytes(trained.model)
    assert keras.models.load_model(path).count_params() == trained.run.parameters
    assert [run.id for run in run_store.list_runs(tmp_path)] == [trained.id]
    again = run_store.load_trained(tmp_path, trained.id)
    np.testing.assert_array_equal(again.run.evaluation.confusion, trained.run.evaluation.confusion)
    few = tasks.sample_pictures("digits")
    assert len(few.images) == 24 and few.sizes == {"training": 1318, "validation": 120, "test": 359}
    with np.load(io.BytesIO(tasks.pictures_file("digits"))) as parts:
        assert parts["x_train"].shape == (1318, 32, 32, 1) and parts["y_validation"].shape == (120,)


def test_data_that_cannot_be_downloaded_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse() -> None:
        raise OSError("no network")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", refuse)
    with pytest.raises(DatasetError, match=r"put the file mnist\.npz into"):
        open_dataset("mnist", folder=tmp_path)
    random = np.random.default_rng(0)
    parts = {f"x_{name}": random.integers(0, 256, (40, 28, 28), np.uint8) for name in ("train", "test")}
    np.savez(tmp_path / "mnist.npz", **parts, y_train=np.arange(40) % 10, y_test=np.arange(40) % 10)
    assert len(open_dataset("mnist", folder=tmp_path).images) == 80
