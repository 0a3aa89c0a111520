"""The page on region proposals: first sight of the search, sliders, boxes, and the views that need the networks."""

import threading
import time

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.detection import region_tasks
from core.detection.predictions import NetworkAnswer
from core.detection.rcnn.results import FormAnswer, StageTime
from core.detection.region_tasks import SharedFeatures
from core.runtime.samples import load_sample
from pages.parts.kept_jobs import kept
from pages.parts.regions.roi import WAYS
from tests.pages.conftest import watch_jobs

PAGE = "region_proposals"


def texts(app: AppTest) -> str:
    return "\n".join(element.value for element in [*app.markdown, *app.caption, *app.info])


def finished(app: AppTest) -> AppTest:
    """The page when the jobs that began with it are done."""
    while any(button.label == "Stop" for button in app.button):
        watch_jobs(app)
    assert not app.exception, [problem.value for problem in app.exception]
    return app


def metric(app: AppTest, label: str) -> str:
    return next(element.value for element in app.metric if element.label == label)


def captions(app: AppTest) -> list[str]:
    """What stands under the pictures."""
    return [entry.caption for element in app.get("image") for entry in element.proto.imgs]


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch):
    """The networks replaced by answers that are known."""

    def answer(form: str, image: np.ndarray, *stages: StageTime) -> FormAnswer:
        size = (image.shape[1], image.shape[0])
        boxes = np.array([[10, 10, 200, 150]], np.float32)
        scores = np.array([[0.1, 0.8]], np.float32)
        return FormAnswer(form, NetworkAnswer(boxes, scores, size, ("person", "motorcycle"), "made"), boxes, stages)

    def quick_forms(image, most, pooling, found, report):
        report(0.5, "Loading")
        search, backbone = StageTime("selective search", 400.0), StageTime("backbone, once", 20.0)
        regions = StageTime("regions classified", 30.0)
        return (
            answer("fast_rcnn", image, search, backbone, regions),
            answer("faster_rcnn", image, backbone, StageTime("proposals by the network", 9.0), regions),
            answer("embedded", image, StageTime("one pass", 20.0)),
        )

    def crop_form(image, sha256, most, found, report):
        report(0.5, "Crop 1 of 2")
        form = answer("rcnn", image, StageTime("selective search", 400.0), StageTime("backbone on every crop", 3000.0))
        return sha256, most, form

    def shared_features(image, report):
        report(0.5, "Loading")
        ramp = np.linspace(0, 1, 20 * 32 * 4, dtype=np.float32).reshape(20, 32, 4)
        return SharedFeatures(ramp, 8, (0.35, 0.35), np.array([[100, 80, 500, 400], [0, 0, 90, 90]], np.float32))

    for task in (quick_forms, crop_form, shared_features):
        task.__module__, task.__qualname__ = region_tasks.__name__, task.__name__
        monkeypatch.setattr(region_tasks, task.__name__, task)
    kept.clear()
    yield
    kept.clear()


def test_the_first_sight_shows_blobs_and_proposals_that_reach_the_motorcycle(open_page):
    app = finished(open_page(PAGE))
    blobs, proposals = captions(app)
    assert "as the segmentation found them" in blobs
    assert proposals.startswith("The first 50 of")
    reached, total = metric(app, "Recall at IoU 0.5").split(" of ")
    assert int(total) == 3
    assert 1 <= int(reached) <= 3
    assert "s_{size}" in app.latex[0].value


def test_all_proposals_reach_all_known_objects_and_one_reaches_fewer(open_page):
    app = finished(open_page(PAGE, regions_count="1500"))
    assert metric(app, "Recall at IoU 0.5") == "3 of 3"
    app.select_slider(key="regions_count").set_value(1).run()
    assert metric(app, "Recall at IoU 0.5").startswith(("0 of", "1 of"))


def test_joining_all_regions_leaves_one(open_page):
    app = finished(open_page(PAGE, regions_merged="100", image="Chelsea the cat"))
    assert captions(app)[0].startswith("1 region after")


def test_boxes_can_be_added_and_removed(open_page):
    app = finished(open_page(PAGE, image="Coffee cup"))
    assert metric(app, "Recall at IoU 0.5") == "no boxes"
    app.button(key="regions_truth_add").click().run()
    assert metric(app, "Recall at IoU 0.5").endswith("of 1")
    app.button(key="regions_truth_remove").click().run()
    assert metric(app, "Recall at IoU 0.5") == "no boxes"


def test_a_search_is_a_job_that_can_be_stopped_and_started_again(open_page, monkeypatch):
    going, searched = threading.Event(), []

    def search(image, strategies, report):
        searched.append(strategies)
        while not going.is_set():
            report(0.25, "Way 1 of 4")
            time.sleep(0.01)
        return region_tasks.selective_search(image, strategies=strategies[:1])

    search.__module__, search.__qualname__ = region_tasks.__name__, "search"
    monkeypatch.setattr(region_tasks, "search", search)
    kept.clear()
    app = open_page(PAGE, regions_scale="300", regions_count="100")
    assert not app.metric
    stop = app.button(key="regions_search_stop").click()
    stop.run()
    for _ in range(100):
        if any(info.value.startswith("Stopped after") for info in app.info):
            break
        time.sleep(0.05)
        app.run()
    going.set()
    app.button(key="regions_search_again").click().run()
    finished(app)
    assert len(searched) == 2
    assert captions(app)[1].startswith("The first 100 of")  # the address outlives the wait
    app.select_slider(key="regions_count").set_value(50).run()
    assert captions(app)[1].startswith("The first 50 of")
    assert len(searched) == 2
    kept.clear()


def test_the_forms_are_shown_side_by_side_and_r_cnn_runs_as_a_job(open_page, networks):
    app = finished(open_page(PAGE, view="R-CNN, Fast, Faster"))
    assert "Faster R-CNN · 59 ms" in texts(app)
    assert "Fast R-CNN · 450 ms" in texts(app)
    assert "YOLO · 20 ms" in texts(app)
    assert "R-CNN · 3,400 ms" not in texts(app)
    app.button(key="regions_start").click().run()
    for _ in range(50):
        if "R-CNN · 3,400 ms" in texts(app):
            break
        app.run()
    assert "R-CNN · 3,400 ms" in texts(app)
    assert "YOLO < Faster R-CNN < Fast R-CNN < R-CNN" in texts(app)


def test_another_picture_asks_for_r_cnn_anew(open_page, networks):
    app = finished(open_page(PAGE, view="R-CNN, Fast, Faster", image="Chelsea the cat"))
    assert "would run" in texts(app)


@pytest.mark.parametrize("way", ["max", "align"])
def test_a_region_is_pooled_and_explained(open_page, networks, way):
    app = finished(open_page(PAGE, view="RoI pooling", regions_way=WAYS[way]))
    assert "b_{4,4}" in app.latex[0].value
    app.slider(key="regions_proposal").set_value(2).run()
    assert not app.exception
    assert "b_{4,4}" in app.latex[0].value


def test_missing_weights_leave_the_page_alive(open_page, monkeypatch):
    monkeypatch.setattr(region_tasks, "NAME", "no_such_model")
    app = open_page(PAGE, view="Quality and speed")
    assert "no_such_model" in app.error[0].value


def test_the_samples_objects_lie_in_their_pictures():
    from core.detection.proposals_samples import KNOWN_OBJECTS

    for name, objects in KNOWN_OBJECTS.items():
        height, width = load_sample(name).shape[:2]
        for x1, y1, x2, y2 in objects.values():
            assert 0 <= x1 < x2 <= width
            assert 0 <= y1 < y2 <= height
