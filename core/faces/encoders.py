"""The encoders: which there are, where each wants the five points, and how its network is run.

An encoder is a function from aligned faces to encodings: (N, S, S, 3) uint8 RGB to (N, D) float32. Each encodes a face
and its mirror image and takes the mean, which makes the left and the right side of a face count alike. dlib's encodings
keep their own length; those of SFace and of the embedded encoder have length one, so that all of them are
compared by the Euclidean distance. Networks are imported when an encoder is first run.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from core.faces.alignment import TEMPLATE_112, TEMPLATE_DLIB_150, align
from core.faces.types import EncoderDescription, Face, FaceError, Floats, Pixels
from core.faces.verification import PairDistances
from core.runtime import weights

DLIB, SFACE, OURS = "dlib", "sface", "ours"
MEASURED = Path(__file__).parents[2] / "assets" / "faces"

Encode = Callable[[Pixels], Floats]


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of an encoder: distances of labelled pairs through the whole pipeline, and what came out."""

    pairs: PairDistances
    threshold: float
    accuracy: float
    pairs_of: str


@lru_cache(maxsize=8)
def measured(name: str) -> Measured | None:
    """The measurement of an encoder that the project carries; None if there is none."""
    path = MEASURED / f"{name}.json"
    if not path.is_file():
        return None
    stored = json.loads(path.read_text(encoding="utf-8"))
    pairs = PairDistances(*(np.array(stored[kind], np.float64) / stored["unit"] for kind in ("same", "different")))
    return Measured(pairs, float(stored["threshold"]), float(stored["accuracy"]), str(stored["pairs_of"]))


def _threshold(name: str, before_measured: float) -> float:
    known = measured(name)
    return known.threshold if known else before_measured


@lru_cache(maxsize=1)
def encoders() -> dict[str, EncoderDescription]:
    """All encoders by name, whether their weights are here or not."""
    return {
        DLIB: EncoderDescription(
            DLIB,
            "dlib ResNet",
            128,
            150,
            _threshold(DLIB, 0.6),
            "dlib_face",
            False,
            "29 convolutions, learned by its author from about 3 million faces; comes with a Python package.",
            "Davis King 2017, dlib, examples/dnn_face_recognition_ex.cpp",
        ),
        SFACE: EncoderDescription(
            SFACE,
            "SFace",
            128,
            112,
            _threshold(SFACE, 1.128),
            "sface",
            True,
            "A MobileFaceNet of 38 MB, fetched once on request.",
            "Zhong et al. 2021, SFace: Sigmoid-Constrained Hypersphere Loss",
        ),
        OURS: EncoderDescription(
            OURS,
            "Embedded encoder",
            128,
            64,
            _threshold(OURS, 1.0),
            "face_encoder",
            True,
            "Ten small convolutions, trained by this project's code with dlib's network as a teacher; weaker.",
            "Schroff et al. 2015, FaceNet: a unified embedding for face recognition and clustering",
        ),
    }


def describe(name: str) -> EncoderDescription:
    """An encoder by name.

    Raises:
        FaceError: If there is none.
    """
    known = encoders()
    if name not in known:
        raise FaceError(f"There is no face encoder {name!r}; choose {', '.join(known)}.")
    return known[name]


def is_here(name: str) -> bool:
    """Whether an encoder's weights are on this machine."""
    try:
        return weights.where(describe(name).weights) is not None
    except weights.WeightsError:
        return False


def template_of(name: str) -> Floats:
    """Where an encoder wants the five points (5, 2), in pixels of its input.

    >>> [round(float(value), 1) for value in template_of("ours")[0]]
    [21.9, 29.5]
    """
    if name == DLIB:
        return TEMPLATE_DLIB_150
    return np.asarray(TEMPLATE_112 * (describe(name).input_px / 112), np.float32)


def aligned_face(image: Pixels, face: Face, name: str) -> Pixels:
    """A face of an RGB picture as an encoder wants it, (S, S, 3) uint8.

    Raises:
        FaceError: If there is no such encoder, or the face cannot be aligned.
    """
    return align(image, face.points, template_of(name), describe(name).input_px)


def encode_crops(crops: Pixels, name: str) -> Floats:
    """Encodings (N, D) of aligned faces (N, S, S, 3) uint8 RGB.

    Raises:
        FaceError: If there is no such encoder, or the crops are of another size.
        WeightsError: If its weights are missing.
    """
    description = describe(name)
    side = description.input_px
    if crops.ndim != 4 or crops.shape[1:] != (side, side, 3):
        raise FaceError(f"{description.title} reads faces of {side} x {side}; received an array {crops.shape}.")
    if not len(crops):
        return np.zeros((0, description.dimensions), np.float32)
    encode = _encoder(name, weights.require(description.weights))
    mean = (encode(crops) + encode(np.ascontiguousarray(crops[:, :, ::-1]))) / 2  # (N, D), face and mirror image
    if description.is_unit:
        mean = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    return np.asarray(mean, np.float32)


@lru_cache(maxsize=4)
def _encoder(name: str, path: Path) -> Encode:
    if name == DLIB:
        from core.faces.dlib_encoder import encode_aligned

        return lambda crops: encode_aligned(crops, path)
    if name == SFACE:
        return _sface(path)
    from core.faces.embedded_encoder import load_encoder

    return load_encoder(path)


def _sface(path: Path) -> Encode:
    network: Any = cv2.FaceRecognizerSF.create(str(path), "")

    def encode(crops: Pixels) -> Floats:
        rows = [network.feature(cv2.cvtColor(crop, cv2.COLOR_RGB2BGR)).reshape(-1) for crop in crops]
        encodings = np.stack(rows).astype(np.float32)
        return np.asarray(encodings / np.linalg.norm(encodings, axis=1, keepdims=True), np.float32)

    return encode
