"""The page on what a network learns: every view answers at first sight, on every kind of network."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("network", "name"),
    [("Embedded backbone (VGG-like)", "Embedded backbone"), ("Embedded YOLO detector", "Embedded detector")],
)
def test_top_patches_answer_at_once(open_page, network, name):
    page = open_page("learned_features", network=network)
    assert not page.exception
    assert any("nine strongest patches" in text.value for text in page.markdown)
    assert any(f"**{name}** with trained weights that come" in text.value for text in page.caption)


def test_grad_cam_says_what_it_looks_for(open_page):
    page = open_page(
        "learned_features",
        features_view="Grad-CAM",
        cam_network="Embedded backbone (VGG-like)",
        cam_class_embedded="garbage truck",
    )
    assert any("garbage truck" in text.value for text in page.caption)


def test_feature_maps_tile_the_layer(open_page):
    page = open_page("learned_features", features_view="Feature maps", layer_embedded="block2_conv1")
    assert any("block2_conv1" in text.value and "64 channels" in text.value for text in page.caption)


def test_the_climb_waits_for_the_button(open_page):
    page = open_page("learned_features", features_view="Image for a unit")
    assert any("Climb from noise" in button.label for button in page.button)


def test_a_network_that_cannot_be_fetched_is_a_sentence(open_page, monkeypatch):
    import keras

    def refuse(**_: object) -> None:
        raise Exception("URL fetch failure: no network")  # noqa: TRY002 (what Keras raises)

    monkeypatch.setattr(keras.applications, "MobileNetV2", refuse)
    page = open_page("learned_features", network="MobileNetV2, ImageNet (fetched)")
    assert len(page.error) == 1
    assert "cannot be had now" in page.error[0].value
