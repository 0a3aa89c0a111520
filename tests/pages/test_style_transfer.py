"""The style page: a picture at first sight, a transfer made and gone on from, the strip and the Gram matrices."""

import numpy as np

PAGE = "style_transfer"


def texts(app):
    return "\n".join(element.value for element in [*app.markdown, *app.caption, *app.info])


def formulas(app):
    return "\n".join(latex.value for latex in app.latex)


def test_it_opens_with_a_picture_made_at_once(open_page):
    app = open_page(PAGE)
    assert app.header[0].value == "Style transfer"
    assert not app.error
    assert "512 × 341 px, one pass of the embedded feed-forward network" in texts(app)


def test_strength_and_a_second_style_are_links(open_page):
    app = open_page(PAGE, style_strength="50", style_second="Mosaic", style_share="25", style_fast_size="256 px")
    assert app.slider(key="style_share").value == 25 and app.slider(key="style_strength").value == 50
    assert not app.error


def test_before_a_transfer_it_says_what_it_takes(open_page):
    app = open_page(PAGE, style_view="Step by step")
    assert "of memory" in texts(app) and "256 px" in texts(app)
    assert app.button(key="style_start")


def test_weights_that_leave_nothing_to_minimise_are_refused_in_a_sentence(open_page):
    app = open_page(PAGE, style_view="Step by step", style_beta="0", style_alpha="0", style_gamma="0")
    assert "nothing to minimise" in app.error[0].value


def test_a_transfer_is_made_and_gone_on_from(open_page):
    app = open_page(
        PAGE, style_view="Step by step", style_size="96 px", style_steps="20", style_network="Embedded, random weights"
    )
    app.button(key="style_start").click().run()
    assert not app.error and not app.exception
    for _ in range(200):
        if "evaluations in" in texts(app):
            break
        app.run()
    assert "20 evaluations in" in texts(app)
    assert app.button(key="style_resume")


def test_gram_matrices_come_with_the_cost_between_them(open_page):
    app = open_page(PAGE, style_view="Gram matrices", style_gram_layer="block1_conv1")
    assert not app.error
    assert r"J_{style}^{(l)}(S, C)" in formulas(app)


def test_a_network_that_is_not_here_says_how_to_get_it(open_page):
    app = open_page(PAGE, style_view="Step by step", style_network="VGG-19 (ImageNet)")
    assert "is not on this machine yet" in texts(app)
    assert app.button(key="style_fetch")


def test_gram_pictures_are_dark_where_nothing_answers():
    from core.style.tasks import gram_image

    picture = gram_image(np.diag([1.0, 0.0]).astype(np.float32), 1.0, 2)
    assert int(picture[0, 0].sum()) > int(picture[1, 1].sum())


def test_the_strip_opens_without_a_word_of_error(open_page):
    app = open_page(PAGE, style_view="Strip over β")
    assert not app.error and app.button(key="strip_start")
