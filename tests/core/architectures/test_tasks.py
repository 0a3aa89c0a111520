"""The chapter's door runs in the engine's workers and takes plain arguments."""

import inspect
import typing

import pytest

from core.architectures import tasks


def test_networks_are_compared_side_by_side() -> None:
    compared = tasks.compare([("alexnet", {"grouped": False}), ("vgg16", {}), ("googlenet", {}), ("MobileNetV2", {})])
    assert [network.label for network in compared] == ["AlexNet", "VGG-16", "GoogLeNet", "MobileNetV2"]
    assert [network.summary.parameters for network in compared] == [62_378_344, 138_357_544, 6_998_552, 3_538_984]
    assert compared[0].entry.errors[0].percent == 40.7 and compared[3].entry is None
    for count in (1, 5):
        with pytest.raises(ValueError, match=f"Two to 4 networks are compared; got {count}"):
            tasks.compare([("lenet5", {})] * count)


def test_a_network_at_another_size() -> None:
    small = tasks.summarise("vgg16", input_shape=(64, 64, 3))
    assert small.input_shape == (64, 64, 3) and small.layer("block5_pool").output_shape == (2, 2, 512)


def test_every_task_is_annotated_and_explained() -> None:
    functions = [f for _, f in inspect.getmembers(tasks, inspect.isfunction) if f.__module__ == tasks.__name__]
    assert len(functions) >= 11
    for function in functions:
        assert function.__doc__ and "return" in typing.get_type_hints(function)
