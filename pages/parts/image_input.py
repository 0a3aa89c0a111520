"""Where a page's image comes from: a sample, an upload or the camera, all through one safe decoder."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from core.runtime.images import DecodedImage, ImageError, content_hash, decode_image
from core.runtime.samples import SAMPLES, load_sample

# No sample is called so: one of them is "camera".
OWN = "own_picture"
CAMERA = "own_photo"
OWN_LABELS = {OWN: "Your own picture…", CAMERA: "Take a photo…"}
UPLOAD_TYPES = ["jpg", "jpeg", "png", "webp", "bmp", "gif"]
KEPT = "_own_pictures"


@dataclass(frozen=True)
class ChosenImage:
    """What the person chose: RGB uint8 pixels (H, W, 3), a name for files, and a hash for caches."""

    pixels: np.ndarray
    name: str
    sha256: str
    is_sample: bool


@st.cache_resource(max_entries=12, show_spinner=False)
def _decoded(sha256: str, _data: bytes, max_side_px: int) -> DecodedImage:
    return decode_image(_data, max_side_px=max_side_px)


@st.cache_resource(max_entries=24, show_spinner=False)
def _sample(name: str) -> tuple[np.ndarray, str]:
    pixels = load_sample(name)
    return pixels, content_hash(pixels)


def _chosen_sample(name: str) -> ChosenImage:
    pixels, sha256 = _sample(name)
    return ChosenImage(pixels, name, sha256, is_sample=True)


def image_input(
    *,
    key: str = "image",
    label: str = "Image",
    default: str = "astronaut",
    names: Sequence[str] | None = None,
    max_side_px: int = 2048,
) -> ChosenImage:
    """Draw the choice of an image and return it; there is always one.

    Args:
        key: The choice's name in the page's address.
        label: Label of the choice.
        default: The sample shown first.
        names: The samples offered; all of them if None.
        max_side_px: Larger uploads are scaled to this on their longer side, and the page says so.
    """
    samples = list(SAMPLES if names is None else names)
    choice = st.selectbox(
        label,
        [*samples, OWN, CAMERA],
        index=samples.index(default),
        format_func=lambda name: OWN_LABELS.get(name) or SAMPLES[name].label,
        key=key,
        bind="query-params",
        help="A photograph or drawn scene that comes with the workbench, a picture of your own, or the camera. "
        "Nothing leaves this machine.",
    )
    if choice not in (OWN, CAMERA):
        return _chosen_sample(choice)
    if choice == OWN:
        given = st.file_uploader(
            "Picture (JPEG, PNG, WebP, BMP or GIF)", type=UPLOAD_TYPES, key=f"{key}_file", label_visibility="collapsed"
        )
    else:
        given = st.camera_input("Photo", key=f"{key}_camera", label_visibility="collapsed")
    kept: dict[str, ChosenImage] = st.session_state.setdefault(KEPT, {})
    if given is not None:
        data = given.getvalue()
        try:
            decoded = _decoded(hashlib.sha256(data).hexdigest(), data, max_side_px)
        except ImageError as error:
            st.error(str(error), icon=":material/broken_image:")
        else:
            name = given.name.rsplit(".", 1)[0][:60] or "picture"
            kept[choice] = ChosenImage(decoded.pixels, name, decoded.sha256, is_sample=False)
            for note in decoded.notes:
                st.caption(f":material/info: {note}")
            return kept[choice]
    if choice in kept:
        st.caption(f":material/history: {kept[choice].name}, as chosen before in this visit.")
        return kept[choice]
    st.caption(f"Until you choose one, this is the sample “{SAMPLES[default].label}”.")
    return _chosen_sample(default)
