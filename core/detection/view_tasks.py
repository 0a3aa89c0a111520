"""Longer work that the YOLO page asks of a worker: many pictures, a video, an evaluation, fine-tuning.

All are jobs: they report what is done, and end when they are cancelled. Keras is imported when a function
needs it, so that a page can read this module.
"""

from __future__ import annotations

import json
import struct
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.detection.batch import COPY_PX, BatchError, BatchResult, PictureFile, PictureResult
from core.detection.drawing import draw_detections
from core.detection.evaluation import Evaluation, ImageDetections
from core.detection.predictions import NetworkAnswer, answer_of, letterbox_picture, select
from core.detection.tasks import EMBEDDED, run_network
from core.detection.video import (
    MAX_LOOKS,
    FrameResult,
    VideoError,
    VideoResult,
    VideoWriter,
    frames_of,
    opened,
    written_size,
)
from core.runtime.images import ImageError, content_hash, decode_image, display_jpeg, encode_jpeg, fit_within
from core.runtime.report import Report

if TYPE_CHECKING:
    import keras

    from core.detection.annotated_zip import AnnotatedZip

PREVIEW_EVERY_S = 0.5
PREVIEW_PX = 640
STILLS = 24
EVALUATION_IOU = 0.6
LOWEST_SCORE = 0.02
LEAST_PICTURES = 5


def detect_many(
    files: Sequence[PictureFile],
    confidence: float = 0.25,
    iou_threshold: float = 0.45,
    model: str = EMBEDDED,
    report: Report | None = None,
) -> BatchResult:
    """Boxes in many pictures, with annotated copies; a picture that cannot be read is named and left out.

    Raises:
        BatchError: If none of them can be read.
    """
    report = report or Report()
    started, previewed = time.monotonic(), 0.0
    results: list[PictureResult] = []
    copies: dict[str, bytes] = {}
    skipped: list[str] = []
    answered = ""
    names: tuple[str, ...] = ()
    for index, file in enumerate(files):
        report(index / len(files), f"Picture {index + 1} of {len(files)}: {file.name[-60:]}")
        try:
            pixels = decode_image(file.data, max_side_px=4096).pixels
        except ImageError as error:
            skipped.append(f"{file.name}: {error}")
            continue
        answer = run_network(pixels, model)
        found = select(answer, confidence, iou_threshold).detections
        answered, names = answer.model, answer.class_names
        copy = _drawn(pixels, found, answer.class_names)
        copies[str(PurePosixPath(file.name).with_suffix(".jpg"))] = encode_jpeg(copy, 88)
        results.append(PictureResult(file.name, (pixels.shape[1], pixels.shape[0]), found))
        if time.monotonic() - previewed > PREVIEW_EVERY_S:
            previewed = time.monotonic()
            report(preview=encode_jpeg(fit_within(copy, PREVIEW_PX), 80))
    if not results:
        raise BatchError(f"None of the {len(files)} pictures can be read. The first: {skipped[0]}")
    return BatchResult(tuple(results), tuple(skipped), copies, names, answered, time.monotonic() - started)


def _drawn(pixels: NDArray[np.uint8], found: ImageDetections, names: tuple[str, ...]) -> NDArray[np.uint8]:
    """An annotated copy, small enough to be looked at."""
    small = fit_within(pixels, COPY_PX)
    scale = small.shape[1] / pixels.shape[1]
    return draw_detections(small, ImageDetections(found.boxes_xyxy * scale, found.class_ids, found.scores), names)


