"""Backbones cut in two: the parts together are the whole, and the frozen features are its averaged maps."""

import numpy as np
import pytest

from core.training.experiments import backbone as backbones
from core.training.experiments.settings import ExperimentError


@pytest.fixture(scope="module", params=backbones.available_backbones())
def loaded(request):
    chosen = backbones.BACKBONES[request.param]
    return chosen, backbones.load(chosen)


def test_the_detectors_backbone_is_always_here():
    assert backbones.YOLO in backbones.available_backbones()
    assert backbones.choose_backbone("auto").weights == backbones.available_backbones()[0]


def test_an_unknown_backbone_is_told():
    with pytest.raises(ExperimentError, match="'resnet' are not here; there are"):
        backbones.choose_backbone("resnet")


def test_the_parts_together_are_the_whole(loaded):
    chosen, network = loaded
    side = chosen.input_px
    pictures = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), np.uint8)
    whole = np.asarray(network(pictures.astype(np.float32), training=False))
    maps = backbones.answers(backbones.lower_part(chosen, network), pictures)
    random = np.random.default_rng(1)
    head = random.normal(size=(whole.shape[-1], 4)).astype(np.float32), random.normal(size=4).astype(np.float32)
    upper = backbones.upper_part(chosen, network, 4, head)
    expected = whole.mean(axis=(1, 2)) @ head[0] + head[1]
    np.testing.assert_allclose(np.asarray(upper(maps, training=False)), expected, rtol=1e-3, atol=1e-3)


def test_it_was_trained(loaded):
    """The maps of pictures differ, and not all channels are dead, as a random or wrongly filled network's might be."""
    chosen, network = loaded
    side = chosen.input_px
    ramp = np.tile(np.linspace(0, 255, side, dtype=np.uint8)[None, :, None], (side, 1, 3))
    pictures = np.stack([ramp, ramp[::-1].transpose(1, 0, 2)])
    features = backbones.answers(network, pictures).mean(axis=(1, 2))
    assert np.isfinite(features).all() and (features.std(axis=0) > 0).mean() > 0.3
