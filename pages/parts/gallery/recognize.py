"""The main view: the faces of a photograph, who they are, what the nearest ones were, and enrolment."""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.faces.detector import MTCNN
from core.faces.disturbances import CHANGES, changed
from core.faces.encoders import describe, is_here
from core.faces.gallery import Gallery
from core.faces.gallery_photo import encoder_key
from core.faces.gallery_search import search_of
from core.faces.gallery_types import GalleryError, Match
from core.faces.tasks import FacesOfPicture
from core.faces.types import FLAG_SENTENCES
from core.runtime.images import encode_jpeg
from pages.parts.faces.answers import faces_of
from pages.parts.faces.choices import encoder_choice, offer_to_fetch
from pages.parts.gallery.access import follow_changes, persons_text, plain
from pages.parts.gallery.consent import place_line
from pages.parts.gallery.enrol import enrolment
from pages.parts.gallery.explain import explanations
from pages.parts.gallery.nearest import nearest_ones
from pages.parts.gallery.other_encoder import missing_encodings
from pages.parts.gallery.picture import recognized_picture
from pages.parts.image_input import ChosenImage, image_input
from pages.parts.pixels import picture

PICTURE_HEIGHT_PX = 440
LARGEST_TAU = 1.6
NEAREST = 5
LOADING_MS = 1000.0


@dataclass(frozen=True)
class Recognition:
    """What the page shows: a photograph, its faces, and for each the nearest persons of the gallery.

    `matches` are nearest first; who is nearer than `threshold` is recognized.
    """

    image: ChosenImage
    encoder: str
    threshold: float
    found: FacesOfPicture
    matches: tuple[tuple[Match, ...], ...]
    method: str

    def recognized(self, index: int) -> Match | None:
        """Who a face is, or None for "not recognized"."""
        nearest = self.matches[index][:1]
        return nearest[0] if nearest and nearest[0].distance <= self.threshold else None


def view(gallery: Gallery) -> None:
    """Draw the view."""
    controls, middle, right = st.columns([1.05, 2.0, 1.5], gap="medium")
    with controls:
        image, encoder, threshold = _controls()
    offer_to_fetch(st.session_state.get("gallery_encoder", encoder), describe(encoder).title)
    with middle:
        found = faces_of(image.pixels, image.sha256, encoder, MTCNN) if is_here(encoder) else None
    if found is None:
        return
    result = _recognize(gallery, image, encoder, threshold, found)
    if result is None:
        return
    with middle:
        chosen = _draw(result)
    with right:
        _say_who(gallery, result)
        missing_encodings(gallery, encoder)
        if found.faces:
            enrolment(gallery, result, chosen)
    if found.faces and result.matches[chosen]:
        nearest_ones(gallery, result, chosen)
    explanations(gallery, result, chosen)
    place_line(gallery, gallery.consent())
    follow_changes(gallery)


def _controls() -> tuple[ChosenImage, str, float]:
    image = image_input(label="Photograph", key="gallery_image")
    change = st.selectbox(
        "Change the photograph",
        list(CHANGES),
        format_func=lambda name: CHANGES[name][0],
        key="gallery_change",
        bind="query-params",
        help="What is done to it before it is looked at: enrol it as it is, then see how far the encoding moves "
        "when the same person is mirrored, dark, tilted or blurred.",
    )
    encoder = encoder_choice("gallery_encoder")
    default = round(describe(encoder).threshold, 2)
    threshold = st.slider(
        "Threshold τ",
        0.05,
        LARGEST_TAU,
        default,
        0.01,
        key=f"gallery_tau_{encoder}",
        bind="query-params",
        help="Who is nearest is recognized at a distance of at most τ; farther away the answer is “not recognized”. "
        f"For pairs {describe(encoder).title} errs least at about {default:.2f}; the more persons are enrolled, the "
        "lower τ should be (view 1:1 and 1:K).",
    )
    return _seen(image, change or "none"), encoder, float(threshold)


@st.cache_resource(max_entries=16, show_spinner=False)
def _changed(sha256: str, change: str, _image: ChosenImage) -> ChosenImage:
    return ChosenImage(
        changed(_image.pixels, change), f"{_image.name}, {change}", f"{sha256}-{change}", _image.is_sample
    )


def _seen(image: ChosenImage, change: str) -> ChosenImage:
    return image if change == "none" else _changed(image.sha256, change, image)


