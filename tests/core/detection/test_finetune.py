"""Fine-tuning: what the new network starts from, what its batches hold, and that it learns a class it did not know."""

import time

import numpy as np
import pytest
from keras import ops

from core.detection import view_tasks
from core.detection.batch import BatchError
from core.detection.drawn_sets import draw_kites, drawn_zip
from core.detection.embedded import embedded_detector
from core.detection.evaluation import ImageTruth, evaluate
from core.detection.finetune import (
    Example,
    TuningSettings,
    is_backbone,
    keras_file,
    learning_rate,
    make_batch,
    network_of,
    network_with_new_classes,
)
from core.detection.predictions import select
from core.detection.yolo import build_detector
from core.runtime.report import JobCancelled, Report


def test_everything_but_the_classifier_is_the_embedded_network():
    weights = embedded_detector()
    source = build_detector(len(weights.class_names))
    source.load_weights(weights.path)
    network = network_with_new_classes(2)
    same = [layer for layer in source.layers if layer.weights and layer.name != "head_class_logits"]
    assert len(same) > 50 and any(is_backbone(layer.name) for layer in same)
    for layer in same:
        for expected, value in zip(layer.get_weights(), network.get_layer(layer.name).get_weights(), strict=True):
            assert np.array_equal(expected, value)
    assert network.get_layer("head_class_logits").get_weights()[0].shape[-1] == 2


def test_a_network_survives_its_file():
    network = network_with_new_classes(3)
    picture = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    data = keras_file(network)
    again = network_of(data)
    expected, answered = (ops.convert_to_numpy(one(picture, training=False)) for one in (network, again))
    assert expected.shape == (1, 84, 7) and np.allclose(answered, expected, atol=1e-5)
    # A square picture of the network's own size is read as it is: the same numbers come out of the task.
    answer = view_tasks.detect_tuned(picture[0].astype(np.uint8), data, ("a", "b", "c"), 64)
    raw = ops.convert_to_numpy(network(picture.astype(np.uint8).astype(np.float32), training=False))[0]
    assert np.allclose(answer.scores, 1 / (1 + np.exp(-raw[:, 4:])), atol=1e-4) and answer.image_size == (64, 64)


def test_batches_hold_the_boxes_of_what_they_show():
    drawn = draw_kites(1)
    example = Example(drawn.pixels, drawn.boxes_xyxy, drawn.class_ids)
    settings = TuningSettings(batch=6, size_px=128)
    for mosaic in (0.0, 1.0):
        images, objects, background = make_batch([example], 1, settings, np.random.default_rng(0), mosaic)
        assert images.shape == (6, 128, 128, 3) and background.shape == (6, 16 * 16 + 8 * 8 + 4 * 4, 1)
        real = objects[..., 4] >= 0
        assert real.any() and (objects[..., 5] == real).all()
        boxes = objects[real][:, :4]
        assert (boxes >= 0).all() and (boxes <= 128).all() and (boxes[:, 2:] > boxes[:, :2]).all()


def test_the_rate_rises_and_falls():
    rates = [learning_rate(step, step / 100, 1e-3) for step in range(101)]
    assert rates[0] < 1e-4 and max(rates) > 9e-4 and rates[-1] < 2e-5
    assert int(np.argmax(rates)) == 19


def test_too_few_pictures_are_refused():
    with pytest.raises(BatchError, match="at least 5 are needed"):
        view_tasks.fine_tune(drawn_zip("kites", 4))


class StopsAtTheFirstKept(Report):
    """A visitor who stops the learning as soon as there is a detector to keep."""

    kept: bytes | None = None

    def __call__(self, fraction=None, message="", metrics=None, preview=None) -> None:
        if preview is not None:
            self.kept = preview
            raise JobCancelled


def test_what_was_learned_is_kept_when_it_is_stopped():
    report = StopsAtTheFirstKept()
    with pytest.raises(JobCancelled):
        view_tasks.fine_tune(drawn_zip("kites", 5), steps=8, report=report)
    assert report.kept is not None
    kept = view_tasks.TunedDetector.from_bytes(report.kept)
    assert kept.class_names == ("kite",) and kept.to_bytes() == report.kept
    assert (kept.trained_on, kept.held_out) == (3, 2) and [point[0] for point in kept.history] == [5]
    answer = view_tasks.detect_tuned(draw_kites(1).pixels, kept.keras_file, kept.class_names, kept.size_px)
    assert answer.scores.shape[1] == 1 and np.isfinite(answer.boxes_xyxy).all()


@pytest.mark.slow
def test_forty_pictures_teach_a_class_it_did_not_know():
    assert "kite" not in embedded_detector().class_names
    started = time.monotonic()
    tuned = view_tasks.fine_tune(drawn_zip("kites", 40), steps=200)
    elapsed_s = time.monotonic() - started
    truth, found = [], []
    for seed in range(5000, 5020):
        drawn = draw_kites(seed)
        answer = view_tasks.detect_tuned(drawn.pixels, tuned.keras_file, tuned.class_names, tuned.size_px)
        found.append(select(answer, 0.02, 0.6).detections)
        nothing = np.zeros(len(drawn.class_ids), bool)
        truth.append(ImageTruth(drawn.boxes_xyxy, drawn.class_ids, nothing, np.ones(1, bool)))
    measured = evaluate(truth, found, 1)
    print(f"AP@.5 {100 * measured.map_50:.1f} on 20 pictures held out, after {elapsed_s:.0f} s")
    assert measured.map_50 >= 0.5 and elapsed_s <= 15 * 60
    assert tuned.held_out == 8 and tuned.trained_on == 32 and tuned.history[-1][0] > 10
