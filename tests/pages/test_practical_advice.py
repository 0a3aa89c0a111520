"""The page "Practical advice": five views open with a measured first look, run as jobs, stop, and their code runs."""

import numpy as np
import pytest

from core.training.experiments import snippets
from core.training.experiments.settings import (
    AugmentationSettings,
    EnsembleSettings,
    HogSettings,
    MultiCropSettings,
    TransferSettings,
)
from tests.pages.conftest import watch_jobs

PAGE = "practical_advice"
VIEWS = {
    "augmentation": "Augmentation",
    "hog": "Data or hand-engineering",
    "ensemble": "Ensemble",
    "crops": "Multi-crop",
}


def texts(app):
    elements = [*app.markdown, *app.caption, *app.info, *app.success, *app.warning]
    return "\n".join(element.value for element in elements)


def finish(app, key):
    app.button(key=f"{key}_start").click().run(timeout=120)
    watch_jobs(app)
    assert not app.exception and not app.error
    return app


def test_it_opens_with_a_measured_look_at_transfer(open_page):
    app = open_page(PAGE, transfer_data="Faces or not (200)")
    assert app.header[0].value == "Practical advice" and not [error.value for error in app.error]
    assert "**A first look**, measured now: 5 pictures of each of 2 classes" in texts(app)
    assert [metric.value.endswith("%") for metric in app.metric] == [True, True]
    assert "Features by the embedded" in texts(app)
    assert any("softmax" in latex.value for latex in app.latex)


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("augmentation", "What the network would see"),
        ("hog", "a linear SVM on a tenth of the labels (222 pictures)"),
        ("crops", "**Measure** trains a network on random crops of 70 %"),
    ],
)
def test_each_view_opens_with_something_real(open_page, view, words):
    app = open_page(PAGE, advice_view=VIEWS[view])
    assert not app.error and words in texts(app)


def test_an_ensemble_is_measured_as_a_job(open_page):
    app = open_page(
        PAGE,
        advice_view=VIEWS["ensemble"],
        ensemble_k="2",
        ensemble_steps="50",
        ensemble_seeds="1",
        ensemble_count="5",
    )
    assert "**A first look**" in texts(app) and "Network 3" in {metric.label for metric in app.metric}
    app = finish(app, "advice_ensemble")
    assert "1 ensemble of 2 on handwritten digits" in app.success[0].value
    assert "The mean of 2 networks is right" in app.success[0].value
    table = app.dataframe[0].value
    assert table["k"].tolist() == ["1", "2"]
    assert any(r"\frac{1}{2} (" in latex.value for latex in app.latex)


def test_hog_settings_come_from_the_link(open_page):
    app = open_page(PAGE, advice_view=VIEWS["hog"], hog_cell="16", hog_block="1", hog_orientations="6")
    # Pictures of 32 px have 2 x 2 cells of 16 px; one histogram of 6 directions each.
    assert any("= 24" in latex.value for latex in app.latex)


def test_a_block_that_does_not_fit_is_told_in_a_sentence(open_page):
    app = open_page(PAGE, advice_view=VIEWS["hog"], hog_cell="16", hog_block="3")
    assert "does not fit into pictures" in app.error[0].value and not app.exception


def run(code):
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102
    return names


def test_the_code_of_hog_is_the_same_by_hand():
    programs = snippets.hog_snippets(HogSettings())
    names = [run(programs[name]) for name in ("NumPy", "scikit-image, scikit-learn")]
    np.testing.assert_allclose(names[0]["features"], names[1]["features"], atol=1e-6)
    assert names[0]["result"].shape == (20, 10)
    np.testing.assert_allclose(names[0]["result"], names[1]["result"], atol=1e-3)


def test_the_code_of_ten_crops_is_the_same_everywhere():
    results = [np.asarray(run(code)["result"]) for code in snippets.crop_snippets(MultiCropSettings()).values()]
    assert results[0].shape == (10,) and results[0].sum() == pytest.approx(1)
    for one in results[1:]:
        np.testing.assert_allclose(one, results[0], atol=1e-5)


def test_the_code_of_an_ensemble_is_the_same_by_hand():
    settings = EnsembleSettings(members=2, per_class=5)
    by_hand, *others = (np.asarray(run(code)["result"]) for code in snippets.ensemble_snippets(settings).values())
    assert by_hand.shape == (4, 10) and len(others) == 2
    for one in others:
        np.testing.assert_allclose(one, by_hand, atol=1e-6)
    (trained,) = snippets.trained_ensemble(settings).values()
    assert 0.3 < run(trained)["result"] <= 1


@pytest.mark.parametrize(
    ("view", "key", "programs", "largest"),
    [("crops", "crops_code", 3, 1e-5), ("hog", "hog_code", 2, 1e-3), ("ensemble", "ensemble_code", 3, 1e-6)],
)
def test_the_code_can_be_run_and_compared(open_page, view, key, programs, largest):
    app = open_page(PAGE, advice_view=VIEWS[view])
    app.button(key=f"{key}_run").click().run(timeout=300)
    assert not app.exception and not app.error
    tables = [table.value for table in app.dataframe]
    (times,) = (table for table in tables if "Time (ms)" in table)
    (differences,) = (table for table in tables if "Largest difference" in table)
    assert len(times) == programs and (times["Time (ms)"] > 0).all()
    assert (differences["Largest difference"] <= largest).all()


def test_the_code_of_the_softmax_layer_learns():
    code = snippets.transfer_snippets(TransferSettings())["NumPy: the softmax layer"]
    assert run(code)["result"] > 0.85


def test_the_code_of_augmentation_runs():
    programs = snippets.augmentation_snippets(AugmentationSettings(per_class=5))
    assert run(programs["NumPy"])["result"].shape == (5, 8, 8)
    short = programs["Keras"].replace("epochs=20", "epochs=1")
    assert 0 <= run(short)["result"] <= 1


@pytest.mark.parametrize("name", ["Keras: frozen", "Keras: fine-tuned"])
def test_the_code_of_transfer_is_a_program(name):
    compile(snippets.transfer_snippets(TransferSettings())[name], name, "exec")
