"""Photos that the chosen encoder has not seen: encodings of different encoders are never compared, so it has to."""

import streamlit as st

from core.faces.encoders import describe
from core.faces.gallery import Gallery
from core.faces.gallery_photo import encoder_key
from core.faces.gallery_tasks import PhotoEncodings, encode_photos
from core.faces.gallery_types import GalleryError
from core.runtime.jobs import JobView
from pages.parts.gallery.access import photos_text, plain
from pages.parts.job_view import ACTIVE, current_job, job_view, start_job

STORED = "_gallery_stored_jobs"


def missing_encodings(gallery: Gallery, encoder: str) -> None:
    """Offer to encode what is missing, as a job; nothing where nothing is."""
    missing = gallery.without_encoding(encoder_key(encoder))
    key = f"gallery_encode_{encoder}"
    job = current_job(key)
    if job is not None and (job.state in ACTIVE or job.id not in st.session_state.get(STORED, ())):
        job_view(key, draw_live=lambda _: None, draw_result=lambda result, job: _store(gallery, result, job))
    if not missing or (job is not None and job.state in ACTIVE):
        return
    title = describe(encoder).title
    st.caption(
        f":material/info: {photos_text(len(missing))} without an encoding by {title}. Encodings of different encoders "
        "mean different things and are never compared."
    )
    st.button(
        f"Encode with {title}",
        key=f"{key}_start",
        icon=":material/model_training:",
        on_click=_start,
        args=(gallery, encoder, key),
    )


def _start(gallery: Gallery, encoder: str, key: str) -> None:
    photos = [gallery.photo(photo_id) for photo_id in gallery.without_encoding(encoder_key(encoder))]
    start_job(
        key,
        encode_photos,
        [photo.id for photo in photos],
        [photo.jpeg for photo in photos],
        [photo.points for photo in photos],
        encoder,
        title=f"Encoding with {describe(encoder).title}",
    )


def _store(gallery: Gallery, result: PhotoEncodings, job: JobView) -> None:
    """Store what a job made, once; photos that were deleted meanwhile are passed over."""
    try:
        gallery.add_encodings(result.encoder_key, result.encodings)
    except GalleryError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.session_state.setdefault(STORED, set()).add(job.id)
    st.rerun()
