"""The chapter's door: what the page asks of a worker; plain arguments in, frozen dataclasses back.

Networks are named as `core.interpretation.subjects` says, or described by an `ExploredSubject`. Every error that a
person can act on is a ValueError of one sentence. `report` is filled in by the engine in a job.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from core.interpretation.maximisation import AscentSettings
from core.interpretation.types import ClassActivation, Maps, MaximisedImage, SubjectInfo, Subjects, TopPatches
from core.interpretation.views import View, centre_view, cut_views
from core.runtime.report import Report

Pixels = NDArray[np.uint8]
MOST_CHANNELS = 64


def describe(subject: Subjects) -> SubjectInfo:
    """What there is to look at in a network."""
    from core.interpretation.subjects import open_subject

    return open_subject(subject).info


def as_seen(photograph: Pixels, info: SubjectInfo) -> Pixels:
    """The photograph itself, or grey in three equal channels for a network of grey pictures."""
    if info.channels == 3:
        return photograph
    grey = cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY)  # (H, W)
    return np.repeat(np.asarray(grey, np.uint8)[..., None], 3, axis=2)


def bundled_photographs() -> tuple[Pixels, ...]:
    """The photographs that the Python packages carry, in the order of the samples; grey ones too."""
    from core.runtime.samples import SAMPLES, load_sample

    return tuple(load_sample(sample.name) for sample in SAMPLES.values() if sample.kind == "photograph")


def top_patches(
    subject: Subjects,
    layer: str,
    channels: Sequence[int],
    photographs: Sequence[Pixels] | None = None,
    count: int = 9,
    report: Report | None = None,
) -> TopPatches:
    """The patches that most excite some channels of a layer, among photographs or, if None, the bundled ones.

    Raises:
        ValueError: If there is no such network, layer or channel, or no photograph, or over 64 channels.
    """
    from core.interpretation.subjects import open_subject
    from core.interpretation.top_patches import strongest_patches

    if len(channels) > MOST_CHANNELS:
        raise ValueError(f"At most {MOST_CHANNELS} channels are searched at once; got {len(channels)}.")
    opened = open_subject(subject)
    field = opened.info.layer(layer)
    pictures = bundled_photographs() if photographs is None else photographs
    views: list[View] = []
    for number, picture in enumerate(pictures):
        views += cut_views(as_seen(picture, opened.info), opened.info.side_px, number)
    return strongest_patches(opened.maps(layer), views, field, channels, count, report)


def maximise_unit(
    subject: Subjects,
    layer: str,
    channel: int,
    settings: AscentSettings,
    report: Report | None = None,
) -> MaximisedImage:
    """The image that excites a channel, climbed from noise, and how high the best bundled photograph gets.

    Raises:
        ValueError: If there is no such network, layer or channel.
    """
    from core.interpretation.maximisation import maximise
    from core.interpretation.subjects import open_subject

    opened = open_subject(subject)
    field = opened.info.layer(layer)
    if not 0 <= channel < field.channels:
        raise ValueError(f"{layer} has the channels 0 to {field.channels - 1}; got {channel}.")
    read = opened.reader(layer)
    views = [centre_view(as_seen(picture, opened.info), opened.info.side_px) for picture in bundled_photographs()]
    best = None
    for view in views:
        answer = np.asarray(read(view[None].astype(np.float32))[0])[0, :, :, channel]
        value = float(answer.mean() if settings.target == "channel" else answer[field.rows // 2, field.columns // 2])
        best = value if best is None else max(best, value)
    info = opened.info
    return maximise(
        lambda x: read(x)[0],
        info.side_px,
        field.rows,
        field.columns,
        channel,
        settings,
        report,
        best,
        is_grey=info.channels == 1,
    )


def class_activation(subject: Subjects, photograph: Pixels, class_id: int | None = None) -> ClassActivation:
    """Grad-CAM of the middle square of a photograph, for a class or the strongest one.

    Raises:
        ValueError: If the network has no classes, or not this one.
    """
    from core.interpretation.grad_cam import grad_cam
    from core.interpretation.subjects import open_subject

    opened = open_subject(subject)
    if not opened.logits or not opened.info.cam_layer:
        raise ValueError(opened.info.why_no_cam or f"{opened.info.label} has no classes of its own to look for here.")
    view = centre_view(as_seen(photograph, opened.info), opened.info.side_px)
    layer = opened.info.cam_layer
    return grad_cam(opened.outputs(layer, opened.logits), view, layer, class_id, opened.answer)


def feature_maps(subject: Subjects, layer: str, photograph: Pixels) -> tuple[Pixels, Maps]:
    """The middle square of a photograph as the network sees it, and a layer's maps (rows, columns, channels) of it.

    Raises:
        ValueError: If there is no such network or layer.
    """
    from core.interpretation.subjects import open_subject

    opened = open_subject(subject)
    opened.info.layer(layer)
    view = centre_view(as_seen(photograph, opened.info), opened.info.side_px)
    maps: Maps = opened.maps(layer)(view[None].astype(np.float32))[0]
    return view, maps
