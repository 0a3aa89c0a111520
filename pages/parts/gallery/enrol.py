"""Enrolment of the chosen face: a new person from one photo, another photo of a person, or the demonstration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from core.faces.gallery import Gallery
from core.faces.gallery_names import MAX_NAME_LENGTH, shown
from core.faces.gallery_photo import new_face
from core.runtime.samples import SAMPLES
from pages.parts.gallery.access import change, drawn, plain, who
from pages.parts.gallery.consent import consent_box

if TYPE_CHECKING:
    from pages.parts.gallery.recognize import Recognition

NEW, MORE = "new", "more"
WAYS = {NEW: "A new person", MORE: "Another photo of…"}
DEMONSTRATION = "(demo)"


def enrolment(gallery: Gallery, result: Recognition, chosen: int) -> None:
    """Draw how the chosen face is enrolled."""
    if gallery.consent() is None:
        consent_box(gallery)
        return
    if result.image.is_sample:
        _demonstration(gallery, result, chosen)
    label = "Enrol this face" if len(result.found.faces) == 1 else f"Enrol face {chosen + 1}"
    with st.expander(label, icon=":material/person_add:", expanded=not result.image.is_sample, key="gallery_enrol"):
        _form(gallery, result, chosen)


def _demonstration(gallery: Gallery, result: Recognition, chosen: int) -> None:
    """One click for the person of a sample photograph, clearly labelled."""
    sample = SAMPLES.get(result.image.name.split(",")[0])
    if sample is None:
        return
    name = f"{sample.label} {DEMONSTRATION}"
    if gallery.named(name) is not None:
        return
    st.button(
        f"Enrol the sample person as “{name}”",
        key="gallery_demonstration",
        icon=":material/science:",
        type="primary",
        width="stretch",
        on_click=_enrol,
        args=(gallery, drawn(), result, chosen, name, True),
        help=f"Photograph: {sample.credit}, {sample.licence}. It is marked as a demonstration and deleted like any "
        "other person.",
    )


def _form(gallery: Gallery, result: Recognition, chosen: int) -> None:
    enrolled = gallery.persons()
    way = NEW
    if enrolled:
        way = st.segmented_control(
            "As",
            list(WAYS),
            format_func=WAYS.__getitem__,
            default=NEW,
            required=True,
            key="gallery_way",
            label_visibility="collapsed",
        )
    nearest = result.matches[chosen][0] if result.matches[chosen] else None
    if way == MORE:
        ids = [person.id for person in enrolled]
        names = {person.id: person.name for person in enrolled}
        person_id = st.selectbox(
            "Person",
            ids,
            index=ids.index(nearest.person_id) if nearest and nearest.person_id in names else 0,
            format_func=lambda value: names.get(value, "(deleted)"),
            key="gallery_more_of",
            help="The nearest person stands first. More photos of a person make recognition surer.",
        )
        st.button(
            "Add the photo",
            key="gallery_add_photo",
            icon=":material/add_a_photo:",
            width="stretch",
            on_click=_add_photo,
            args=(gallery, drawn(), result, chosen, person_id),
        )
        return
    if nearest is not None and nearest.distance <= result.threshold:
        st.caption(
            f":material/info: {plain(shown(nearest.name))} is at {nearest.distance:.3f}, nearer than τ: perhaps "
            "another photo of the same person?"
        )
    name = st.text_input(
        "Name",
        key="gallery_name",
        placeholder="Name of the person",
        help=f"At most {MAX_NAME_LENGTH} characters, any language. It is shown as text, whatever it holds.",
    )
    st.button(
        "Enrol from this one photo",
        key="gallery_enrol_button",
        icon=":material/person_add:",
        width="stretch",
        on_click=_enrol,
        args=(gallery, drawn(), result, chosen, name, False),
    )


def _enrol(gallery: Gallery, seen: int, result: Recognition, chosen: int, name: str, is_demonstration: bool) -> None:
    def action() -> int:
        return gallery.enrol(name, _new(result, chosen), by=who(), is_demonstration=is_demonstration)

    done = f"{plain(shown(name.strip()))} is enrolled, from one photo: that is one-shot learning."
    if change(gallery, f"enrol {name}", seen, action, done):
        st.session_state["gallery_name"] = ""


def _add_photo(gallery: Gallery, seen: int, result: Recognition, chosen: int, person_id: int) -> None:
    change(
        gallery,
        f"add {person_id}",
        seen,
        lambda: gallery.add_photo(person_id, _new(result, chosen), by=who()),
        lambda _: f"One more photo of {plain(shown(gallery.person(person_id).name))}.",
    )


def _new(result: Recognition, chosen: int):
    return new_face(result.image.pixels, result.found.faces[chosen], result.image.name)
