"""The summary against TensorFlow's profiler and Keras' own counts, its exports, and the command."""

import csv
import io
import json
import subprocess
import sys

import keras
import pytest
import tensorflow as tf

from core.architectures import catalog
from core.architectures.building import build_without_weights
from core.architectures.catalog import CATALOG
from core.architectures.graph import UnreadableModelError
from core.architectures.summary import CSV_COLUMNS, summarise_model
from core.architectures.summary_command import main, parse_input_shape

APPLICATIONS_TO_COUNT = (
    "MobileNetV2",
    "EfficientNetB0",
    "Xception",
    "DenseNet121",
    "InceptionV3",
    "MobileNetV3Small",
)
PRODUCTS = {"Conv2D", "MatMul", "DepthwiseConv2dNative"}


def profiled_operations(model: keras.Model) -> dict[str, int]:
    """Float operations of one image by type, as TensorFlow counts them in the traced graph.

    The weights are arguments of the graph, so that nothing is allocated and no initialiser is counted.
    """

    def forward(trainable: list, other: list, image: tf.Tensor) -> tf.Tensor:
        return model.stateless_call(trainable, other, image, training=False)[0]

    def spec(variable: keras.Variable) -> tf.TensorSpec:
        return tf.TensorSpec(tuple(variable.shape), variable.dtype)

    graph = (
        tf.function(forward)
        .get_concrete_function(
            [spec(v) for v in model.trainable_variables],
            [spec(v) for v in model.non_trainable_variables],
            tf.TensorSpec((1, *model.inputs[0].shape[1:])),
        )
        .graph
    )
    options = tf.compat.v1.profiler.ProfileOptionBuilder(tf.compat.v1.profiler.ProfileOptionBuilder.float_operation())
    profile = tf.compat.v1.profiler.profile(graph, cmd="op", options=options.with_empty_output().build())
    counts: dict[str, int] = {}
    stack = [profile]
    while stack:
        node = stack.pop()
        counts[node.name] = node.float_ops
        stack.extend(node.children)
    return counts


