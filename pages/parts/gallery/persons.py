"""The persons of the gallery: who enrolled what and when, renaming, photos, deletion, and files to take along."""

import pandas as pd
import streamlit as st

from core.faces.gallery import LISTED_AT_ONCE, Gallery
from core.faces.gallery_names import shown
from core.faces.gallery_types import Person, Photo
from core.runtime.images import display_jpeg
from pages.parts.gallery.access import change, drawn, follow_changes, persons_text, plain, who
from pages.parts.gallery.consent import consent_box, place_line
from pages.parts.gallery.files import bring_in, take_along
from pages.parts.gallery.nearest import thumbnail_of

SHOWN_PHOTOS, THUMBNAIL_PX = 12, 80


def view(gallery: Gallery) -> None:
    """Draw the view: the list on the left, the chosen person on the right."""
    consent = gallery.consent()
    left, right = st.columns([1.5, 1.6], gap="large")
    with left:
        chosen = _list(gallery)
    with right:
        if chosen is not None:
            _person(gallery, chosen)
        elif consent is None:
            consent_box(gallery)
        else:
            st.info(
                "Nobody is enrolled yet. Go to **Recognize**, choose a photograph and enrol the face on it, or bring a "
                "gallery in below.",
                icon=":material/person_add:",
            )
        with st.expander("Take the gallery along, bring one in", icon=":material/import_export:", key="gallery_files"):
            take_along(gallery)
            bring_in(gallery, may_store=consent is not None)
        if consent is not None:
            _forget(gallery)
    place_line(gallery, consent)
    follow_changes(gallery)


def _list(gallery: Gallery) -> Person | None:
    """The persons; the answer is the chosen one."""
    total = gallery.count()
    containing = ""
    if total > 8:
        containing = st.text_input("Name contains", key="gallery_containing", placeholder=f"Search {total:,} persons")
    found = gallery.persons(containing)
    if not found:
        st.caption("No name contains this." if total else "The gallery is empty.")
        return None
    rows = [
        {
            "Name": person.name,
            "Photos": person.photo_count,
            "Enrolled by": person.enrolled_by,
            "Enrolled (UTC)": person.enrolled_at,
        }
        for person in found
    ]
    moment = st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(rows), 360),
        column_config={
            "Photos": st.column_config.NumberColumn(width="small"),
            "Enrolled (UTC)": moment,
        },
        key="gallery_persons",
    )
    if len(found) == LISTED_AT_ONCE:
        st.caption(f"The first {LISTED_AT_ONCE} of {total:,}; search to see others.")
    names = {person.id: person.name for person in found}
    chosen = st.selectbox(
        "Person",
        list(names),
        format_func=lambda person_id: names.get(person_id, "(deleted)"),
        key="gallery_person",
        help="The person shown beside the list.",
    )
    return next((person for person in found if person.id == chosen), found[0])


def _person(gallery: Gallery, person: Person) -> None:
    st.markdown(f"#### {plain(shown(person.name))}")
    label = " · :material/science: a demonstration" if person.is_demonstration else ""
    st.caption(
        f"Enrolled by {plain(person.enrolled_by)} on {person.enrolled_at:%Y-%m-%d %H:%M} UTC"
        f" · changed last by {plain(person.changed_by)} on {person.changed_at:%Y-%m-%d %H:%M:%S} UTC{label}"
    )
    _photos(gallery, person)
    # The key holds the version: when somebody else renames the person, the field shows the new name.
    name = st.text_input("Name", person.name, key=f"gallery_rename_{person.id}_{person.version}")
    with st.container(horizontal=True):
        st.button(
            "Rename",
            key="gallery_rename",
            icon=":material/edit:",
            disabled=name.strip() == person.name,
            on_click=_rename,
            args=(gallery, drawn(), person, name),
        )
        with st.popover("Delete", icon=":material/delete:"):
            st.markdown(f"Delete {plain(shown(person.name))} with all photos and encodings? There is no way back.")
            st.button(
                "Delete for good",
                key="gallery_delete",
                type="primary",
                icon=":material/delete_forever:",
                on_click=_delete,
                args=(gallery, drawn(), person),
            )


def _photos(gallery: Gallery, person: Person) -> None:
    photos = gallery.photos(person.id)
    for photo in photos[:SHOWN_PHOTOS]:
        picture, about = st.columns([1, 4.2], vertical_alignment="center")
        picture.image(display_jpeg(thumbnail_of(photo)), alt=f"A photo of {person.name}", width=THUMBNAIL_PX)
        about.caption(_about(photo))
        if len(photos) > 1:
            about.button(
                "Delete this photo",
                key=f"gallery_delete_photo_{photo.id}",
                type="tertiary",
                icon=":material/delete:",
                on_click=_delete_photo,
                args=(gallery, drawn(), person, photo.id),
            )
    if len(photos) > SHOWN_PHOTOS:
        st.caption(f"The first {SHOWN_PHOTOS} of {len(photos):,} photos.")


def _about(photo: Photo) -> str:
    encoders = ", ".join(name.split(":")[0] for name in photo.encoders)
    return (
        f"From {plain(photo.source) or 'a photo'}, enrolled by {plain(photo.enrolled_by)} on "
        f"{photo.enrolled_at:%Y-%m-%d %H:%M} UTC, encoded by {plain(encoders)}."
    )


def _rename(gallery: Gallery, seen: int, person: Person, name: str) -> None:
    change(
        gallery,
        f"rename {person.id}",
        seen,
        lambda: gallery.rename(person.id, name, version=person.version, by=who()),
        f"{plain(shown(person.name))} is now called {plain(shown(name.strip()))}.",
    )


def _delete(gallery: Gallery, seen: int, person: Person) -> None:
    change(
        gallery,
        f"delete {person.id}",
        seen,
        lambda: gallery.delete(person.id, version=person.version),
        lambda over: _gone(shown(person.name), over),
    )


def _delete_photo(gallery: Gallery, seen: int, person: Person, photo_id: int) -> None:
    change(
        gallery,
        f"delete photo {photo_id}",
        seen,
        lambda: gallery.delete_photo(photo_id, version=person.version, by=who()),
        lambda over: _gone(f"A photo of {shown(person.name)}", over),
    )


def _gone(what: str, is_overwritten: bool) -> str:
    rest = (
        "the bytes on the disk are overwritten."
        if is_overwritten
        else "the database is written anew when others are done with it, or by `python -m core.faces.gallery vacuum`."
    )
    return f"{plain(what)} is deleted: rows, pictures and encodings are gone, {rest}"


def _forget(gallery: Gallery) -> None:
    with st.popover("Delete everything, take the consent back", icon=":material/delete_sweep:"):
        st.markdown(f"Delete {persons_text(gallery.count())} and the consent? There is no way back.")
        st.button(
            "Delete everything",
            key="gallery_forget",
            type="primary",
            icon=":material/delete_forever:",
            on_click=_delete_all,
            args=(gallery, drawn()),
        )


def _delete_all(gallery: Gallery, seen: int) -> None:
    change(gallery, "forget", seen, gallery.withdraw_consent, lambda over: _gone("The whole gallery", over))
