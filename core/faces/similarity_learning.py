"""A Siamese network trained live: one encoder for both sides, in one of six ways, watched on a map while it learns.

The encoder is a small convolutional network (two convolutions with pooling, two dense layers). With triplets and with
the contrastive loss its encodings have length one (Schroff et al. 2015); for the binary classifiers they are positive
(Taigman et al. 2014), so that the chi-square similarity is defined. Batches hold P classes with K pictures each.

The map is the plane in which the encodings spread most (principal components), turned onto the last map (orthogonal
Procrustes), so that points move because the encodings do and not because the plane does.
"""

from __future__ import annotations

from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from core.faces.losses import mined_triplet_loss
from core.faces.similarity_losses import contrastive_loss, pair_loss
from core.faces.similarity_types import (
    PAIR_WAYS,
    TRIPLET_WAYS,
    Floats,
    Integers,
    Pictures,
    PictureSet,
    SimilarityResult,
    SimilaritySettings,
    Way,
    WayResult,
    pair_terms,
)
from core.faces.verification import PairDistances, best_threshold
from core.runtime.one_device import on_one_device
from core.runtime.report import Report

LOOKS = 16
MOST_PAIRS = 3_000
MAP_PICTURES = 220
MAP_PX = 420
# Told apart by people who see no red or no green; classes beyond share them, and the marks say which.
COLOURS = ((99, 102, 241), (245, 158, 11), (20, 184, 166), (236, 72, 153), (59, 130, 246), (132, 204, 22))


def build_encoder(input_shape: tuple[int, int, int], dimensions: int, way: Way, seed: int) -> keras.Model:
    """Pictures (N, H, W, C) in 0..255 to encodings (N, dimensions): of length one, or positive for the binary ways."""
    initial = [keras.initializers.HeNormal(seed=seed * 10 + number) for number in range(4)]
    x = picture = keras.Input(input_shape, name="picture")
    x = layers.Rescaling(1 / 127.5, -1.0, name="rescale")(x)
    x = layers.Conv2D(16, 3, padding="same", activation="relu", kernel_initializer=initial[0], name="conv1")(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)  # (N, H/2, W/2, 16)
    x = layers.Conv2D(32, 3, padding="same", activation="relu", kernel_initializer=initial[1], name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)  # (N, H/4, W/4, 32)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(64, activation="relu", kernel_initializer=initial[2], name="dense")(x)
    if way in PAIR_WAYS:
        x = layers.Dense(dimensions, activation="softplus", kernel_initializer=initial[3], name="encoding")(x)
    else:
        x = layers.Dense(dimensions, kernel_initializer=initial[3], name="encoding")(x)
        x = layers.UnitNormalization(name="unit_length")(x)
    return keras.Model(picture, x, name="encoder")


def draw_batch(labels: Integers, classes: int, of_each: int, rng: np.random.Generator) -> Integers:
    """Positions in `labels` of P x K pictures; classes with fewer than K give theirs again."""
    names = rng.permutation(np.unique(labels))[:classes]
    rows = []
    for name in names:
        members = np.flatnonzero(labels == name)
        rows.append(rng.choice(members, of_each, replace=len(members) < of_each))
    return np.concatenate(rows)


