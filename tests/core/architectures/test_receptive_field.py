"""Receptive fields against gradients: outside the field nothing reaches a unit, on its rim something does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from core.architectures import catalog
from core.architectures.building import build_without_weights
from core.architectures.catalog import CATALOG
from core.architectures.receptive_field import NoCommonFieldError, ReceptiveField, merge, pixel_field, slide
from core.architectures.summary import ModelSummary, summarise_model

LINEAR = {
    *("BatchNormalization", "LocalResponseNormalization", "ReLU", "ScaledTanh", "Softmax", "Dropout"),
    *("EuclideanRBF", "Activation", "Rescaling", "Normalization"),
}

# The side of the image for each network: larger than the fields of its last layers where that is still quick.
SIDES = {
    "lenet5": 32,
    "alexnet": 259,
    "vgg11": 192,
    "vgg16": 288,
    "vgg19": 128,
    "network_in_network": 64,
    "googlenet": 224,
    "resnet18": 512,
    "resnet34": 128,
    "resnet50": 544,
    "resnet20_cifar": 96,
    "resnet56_cifar": 272,
    "resnet110_cifar": 64,
}


class PassOn(keras.layers.Layer):
    """Gives back what it is given."""

    def call(self, inputs, mask=None, training=None):
        return inputs


def linear_twin(model: keras.Model, thin: bool) -> keras.Model:
    """The same windows, strides and branches, but linear with positive weights, so that no path cancels
    another.

    With `thin` each layer has two channels: the geometry stays, the cost goes.
    """

    def twin(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind, config = type(layer).__name__, layer.get_config()
        if kind in LINEAR:
            return PassOn(name=layer.name)
        if kind in ("Conv2D", "DepthwiseConv2D"):
            start = keras.initializers.Constant(1.0 / np.prod(layer.kernel_size))
            config |= {"activation": None, "use_bias": False}
            if kind == "Conv2D":
                config |= {"kernel_initializer": start, "filters": 2 if thin else layer.filters, "groups": 1}
            else:
                config |= {"depthwise_initializer": start}
            return type(layer)(**{k: v for k, v in config.items() if k not in ("bias_initializer",)})
        if kind == "Dense":
            return keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name=layer.name)
        if kind == "MaxPooling2D":
            return keras.layers.AveragePooling2D.from_config(config)
        if kind == "ConnectionTableConv2D":
            return type(layer)(layer.connections, layer.kernel_size, "ones", name=layer.name)
        if kind == "PaddedShortcut" and thin:
            config["channels"] = 2
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=twin)


def gradients_to_image(model: keras.Model, layers: list[str], image: tf.Tensor) -> dict[str, np.ndarray]:
    """For each layer the gradient (H, W) of its middle unit, summed over channels, to an image (1, H, W, C).

    The gradients to the image alone are computed, in a graph: those of filters of 1 x 1 pixels with stride
    2 and fewer than 16 channels crash TensorFlow 2.21 on a CPU.
    """
    outputs = [model.get_layer(name).output for name in layers]
    reader = keras.Model(model.inputs[0], outputs)

    @tf.function
    def run(pixels: tf.Tensor) -> list[tf.Tensor]:
        values = reader(pixels)
        values = values if isinstance(values, list) else [values]
        units = [tf.reduce_sum(v[0, v.shape[1] // 2, v.shape[2] // 2] if len(v.shape) == 4 else v[0]) for v in values]
        return [tf.gradients(unit, pixels)[0] for unit in units]

    return {name: np.abs(gradient.numpy()[0]).sum(axis=-1) for name, gradient in zip(layers, run(image), strict=True)}


def seen_pixels(model: keras.Model, layers: list[str], height: int, width: int) -> dict[str, np.ndarray]:
    """The same for an image of ones, which suits a linear twin."""
    return gradients_to_image(model, layers, tf.ones((1, height, width, model.inputs[0].shape[-1])))


def middle_unit(shape: tuple[int | None, ...]) -> tuple[int, int]:
    return (shape[0] // 2, shape[1] // 2) if len(shape) == 3 else (0, 0)


def assert_exact(gradient: np.ndarray, field: ReceptiveField, unit: tuple[int, int], name: str) -> None:
    rows, columns = (
        (max(start, 0), min(stop, length))
        for (start, stop), length in zip(field.window(unit), gradient.shape, strict=True)
    )
    outside = gradient.copy()
    outside[rows[0] : rows[1], columns[0] : columns[1]] = 0.0
    assert outside.max() == 0.0, f"{name}: something outside {rows} {columns} reaches the unit"
    inside = gradient[rows[0] : rows[1], columns[0] : columns[1]]
    for rim in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
        assert rim.max() > 0.0, f"{name}: nothing on a rim of {rows} {columns} reaches the unit"


def checked_layers(summary: ModelSummary, count: int) -> list[str]:
    """The last layers of up to `count` blocks spread over the network, and the very last."""
    last = {row.block: row.name for row in summary.layers if row.inbound}
    names = list(last.values())
    picked = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, count).astype(int))]
    return [*dict.fromkeys([*picked, summary.layers[-1].name])]


@pytest.mark.parametrize("name", CATALOG)
def test_fields_of_the_catalogue(name: str) -> None:
    entry = CATALOG[name]
    shape = (SIDES[name], SIDES[name], entry.input_shape[2])
    model = build_without_weights(lambda: catalog.build(name, shape))
    summary = summarise_model(model)
    layers = checked_layers(summary, 5)
    twin = linear_twin(model, thin=name != "lenet5")
    gradients = seen_pixels(twin, layers, SIDES[name], SIDES[name])
    for layer in layers:
        row = summary.layer(layer)
        assert row.receptive_field is not None, row.receptive_field_note
        assert_exact(gradients[layer], row.receptive_field, middle_unit(row.output_shape), layer)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lenet5", {"form": "dense_c3"}),
        ("alexnet", {"grouped": False}),
        ("googlenet", {"side_outputs": True}),
        ("resnet18", {"shortcuts": "A"}),
        ("resnet20_cifar", {"residual": False}),
    ],
)
def test_fields_of_the_options(name: str, options: dict) -> None:
    side = {"lenet5": 32, "alexnet": 131}.get(name, 96)  # sides that valid windows cover to the last pixel
    shape = (side, side, CATALOG[name].input_shape[2])
    model = build_without_weights(lambda: catalog.build(name, shape, options))
    summary = summarise_model(model)
    layers = checked_layers(summary, 5)
    gradients = seen_pixels(linear_twin(model, thin=True), layers, side, side)
    for layer in layers:
        row = summary.layer(layer)
        assert row.receptive_field is not None, row.receptive_field_note
        assert_exact(gradients[layer], row.receptive_field, middle_unit(row.output_shape), layer)


@pytest.mark.parametrize("seed", range(3))
def test_real_weights_see_nothing_outside_the_field(seed: int) -> None:
    # the networks as they are, with ReLU and max-pooling: the rim may be silent, the outside always is
    model = catalog.build("network_in_network", (48, 48, 3), seed=seed)
    summary = summarise_model(model)
    layers = [row.name for row in summary.layers if len(row.output_shape) == 3 and row.inbound]
    image = tf.constant(np.random.default_rng(seed).random((1, 48, 48, 3), dtype=np.float32))
    for name, gradient in gradients_to_image(model, layers, image).items():
        row = summary.layer(name)
        (top, bottom), (left, right) = row.receptive_field.window(middle_unit(row.output_shape))
        gradient[max(top, 0) : bottom, max(left, 0) : right] = 0.0
        assert gradient.max() == 0.0, name


@pytest.mark.parametrize("seed", range(8))
def test_fields_of_random_graphs(seed: int) -> None:
    # every window's size, stride, dilation and padding in turn, with two branches that meet again
    rng = np.random.default_rng(seed)
    side = int(rng.integers(40, 56))
    inputs = keras.Input((side, side + 5, 1), name="image")
    x = inputs
    for step in range(3):
        x = keras.layers.Conv2D(
            1,
            tuple(int(k) for k in rng.integers(1, 5, 2)),
            strides=int(rng.integers(1, 3)),
            padding=str(rng.choice(["same", "valid"])),
            name=f"conv{step}",
        )(x)
        if rng.random() < 0.5:
            margins = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (2, 2)))
            x = keras.layers.ZeroPadding2D(margins, name=f"pad{step}")(x)
        if rng.random() < 0.3:
            x = keras.layers.Cropping2D(((1, 0), (0, 1)), name=f"crop{step}")(x)
    left = keras.layers.DepthwiseConv2D(3, dilation_rate=2, padding="same", name="left")(x)
    right = keras.layers.MaxPooling2D(4, 1, padding="same", name="right")(x)
    x = keras.layers.Concatenate(name="join")([left, right])
    x = keras.layers.SeparableConv2D(2, 3, name="separable")(x)
    model = keras.Model(inputs, keras.layers.Add(name="end")([x, x]))
    summary = summarise_model(model)
    names = ["conv0", "conv1", "conv2", "left", "right", "join"]
    twin = linear_twin(keras.Model(inputs, model.get_layer("join").output), thin=False)
    for name, gradient in seen_pixels(twin, names, side, side + 5).items():
        row = summary.layer(name)
        assert_exact(gradient, row.receptive_field, middle_unit(row.output_shape), name)


def test_last_layers_are_counted_after_a_separable_convolution() -> None:
    inputs = keras.Input((20, 20, 2))
    x = keras.layers.SeparableConv2D(3, 5, padding="same")(inputs)
    summary = summarise_model(keras.Model(inputs, keras.layers.GlobalMaxPooling2D()(x)))
    assert summary.layers[1].receptive_field == ReceptiveField((5, 5), (1, 1), (-2, -2))
    assert summary.layers[2].receptive_field == ReceptiveField((24, 24), (0, 0), (-2, -2))


def test_squeeze_and_excitation_sees_the_whole_map() -> None:
    inputs = keras.Input((16, 16, 4))
    x = keras.layers.Conv2D(4, 3, padding="same", name="conv")(inputs)
    s = keras.layers.GlobalAveragePooling2D(name="squeeze")(x)
    s = keras.layers.Reshape((1, 1, 4), name="reshape")(s)
    s = keras.layers.Conv2D(4, 1, activation="sigmoid", name="excite")(s)
    model = keras.Model(inputs, keras.layers.Multiply(name="scale")([x, s]))
    field = summarise_model(model).layer("scale").receptive_field
    assert field == ReceptiveField((18, 18), (0, 0), (-1, -1))


def test_published_fields() -> None:
    # Araujo et al., 2019, table 1 (VGG-16: 212, ResNet-50: 483), and the numbers for AlexNet before conv6:
    # 195
    for name, layer, size in (
        ("vgg16", "block5_pool", 212),
        ("resnet50", "conv5_block3_out", 483),
        ("alexnet", "join5", 195),
    ):
        summary = summarise_model(build_without_weights(lambda name=name: catalog.build(name)))
        assert summary.layer(layer).receptive_field.size == (size, size)


def test_branches_of_different_strides_have_no_common_field() -> None:
    one = pixel_field(2)
    two = slide(one, (1, 1), (2, 2), (1, 1), (0, 0))
    with pytest.raises(NoCommonFieldError):
        merge([one, two], (8, 8))


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (keras.layers.UpSampling2D(), "after upsampling the field differs"),
        (keras.layers.Conv2DTranspose(2, 3, strides=2), "after upsampling the field differs"),
        (keras.layers.Permute((2, 1, 3)), "layers of type Permute have no rule"),
        (keras.layers.Resizing(9, 9), "layers of type Resizing have no rule"),
        (keras.layers.LayerNormalization(axis=1), "works along axis 1, which is not the channels"),
    ],
)
def test_fields_that_are_not_known_say_why(layer: keras.layers.Layer, reason: str) -> None:
    inputs = keras.Input((8, 8, 2))
    x = layer(inputs)
    summary = summarise_model(keras.Model(inputs, keras.layers.ReLU(name="after")(x)))
    assert summary.layers[1].receptive_field is None
    assert reason in summary.layers[1].receptive_field_note
    assert summary.layer("after").receptive_field_note == f"it follows {layer.name}, whose field is not known"
