"""Stacks against built Keras models: shapes, parameters, receptive fields, and the code that builds them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.convolution.stack import (
    NOTES_INPUT,
    NOTES_PRINTED,
    NOTES_SCHEMATIC,
    PRESETS,
    StackError,
    StackFormatError,
    StackLayer,
    describe_stack,
    from_json,
    keras_code,
    layer_names,
    to_json,
)
from tests.core.convolution.cases import few_examples, many_examples


@st.composite
def stacks(draw):
    """Any input and up to seven layers, whether or not they can be built."""
    layers = []
    for _ in range(draw(st.integers(1, 7))):
        kind = draw(st.sampled_from(["conv", "conv", "pool_max", "pool_avg", "flatten", "dense", "softmax"]))
        padding = draw(st.sampled_from(["valid", "same", 0, 2] if kind == "conv" else ["valid", "same"]))
        slides = kind in ("conv", "pool_max", "pool_avg")
        layers.append(
            StackLayer(
                kind,
                f=draw(st.integers(1, 5)) if slides else 1,
                s=draw(st.integers(1, 3)) if slides else 1,
                padding=padding if slides else "valid",
                units=draw(st.integers(1, 6)) if kind in ("conv", "dense", "softmax") else 0,
            )
        )
    return (draw(st.integers(1, 20)), draw(st.integers(1, 20)), draw(st.integers(1, 3))), tuple(layers)


def build(layers, input_shape):
    """Run the program that keras_code writes and return its model."""
    namespace: dict = {}
    code = keras_code(layers, input_shape).replace("model.summary()\n", "")
    exec(code, namespace)  # noqa: S102 - the program is our own, and running it is the test
    return namespace["model"]


@few_examples
@given(stack=stacks())
def test_reports_equal_the_keras_model_of_the_same_stack(stack):
    input_shape, layers = stack
    try:
        reports = describe_stack(input_shape, layers)
    except StackError as error:
        # What comes before the layer to blame can be built, and Keras refuses the layer too.
        assert len(describe_stack(input_shape, layers[: error.layer_index])) == error.layer_index
        with pytest.raises(ValueError):
            build(layers[: error.layer_index + 1], input_shape)
        return
    model = build(layers, input_shape)

    assert len(reports) == len(layers)
    built = {layer.name: layer for layer in model.layers}
    for report in reports:
        layer = built[report.name.lower().replace("-", "_")]
        assert tuple(layer.output.shape[1:]) == report.shape
        assert layer.count_params() == report.parameters
        assert report.size == np.prod(report.shape)
        assert report.activation_bytes == 4 * report.size
    assert model.count_params() == sum(report.parameters for report in reports)


@few_examples
@given(stack=stacks(), data=st.data())
def test_receptive_fields_equal_the_gradient_of_the_model(stack, data):
    import keras
    import tensorflow as tf

    (height, width, channels), layers = stack
    layers = tuple(
        StackLayer("pool_avg", layer.f, layer.s, layer.padding) if layer.kind == "pool_max" else layer
        for layer in layers
        if layer.kind in ("conv", "pool_max", "pool_avg")
    )
    try:
        reports = describe_stack((height + 60, width + 60, channels), layers)
    except StackError:
        return
    if not layers or min(reports[-1].shape) < 1:
        return
    model = build(layers, (height + 60, width + 60, channels))
    for layer in model.layers:  # positive weights, so that nothing cancels and no ReLU shuts
        layer.set_weights([np.ones_like(weight) for weight in layer.get_weights()])
    image = tf.ones((1, height + 60, width + 60, channels))
    row, column = reports[-1].shape[0] // 2, reports[-1].shape[1] // 2
    with tf.GradientTape() as tape:
        tape.watch(image)
        output = model(image)[0, row, column, 0]
    seen = tape.gradient(output, image)[0].numpy().any(axis=-1)
    assert keras.backend.backend() == "tensorflow"

    for axis, (size, extent) in enumerate(zip(reports[-1].receptive_field, (height + 60, width + 60), strict=True)):
        used = np.flatnonzero(seen.any(axis=1 - axis))
        assert used[-1] - used[0] + 1 <= size
        if used[0] > 0 and used[-1] < extent - 1:  # the field lies within the image
            assert used[-1] - used[0] + 1 == size


def test_multiply_adds_equal_a_count_of_the_products():
    reports = describe_stack(NOTES_INPUT, NOTES_SCHEMATIC)

    assert [report.multiply_adds for report in reports] == [
        28 * 28 * 8 * 5 * 5 * 3,
        0,
        10 * 10 * 16 * 5 * 5 * 8,
        0,
        400 * 120,
        120 * 84,
        84 * 10,
    ]


def test_the_schematic_network_of_the_notes():
    reports = describe_stack(NOTES_INPUT, NOTES_SCHEMATIC)

    assert [report.name for report in reports] == [
        "CONV1",
        "POOL1",
        "CONV2",
        "POOL2",
        "FC3",
        "FC4",
        "Softmax",
    ]
    assert [report.shape for report in reports] == [
        (28, 28, 8),
        (14, 14, 8),
        (10, 10, 16),
        (5, 5, 16),
        (120,),
        (84,),
        (10,),
    ]
    assert [report.size for report in reports] == [6272, 1568, 1600, 400, 120, 84, 10]
    assert [report.parameters for report in reports] == [608, 0, 3216, 0, 48120, 10164, 850]
    assert [report.receptive_field for report in reports[:4]] == [(5, 5), (6, 6), (14, 14), (16, 16)]
    assert reports[4].receptive_field == (32, 32)


def test_what_the_notes_print_stands_beside_what_is_right():
    reports = {report.name: report for report in describe_stack(NOTES_INPUT, NOTES_SCHEMATIC)}

    assert [count.printed for count in NOTES_PRINTED] == [208, 416, 48001, 10081, 841]
    for count in NOTES_PRINTED:
        assert count.correct == reports[count.layer].parameters
        assert count.reason


def test_lenet_5_has_the_published_number_of_parameters():
    preset = PRESETS["lenet5"]

    assert sum(r.parameters for r in describe_stack(preset.input_shape, preset.layers)) == 61_706


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_built(name):
    preset = PRESETS[name]
    reports = describe_stack(preset.input_shape, preset.layers)
    model = build(preset.layers, preset.input_shape)

    assert preset.name == name
    assert reports[-1].shape == model.output_shape[1:] == (10,)
    assert model.count_params() == sum(report.parameters for report in reports)


@pytest.mark.parametrize(
    ("layers", "index", "message"),
    [
        # a filter that no longer fits after pooling
        (
            [StackLayer("pool_max", 8, 8), StackLayer("conv", 5, units=3)],
            1,
            r"Layer 2 \(CONV1\): the 5 x 5 filter is larger than its input, which is 4 x 4",
        ),
        # the same with padding that is not enough
        (
            [StackLayer("pool_max", 8, 8), StackLayer("conv", 9, padding=2, units=3)],
            1,
            "8 x 8 with its padding",
        ),
        ([StackLayer("pool_avg", 33, 1)], 0, r"\(POOL0\): the 33 x 33 window"),
        # numbers in a row have no height and width
        (
            [StackLayer("dense", units=9), StackLayer("pool_max", 2, 2)],
            1,
            "pooling needs a volume .* 9 numbers",
        ),
        ([StackLayer("flatten"), StackLayer("conv", 3, units=2)], 1, "a convolution needs a volume"),
        # values that mean nothing
        ([StackLayer("conv", 3, units=0)], 0, "at least one filter"),
        ([StackLayer("softmax")], 0, "at least one filter or unit"),
        ([StackLayer("conv", 0, units=1)], 0, "f and s must be at least 1"),
        ([StackLayer("pool_max", 2, 0)], 0, "f and s must be at least 1"),
        ([StackLayer("conv", 3, padding=-1, units=1)], 0, "padding must be"),
        ([StackLayer("conv", 3, padding="full", units=1)], 0, "padding must be"),
        ([StackLayer("pool_max", 2, 2, padding=1)], 0, "pooling takes valid or same"),
        ([StackLayer("dropout")], 0, "no kind of layer called 'dropout'"),
    ],
)
def test_an_impossible_stack_is_told_where_and_why(layers, index, message):
    with pytest.raises(StackError, match=message) as refused:
        describe_stack((32, 32, 3), layers)
    assert refused.value.layer_index == index


@pytest.mark.parametrize("shape", [(0, 32, 3), (32, 32), (32, 32, 3, 1)])
def test_an_input_that_is_no_volume_is_refused(shape):
    with pytest.raises(StackError, match="input must be") as refused:
        describe_stack(shape, NOTES_SCHEMATIC)
    assert refused.value.layer_index is None


def test_names_are_never_used_twice():
    names = layer_names(
        [
            StackLayer(kind)
            for kind in (
                "pool_max",
                "conv",
                "pool_max",
                "pool_avg",
                "flatten",
                "flatten",
                "softmax",
                "softmax",
            )
        ]
    )

    assert names == ("POOL0", "CONV1", "POOL1", "POOL1-2", "Flatten", "Flatten-2", "Softmax", "Softmax-2")


@many_examples
@given(stack=stacks())
def test_a_stack_survives_its_address(stack):
    text = to_json(*stack)

    assert from_json(text) == stack
    assert " " not in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not written in JSON"),
        ("[[8,8,1]", "not written in JSON"),
        ("[" * 5000, "not written in JSON"),
        ("{}", "list of lists"),
        ("[]", "list of lists"),
        ('[[8,8,1],"conv"]', "list of lists"),
        ("[[8,8]]", r"\[H, W, C\]"),
        ("[[8,8,0]]", "a number from 1 to"),
        ("[[8,8,true]]", "'True'"),
        ("[[8,8,1.5]]", "'1.5'"),
        ("[[8,8,1],[]]", "Layer 1 of the stack must begin with"),
        ('[[8,8,1],["lambda",1]]', "must begin with"),
        ('[[8,8,1],[["conv"]]]', "must begin with"),
        ('[[8,8,1],["conv",3]]', "must have 5 entries, received 2"),
        ('[[8,8,1],["dense",3,4]]', "must have 2 entries"),
        ('[[8,8,1],["conv",3,1,"full",4]]', "'full'"),
        ('[[8,8,1],["conv",3,1,-1,4]]', "'-1'"),
        ('[[8,8,1],["dense",1e9]]', "where a number"),
        ('[[8,8,1],["dense",' + "9" * 6000 + "]]", "not written in JSON"),
        (json.dumps([[8, 8, 1]] + [["flatten"]] * 65), "65 layers"),
        (" " * 20_000, "20,000 characters"),
    ],
)
def test_texts_that_are_no_stack_get_one_clear_sentence(text, message):
    with pytest.raises(StackFormatError, match=message) as refused:
        from_json(text)
    assert len(str(refused.value)) < 200


@many_examples
@given(
    rows=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["conv", "same", "dense", ""]),
        lambda inner: st.lists(inner, max_size=6),
        max_leaves=20,
    )
)
def test_any_json_is_a_stack_or_refused(rows):
    try:
        input_shape, layers = from_json(json.dumps(rows))
    except StackFormatError:
        return
    try:
        describe_stack(input_shape, layers)
    except StackError as error:
        assert str(error)
