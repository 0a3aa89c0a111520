"""What the sliding windows page asks of a worker: score maps, both forms timed against each other, MTCNN's first stage.

Keras and TensorFlow are imported when a function needs them, so that a page can read this module.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.detection.landmarks import WINDOW_PX as FACE_WINDOW_PX
from core.detection.landmarks import face_scales
from core.detection.predictions import check_picture
from core.detection.sliding_windows import (
    WINDOW_PX,
    Level,
    ScoreMap,
    WindowError,
    at_level,
    cut_windows,
    pyramid_levels,
)
from core.runtime import weights
from core.runtime.images import fit_within
from core.runtime.report import Report

NAME = "windows_6"
BATCH = 128
CONVOLUTIONAL_RUNS = 5
# More windows than this are not looked at one by one: nobody waits for it.
MOST_WINDOWS = 6000
PREVIEW_EVERY_S = 0.3
FACE_STRIDE_PX = 2
FACES_PX = 1024

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Run = Callable[[Floats], Floats]


@dataclass(frozen=True)
class WindowScores:
    """Probabilities of every window of every level, the names of the classes, and the network's time for all levels.

    The first channel of a map is the background; `class_names` names the others.
    """

    maps: tuple[ScoreMap, ...]
    class_names: tuple[str, ...]
    time_ms: float


@dataclass(frozen=True)
class _Networks:
    one: Run
    batch: Run
    convolutional: Run
    class_names: tuple[str, ...]


def class_names() -> tuple[str, ...]:
    """What the embedded classifier tells apart, without the background.

    Raises:
        WeightsError: If the list of models has no such row.
    """
    return tuple(weights.describe(NAME).facts["classes"])


@lru_cache(maxsize=1)
def _networks() -> _Networks:
    """The embedded classifier for one window, for a batch of windows, and convolutional for any image, compiled."""
    import tensorflow as tf

    from core.detection.sliding_windows_network import build_window_classifier, fully_convolutional

    names = class_names()
    classifier = build_window_classifier(len(names))
    classifier.load_weights(weights.require(NAME))
    convolutional = fully_convolutional(classifier)

    def compiled(model: Any, shape: tuple[int | None, ...]) -> Run:
        signature = [tf.TensorSpec(shape, tf.float32)]
        function = tf.function(lambda x: tf.nn.softmax(model(x, training=False)), input_signature=signature)
        return lambda x: np.asarray(function(x).numpy(), np.float32)

    window = (WINDOW_PX, WINDOW_PX, 3)
    networks = _Networks(
        compiled(classifier, (1, *window)),
        compiled(classifier, (None, *window)),
        compiled(convolutional, (1, None, None, 3)),
        names,
    )
    # The first call of a compiled function builds its graph: no time that is measured shall hold that.
    networks.convolutional(np.zeros((1, *window), np.float32))
    return networks


def score_windows(image: Image, largest_px: int = 320, count: int = 4, factor: float = 0.7) -> WindowScores:
    """What the embedded classifier says about every window of an RGB picture, in several sizes of the picture.

    Raises:
        PictureError: If the array is no picture.
        WindowError: If the picture is too narrow or a setting out of range.
        WeightsError: If the weights are missing or changed.
    """
    check_picture(image)
    levels = pyramid_levels(image.shape[1], image.shape[0], largest_px=largest_px, count=count, factor=factor)
    networks = _networks()
    maps = []
    elapsed_s = 0.0
    for level in levels:
        batch = at_level(image, level)[None].astype(np.float32)  # (1, H, W, 3)
        start = time.perf_counter()
        probabilities = networks.convolutional(batch)[0]  # (h, w, 1 + C)
        elapsed_s += time.perf_counter() - start
        maps.append(ScoreMap(level, probabilities))
    return WindowScores(tuple(maps), networks.class_names, 1e3 * elapsed_s)


@dataclass(frozen=True)
class Way:
    """One way of looking at all windows: its name, the time for all of them, and its answers (h, w, 1 + C)."""

    name: str
    seconds: float
    probabilities: Floats


@dataclass(frozen=True)
class WaysCompared:
    """The same windows looked at in three ways, fastest last; differences are the largest between probabilities."""

    level: Level
    class_names: tuple[str, ...]
    ways: tuple[Way, ...]
    differences: tuple[tuple[str, str, float], ...]


def compare_ways(image: Image, side_px: int = 320, report: Report | None = None) -> WaysCompared:
    """Look at every window of a picture one by one, in batches, and convolutionally; a job.

    The preview is the map of the best object's probability, as far as the windows were looked at.

    Raises:
        PictureError: If the array is no picture.
        WindowError: If the picture is too narrow, or has more windows than anybody waits for.
        WeightsError: If the weights are missing or changed.
    """
    report = report or Report()
    check_picture(image)
    level = pyramid_levels(image.shape[1], image.shape[0], largest_px=side_px, count=1)[0]
    if level.windows > MOST_WINDOWS:
        raise WindowError(f"There are {level.windows:,} windows; at most {MOST_WINDOWS:,} are looked at one by one.")
    report(0.0, "Building both networks")
    networks = _networks()
    small = at_level(image, level)
    windows = cut_windows(small).reshape(-1, WINDOW_PX, WINDOW_PX, 3)  # (n, 64, 64, 3)
    shape = (level.rows, level.columns)
    batch = small[None].astype(np.float32)
    ways = [
        _convolutional(networks, batch, report),
        _in_batches(networks, windows, shape, report),
        _one_by_one(networks, windows, shape, report),
    ][::-1]
    differences = tuple(
        (a.name, b.name, float(np.abs(a.probabilities - b.probabilities).max()))
        for index, a in enumerate(ways)
        for b in ways[index + 1 :]
    )
    return WaysCompared(level, networks.class_names, tuple(ways), differences)


def _convolutional(networks: _Networks, batch: Floats, report: Report) -> Way:
    report(0.02, "Convolutionally")
    networks.convolutional(batch)  # the first run plans the convolutions
    times = []
    for _ in range(CONVOLUTIONAL_RUNS):
        report.check()
        start = time.perf_counter()
        answer = networks.convolutional(batch)[0]
        times.append(time.perf_counter() - start)
    return Way("convolutional", statistics.median(times), answer)


def _in_batches(networks: _Networks, windows: Image, shape: tuple[int, int], report: Report) -> Way:
    networks.batch(windows[:1].astype(np.float32))
    parts, elapsed_s = [], 0.0
    for start in range(0, len(windows), BATCH):
        report(0.05 + 0.2 * start / len(windows), f"In batches of {BATCH}: window {start:,} of {len(windows):,}")
        began = time.perf_counter()
        parts.append(networks.batch(windows[start : start + BATCH].astype(np.float32)))
        elapsed_s += time.perf_counter() - began
    answer = np.concatenate(parts)  # (n, 1 + C)
    return Way("in batches", elapsed_s, answer.reshape(*shape, -1))


def _one_by_one(networks: _Networks, windows: Image, shape: tuple[int, int], report: Report) -> Way:
    networks.one(windows[:1].astype(np.float32))
    first = networks.one(windows[:1].astype(np.float32))
    answer = np.full((len(windows), first.shape[1]), np.nan, np.float32)
    elapsed_s, shown = 0.0, time.perf_counter()
    for index in range(len(windows)):
        began = time.perf_counter()
        answer[index] = networks.one(windows[index : index + 1].astype(np.float32))[0]
        now = time.perf_counter()
        elapsed_s += now - began
        if index % 16 == 0:
            report(0.25 + 0.75 * index / len(windows), f"One by one: window {index:,} of {len(windows):,}")
        if now - shown > PREVIEW_EVERY_S:
            shown = now
            report(preview=_best_object(answer).reshape(shape))
    return Way("one by one", elapsed_s, answer.reshape(*shape, -1))


def _best_object(probabilities: Floats) -> Floats:
    """The highest probability of any object, NaN where a window was not looked at yet."""
    return np.asarray(probabilities[..., 1:].max(axis=-1), np.float32)


@dataclass(frozen=True)
class FaceMap:
    """MTCNN's first stage on one size of a picture: probabilities of a face (h, w), one for each window of 12 px."""

    level: Level
    scores: Floats