def detect_video(
    data: bytes,
    looks_per_s: float = 5.0,
    confidence: float = 0.25,
    iou_threshold: float = 0.45,
    model: str = EMBEDDED,
    report: Report | None = None,
) -> VideoResult:
    """Boxes in a video, `looks_per_s` times in each of its seconds, and the frames looked at as annotated video.

    Raises:
        VideoError: If it is no video or holds no frame.
    """
    report = report or Report()
    started, previewed = time.monotonic(), 0.0
    results: list[FrameResult] = []
    stills: list[tuple[float, bytes]] = []
    answer: NetworkAnswer | None = None
    is_cut = False
    with tempfile.TemporaryDirectory() as folder, opened(data) as (capture, info):
        every = max(1, round(info.frames_per_s / looks_per_s))
        looks = min(MAX_LOOKS, -(-info.frames // every)) if info.frames else 0
        keep_every = max(1, looks // STILLS)
        writer = VideoWriter(Path(folder), written_size(info.size_px), info.frames_per_s / every)
        for number, frame in frames_of(capture, every):
            if len(results) >= MAX_LOOKS:
                is_cut = True
                break
            second = number / info.frames_per_s
            total = f" of {looks}" if looks else ""
            report(min(len(results) / looks, 1.0) if looks else None, f"Frame {len(results) + 1}{total}")
            answer = run_network(frame, model)
            found = select(answer, confidence, iou_threshold).detections
            copy = _drawn(frame, found, answer.class_names)
            writer.write(copy)
            if len(results) % keep_every == 0 and len(stills) < 2 * STILLS:
                stills.append((second, display_jpeg(fit_within(copy, 960), quality=80)))
            results.append(FrameResult(number, second, found))
            if time.monotonic() - previewed > PREVIEW_EVERY_S:
                previewed = time.monotonic()
                report(preview=encode_jpeg(fit_within(copy, PREVIEW_PX), 80))
        if answer is None:
            raise VideoError("No frame of the video can be decoded.")
        video = writer.finish()
    return VideoResult(
        info,
        tuple(results),
        video,
        writer.suffix,
        writer.mime,
        tuple(stills),
        answer.class_names,
        answer.model,
        time.monotonic() - started,
        is_cut,
    )


@dataclass(frozen=True)
class EvaluationRun:
    """Detections of annotated pictures in their order, down to a score of 0.02, in the detector's classes.

    `fingerprint` is that of the pictures, as it was given.
    """

    found: tuple[ImageDetections, ...]
    class_names: tuple[str, ...]
    model: str
    seconds: float
    fingerprint: str = ""


def detect_annotated(
    annotated: AnnotatedZip, fingerprint: str = "", model: str = EMBEDDED, report: Report | None = None
) -> EvaluationRun:
    """What a detector finds in annotated pictures, for curves of precision and recall."""
    report = report or Report()
    started, previewed = time.monotonic(), 0.0
    pictures = annotated.annotations.pictures
    found: list[ImageDetections] = []
    answer: NetworkAnswer | None = None
    for index, picture in enumerate(pictures):
        report(index / len(pictures), f"Picture {index + 1} of {len(pictures)}")
        pixels = decode_image(annotated.pictures[picture.file_name]).pixels
        answer = run_network(pixels, model)
        found.append(select(answer, LOWEST_SCORE, EVALUATION_IOU).detections)
        if time.monotonic() - previewed > PREVIEW_EVERY_S:
            previewed = time.monotonic()
            seen = select(answer, 0.25, 0.45).detections
            report(preview=encode_jpeg(fit_within(_drawn(pixels, seen, answer.class_names), PREVIEW_PX), 80))
    if answer is None:
        raise BatchError("There is no picture to evaluate on.")
    return EvaluationRun(tuple(found), answer.class_names, answer.model, time.monotonic() - started, fingerprint)


@dataclass(frozen=True)
class TunedDetector:
    """A detector after fine-tuning: its classes, its .keras file, and what was measured on the pictures held out.

    `history` holds (step, seconds, loss, mAP@.5 in 0..1) of each validation, `ap_50` the AP@.5 of each class, NaN
    for one that no picture held out shows.
    """

    class_names: tuple[str, ...]
    size_px: int
    keras_file: bytes
    history: tuple[tuple[int, float, float, float], ...]
    ap_50: tuple[float, ...]
    map_50: float
    map_50_95: float
    trained_on: int
    held_out: int
    seconds: float

    def to_bytes(self) -> bytes:
        """The detector as a job's preview carries it: the length of a JSON header, the header, the .keras file."""
        header = json.dumps({**vars(self), "keras_file": None}).encode()
        return struct.pack("<I", len(header)) + header + self.keras_file

    @classmethod
    def from_bytes(cls, data: bytes) -> TunedDetector:
        """What `to_bytes` wrote."""
        (length,) = struct.unpack_from("<I", data)
        facts = json.loads(data[4 : 4 + length])
        facts["class_names"], facts["ap_50"] = tuple(facts["class_names"]), tuple(facts["ap_50"])
        facts["history"] = tuple((int(step), *values) for step, *values in facts["history"])
        return cls(**{**facts, "keras_file": data[4 + length :]})


def fine_tune(
    annotated: AnnotatedZip,
    steps: int = 200,
    freeze_backbone: bool = True,
    seed: int = 0,
    report: Report | None = None,
) -> TunedDetector:
    """Teach the embedded detector the classes of an annotated set; a fifth of the pictures measures how well.

    The preview is the best detector so far (`TunedDetector.to_bytes`): who stops the learning has it.

    Raises:
        BatchError: If there are fewer than five pictures.
    """
    from core.detection.finetune import Example, TuningPoint, TuningSettings, keras_file, tune, validate

    report = report or Report()
    started = time.monotonic()
    pictures = annotated.annotations.pictures
    if len(pictures) < LEAST_PICTURES:
        raise BatchError(f"There are {len(pictures)} annotated pictures; at least {LEAST_PICTURES} are needed.")
    examples = []
    for index, picture in enumerate(pictures):
        report(0.0, f"Reading picture {index + 1} of {len(pictures)}")
        pixels = decode_image(annotated.pictures[picture.file_name], max_side_px=640).pixels
        scale = pixels.shape[1] / picture.size_px[0]
        examples.append(Example(pixels, picture.boxes_xyxy * np.float32(scale), picture.class_ids))
    order = np.random.default_rng(seed).permutation(len(examples))
    count = max(2, len(examples) // 5)
    held_out, train = [examples[i] for i in order[:count]], [examples[i] for i in order[count:]]

    seen: list[TuningPoint] = []

    def tell(fraction: float, point: TuningPoint | None, loss: float, step: int, best: keras.Model | None) -> None:
        report(fraction, f"Step {step}", metrics={"step": step, "loss": loss} if point is None else None)
        if point is not None:
            seen.append(point)
            report(metrics={"step": step, "map_50": point.map_50})
        if point is not None and best is not None:
            report(preview=detector(best, point.measured).to_bytes())

    report(0.0, "Building the graph")
    names = annotated.annotations.class_names
    settings = TuningSettings(steps=steps, freeze_backbone=freeze_backbone, seed=seed)

    def detector(network: keras.Model, measured: Evaluation) -> TunedDetector:
        return TunedDetector(
            names,
            settings.size_px,
            keras_file(network),
            tuple((point.step, point.elapsed_s, point.loss, point.map_50) for point in seen),
            tuple(float(value) for value in measured.average_precision[:, 0]),
            float(measured.map_50),
            float(measured.map_50_95),
            len(train),
            len(held_out),
            time.monotonic() - started,
        )

    network, _ = tune(train, held_out, names, settings, tell)
    return detector(network, validate(network, held_out, names, settings.size_px))


# Loading a network takes a second; the last one is kept with the hash of its file.
_loaded: dict[str, Any] = {}


def detect_tuned(
    image: NDArray[np.uint8], keras_file: bytes, class_names: tuple[str, ...], size_px: int
) -> NetworkAnswer:
    """All that a fine-tuned network says about an RGB picture uint8 (H, W, 3).

    Raises:
        PictureError: If the array is no picture.
    """
    from keras import ops

    from core.detection.finetune import network_of

    square, scale = letterbox_picture(image, size_px)
    name = content_hash(keras_file)
    if name not in _loaded:
        network = network_of(keras_file)
        _loaded.clear()
        _loaded[name] = network
    # Called layer by layer: building a graph takes longer than the few pictures that are looked at.
    raw = ops.convert_to_numpy(_loaded[name](square[None].astype(np.float32), training=False))[0]  # (A, 4 + C)
    return answer_of(raw, size_px, scale, (image.shape[1], image.shape[0]), class_names, "fine-tuned")
