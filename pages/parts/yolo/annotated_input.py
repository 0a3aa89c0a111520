"""Where annotated pictures come from: a set that the project draws, or a zip of the visitor's own."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core.detection.annotated_zip import AnnotatedZip, read_annotated_zip
from core.detection.annotations import AnnotationError
from core.detection.drawn_sets import DRAWN_SETS, drawn_zip

OWN = "own_zip"
KEPT = "_own_annotated_zip"


@dataclass(frozen=True)
class ChosenSet:
    """An annotated set, its name on the page, and a hash for caches and results."""

    annotated: AnnotatedZip
    label: str
    fingerprint: str
    is_drawn: bool


@st.cache_resource(max_entries=2, show_spinner="Reading the zip…")
def _read(sha256: str, _data: bytes) -> AnnotatedZip:
    return read_annotated_zip(_data)


@st.cache_resource(max_entries=6, show_spinner="Drawing the pictures…")
def _drawn(name: str, count: int, seed: int) -> AnnotatedZip:
    return drawn_zip(name, count, seed)


def annotated_input(*, key: str, default: str, names: Sequence[str], count: int, seed: int = 0) -> ChosenSet | None:
    """Draw the choice of an annotated set and return it; None until a zip that can be used was chosen.

    Args:
        key: The choice's name in the page's address.
        default: The drawn set shown first.
        names: The drawn sets offered.
        count: Pictures in a drawn set.
        seed: Another seed draws other pictures.
    """
    choice = st.selectbox(
        "Annotated pictures",
        [*names, OWN],
        index=list(names).index(default),
        format_func=lambda name: "Your own zip…" if name == OWN else DRAWN_SETS[name].label,
        key=key,
        bind="query-params",
        help="A set that the workbench draws, or a zip of pictures with annotations as YOLO text, VOC XML or COCO "
        "JSON. Nothing leaves this machine.",
    )
    if choice != OWN:
        return ChosenSet(
            _drawn(choice, count, seed), DRAWN_SETS[choice].label, f"{choice} {count} {seed}", is_drawn=True
        )
    given = st.file_uploader(
        "Zip of pictures and annotations", type=["zip"], key=f"{key}_file", label_visibility="collapsed"
    )
    if given is not None:
        data = given.getvalue()
        sha256 = hashlib.sha256(data).hexdigest()
        try:
            st.session_state[KEPT] = ChosenSet(_read(sha256, data), given.name, sha256, is_drawn=False)
        except AnnotationError as error:
            st.error(str(error), icon=":material/folder_zip:")
            return None
    kept: ChosenSet | None = st.session_state.get(KEPT)
    if kept is None:
        st.caption(
            "Pictures with a text file each and a classes.txt (YOLO), with an XML each (VOC), or with one JSON (COCO)."
        )
        return None
    annotations = kept.annotated.annotations
    objects = sum(len(picture.class_ids) for picture in annotations.pictures)
    st.caption(
        f":material/folder_zip: {kept.label}: {len(annotations.pictures)} pictures, {objects} objects, "
        f"{len(annotations.class_names)} classes, {kept.annotated.format}."
    )
    return kept