@dataclass(frozen=True)
class FaceWindows:
    """The first stage of MTCNN on a pyramid.

    `boxes_xyxy` (n, 4) are the windows over the threshold, moved by the four numbers that it answers besides, in pixels
    of the picture, best first, with their `scores` (n,); `largest_difference` compares windows cut out and looked at
    one by one with the same cells of a map.
    """

    maps: tuple[FaceMap, ...]
    windows_xyxy: NDArray[np.float64]
    boxes_xyxy: NDArray[np.float64]
    scores: Floats
    time_ms: float
    largest_difference: float
    compared: int


def face_windows(image: Image, smallest_face_px: float = 40.0, threshold: float = 0.6) -> FaceWindows:
    """MTCNN's first stage as what it is, a sliding window in convolutional form.

    Raises:
        PictureError: If the array is no picture.
        LandmarkError: If the smallest face is under 20 px.
    """
    check_picture(image)
    small = fit_within(image, FACES_PX)
    shrunk = small.shape[1] / image.shape[1]
    height, width = small.shape[:2]
    scales = face_scales(width, height, max(smallest_face_px * shrunk, 20.0))
    from core.detection.landmarks_network import first_stage, normalised

    network = first_stage()
    pixels = normalised(small)
    maps: list[FaceMap] = []
    windows: list[NDArray[np.float64]] = []
    moved: list[NDArray[np.float64]] = []
    scores: list[Floats] = []
    start = time.perf_counter()
    copies = []
    for scale in scales:
        level = Level(scale * shrunk, round(width * scale), round(height * scale))
        copy = _shrunk(pixels, level)
        moves, answer = (np.asarray(part) for part in network(copy[None]))
        face = answer[0, ..., 1].astype(np.float32)  # (h, w)
        maps.append(FaceMap(level, face))
        copies.append(copy)
        rows, columns = np.nonzero(face >= threshold)
        corner = np.stack([columns, rows], axis=1) * FACE_STRIDE_PX
        box = np.concatenate([corner, corner + FACE_WINDOW_PX], axis=1).astype(np.float64)
        windows.append(box / level.scale)
        moved.append((box + moves[0, rows, columns] * FACE_WINDOW_PX) / level.scale)
        scores.append(face[rows, columns])
    time_ms = 1e3 * (time.perf_counter() - start)
    difference, compared = _one_window_at_a_time(network, copies[0], maps[0].scores) if maps else (0.0, 0)
    order = np.argsort(-np.concatenate(scores), kind="stable") if scores else np.zeros(0, np.int64)
    none = np.zeros((0, 4))
    return FaceWindows(
        tuple(maps),
        np.concatenate([none, *windows])[order],
        np.concatenate([none, *moved])[order],
        np.concatenate([np.zeros(0, np.float32), *scores])[order],
        time_ms,
        difference,
        compared,
    )