@pytest.mark.parametrize("name", [*CATALOG, *APPLICATIONS_TO_COUNT])
def test_multiply_adds_agree_with_the_profiler(name: str) -> None:
    small = {"alexnet": (131, 131, 3), "lenet5": None}.get(name, (96, 96, 3))
    model = build_without_weights(lambda: catalog.build(name, small))
    summary = summarise_model(model)
    assert summary.uncounted_layers == ()
    counts = profiled_operations(model)
    ours = summary.multiply_adds
    if name == "lenet5":
        ours -= summary.layer("output").multiply_adds  # squared distances are no products of a matrix
    # a multiply-add is two operations
    assert sum(counts.get(kind, 0) for kind in PRODUCTS) / 2 == pytest.approx(ours, rel=1e-9)


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "googlenet", "resnet50", "network_in_network"])
def test_all_operations_are_within_two_percent(name: str) -> None:
    # biases, activations, pooling and normalisation, which papers do not count, are under 2 % of the whole
    model = build_without_weights(lambda: catalog.build(name))
    counts = profiled_operations(model)
    assert summarise_model(model).multiply_adds == pytest.approx(sum(counts.values()) / 2, rel=0.02)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (keras.layers.Conv1D(6, 3, strides=2, padding="same"), (17, 4)),
        (keras.layers.Conv2D(6, (3, 2), strides=(2, 3), padding="valid"), (17, 15, 4)),
        (keras.layers.Conv3D(2, 3, padding="same"), (5, 6, 7, 2)),
        (keras.layers.SeparableConv2D(5, 3, depth_multiplier=2), (9, 9, 3)),
        (keras.layers.DepthwiseConv2D(3, depth_multiplier=3), (9, 9, 3)),
        (keras.layers.Dense(7), (4, 5, 6)),
    ],
)
def test_single_layers_agree_with_the_profiler(layer: keras.layers.Layer, shape: tuple) -> None:
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layer(inputs))
    counts = profiled_operations(model)
    products = PRODUCTS | {"Conv3D"}
    summary = summarise_model(model)
    assert summary.multiply_adds == sum(counts.get(kind, 0) for kind in products) / 2 > 0
    assert summary.parameters == model.count_params()


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_grouped_convolutions_cost_a_share(groups: int) -> None:
    inputs = keras.Input((10, 10, 8))
    summary = summarise_model(keras.Model(inputs, keras.layers.Conv2D(12, 3, groups=groups)(inputs)))
    assert summary.multiply_adds == 8 * 8 * 9 * (8 // groups) * 12


def test_a_dilated_convolution_costs_as_many_products_as_it_has_outputs() -> None:
    # TensorFlow runs it on a rearranged, padded image and counts the padding too
    inputs = keras.Input((17, 15, 4))
    model = keras.Model(inputs, keras.layers.Conv2D(6, (3, 2), dilation_rate=2)(inputs))
    assert summarise_model(model).multiply_adds == 13 * 13 * 6 * (3 * 2 * 4)


def test_a_transposed_convolution_costs_what_the_convolution_back_costs() -> None:
    inputs = keras.Input((5, 5, 3))
    up = keras.Model(inputs, keras.layers.Conv2DTranspose(4, 2, strides=2)(inputs))
    back = keras.Input((10, 10, 4))
    down = keras.Model(back, keras.layers.Conv2D(3, 2, strides=2)(back))
    assert summarise_model(up).multiply_adds == summarise_model(down).multiply_adds


def test_parameters_of_applications_are_keras_own() -> None:
    for name in ("MobileNetV3Small", "EfficientNetB0", "DenseNet121", "ConvNeXtTiny"):
        model = build_without_weights(lambda name=name: catalog.build(name))
        summary = summarise_model(model)
        assert summary.parameters == model.count_params()
        trainable = sum(int(tf.TensorShape(w.shape).num_elements()) for w in model.trainable_weights)
        assert summary.trainable_parameters == trainable


def test_activation_memory_is_that_of_the_outputs() -> None:
    model = catalog.build("lenet5", options={"form": "dense_c3"})
    values = keras.Model(model.inputs[0], [layer.output for layer in model.layers])(tf.zeros((1, 32, 32, 1)))
    assert summarise_model(model).activation_bytes == sum(value.numpy().nbytes for value in values)


def test_shared_layers_are_counted_once_and_run_twice() -> None:
    inputs = keras.Input((8, 8, 3))
    conv = keras.layers.Conv2D(3, 3, padding="same", name="conv")
    summary = summarise_model(keras.Model(inputs, conv(conv(inputs))))
    assert [row.name for row in summary.layers[1:]] == ["conv", "conv (2)"]
    assert summary.parameters == 84 and summary.multiply_adds == 2 * 64 * 9 * 9
    assert summary.layers[2].receptive_field.size == (5, 5)


def test_models_inside_models_are_opened() -> None:
    inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="a")], name="inner")
    inputs = keras.Input((8, 8, 3), name="image")
    model = keras.Model(inputs, keras.layers.Flatten(name="flat")(inner(inputs)), name="outer")
    summary = summarise_model(model)
    assert [(row.name, row.block) for row in summary.layers] == [
        ("image", "image"),
        ("a", "inner"),
        ("flat", "flat"),
    ]
    assert summary.layer("a").inbound == ("image",) and summary.layer("flat").inbound == ("a",)


def test_operations_of_keras_ops_stand_in_the_list() -> None:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(3, 3, padding="same")(inputs)
    model = keras.Model(inputs, keras.ops.relu(x + inputs))
    assert [row.type for row in summarise_model(model).layers] == ["InputLayer", "Conv2D", "Add", "Relu"]
    assert summarise_model(model).layers[-1].receptive_field.size == (3, 3)


def test_layers_without_a_rule_give_a_reason_instead_of_a_number() -> None:
    inputs = keras.Input((16, 8))
    x = keras.layers.MultiHeadAttention(2, 4, name="attention")(inputs, inputs)
    summary = summarise_model(keras.Model(inputs, keras.layers.Dense(3)(x)))
    row = summary.layer("attention")
    assert row.multiply_adds is None and "MultiHeadAttention are not counted" in row.multiply_adds_note
    assert row.receptive_field is None and row.parameters > 0
    assert summary.uncounted_layers == ("attention",)
    assert summary.multiply_adds == 16 * 8 * 3


