"""The verification view: two photographs, their faces, the distance, the threshold, and how sure that is."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from core.faces.disturbances import CHANGES, changed
from core.faces.encoders import describe, measured
from core.faces.tasks import FacesOfPicture
from core.faces.types import FLAG_SENTENCES, EncodedFace, EncoderDescription
from core.faces.verification import distance
from core.runtime.images import content_hash, display_jpeg
from pages.parts.faces.answers import faces_of
from pages.parts.faces.choices import detector_choice, encoder_choice, offer_to_fetch
from pages.parts.faces.drawing import marked_faces
from pages.parts.faces.rates import rates_chart, sure_sentences
from pages.parts.faces.verify_explain import code, downloads, mathematics
from pages.parts.faces.verify_table import encoder_table
from pages.parts.image_input import ChosenImage, image_input
from pages.parts.pixels import picture

SAMPLES = ("astronaut", "camera", "chelsea", "coffee", "motorcycle", "street")
PICTURE_HEIGHT_PX = 230
CROP_WIDTH_PX = 150
MANY_FACES = 12


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two photographs: its pixels and their hash, what was found in it, and which face is meant."""

    name: str
    pixels: np.ndarray
    sha256: str
    found: FacesOfPicture
    chosen: int

    @property
    def face(self) -> EncodedFace | None:
        """The face that is compared; None where none was found."""
        return self.found.faces[self.chosen] if self.found.faces else None


@st.cache_resource(max_entries=16, show_spinner=False)
def _changed(sha256: str, change: str, _pixels: np.ndarray) -> tuple[np.ndarray, str]:
    pixels = changed(_pixels, change)
    return pixels, content_hash(pixels)


def view() -> None:
    """Draw the view."""
    controls, results = st.columns([1.05, 3.5], gap="medium")
    with controls:
        first = image_input(key="first", label="First photo", default="astronaut", names=SAMPLES)
        second = image_input(key="second", label="Second photo", default="astronaut", names=SAMPLES)
        change = _change_control(is_sample=second.is_sample)
        encoder = encoder_choice("face_encoder")
        description = describe(encoder)
        threshold = _threshold_control(description)
        detector = detector_choice("face_detector")
    with results:
        offer_to_fetch(str(st.session_state.get("face_encoder", encoder)), f"the {description.title}")
        offer_to_fetch(str(st.session_state.get("face_detector", detector)), "MTCNN")
        sides = _sides(first, second, change, encoder, detector)
        if sides is None:
            return
        _pictures(sides)
        one, other = sides[0].face, sides[1].face
        d = None if one is None or other is None else distance(one.encoding, other.encoding)
        left, right = st.columns([1, 1.35], gap="medium")
        with left:
            _verdict(sides, d, threshold, description)
        known = measured(encoder)
        with right:
            if known is None:
                st.caption("No pairs were measured with this encoder yet: how often it errs is not known.")
            else:
                rates_chart(known, threshold, d, largest_distance(description))
    _notes(sides, same_picture=first.sha256 == second.sha256 and change == "none")
    if one is None or other is None or d is None:
        return
    encoder_table(sides[0], sides[1], encoder, detector)
    as_formula = st.expander("The same as a formula", icon=":material/function:", key="face_formula", on_change="rerun")
    if as_formula.open:
        with as_formula:
            mathematics(one, other, d, threshold)
    as_code = st.expander("The same as code", icon=":material/code:", key="face_code", on_change="rerun")
    if as_code.open:
        with as_code:
            code(one, other, threshold)
    downloads(sides[0], sides[1], d, threshold)


def largest_distance(description: EncoderDescription) -> float:
    """Where the slider ends: the largest distance of two unit vectors, or what dlib's encodings reach."""
    return 2.0 if description.is_unit else 1.4


def _change_control(*, is_sample: bool) -> str:
    """How the second photo is changed: a sample to start with, so that there is a pair; a picture of one's own not."""
    return st.selectbox(
        "Second photo is",
        list(CHANGES),
        index=list(CHANGES).index("several" if is_sample else "none"),
        format_func=lambda name: CHANGES[name][0],
        key="face_change" if is_sample else "face_change_own",
        bind="query-params",
        help="Change the second photo before its face is looked for, and see how little the encoding minds.",
    )


def _threshold_control(description: EncoderDescription) -> float:
    return float(
        st.slider(
            "Threshold τ",
            0.0,
            largest_distance(description),
            round(description.threshold, 2),
            0.01,
            key=f"tau_{description.name}",
            bind="query-params",
            help="Two faces count as the same person's at a distance of at most τ. The default has the most right "
            "answers on measured pairs. Moving it runs no network.",
        )
    )


