"""The page "Residual networks": its blocks, the zeroed block, gradients and training, links, and code that runs."""

import pytest

from pages.parts.residual.blocks import block_snippets
from pages.parts.residual.gradients import gradient_snippets
from pages.parts.residual.identity import zeroed_snippets
from tests.pages.conftest import watch_jobs

PAGE = "residual_networks"


def texts(app):
    elements = [*app.markdown, *app.caption, *app.info, *app.success, *app.warning]
    return "\n".join(element.value for element in elements)


def run(code):
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102
    return names


def test_it_opens_with_the_gradients_at_the_start(open_page):
    app = open_page(PAGE)
    assert app.header[0].value == "Residual networks"
    assert not app.error
    assert "At the start, **8 layers**" in texts(app)


def test_deep_networks_wait_for_the_button(open_page):
    app = open_page(PAGE, start_depth="110")
    assert not app.error and "Two networks of 110 layers" in app.info[0].value


def test_both_networks_train_on_the_same_batches_as_a_job(open_page):
    app = open_page(PAGE, residual_view="Train side by side", flow_depth="8", flow_steps="50", flow_batch="8")
    assert "**8 layers**" in texts(app) and "**50 steps**" in texts(app)
    app.button(key="flow_start").click().run(timeout=120)
    watch_jobs(app)
    assert not app.exception and not app.error
    assert "8 layers, 50 steps" in app.success[0].value


def test_both_blocks_have_the_shapes_of_resnet_18(open_page):
    app = open_page(PAGE, residual_view="Blocks")
    assert "**Convolution block** · conv3_block1" in texts(app)
    assert "**Identity block** · conv3_block2" in texts(app)
    table = app.dataframe[0].value
    assert table["Output"].tolist()[0] == "56 × 56 × 64"
    # 3 * 3 * 64 * 128 weights and 4 * 128 numbers of the normalisation.
    assert table["Parameters"].tolist()[1] == 9 * 64 * 128 + 4 * 128
    assert table["Where"].tolist().count("shortcut") == 1


def test_the_shapes_follow_the_image_in_the_link(open_page):
    app = open_page(PAGE, residual_view="Blocks", block_side="64", block_stage="conv2")
    assert set(app.dataframe[0].value["Output"]) == {"16 × 16 × 64"}
    assert "w_s" not in "".join(latex.value for latex in app.latex)


def test_a_zeroed_block_is_the_identity_and_a_plain_one_is_nothing(open_page):
    app = open_page(PAGE, residual_view="A zeroed block", zero_width="8", zero_side="6")
    assert not app.error
    residual, plain, negative = (float(metric.value) for metric in app.metric)
    assert residual == 0 and plain == 0 and negative > 1
    assert "exactly the identity" in app.success[0].value


@pytest.mark.parametrize("library", ["NumPy", "TensorFlow", "Keras"])
def test_the_code_of_the_zeroed_block_finds_no_difference(library):
    assert run(zeroed_snippets(6, 4)[library])["result"] == 0


@pytest.mark.parametrize("library", ["TensorFlow", "Keras"])
def test_the_code_of_the_block_keeps_the_shape(library):
    assert tuple(run(block_snippets((8, 8, 4), 4)[library])["result"].shape) == (1, 8, 8, 4)


def test_the_code_of_the_gradients_shows_that_the_plain_one_fades():
    result = run(gradient_snippets(18, "glorot_uniform")["Keras"])["result"]
    assert 0 < result["plain"] < result["residual"]
