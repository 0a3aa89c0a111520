"""Video files in and out, through OpenCV and a temporary file that is gone afterwards.

A file's kind is decided by its first bytes, never by its name: the decoder behind OpenCV would also follow play
lists to other files. Frames are RGB uint8 (H, W, 3).
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.detection.evaluation import ImageDetections

Image = NDArray[np.uint8]
MAX_BYTES = 400 * 2**20
MAX_SIDE_PX = 4096
MAX_LOOKS = 1800
# What is written may be looked at on any screen and stays small.
WRITTEN_PX = 960
WRITERS = ((".mp4", "mp4v", "video/mp4"), (".avi", "MJPG", "video/x-msvideo"))


class VideoError(ValueError):
    """A file that cannot be used as a video; the text is a sentence for the person who chose it."""


@dataclass(frozen=True)
class VideoInfo:
    """Size (width, height) in pixels, frames a second, and the number of frames that the header tells."""

    size_px: tuple[int, int]
    frames_per_s: float
    frames: int


@dataclass(frozen=True)
class FrameResult:
    """What was found in a frame: its number, counted from 0, its time, and the boxes in the video's pixels."""

    frame: int
    time_s: float
    found: ImageDetections


@dataclass(frozen=True)
class VideoResult:
    """A video after detection: every frame that was looked at, the annotated video, and some of its frames (JPEG)."""

    info: VideoInfo
    frames: tuple[FrameResult, ...]
    video: bytes
    suffix: str
    mime: str
    stills: tuple[tuple[float, bytes], ...]
    class_names: tuple[str, ...]
    model: str
    seconds: float
    is_cut: bool


def video_kind(data: bytes) -> str | None:
    """The container's name by its first bytes, None for what is none that is read.

    >>> video_kind(b"RIFF....AVI LIST"), video_kind(b"#EXTM3U")
    ('AVI', None)
    """
    if data[4:8] == b"ftyp":
        return "MP4"
    if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
        return "AVI"
    return "WebM" if data[:4] == b"\x1a\x45\xdf\xa3" else None


@contextmanager
def opened(data: bytes) -> Iterator[tuple[cv2.VideoCapture, VideoInfo]]:
    """A video to read frames from, and what its header says.

    Raises:
        VideoError: If it is no video, cannot be decoded, or is too large.
    """
    kind = video_kind(data)
    if kind is None:
        raise VideoError("The file is no video: expected MP4, MOV, AVI, WebM or MKV.")
    if len(data) > MAX_BYTES:
        raise VideoError(f"The video has {len(data) >> 20} MB; at most {MAX_BYTES >> 20} MB are read.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video"
        path.write_bytes(data)
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        try:
            yield capture, _info(capture, kind)
        finally:
            capture.release()


def _info(capture: cv2.VideoCapture, kind: str) -> VideoInfo:
    if not capture.isOpened():
        raise VideoError(f"The file begins like a video ({kind}), but no picture can be read from it.")
    width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    rate, frames = float(capture.get(cv2.CAP_PROP_FPS)), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    if not 1 <= width <= MAX_SIDE_PX or not 1 <= height <= MAX_SIDE_PX:
        raise VideoError(f"The video's frames have {width} x {height} pixels; at most {MAX_SIDE_PX} a side are read.")
    if not math.isfinite(rate) or not 0 < rate <= 1000:
        rate = 25.0  # some containers do not tell
    count = int(frames) if math.isfinite(frames) and 0 < frames < 2**31 else 0
    return VideoInfo((width, height), rate, count)


def frames_of(capture: cv2.VideoCapture, every: int) -> Iterator[tuple[int, Image]]:
    """Every n-th frame with its number; those between are passed over without being converted."""
    index = 0
    while capture.grab():
        if index % every == 0:
            is_read, frame = capture.retrieve()
            if not is_read:
                return
            yield index, np.ascontiguousarray(frame[..., ::-1], np.uint8)  # BGR -> RGB
        index += 1


class VideoWriter:
    """Writes frames to a video in the first format that this machine's OpenCV can write."""

    def __init__(self, folder: Path, size_px: tuple[int, int], frames_per_s: float):
        """Open a file in `folder` for frames of (width, height).

        Raises:
            VideoError: If no format can be written.
        """
        # Most formats want even sides.
        self.size_px = max(2, size_px[0] // 2 * 2), max(2, size_px[1] // 2 * 2)
        for suffix, code, mime in WRITERS:
            self.path, self.suffix, self.mime = folder / f"annotated{suffix}", suffix, mime
            four = cv2.VideoWriter.fourcc(*code)
            self._writer = cv2.VideoWriter(str(self.path), four, max(frames_per_s, 0.5), self.size_px)
            if self._writer.isOpened():
                return
        raise VideoError("This machine's OpenCV writes neither MP4 nor AVI.")

    def write(self, frame: Image) -> None:
        """Append a frame, scaled to the video's size."""
        scaled = cv2.resize(frame, self.size_px, interpolation=cv2.INTER_AREA)
        self._writer.write(np.ascontiguousarray(scaled[..., ::-1]))  # RGB -> BGR

    def finish(self) -> bytes:
        """Close the file and return its bytes."""
        self._writer.release()
        return self.path.read_bytes()


def written_size(size_px: tuple[int, int]) -> tuple[int, int]:
    """Size of the annotated video: the frame's, at most 960 pixels on its longer side.

    >>> written_size((1920, 1080)), written_size((320, 241))
    ((960, 540), (320, 240))
    """
    scale = min(1.0, WRITTEN_PX / max(size_px))
    return max(2, round(size_px[0] * scale) // 2 * 2), max(2, round(size_px[1] * scale) // 2 * 2)