def _recognize(
    gallery: Gallery, image: ChosenImage, encoder: str, threshold: float, found: FacesOfPicture
) -> Recognition | None:
    search = search_of(gallery, encoder_key(encoder))
    try:
        matches = search.search([face.encoding for face in found.faces], NEAREST) if found.faces else ()
    except GalleryError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    method = "" if search.index is None else search.index.method
    return Recognition(image, encoder, threshold, found, matches, method)


def _draw(result: Recognition) -> int:
    """The picture with its faces named; the answer is the chosen face."""
    count = len(result.found.faces)
    chosen = min(int(st.session_state.get("gallery_face", 1)), max(1, count)) - 1
    shown = recognized_picture(result, chosen)
    names = [plain_name(result, index) for index in range(count)]
    picture(
        encode_jpeg(shown, 88),
        rows=shown.shape[0],
        columns=shown.shape[1],
        key="gallery_picture",
        alt=f"{result.image.name} with {faces(count)}: {', '.join(names) or 'nobody'}",
        max_height_px=PICTURE_HEIGHT_PX,
    )
    st.caption(
        f"Found by MTCNN in {took(result.found.detect_ms)}, encoded by **{describe(result.encoder).title}** in "
        f"{took(result.found.encode_ms)}: {describe(result.encoder).dimensions} numbers a face."
        + (" This was the first call, which loads the networks." if result.found.encode_ms > LOADING_MS else "")
    )
    if count > 1:
        chosen = _face_choice(count) - 1
    return chosen


def _face_choice(count: int) -> int:
    if int(st.session_state.get("gallery_face", 1)) > count:
        st.session_state["gallery_face"] = 1
    return int(
        st.number_input(
            f"Face, 1 to {count}",
            1,
            count,
            key="gallery_face",
            bind="query-params",
            help="Numbered from the largest to the smallest. This one is enrolled below and explained further down.",
        )
    )


def faces(count: int) -> str:
    """A number of faces in words.

    >>> faces(1), faces(30)
    ('1 face', '30 faces')
    """
    return "1 face" if count == 1 else f"{count} faces"


def took(milliseconds: float) -> str:
    """A time as people say it.

    >>> took(31.4), took(1104.0)
    ('31 ms', '1.1 s')
    """
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def plain_name(result: Recognition, index: int) -> str:
    """Who a face is, as plain text."""
    match = result.recognized(index)
    return match.name if match else "not recognized"


def _say_who(gallery: Gallery, result: Recognition) -> None:
    count = len(result.found.faces)
    if not count:
        st.info(
            "No face was found in this photograph. A face should be at least 20 px wide and look roughly into the "
            "camera; drawings and animals are not looked for.",
            icon=":material/search_off:",
        )
        return
    enrolled = gallery.count(encoder_key(result.encoder))
    known = sum(result.recognized(index) is not None for index in range(count))
    if not enrolled:
        others = gallery.count()
        why = (
            f"{persons_text(others)} enrolled, but without an encoding by {describe(result.encoder).title} yet"
            if others
            else "nobody is enrolled yet"
        )
        st.info(f"**{faces(count)}, not recognized**: {why}.", icon=":material/person_search:")
    elif count == 1 and known:
        match = result.matches[0][0]
        st.success(
            f"**{plain(match.name)}**, at a distance of {match.distance:.3f} ≤ τ = {result.threshold:.2f}, "
            f"of {persons_text(enrolled)}.",
            icon=":material/how_to_reg:",
        )
    elif known:
        st.success(
            f"**{known} of {faces(count)} recognized** among {persons_text(enrolled)}.", icon=":material/how_to_reg:"
        )
    else:
        nearest = min((matches[0].distance for matches in result.matches if matches), default=float("inf"))
        st.warning(
            f"**Not recognized**: the nearest of {persons_text(enrolled)} is at {nearest:.3f} > "
            f"τ = {result.threshold:.2f}.",
            icon=":material/person_off:",
        )
    if enrolled:
        _table(result)
    flagged = {flag for face in result.found.faces for flag in face.face.flags}
    for flag in sorted(flagged):
        which = [str(i + 1) for i, face in enumerate(result.found.faces) if flag in face.face.flags]
        st.caption(f":material/warning: Face {', '.join(which)}: {FLAG_SENTENCES[flag]}")


def _table(result: Recognition) -> None:
    rows = [
        {
            "Face": index + 1,
            "Who": plain_name(result, index),
            "Nearest at": matches[0].distance if matches else None,
        }
        for index, matches in enumerate(result.matches)
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        width="stretch",
        height=min(36 + 35 * len(rows), 260),
        column_config={
            "Face": st.column_config.NumberColumn(width=50),
            "Nearest at": st.column_config.NumberColumn(format="%.3f", width=90),
        },
        key="gallery_table",
    )
