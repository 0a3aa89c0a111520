"""Networks from the explorer and from files: a planted pattern is found, fields hold, and Grad-CAM reads logits."""

from __future__ import annotations

import numpy as np
import pytest

from core.architectures.export import keras_bytes
from core.interpretation import tasks
from core.interpretation.explored import flattened, output_tensors
from core.interpretation.maximisation import AscentSettings
from core.interpretation.subjects import open_subject
from core.interpretation.types import ExploredSubject

SIDE_PX = 48
PLANTED = {1: (12, 30), 3: (33, 6)}  # photograph: top left corner (row, column) of the pattern
KNOWN_UNIT = 2


def pattern() -> np.ndarray:
    """A pattern (5, 5, 3) of black and white."""
    return np.random.default_rng(8).integers(0, 2, (5, 5, 3)) * 255


def photographs() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    pictures = []
    for number in range(4):
        picture = rng.integers(100, 156, (SIDE_PX, SIDE_PX, 3)).astype(np.uint8)
        if number in PLANTED:
            row, column = PLANTED[number]
            strength = 1.0 if number == 1 else 0.6
            picture[row : row + 5, column : column + 5] = 128 + (pattern() - 127.5) * strength
        pictures.append(picture)
    return pictures


def network_with_a_known_unit(nested: bool = False, activation: str = "softmax", side: int | None = SIDE_PX):
    """A classifier whose first convolution's unit 2 answers to the pattern, and whose class 1 follows that unit."""
    import keras

    keras.utils.set_random_seed(1)
    inputs = keras.Input((side, side, 3), name="rgb")
    inner_input = keras.Input((None, None, 3), name="inner_rgb") if nested else inputs
    x = keras.layers.Rescaling(1 / 255, name="scale")(inner_input)
    x = keras.layers.Conv2D(4, 5, activation="relu", name="first")(x)
    if nested:
        x = keras.Model(inner_input, x, name="base")(inputs)
    x = keras.layers.MaxPooling2D(2, name="pool")(x)
    x = keras.layers.Conv2D(4, 1, activation="relu", name="second")(x)
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    outputs = keras.layers.Dense(1 if activation == "sigmoid" else 3, activation=activation, name="classes")(x)
    model = keras.Model(inputs, outputs, name="planted")
    first = model.get_layer("base").get_layer("first") if nested else model.get_layer("first")
    kernel, bias = first.get_weights()
    kernel[..., KNOWN_UNIT] = (pattern() - pattern().mean()) / 255
    bias[KNOWN_UNIT] = -float((kernel[..., KNOWN_UNIT] * 0.5).sum()) - 3.0
    first.set_weights([kernel, bias])
    model.get_layer("second").set_weights([np.eye(4, dtype=np.float32)[None, None], np.zeros(4, np.float32)])
    head, head_bias = model.get_layer("classes").get_weights()
    head[:] = 0.0
    head[KNOWN_UNIT, head.shape[1] - 2 if head.shape[1] > 1 else 0] = 5.0
    model.get_layer("classes").set_weights([head, head_bias])
    return model


@pytest.fixture(scope="module", params=[False, True], ids=["flat", "nested"])
def subject(request):
    return ExploredSubject(keras_bytes(network_with_a_known_unit(nested=request.param)))


def test_the_known_unit_of_a_file_picks_the_planted_pattern(subject):
    found = tasks.top_patches(subject, "first", [KNOWN_UNIT], photographs())
    first, second = found.units[0].patches[:2]
    assert (first.source, first.row, first.column) == (1, *PLANTED[1])
    assert (second.source, second.row, second.column) == (3, *PLANTED[3])
    assert first.pixels.shape == (5, 5, 3)
    np.testing.assert_array_equal(first.pixels, photographs()[1][12:17, 30:35])


def test_fields_of_a_file_are_what_the_explorer_says(subject):
    info = tasks.describe(subject)
    assert [layer.name for layer in info.layers] == ["first", "second"]
    assert (info.side_px, info.channels, info.left_out) == (SIDE_PX, 3, 0)
    assert info.layer("second").box(0, 1) == (2, 0, 8, 6)  # 5 + (2 - 1) pixels, two apart
    assert info.weights == "weights of the file" and info.multiply_adds > 0


