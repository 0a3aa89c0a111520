"""What the page on region proposals asks of a worker: the search, the three forms of R-CNN, and their evaluation.

TensorFlow and Keras are imported when a function needs them, so that a page can read this module. Times are in
milliseconds on the machine that answers; YOLO is timed with the same engine as the three forms, so that the engine
makes no difference.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.detection.embedded import embedded_detector
from core.detection.evaluation import ImageDetections
from core.detection.predictions import NetworkAnswer, answer_of, check_picture, letterbox_picture, select
from core.detection.proposals import MOST_PROPOSALS, STRATEGIES, SearchResult, Strategy, selective_search
from core.detection.rcnn.results import FORM_TITLES, FormAnswer, StageTime
from core.runtime import weights
from core.runtime.images import decode_image, encode_jpeg, fit_within
from core.runtime.report import Report

if TYPE_CHECKING:
    from core.detection.annotated_zip import AnnotatedZip
    from core.detection.rcnn.forms import Pooling, RcnnRunner

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

NAME = "rcnn_11"
YOLO = "embedded"
ALL_FORMS = ("rcnn", "fast_rcnn", "faster_rcnn", YOLO)
EVALUATION_IOU, LOWEST_SCORE = 0.6, 0.02
PREVIEW_EVERY_S, PREVIEW_PX = 0.5, 480
LOADING = "Loading the networks"
# Known here so that a page can draw its sliders before the networks are loaded.
MAP_CHANNELS, MOST_REGIONS = 96, 150


@lru_cache(maxsize=1)
def _runner() -> RcnnRunner:
    """The embedded networks, compiled and run once so that the first picture is timed like every other."""
    from core.detection.rcnn.forms import CROPS_AT_ONCE, RcnnRunner
    from core.detection.rcnn.storage import RcnnNetworks

    path = weights.require(NAME)
    names = tuple(weights.describe(NAME).facts["classes"])
    networks = RcnnNetworks(len(names))
    networks.load(path)
    runner = RcnnRunner(networks, names, NAME)
    grey = np.full((64, 64, 3), 114, np.uint8)
    boxes = np.tile(np.array([[8, 8, 56, 56]], np.float32), (CROPS_AT_ONCE, 1))
    runner.faster(grey)
    runner.fast(grey, boxes, 0.0)
    runner.slow(grey, boxes, 0.0)
    return runner


@lru_cache(maxsize=1)
def _yolo() -> Callable[[Image], FormAnswer]:
    from core.detection.yolo import build_detector
    from core.runtime.inference import TensorFlowEngine

    detector = embedded_detector()
    model = build_detector(len(detector.class_names))
    model.load_weights(detector.path)
    size_px = detector.input_px
    engine = TensorFlowEngine(model, (1, size_px, size_px, 3))
    engine(np.zeros((1, size_px, size_px, 3), np.float32))

    def run(image: Image) -> FormAnswer:
        start = time.perf_counter()
        square, scale = letterbox_picture(image, size_px)
        raw = engine(square[None].astype(np.float32))[0]  # (A, 4 + C)
        size = (image.shape[1], image.shape[0])
        answer = answer_of(raw, size_px, scale, size, detector.class_names, detector.name)
        took_ms = 1000 * (time.perf_counter() - start)
        answer = replace(answer, network_ms=took_ms, engine=engine.name)
        return FormAnswer(YOLO, answer, np.zeros((0, 4), np.float32), (StageTime("one pass", took_ms),))

    return run


def search(
    image: Image,
    strategies: tuple[Strategy, ...] = STRATEGIES,
    most: int = MOST_PROPOSALS,
    report: Report | None = None,
) -> SearchResult:
    """Selective search on an RGB picture, as a job; errors as `selective_search`'s."""
    report = report or Report()

    def progress(part: float) -> None:
        way = min(int(part * len(strategies)), len(strategies) - 1)
        report(part, f"Selective search, way {way + 1} of {len(strategies)}")

    return selective_search(image, most, strategies, progress=progress)