def test_an_open_input_size_leaves_numbers_open() -> None:
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, padding="valid", name="conv")(inputs)
    row = summarise_model(keras.Model(inputs, x)).layer("conv")
    assert row.multiply_adds is None and "not fixed" in row.multiply_adds_note
    assert row.activation_bytes is None and row.receptive_field.size == (3, 3)


def test_models_without_a_graph_are_refused() -> None:
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(UnreadableModelError, match="neither Functional nor Sequential"):
        summarise_model(Own())
    with pytest.raises(UnreadableModelError, match="has not been built"):
        summarise_model(keras.Sequential([keras.layers.Dense(2)]))


def test_csv_and_json_hold_the_same() -> None:
    summary = summarise_model(build_without_weights(lambda: catalog.build("resnet18")))
    rows = list(csv.DictReader(io.StringIO(summary.to_csv())))
    data = json.loads(summary.to_json())
    assert tuple(rows[0]) == CSV_COLUMNS
    assert len(rows) == len(data["layers"]) == len(summary.layers)
    assert sum(int(row["parameters"]) for row in rows) == data["parameters"] == summary.parameters
    assert sum(int(row["multiply_adds"]) for row in rows) == data["multiply_adds"]
    last = next(row for row in rows if row["layer"] == "conv5_block2_out")
    assert (last["field_size"], last["field_stride"], last["field_offset"]) == (
        "435 435",
        "32 32",
        "-217 -217",
    )
    assert last["inbound"] == "conv5_block2_add" and last["block"] == "conv5_block2"
    assert data["layers"][1]["receptive_field"] == {"size": [1, 1], "stride": [1, 1], "offset": [-3, -3]}


def test_the_layer_of_a_name() -> None:
    summary = summarise_model(build_without_weights(lambda: catalog.build("lenet5")))
    assert summary.layer("c3").trainable_parameters == 1516
    with pytest.raises(ValueError, match="has no layer 'c9'"):
        summary.layer("c9")


def test_command_prints_json() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "core.architectures.summary", "vgg16", "--input", "64x64x3", "--json"],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    data = json.loads(done.stdout)
    assert data["input_shape"] == [64, 64, 3] and data["name"] == "VGG-16"
    assert done.stderr == ""


def test_command_prints_a_table_and_csv(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alexnet", "--option", "grouped=false"]) == 0
    assert "62,378,344 parameters" in capsys.readouterr().out
    assert main(["lenet5", "--csv"]) == 0
    assert capsys.readouterr().out.startswith("layer,type,block,output_shape")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["vgg17"], "There is no network 'vgg17'"),
        (["vgg16", "--input", "224"], "An input shape is written as 224x224x3"),
        (["vgg16", "--input", "0x4x3"], "An input shape is written as 224x224x3"),
        (["vgg16", "--input", "8x8x3"], "VGG-16 needs an image of at least 32 x 32 pixels"),
        (["alexnet", "--option", "grouped=perhaps"], "'grouped=perhaps' is no option of alexnet"),
        (["ResNet50", "--option", "x=1"], "ResNet50 has no options."),
        (["ResNet50", "--input", "16x16x3"], "ResNet50 cannot be built for an input of 16x16x3"),
        (["nowhere/model.keras"], "nowhere/model.keras cannot be read: No such file or directory."),
        (["lenet5", "--json", "--csv"], "Argument --csv: not allowed with argument --json."),
        ([], "The following arguments are required: NAME."),
    ],
)
def test_command_says_what_is_wrong_in_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(arguments)
    except SystemExit as end:
        code = end.code
    printed = capsys.readouterr()
    assert code == 2 and printed.out == ""
    assert printed.err.startswith(sentence) and printed.err.count("\n") == 1


def test_input_shapes_are_read() -> None:
    assert parse_input_shape("227X227x3") == (227, 227, 3)
