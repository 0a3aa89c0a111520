import numpy as np
import pytest

from core.detection.grid import cell_centres
from core.detection.yolo import build_backbone, build_classifier, build_detector


@pytest.fixture(scope="module")
def network():
    return build_detector(11)


def test_cardinality_one_row_for_each_cell(network):
    for height, width in ((64, 64), (96, 64)):
        rows = network(np.zeros((2, height, width, 3), np.float32), training=False)
        assert rows.shape == (2, height * width // 64 + height * width // 256 + height * width // 1024, 15)
        assert len(cell_centres(height, width)) == rows.shape[1]


def test_a_fresh_network_sees_nothing(network):
    image = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    scores = 1 / (1 + np.exp(-np.asarray(network(image, training=False))[..., 4:]))
    assert scores.max() < 0.1


def test_every_layer_bears_a_name_of_ours(network):
    import re

    names = [layer.name for layer in network.layers]
    assert len(set(names)) == len(names)
    assert not [n for n in names if re.fullmatch(r"(conv2d|batch_normalization|activation|add|concatenate)(_\d+)?", n)]


def test_small_enough_for_a_processor(network):
    assert 2.5e6 < network.count_params() < 3.2e6


def test_backbone_layers_are_found_in_the_detector_and_the_classifier(network):
    classifier = build_classifier({"photographs": 10})
    for layer in build_backbone().layers:
        for other in (network, classifier):
            shapes = [w.shape for w in other.get_layer(layer.name).get_weights()]
            assert shapes == [w.shape for w in layer.get_weights()]


def test_rows_lie_where_cell_centres_says(network):
    """A change in one corner of the image moves the outputs of the fine cells there most."""
    image = np.full((1, 128, 128, 3), 114, np.float32)
    changed = image.copy()
    changed[0, 96:, :32] = np.random.default_rng(1).uniform(0, 255, (32, 32, 3))
    moved = np.abs(np.asarray(network(changed, training=False) - network(image, training=False)))[0].sum(axis=1)
    cells = cell_centres(128, 128)
    fine = cells[:, 2] == 8
    corner = (cells[:, 0] < 32) & (cells[:, 1] > 96)
    assert moved[fine & corner].mean() > 3 * moved[fine & ~corner].mean()


@pytest.mark.parametrize("size", [(0, 32), (33, 64), (-32, 32)])
def test_exception_sides_that_are_no_multiples(size):
    with pytest.raises(ValueError, match="multiples of 32"):
        cell_centres(*size)


def test_exception_no_class():
    with pytest.raises(ValueError, match="at least one class"):
        build_detector(0)
