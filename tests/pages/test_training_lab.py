"""The page "Training lab": it opens, trains as a job, shows what came out, and says what went wrong."""

import time

PAGE = "training_lab"


def texts(app):
    return "\n".join(element.value for element in [*app.markdown, *app.caption, *app.info, *app.success])


def train(app):
    app.button(key="lab_start").click().run(timeout=120)
    deadline = time.monotonic() + 400
    while not (app.success or app.error) and time.monotonic() < deadline:
        time.sleep(0.5)
        app.run(timeout=120)
    assert not app.exception
    return app


def test_it_opens_with_the_pictures_and_the_cost(open_page):
    app = open_page(PAGE)
    assert app.header[0].value == "Training lab" and not app.error
    assert "**1,318** pictures to learn from" in texts(app) and "**359**" in texts(app)
    assert any("0.002" in latex.value for latex in app.latex)


def test_settings_of_a_link(open_page):
    app = open_page(PAGE, lab_data="Drawn shapes (3,000)", lab_network="Small VGG", lab_epochs="3", lab_rate="0.01")
    assert "**2,202** pictures to learn from" in texts(app) and "**600** that are shown" in texts(app)
    assert app.selectbox(key="lab_network").value == "small_vgg" and app.slider(key="lab_epochs").value == 3
    assert any("0.01" in latex.value for latex in app.latex)


def test_a_run_is_shown_whole(open_page):
    app = train(open_page(PAGE, lab_epochs="2"))
    assert not app.error and "of 359 test pictures rightly" in app.success[0].value
    assert "61,706 parameters, 2 epochs" in app.success[0].value
    assert any(r"\frac{1}{1{,}318}" in latex.value for latex in app.latex)


def test_a_rate_that_is_too_large_is_told_in_a_sentence(open_page):
    app = train(open_page(PAGE, lab_epochs="3", lab_rate="1000.0", lab_optimizer="Gradient descent"))
    assert "the learning rate 1000 is too large" in app.error[0].value