def some_pairs(labels: Integers, most: int, seed: int) -> tuple[Integers, Integers, NDArray[np.bool_]]:
    """As many pairs of the same class as of different ones: positions (M,), positions (M,), and which are the same."""
    rng = np.random.default_rng(seed)
    first, second = np.triu_indices(len(labels), 1)
    same = labels[first] == labels[second]
    of_each = min(most // 2, int(same.sum()), int((~same).sum()))
    chosen = np.concatenate([rng.permutation(np.flatnonzero(kind))[:of_each] for kind in (same, ~same)])
    return first[chosen], second[chosen], same[chosen]


def measure_pairs(
    encodings: Floats, first: Integers, second: Integers, way: Way, weights: Floats, bias: float
) -> NDArray[np.float64]:
    """How far two pictures are apart: the distance of encodings, or of the binary ways minus the logit."""
    a, b = encodings[first], encodings[second]
    if way in PAIR_WAYS:
        return np.asarray(-(pair_terms(a, b, way) @ weights.astype(np.float64) + bias), np.float64)
    return np.asarray(np.linalg.norm(a.astype(np.float64) - b, axis=1), np.float64)


def flat_map(encodings: Floats, before: Floats | None = None) -> Floats:
    """The encodings (N, D) in a plane (N, 2), spread to about -1..1 and turned towards the last map."""
    centred = encodings - encodings.mean(axis=0)
    _, _, directions = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    flat = centred @ directions[:2].T  # (N, 2)
    flat = flat / max(float(np.abs(flat).max()), 1e-9)
    if before is not None:
        left, _, right = np.linalg.svd(flat.T @ before.astype(np.float64))
        flat = flat @ (left @ right)
    return np.asarray(flat, np.float32)


def draw_map(flat: Floats, labels: Integers, is_unseen: NDArray[np.bool_]) -> Pictures:
    """The map as a picture (420, 420, 3): dots are classes that are learned, crosses such as are never seen."""
    canvas = np.full((MAP_PX, MAP_PX, 3), 245, np.uint8)
    places = np.rint((flat * 0.46 + 0.5) * MAP_PX).astype(int)
    for (x, y), label, unseen in zip(places, labels, is_unseen, strict=True):
        colour = COLOURS[int(label) % len(COLOURS)]
        if unseen:
            cv2.drawMarker(canvas, (int(x), int(y)), colour, cv2.MARKER_CROSS, 9, 2, cv2.LINE_AA)
        else:
            cv2.circle(canvas, (int(x), int(y)), 4, colour, -1, cv2.LINE_AA)
    return canvas


def learn_similarity(
    pictures: PictureSet, settings: SimilaritySettings, report: Report | None = None
) -> SimilarityResult:
    """Train every way of the settings and measure it; with no step to train, only look.

    Returns:
        A SimilarityResult. The pairs that accuracy is measured on were never trained on; the threshold is the best
        one on pairs of training pictures.
    """
    return _learn(pictures, settings, settings.steps, report)


def look_untrained(pictures: PictureSet, settings: SimilaritySettings) -> SimilarityResult:
    """What the encoder makes of the pictures before any training."""
    return _learn(pictures, settings, 0, None)


def _learn(pictures: PictureSet, settings: SimilaritySettings, steps: int, report: Report | None) -> SimilarityResult:
    rng = np.random.default_rng(settings.seed)
    shown = np.concatenate(
        [
            np.sort(
                rng.permutation(part)[: MAP_PICTURES * len(part) // (len(pictures.held_out) + len(pictures.unseen))]
            )
            for part in (pictures.held_out, pictures.unseen)
        ]
    )
    is_unseen = np.isin(shown, pictures.unseen)
    ways = tuple(
        _one_way(way, number, pictures, settings, steps, shown, is_unseen, report)
        for number, way in enumerate(settings.ways)
    )
    return SimilarityResult(
        ways,
        pictures.pictures[shown],
        pictures.labels[shown],
        is_unseen,
        pictures.class_names,
        len(pictures.train),
        pictures.name,
    )


def _one_way(
    way: Way,
    number: int,
    pictures: PictureSet,
    settings: SimilaritySettings,
    steps: int,
    shown: Integers,
    is_unseen: NDArray[np.bool_],
    report: Report | None,
) -> WayResult:
    rng = np.random.default_rng([settings.seed, 1])
    shape = pictures.pictures.shape[1:]
    encoder = build_encoder(shape, settings.dimensions, way, settings.seed)
    weights = tf.Variable(-np.ones(settings.dimensions, np.float32), name="pair_weights")
    bias = tf.Variable(1.0, name="pair_bias")
    optimizer = on_one_device(keras.optimizers.Adam(settings.rate))
    variables = encoder.trainable_variables + ([weights, bias] if way in PAIR_WAYS else [])
    optimizer.build(variables)

    @tf.function(jit_compile=False)  # type: ignore[untyped-decorator]
    def step(batch: Any, labels: Any, noise: Any) -> Any:
        with tf.GradientTape() as tape:
            encodings = encoder(batch, training=True)
            if way in TRIPLET_WAYS:
                loss, active = mined_triplet_loss(encodings, labels, settings.margin, way, noise)  # type: ignore[arg-type]
            elif way == "contrastive":
                loss, active = contrastive_loss(encodings, labels, settings.margin)
            else:
                loss, active = pair_loss(encodings, labels, weights, bias, way == "chi-square")
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss, active

    @tf.function(input_signature=[tf.TensorSpec((None, *shape), tf.float32)], jit_compile=False)  # type: ignore[untyped-decorator]
    def encode(batch: Any) -> Any:
        return encoder(batch, training=False)

    def encodings_of(rows: Integers) -> Floats:
        return np.asarray(encode(pictures.pictures[rows].astype(np.float32)), np.float32)

    parts = {
        name: (rows, some_pairs(pictures.labels[rows], MOST_PAIRS, seed))
        for seed, (name, rows) in enumerate(
            [("train", pictures.train[:: max(1, len(pictures.train) // 400)]), ("held", pictures.held_out)]
            + [("unseen", pictures.unseen)]
        )
    }
    train_labels = pictures.labels[pictures.train]
    losses: list[float] = []
    actives: list[float] = []
    look_steps: list[int] = []
    accuracies: list[tuple[float, float]] = []
    frames: list[Floats] = []
    at = set(np.linspace(0, steps, min(LOOKS, steps) + 1).round().astype(int).tolist())
    threshold = 0.0
    distances: dict[str, tuple[NDArray[np.float64], NDArray[np.bool_]]] = {}

    def look(done: int) -> None:
        nonlocal threshold, distances
        distances = {}
        for name, (rows, (first, second, same)) in parts.items():
            d = measure_pairs(encodings_of(rows), first, second, way, np.asarray(weights), float(bias))
            distances[name] = (d, same)
        threshold = best_threshold(*distances["train"])
        right = [float(((d <= threshold) == same).mean()) for d, same in (distances["held"], distances["unseen"])]
        accuracies.append((right[0], right[1]))
        look_steps.append(done)
        frames.append(flat_map(encodings_of(shown), frames[-1] if frames else None))

    look(0)
    for done in range(1, steps + 1):
        rows = draw_batch(train_labels, settings.classes_in_batch, settings.pictures_of_class, rng)
        chosen = pictures.train[rows]
        noise = rng.random((len(rows), len(rows))).astype(np.float32)
        batch = pictures.pictures[chosen].astype(np.float32)
        loss, active = step(tf.constant(batch), tf.constant(pictures.labels[chosen]), tf.constant(noise))
        losses.append(float(loss))
        actives.append(float(active))
        looked = done in at
        if looked:
            look(done)
        if report is not None:
            metrics = {"step": float(done), f"{way}: loss": losses[-1], f"{way}: active": actives[-1]}
            if looked:
                metrics |= {f"{way}: held out": accuracies[-1][0], f"{way}: unseen": accuracies[-1][1]}
            report(
                (number + done / steps) / len(settings.ways),
                f"Learning with {way}",
                metrics=metrics,
                preview=draw_map(frames[-1], pictures.labels[shown], is_unseen) if looked or done == 1 else None,
            )
    return WayResult(
        way,
        np.array(losses, np.float32),
        np.array(actives, np.float32),
        np.array(look_steps, np.int64),
        np.array([a for a, _ in accuracies], np.float32),
        np.array([b for _, b in accuracies], np.float32),
        np.stack(frames),
        threshold,
        PairDistances.of(*distances["held"]),
        PairDistances.of(*distances["unseen"]),
        encodings_of(shown),
        np.asarray(weights, np.float32),
        float(bias),
    )
