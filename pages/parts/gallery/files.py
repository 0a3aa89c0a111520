"""The gallery as a file: to take along, and to bring in."""

import streamlit as st

from core.faces.gallery import Gallery
from core.faces.gallery_exchange import export_gallery, import_gallery
from core.faces.gallery_types import Imported
from pages.parts.downloads import download_bytes
from pages.parts.gallery.access import change, drawn, persons_text, photos_text, who


def take_along(gallery: Gallery) -> None:
    """Download buttons for the whole gallery; a file is made when its button is clicked."""
    if not gallery.count():
        return
    with st.container(horizontal=True):
        download_bytes(
            lambda: export_gallery(gallery, "zip"),
            file_name="gallery.zip",
            key="gallery_export_zip",
            label="Gallery (zip)",
            mime="application/zip",
        )
        download_bytes(
            lambda: export_gallery(gallery, "json"),
            file_name="gallery.json",
            key="gallery_export_json",
            label="Gallery (JSON)",
            mime="application/json",
        )
    st.caption("Names, crops of the faces, encodings, and who enrolled what when. Keep the file as you keep the faces.")


def bring_in(gallery: Gallery, *, may_store: bool) -> None:
    """An exported gallery to bring in, as a whole or not at all."""
    given = st.file_uploader(
        "An exported gallery (zip or JSON)", type=["zip", "json"], key="gallery_import_file", disabled=not may_store
    )
    if not may_store:
        st.caption("Consent comes first.")
    st.button(
        "Bring it in",
        key="gallery_import",
        icon=":material/upload:",
        disabled=given is None or not may_store,
        on_click=_import,
        args=(gallery, drawn(), given.getvalue() if given is not None else b""),
    )


def _import(gallery: Gallery, seen: int, data: bytes) -> None:
    change(gallery, "import", seen, lambda: import_gallery(gallery, data, by=who()), _told)


def _told(found: Imported) -> str:
    known = f" {photos_text(found.known_photos)} here already." if found.known_photos else ""
    return f"Brought in: {persons_text(found.persons)} and {photos_text(found.photos)} that are new.{known}"