def run_form(
    image: Image,
    form: str,
    most: int = MOST_PROPOSALS,
    pooling: Pooling = "align",
    found: SearchResult | None = None,
    report: Report | None = None,
) -> FormAnswer:
    """One of "rcnn", "fast_rcnn", "faster_rcnn" and "embedded" (YOLO) on an RGB picture.

    `most` proposals of selective search are looked at; `found` is a search of this picture that was done already.

    Raises:
        PictureError: If the array is no picture.
        WeightsError: If the weights are missing or changed.
        ValueError: If there is no such form.
    """
    check_picture(image)
    if form not in ALL_FORMS:
        raise ValueError(f"expected one of {', '.join(ALL_FORMS)}, received {form!r}")
    if form == YOLO:
        return _yolo()(image)
    runner = _runner()
    if form == "faster_rcnn":
        return runner.faster(image)
    report = report or Report()
    if found is None:
        found = selective_search(image, most, progress=lambda part: report(0.2 * part, "Selective search"))
    proposals = found.proposals_xyxy[:most]
    if form == "fast_rcnn":
        return runner.fast(image, proposals, found.total_ms, pooling)

    def progress(part: float, crops: Image) -> None:
        done = round(part * len(proposals))
        report(0.2 + 0.8 * part, f"Crop {done} of {len(proposals)}", preview=_contact_sheet(crops))

    return runner.slow(image, proposals, found.total_ms, progress)


def _contact_sheet(crops: Image) -> bytes:
    """The crops at work as one picture of 8 x 8, as JPEG."""
    side = crops.shape[1]
    sheet = np.full((64, side, side, 3), 255, np.uint8)
    sheet[: len(crops)] = crops[:64]
    rows = sheet.reshape(8, 8, side, side, 3).transpose(0, 2, 1, 3, 4)  # row, y, column, x, channel
    return encode_jpeg(np.ascontiguousarray(rows.reshape(8 * side, 8 * side, 3)), 80)


def form_answer(image: Image, form: str) -> NetworkAnswer:
    """What a form says about a picture, as every other detector says it."""
    return run_form(image, form).answer


def quick_forms(
    image: Image,
    most: int = MOST_PROPOSALS,
    pooling: Pooling = "align",
    found: SearchResult | None = None,
    report: Report | None = None,
) -> tuple[FormAnswer, ...]:
    """Fast R-CNN, Faster R-CNN and YOLO, those that take no longer than selective search, as a job."""
    report = report or Report()
    if found is None:
        found = selective_search(image, most, progress=lambda part: report(0.2 * part, "Selective search"))
    report(0.2, LOADING)
    _runner()
    report(0.5, LOADING)
    _yolo()
    report(0.7, FORM_TITLES["fast_rcnn"])
    fast = run_form(image, "fast_rcnn", most, pooling, found)
    report(0.85, FORM_TITLES["faster_rcnn"])
    faster = run_form(image, "faster_rcnn")
    report(0.95, FORM_TITLES[YOLO])
    return fast, faster, run_form(image, YOLO)


def crop_form(
    image: Image,
    sha256: str,
    most: int = MOST_PROPOSALS,
    found: SearchResult | None = None,
    report: Report | None = None,
) -> tuple[str, int, FormAnswer]:
    """R-CNN, crop by crop, as a job; the answer bears the picture's hash and `most`, as they were given."""
    return sha256, most, run_form(image, "rcnn", most, found=found, report=report)


@dataclass(frozen=True)
class SharedFeatures:
    """The map that Fast and Faster R-CNN share: (h, w, 96), cells of `stride_px` pixels of the network's input.

    `scale_xy` leads from the picture to the input; regions (n, 4) are the proposals of the network, in pixels of the
    picture, best first.
    """

    features: Floats
    stride_px: int
    scale_xy: tuple[float, float]
    regions_xyxy: Floats