def _sides(
    first: ChosenImage, second: ChosenImage, change: str, encoder: str, detector: str
) -> tuple[Side, Side] | None:
    second_pixels, second_sha256 = (
        (second.pixels, second.sha256) if change == "none" else _changed(second.sha256, change, second.pixels)
    )
    sides = []
    for which, name, pixels, sha256 in (
        ("first", first.name, first.pixels, first.sha256),
        ("second", second.name, second_pixels, second_sha256),
    ):
        found = faces_of(pixels, sha256, encoder, detector)
        if found is None:
            return None
        sides.append(Side(name, pixels, sha256, found, _chosen_face(which, found)))
    return sides[0], sides[1]


def _chosen_face(which: str, found: FacesOfPicture) -> int:
    count = len(found.faces)
    if count < 2:
        return 0
    return int(
        st.selectbox(
            f"Face in the {which} photo ({count} were found)",
            list(range(count)),
            format_func=lambda index: f"{index + 1}, {found.faces[index].face.size_px:.0f} px",
            key=f"face_of_{which}",
            help="Numbered by size, the largest is 1.",
        )
    )


def _pictures(sides: tuple[Side, Side]) -> None:
    columns = st.columns([1.7, 1, 1, 1.7], gap="small", vertical_alignment="center")
    for side, place, crop_place, which in (
        (sides[0], columns[0], columns[1], "First"),
        (sides[1], columns[3], columns[2], "Second"),
    ):
        faces = [encoded.face for encoded in side.found.faces]
        marked = marked_faces(side.pixels, faces, side.chosen, sha256=side.sha256)
        with place:
            picture(
                display_jpeg(marked),
                rows=marked.shape[0],
                columns=marked.shape[1],
                key=f"face_picture_{which.lower()}",
                alt=f"{which} photo: {side.name}, {_faces(len(faces))} marked",
                max_height_px=PICTURE_HEIGHT_PX,
            )
            st.caption(f"{which}: {_faces(len(faces))}")
        with crop_place:
            if side.face is not None:
                st.image(
                    display_jpeg(side.face.aligned),
                    width=CROP_WIDTH_PX,
                    alt=f"{which} photo: the face as the encoder reads it",
                )
                st.caption(f"aligned, {side.face.aligned.shape[0]} px")


def _faces(count: int) -> str:
    return {0: "no face", 1: "1 face"}.get(count, f"{count} faces")


def _verdict(sides: tuple[Side, Side], d: float | None, threshold: float, description: EncoderDescription) -> None:
    if d is None:
        missing = [which for which, side in zip(("first", "second"), sides, strict=True) if side.face is None]
        st.warning(
            f"No face was found in the {' and the '.join(missing)} photo: nothing can be compared. A face must be "
            "seen from the front, and be at least 20 pixels wide.",
            icon=":material/face_retouching_off:",
        )
        return
    if d <= threshold:
        st.success(f"**Same person**: d = {d:.3f} ≤ τ = {threshold:.2f}", icon=":material/check_circle:")
    else:
        st.warning(f"**Different persons**: d = {d:.3f} > τ = {threshold:.2f}", icon=":material/cancel:")
    known = measured(description.name)
    if known is not None:
        st.markdown(sure_sentences(known, threshold, d))
        st.caption(
            f"Counted on {known.pairs_of}; {description.title} is right on {100 * known.accuracy:.1f} % of them."
        )


def _notes(sides: tuple[Side, Side], *, same_picture: bool) -> None:
    if same_picture:
        st.info(
            "Both are the same picture: a distance of 0 tells nothing about the encoder. Choose another photo, or "
            "change the second one.",
            icon=":material/content_copy:",
        )
    for which, side in zip(("First", "Second"), sides, strict=True):
        if len(side.found.faces) >= MANY_FACES:
            st.caption(f":material/groups: {which} photo: {len(side.found.faces)} faces, numbered by size.")
        if side.face is not None:
            for flag in side.face.face.flags:
                st.caption(f":material/flag: {which} photo: {FLAG_SENTENCES[flag]}")
    took = " and ".join(f"{side.found.detect_ms:.0f} + {side.found.encode_ms:.0f} ms" for side in sides)
    detectors = sorted({encoded.face.detector for side in sides for encoded in side.found.faces})
    by = f" by {' and '.join(detectors)}" if detectors else ""
    st.caption(f"Found{by} and encoded in {took}. The slider moves over kept distances; no network runs again.")
