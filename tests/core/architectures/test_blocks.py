"""Blocks are what a person would draw a box around."""

from collections import Counter

import keras
import pytest

from core.architectures import catalog
from core.architectures.blocks import BlockInput, find_blocks
from core.architectures.building import build_without_weights
from core.architectures.summary import summarise_model


def blocks(name: str) -> list[str]:
    summary = summarise_model(build_without_weights(lambda: catalog.build(name)))
    return list(Counter(row.block for row in summary.layers))


def test_networks_of_the_catalogue() -> None:
    assert blocks("lenet5") == ["image", "c1", "s2", "c3", "s4", "c5", "f6", "output"]
    assert blocks("alexnet") == [
        *("image", "conv1", "conv2", "conv3", "conv4", "conv5"),
        *("flatten", "fc6", "fc7", "fc8"),
    ]
    assert blocks("vgg16") == [
        *("image", "block1", "block2", "block3", "block4", "block5", "flatten", "fc1", "fc2", "predictions")
    ]
    residual = [f"conv{s}_block{n}" for s, count in ((2, 3), (3, 4), (4, 6), (5, 3)) for n in range(1, count + 1)]
    assert blocks("resnet50") == ["image", "conv1", *residual, "avg_pool", "predictions"]
    assert [b for b in blocks("googlenet") if b.startswith("inception")] == [
        f"inception_{m}" for m in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
    ]


@pytest.mark.parametrize(
    ("name", "most"),
    [
        *(("InceptionV3", 18), ("MobileNetV2", 21), ("MobileNet", 17), ("EfficientNetB0", 24)),
        *(("NASNetMobile", 23), ("DenseNet121", 70), ("Xception", 18), ("ConvNeXtTiny", 26)),
    ],
)
def test_applications_have_few_blocks(name: str, most: int) -> None:
    found = blocks(name)
    assert 5 < len(found) <= most


def test_unnamed_branches_are_a_block_named_after_where_they_meet() -> None:
    inputs = keras.Input((8, 8, 3), name="in")
    x = keras.layers.Conv2D(4, 3, padding="same", name="x")(inputs)
    a = keras.layers.Conv2D(4, 1, name="a")(x)
    b = keras.layers.Conv2D(4, 3, padding="same", name="b")(x)
    y = keras.layers.Add(name="sum")([a, b])
    z = keras.layers.Dense(2, name="z")(keras.layers.Flatten(name="flat")(y))
    summary = summarise_model(keras.Model(inputs, z))
    found = {row.name: row.block for row in summary.layers}
    assert found == {"in": "in", "x": "x", "a": "sum", "b": "sum", "sum": "sum", "flat": "sum", "z": "z"}


def test_nested_models_are_blocks() -> None:
    nodes = [
        BlockInput("image", (), "InputLayer", False),
        BlockInput("conv2_block1_conv", (0,), "Conv2D", True, "backbone"),
        BlockInput("head_dense", (1,), "Dense", True),
    ]
    assert find_blocks(nodes) == ["image", "backbone", "head"]