def shared_features(image: Image, report: Report | None = None) -> SharedFeatures:
    """The shared map of a picture and the proposals that the network makes of it, as a job."""
    from core.detection.rcnn.forms import INPUT_PX
    from core.detection.rcnn.networks import MAP_STRIDE_PX

    report = report or Report()
    check_picture(image)
    report(0.1, LOADING)
    runner = _runner()
    report(0.8, "The shared map and the network's proposals")
    square, scale = letterbox_picture(image, INPUT_PX)
    features = runner.map_of(square[None].astype(np.float32)).numpy()[0]
    rows, columns = (
        -(-round(side * factor) // MAP_STRIDE_PX) for side, factor in zip(image.shape[:2], scale[::-1], strict=True)
    )
    return SharedFeatures(features[:rows, :columns], MAP_STRIDE_PX, scale, runner.faster(image).regions_xyxy)


@dataclass(frozen=True)
class FormRun:
    """What a form found in each picture, down to a score of 0.02, and its mean time by stage."""

    form: str
    found: tuple[ImageDetections, ...]
    stages: tuple[StageTime, ...]

    @property
    def total_ms(self) -> float:
        """Mean time of a picture."""
        return sum(stage.ms for stage in self.stages)


@dataclass(frozen=True)
class FormsEvaluation:
    """The forms on annotated pictures; `fingerprint` is that of the pictures, as it was given."""

    runs: tuple[FormRun, ...]
    class_names: tuple[str, ...]
    search_recall: tuple[int, int]
    proposals: float
    seconds: float
    fingerprint: str = ""


def evaluate_pictures(
    pictures: Sequence[Callable[[], Image]],
    truth_xyxy: list[NDArray[Any]],
    forms: tuple[str, ...] = ALL_FORMS,
    most: int = MOST_PROPOSALS,
    fingerprint: str = "",
    report: Report | None = None,
) -> FormsEvaluation:
    """Run forms on pictures, each loaded when its turn comes, and take their times.

    `truth_xyxy` are the boxes that the recall of selective search is counted on.
    """
    from core.detection.proposals import recall_of

    report = report or Report()
    started, previewed = time.monotonic(), 0.0
    found: dict[str, list[ImageDetections]] = {form: [] for form in forms}
    times: dict[str, dict[str, float]] = {form: {} for form in forms}
    reached = wanted = proposals = 0
    names: tuple[str, ...] = ()
    report(0.0, LOADING)
    _runner()
    for index, load in enumerate(pictures):
        image = load()
        report(index / len(pictures), f"Picture {index + 1} of {len(pictures)}: selective search")
        searched = selective_search(image, most)
        reached += int(recall_of(searched.proposals_xyxy, truth_xyxy[index]).sum())
        wanted += len(truth_xyxy[index])
        proposals += len(searched.proposals_xyxy)
        for number, form in enumerate(forms):
            part = (index + number / len(forms)) / len(pictures)
            report(part, f"Picture {index + 1} of {len(pictures)}: {FORM_TITLES[form]}")
            inner = Report() if form != "rcnn" else _Listening(report)
            answer = run_form(image, form, most, found=searched, report=inner)
            names = answer.answer.class_names
            found[form].append(select(answer.answer, LOWEST_SCORE, EVALUATION_IOU).detections)
            for stage in answer.stages:
                times[form][stage.name] = times[form].get(stage.name, 0.0) + stage.ms / len(pictures)
        if time.monotonic() - previewed > PREVIEW_EVERY_S:
            previewed = time.monotonic()
            report(preview=encode_jpeg(fit_within(image, PREVIEW_PX), 80))
    runs = tuple(
        FormRun(form, tuple(found[form]), tuple(StageTime(name, ms) for name, ms in times[form].items()))
        for form in forms
    )
    mean = proposals / max(len(pictures), 1)
    return FormsEvaluation(runs, names, (reached, wanted), mean, time.monotonic() - started, fingerprint)


class _Listening(Report):
    """A silent report that ends when another one's job is cancelled."""

    def __init__(self, outer: Report) -> None:
        super().__init__()
        self._outer = outer

    def check(self) -> None:
        """Raise if the other job was cancelled."""
        self._outer.check()


def _decoded(annotated: AnnotatedZip, file_name: str) -> Image:
    return decode_image(annotated.pictures[file_name]).pixels


def evaluate_forms(
    annotated: AnnotatedZip,
    forms: tuple[str, ...] = ALL_FORMS,
    most: int = MOST_PROPOSALS,
    fingerprint: str = "",
    report: Report | None = None,
) -> FormsEvaluation:
    """The forms on a visitor's annotated pictures, as a job."""
    rows = annotated.annotations.pictures
    loads = [partial(_decoded, annotated, row.file_name) for row in rows]
    return evaluate_pictures(loads, [row.boxes_xyxy for row in rows], forms, most, fingerprint, report)
