"""The page "Training lab": it opens, trains as a job, shows what came out, and says what went wrong."""

import pytest

from core.runtime.report import JobCancelled, Report
from core.training import tasks
from core.training.runs import TrainingSettings
from tests.pages.conftest import watch_jobs

PAGE = "training_lab"


def texts(app):
    return "\n".join(element.value for element in [*app.markdown, *app.caption, *app.info, *app.success])


def train(app):
    app.button(key="lab_start").click().run(timeout=120)
    watch_jobs(app)
    assert not app.exception
    return app


def test_it_opens_with_the_pictures_and_the_cost(open_page):
    app = open_page(PAGE)
    assert app.header[0].value == "Training lab" and not app.error
    assert "**1,318** pictures to learn from" in texts(app) and "**359**" in texts(app)
    assert any(r"\frac{1}{m} \sum_{i=1}^{m}" in latex.value for latex in app.latex)


def test_settings_of_a_link(open_page):
    app = open_page(PAGE, lab_data="Drawn shapes (3,000)", lab_network="Small VGG", lab_epochs="3", lab_rate="0.01")
    assert "**2,202** pictures to learn from" in texts(app) and "**600** to test it once" in texts(app)
    assert app.selectbox(key="lab_network").value == "small_vgg" and app.slider(key="lab_epochs").value == 3
    assert any("0.01" in latex.value for latex in app.latex)


def test_a_run_is_shown_whole_kept_compared_renamed_and_deleted(open_page):
    app = train(open_page(PAGE, lab_epochs="2"))
    assert not app.error and "of 359 test pictures rightly" in app.success[0].value
    assert "61,706 parameters, 2 epochs" in app.success[0].value
    assert any(r"\frac{1}{1{,}318}" in latex.value for latex in app.latex)
    app.segmented_control(key="lab_view").set_value("runs").run(timeout=120)
    assert not app.exception and not app.error
    table = app.dataframe[0].value
    assert table["State"].tolist()[0] == "done" and table["Epochs"].tolist()[0] == "2 of 2"
    assert len(app.multiselect(key="lab_compared").value) >= 1
    assert "of 359 test pictures rightly" in app.success[0].value
    run_id = app.selectbox(key="lab_run").value
    app.text_input(key=f"lab_name_{run_id}").set_value("my  first run").run(timeout=120)
    assert app.dataframe[0].value["Run"].tolist()[0] == "my first run"
    before = len(app.dataframe[0].value)
    app.button(key="lab_delete_sure").click().run(timeout=120)
    assert not app.exception
    assert before == 1 or len(app.dataframe[0].value) == before - 1


def test_a_rate_that_is_too_large_is_told_in_a_sentence(open_page):
    app = train(open_page(PAGE, lab_epochs="3", lab_rate="1000.0", lab_optimizer="Gradient descent"))
    assert "the learning rate 1000 is too large" in app.error[0].value


def test_a_stack_of_the_page_on_shapes(open_page):
    stack = "conv-5-1-valid-8_max-2-2_fc-32_softmax-10"
    app = open_page(PAGE, lab_network="Stacked by you", lab_stack=stack)
    assert not app.error and "Your network has" in texts(app)
    app = open_page(PAGE, lab_network="Stacked by you", lab_stack="conv-99-1-valid-8")
    assert "larger than its input" in app.error[0].value and "On pictures of 32 x 32 x 1" in app.error[0].value
    app = open_page(PAGE, lab_network="Stacked by you", lab_stack="magic-3")
    assert "is no layer" in app.error[0].value and app.button(key="lab_start").disabled


def test_the_preview_shows_each_change_alone_and_all_together(open_page):
    app = open_page(PAGE, lab_view="Augmentation", lab_shift="2", lab_flip="true", lab_colour="0", lab_zoom="0")
    shown = texts(app)
    assert "**Moved by up to 2 px**" in shown and "**Mirrored, every second one**" in shown
    assert "**All together**" in shown and ":gray-badge[off]" in shown
    app.segmented_control(key="lab_preview_source").set_value("a picture of my own").run(timeout=120)
    assert not app.exception and not app.error


def test_a_zip_is_asked_for_before_training(open_page):
    app = open_page(PAGE, lab_data="Your own, as a zip…")
    assert app.button(key="lab_start").disabled and "a folder for each class" in texts(app)
    assert not app.exception


class StopsAfterAnEpoch(Report):
    """Ends the training as a cancelled job does."""

    def __call__(self, fraction=None, message="", metrics=None, preview=None):
        if metrics and "val_accuracy" in metrics:
            raise JobCancelled


def test_a_stopped_run_is_offered_and_goes_on(open_page):
    with pytest.raises(JobCancelled):
        tasks.train_classifier("digits", TrainingSettings(epochs=3), report=StopsAfterAnEpoch())
    app = open_page(PAGE)
    assert "was stopped after 1 of 3 epochs" in texts(app)
    app.button(key="lab_go_on").click().run(timeout=120)
    watch_jobs(app)
    assert not app.exception and "61,706 parameters, 3 epochs" in app.success[0].value
    assert "was stopped after" not in texts(app)
