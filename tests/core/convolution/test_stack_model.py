"""Stacks as Keras models: they agree with the arithmetic, they cost no memory to check, their files load."""

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.convolution.stack import (
    PRESETS,
    StackError,
    StackFormatError,
    StackLayer,
    StackPreset,
    describe_stack,
    keras_code,
    to_json,
)
from core.convolution.stack_model import StackModel, StackTooLarge
from core.convolution.tasks import build_stack_keras, check_stack_keras

keras = pytest.importorskip("keras")


def check_against_arithmetic(
    model: StackModel, input_shape: tuple[int, int, int], layers: tuple[StackLayer, ...]
) -> None:
    reports = describe_stack(input_shape, layers)
    named = [layer for layer in model.layers if layer.stack_name]
    assert [(layer.stack_name, layer.output_shape, layer.parameters) for layer in named] == [
        (report.name, report.shape, report.parameters) for report in reports
    ]
    assert model.parameters == sum(report.parameters for report in reports)
    assert all(layer.parameters == 0 for layer in model.layers if not layer.stack_name)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_presets_agree_with_keras(preset: StackPreset) -> None:
    model = check_stack_keras(to_json(preset.input_shape, preset.layers))
    check_against_arithmetic(model, preset.input_shape, preset.layers)
    assert model.file is None and model.code == keras_code(preset.layers, preset.input_shape)


@st.composite
def stacks(draw: st.DrawFn) -> tuple[tuple[int, int, int], tuple[StackLayer, ...]]:
    sliding = st.builds(
        StackLayer,
        st.sampled_from(["conv", "pool_max", "pool_avg"]),
        st.integers(1, 5),
        st.integers(1, 3),
        st.sampled_from(["valid", "same"]),
        st.integers(1, 6),
    )
    padded = st.builds(StackLayer, st.just("conv"), st.integers(1, 5), st.integers(1, 3), st.integers(0, 4))
    layers = [
        StackLayer(layer.kind, layer.f, layer.s, layer.padding, layer.units or 3)
        for layer in draw(st.lists(st.one_of(sliding, padded), max_size=4))
    ]
    if draw(st.booleans()):
        layers.append(StackLayer("flatten"))
    layers += [StackLayer("dense", units=n) for n in draw(st.lists(st.integers(1, 9), max_size=2))]
    layers.append(StackLayer("softmax", units=draw(st.integers(2, 5))))
    side = st.integers(1, 24)
    return (draw(side), draw(side), draw(st.integers(1, 4))), tuple(layers)


@settings(max_examples=40, deadline=None)
@given(stacks())
def test_random_stacks_agree_with_keras_or_are_refused(
    stack: tuple[tuple[int, int, int], tuple[StackLayer, ...]],
) -> None:
    input_shape, layers = stack
    try:
        describe_stack(input_shape, layers)
    except StackError:
        with pytest.raises(StackError):
            check_stack_keras(to_json(input_shape, layers))
        return
    check_against_arithmetic(check_stack_keras(to_json(input_shape, layers)), input_shape, layers)


def test_three_billion_weights_are_counted_without_memory() -> None:
    check_stack_keras('[[8,8,3],["conv",3,1,"valid",4]]')  # Keras and TensorFlow are loaded
    before = psutil.Process().memory_info().rss
    model = check_stack_keras('[[1000,1000,3],["dense",1000]]')
    assert model.parameters == 3_000_001_000  # 12 GB as float32
    assert psutil.Process().memory_info().rss - before < 100e6
    # Nothing of it is left to be filled later in this thread.
    with keras.StatelessScope():
        pass
    assert psutil.Process().memory_info().rss - before < 100e6


def test_the_file_loads_in_safe_mode_and_runs(tmp_path: Path) -> None:
    preset = PRESETS["notes"]
    built = build_stack_keras(to_json(preset.input_shape, preset.layers))
    check_against_arithmetic(built, preset.input_shape, preset.layers)
    assert built.file is not None and zipfile.is_zipfile(io.BytesIO(built.file))
    path = tmp_path / "stack.keras"
    path.write_bytes(built.file)
    model = keras.saving.load_model(path, safe_mode=True)
    assert model.count_params() == 62_958
    probabilities = np.asarray(model(np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)))
    assert probabilities.shape == (2, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    kernel = np.asarray(model.get_layer("conv1").kernel)
    assert kernel.shape == (5, 5, 3, 8) and kernel.std() > 0.01  # random, not zeros
    assert pickle.loads(pickle.dumps(built)).layers == built.layers  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("[]", StackFormatError, "list of lists"),
        ("[[8,8,3]]", StackError, "no layers"),
        ('[[8,8,3],["conv",9,1,"valid",4]]', StackError, "9 x 9"),
        ('[[8,8,3],["conv","1); import os",1,"valid",4]]', StackFormatError, "number"),
        ('[[8,8,3],["conv",3,1,"valid\\"); import os",4]]', StackFormatError, "number"),
        ('[[1000000,1000000,3],["flatten"]]', StackTooLarge, "no computer"),
        ('[[100000,100000,3],["dense",100000]]', StackTooLarge, "FC1"),
    ],
)
def test_what_cannot_be_built_is_refused(text: str, error: type[ValueError], sentence: str) -> None:
    for task in (check_stack_keras, build_stack_keras):
        with pytest.raises(error, match=sentence):
            task(text)


def test_a_file_has_its_limit() -> None:
    with pytest.raises(StackTooLarge, match="3,000,001,000 parameters"):
        build_stack_keras('[[1000,1000,3],["dense",1000]]')
