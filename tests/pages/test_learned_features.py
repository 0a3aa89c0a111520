"""The page on what a network learns: every view answers at first sight, on every kind of network."""

from __future__ import annotations

import pytest

from tests.pages.conftest import watch_jobs

FROM_EXPLORER = "From the explorer, or your own .keras file…"
FETCHED = "ImageNet, fetched"


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


def test_the_first_climb_begins_by_itself(open_page):
    page = open_page(
        "learned_features", features_view="Image for a unit", network=FROM_EXPLORER, net="LeNet-5", ascent_steps="24"
    )
    watch_jobs(page)
    assert {"Noise", "Best photograph", "This image"} <= {metric.label for metric in page.metric}
    assert any("An image for channel 3 of" in text.value and "LeNet-5" in text.value for text in page.caption)
    assert any("Climb again from noise" in button.label for button in page.button)


def test_a_network_that_cannot_be_fetched_is_a_sentence(open_page, monkeypatch):
    import keras

    def refuse(**_: object) -> None:
        raise Exception("URL fetch failure: no network")  # noqa: TRY002 (what Keras raises)

    monkeypatch.setattr(keras.applications, "MobileNetV2", refuse)
    page = open_page("learned_features", network=FROM_EXPLORER, net="keras.applications: MobileNetV2", weights=FETCHED)
    assert len(page.error) == 1
    assert "cannot be had now" in page.error[0].value


def test_a_small_network_of_the_explorer_answers_at_once(open_page):
    page = open_page("learned_features", network=FROM_EXPLORER, net="LeNet-5")
    assert not page.error
    assert any("nine strongest patches" in text.value for text in page.markdown)
    assert any("**LeNet-5** with random initialisation" in text.value for text in page.caption)


def test_a_large_network_of_the_explorer_searches_as_a_job(open_page, monkeypatch):
    from pages.parts.features import patches

    monkeypatch.setattr(patches, "AT_ONCE_MULTIPLY_ADDS", 1000)
    page = open_page("learned_features", network=FROM_EXPLORER, net="LeNet-5")
    assert not any("nine strongest patches" in text.value for text in page.markdown)
    page.button(key="patch_bundled").click().run()
    for _ in range(200):
        if any("nine strongest patches" in text.value for text in page.markdown):
            break
        page.run()
    assert any("nine strongest patches" in text.value for text in page.markdown)
    assert any("of LeNet-5, in the bundled photographs" in text.value for text in page.caption)


def test_grad_cam_of_random_weights_is_a_sentence(open_page):
    page = open_page("learned_features", features_view="Grad-CAM", cam_network=FROM_EXPLORER, net="LeNet-5")
    assert not page.error and not page.exception
    assert any("random: its classes mean nothing" in text.value for text in page.info)


@pytest.fixture(scope="module")
def model_file():
    import keras

    from core.architectures.export import keras_bytes

    keras.utils.set_random_seed(3)
    return keras_bytes(
        keras.Sequential(
            [
                keras.Input((48, 48, 3)),
                keras.layers.Rescaling(1 / 255, name="scale"),
                keras.layers.Conv2D(6, 5, activation="relu", name="mine"),
                keras.layers.GlobalAveragePooling2D(name="average"),
                keras.layers.Dense(2, activation="softmax", name="classes"),
            ],
            name="my_network",
        )
    )


@pytest.mark.parametrize(
    ("view", "said"),
    [
        ("Top patches", "**mine**: 6 channels of 44 × 44. A unit sees 5 × 5 px"),
        ("Feature maps", "**mine**: 6 channels of 44 × 44"),
        ("Image for a unit", "**mine**: 6 channels of 44 × 44"),
        ("Grad-CAM", "Answered by **my_network** with weights of the file"),
    ],
)
def test_every_view_takes_a_model_file(open_page, model_file, view, said):
    page = open_page(
        "learned_features",
        features_view=view,
        network=FROM_EXPLORER,
        cam_network=FROM_EXPLORER,
        net="Your own .keras file…",
        class_names="left, right",
    )
    assert any("Choose a file" in text.value for text in page.info)
    page.file_uploader(key="model_file").upload("mine.keras", model_file, "application/octet-stream").run()
    assert not page.error and not page.exception
    assert any(said in text.value for text in page.caption)
    if view == "Grad-CAM":
        assert any("**left**" in text.value or "**right**" in text.value for text in page.caption)


def test_a_file_that_is_no_model_is_refused_in_a_sentence(open_page):
    page = open_page("learned_features", network=FROM_EXPLORER, net="Your own .keras file…")
    page.file_uploader(key="model_file").upload("mine.keras", b"PK\x03\x04 nothing", "application/octet-stream").run()
    assert len(page.error) == 1 and "damaged" in page.error[0].value