def _shrunk(pixels: Floats, level: Level) -> Floats:
    import cv2

    size = (level.width_px, level.height_px)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)


def _one_window_at_a_time(network: Any, copy: Floats, scores: Floats, most: int = 200) -> tuple[float, int]:
    """The largest difference between a map and its windows cut out, over windows spread evenly; and how many."""
    rows, columns = scores.shape
    chosen = np.unique(np.linspace(0, rows * columns - 1, most).astype(int))
    # The pooling pads at the lower and right border: windows that reach it see the padding.
    places = [
        (row, column)
        for row, column in (divmod(int(index), columns) for index in chosen)
        if row * FACE_STRIDE_PX + FACE_WINDOW_PX <= copy.shape[0]
        and column * FACE_STRIDE_PX + FACE_WINDOW_PX <= copy.shape[1]
    ]
    if not places:
        return 0.0, 0
    cut = np.stack(
        [
            copy[r * FACE_STRIDE_PX : r * FACE_STRIDE_PX + FACE_WINDOW_PX, c * FACE_STRIDE_PX :][:, :FACE_WINDOW_PX]
            for r, c in places
        ]
    )
    single = np.asarray(network(cut)[1])[:, 0, 0, 1]
    mapped = np.array([scores[place] for place in places])
    return float(np.abs(single - mapped).max()), len(places)