def test_grad_cam_of_a_file_finds_the_pattern(subject):
    photograph = photographs()[1]
    answer = tasks.class_activation(subject, photograph, 1)
    row, column = np.unravel_index(answer.heat.argmax(), answer.heat.shape)
    assert answer.layer == "second" and (row, column) == (PLANTED[1][0] // 2, PLANTED[1][1] // 2)
    opened = open_subject(subject)
    assert opened.info.class_names == ("class 0", "class 1", "class 2")
    maps, logits = opened.outputs("second", opened.logits)(photograph[None].astype(np.float32))
    head = np.zeros(4)
    head[KNOWN_UNIT] = 5.0
    np.testing.assert_allclose(answer.heat, np.maximum(np.asarray(maps)[0] @ head, 0) / answer.heat.size, atol=1e-5)
    # The logits are those before the file's softmax.
    probabilities = np.asarray(opened.model(photograph[None].astype(np.float32)))[0]
    exponents = np.exp(np.asarray(logits)[0])
    np.testing.assert_allclose(exponents / exponents.sum(), probabilities, rtol=1e-5)


def test_the_known_unit_is_maximised_and_its_maps_are_read(subject):
    settings = AscentSettings(steps=12, jitter_px=0, spectrum=False, target="unit")
    made = tasks.maximise_unit(subject, "first", 0, settings)
    assert made.pixels.shape == (SIDE_PX, SIDE_PX, 3)
    seen, maps = tasks.feature_maps(subject, "first", photographs()[1])
    np.testing.assert_array_equal(seen, photographs()[1])
    assert np.unravel_index(maps[:, :, KNOWN_UNIT].argmax(), maps.shape[:2]) == PLANTED[1]


def test_a_sigmoid_of_one_class_and_an_open_size_are_taken():
    subject = ExploredSubject(keras_bytes(network_with_a_known_unit(activation="sigmoid", side=None)))
    info = tasks.describe(subject)
    assert info.side_px == 224 and info.class_names == ("class 0",)
    answer = tasks.class_activation(subject, photographs()[1])
    assert answer.class_id == 0 and 0.5 < answer.scores[0] < 1
    smaller = ExploredSubject(subject.network, input_shape=(64, 64, 3), class_names=("pattern",))
    assert tasks.describe(smaller).side_px == 64 and tasks.describe(smaller).class_names == ("pattern",)


def test_a_network_of_the_catalogue_has_fields_and_no_classes_to_look_for():
    subject = ExploredSubject("resnet20_cifar")
    info = tasks.describe(subject)
    assert info.name == "resnet20_cifar" and info.side_px == 32 and len(info.layers) > 20
    assert "random" in info.why_no_cam
    with pytest.raises(ValueError, match="random: its classes mean nothing"):
        tasks.class_activation(subject, photographs()[0])
    layer = info.layers[2]
    found = tasks.top_patches(subject, layer.name, range(layer.channels), photographs())
    patches = [patch for unit in found.units for patch in unit.patches]
    assert patches and {patch.pixels.shape for patch in patches} == {(layer.size_px, layer.size_px, 3)}


def test_a_network_of_grey_pictures_sees_them_grey():
    subject = ExploredSubject("lenet5")
    info = tasks.describe(subject)
    assert (info.channels, info.side_px) == (1, 32)
    seen, maps = tasks.feature_maps(subject, info.layers[0].name, photographs()[1])
    assert (seen[..., 0] == seen[..., 1]).all() and maps.shape[2] == info.layers[0].channels
    # The paper's range: white paper is -0.1.
    prepared = open_subject(subject).prepare(np.full((1, 2, 2, 3), 255.0, np.float32))
    np.testing.assert_allclose(prepared, np.full((1, 2, 2, 1), -0.1), atol=1e-6)
    for spectrum in (True, False):
        made = tasks.maximise_unit(subject, info.layers[0].name, 1, AscentSettings(steps=3, spectrum=spectrum))
        assert (made.pixels[..., 0] == made.pixels[..., 2]).all()


@pytest.mark.parametrize(
    ("values", "expected"), [("auto", 255.0), ("byte", 255.0), ("unit", 1.0), ("signed", 1.0)], ids=str
)
def test_pixel_values_are_as_chosen(subject, values, expected):
    chosen = ExploredSubject(subject.network, values=values)
    white = np.full((1, 2, 2, 3), 255.0, np.float32)
    assert float(np.max(open_subject(chosen).prepare(white))) == pytest.approx(expected)


def test_what_cannot_be_looked_into_is_a_sentence():
    import keras

    def file(shape, *kinds):
        made = {
            "dense": lambda: keras.layers.Dense(3, name="dense"),
            "flat": lambda: keras.layers.Flatten(name="flat"),
            "conv": lambda: keras.layers.Conv2D(2, 3, padding="same", name="conv"),
            "tall": lambda: keras.layers.Conv2D(2, (3, 1), name="tall"),
        }
        layers = [made[kind]() for kind in kinds]
        return ExploredSubject(keras_bytes(keras.Sequential([keras.Input(shape), *layers], name="odd")))

    with pytest.raises(ValueError, match="no grey or colour picture"):
        tasks.describe(file((10,), "dense"))
    with pytest.raises(ValueError, match="squares are looked into"):
        tasks.describe(file((12, 20, 3), "conv"))
    with pytest.raises(ValueError, match="no convolutional layer"):
        tasks.describe(file((8, 8, 3), "flat", "dense"))
    with pytest.raises(ValueError, match="not a .keras file"):
        tasks.describe(ExploredSubject(b"some bytes"))
    maps_only = tasks.describe(file((8, 8, 3), "conv"))
    assert "8x8x2 numbers" in maps_only.why_no_cam
    left_out = tasks.describe(file((8, 8, 3), "conv", "tall"))
    assert left_out.left_out == 1 and [layer.name for layer in left_out.layers] == ["conv"]


def test_a_network_with_two_answers_keeps_both_and_has_no_class_to_look_for():
    import keras

    inputs = keras.Input((None, None, 3), name="rgb")
    maps = keras.layers.Conv2D(2, 3, name="conv")(inputs)
    pooled = keras.layers.GlobalAveragePooling2D(name="average")(maps)
    both = keras.Model(inputs, [keras.layers.Dense(2, name="one")(pooled), keras.layers.Dense(3, name="two")(pooled)])
    assert len(flattened(both, 16, 3).outputs) == 2
    assert "gives 2 answers" in tasks.describe(ExploredSubject(keras_bytes(both), (16, 16, 3))).why_no_cam


def test_a_flattened_model_answers_as_the_nested_one():
    model = network_with_a_known_unit(nested=True)
    flat = flattened(model, SIDE_PX, 3)
    assert "first" in output_tensors(flat) and "base" not in output_tensors(flat)
    batch = np.random.default_rng(0).uniform(0, 255, (2, SIDE_PX, SIDE_PX, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(flat(batch)), np.asarray(model(batch)), rtol=1e-6)
