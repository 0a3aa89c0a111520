"""What augmentation does to a picture: the original, and under it each change alone and all of them together."""

import dataclasses

import numpy as np
import streamlit as st

from core.runtime.images import display_jpeg
from core.training import tasks
from core.training.class_folders import middle_square
from core.training.runs import TrainingSettings
from pages.parts.compute import compute
from pages.parts.image_input import image_input
from pages.parts.kept_calls import kept_call
from pages.parts.lab.controls import Chosen

COUNT = 6
TILE_PX = 76
OWN_SIDE_PX = 96
NOTHING = {"shift_px": 0, "flip": False, "rotate_deg": 0.0, "zoom": 0.0, "colour": 0.0}
# What a change that is switched off would look like.
EXAMPLES = {"shift_px": 3, "rotate_deg": 15.0, "zoom": 0.2, "colour": 0.4, "flip": True}
FROM_DATA, OWN = "a training picture", "a picture of my own"


def view(chosen: Chosen) -> None:
    """Draw the picture that is changed, and its changes."""
    settings = chosen.settings or TrainingSettings()
    picture = _picture(chosen)
    if picture is None:
        return
    first, note = st.columns([1, 7], vertical_alignment="center")
    _tile(first, picture, "The picture as it is")
    note.markdown(
        "The network sees each training picture anew in every epoch, changed at random within the limits set under "
        "**Augment**. Validation and test pictures stay as they are."
    )
    rows: list[tuple[str, TrainingSettings]] = []
    for field, words in _rows(settings):
        is_on = bool(getattr(settings, field))
        value = getattr(settings, field) if is_on else EXAMPLES[field]
        alone = dataclasses.replace(settings, **{**NOTHING, field: value})
        rows.append((f"**{words(value)}**" if is_on else f"{words(value)} :gray-badge[off]", alone))
    if settings.augments:
        rows.insert(0, ("**All together**: what it learns from", settings))
    shown = compute(tasks.preview_augmentation, picture, [one for _, one in rows], COUNT)
    for index, ((words, _), pictures) in enumerate(zip(rows, shown or (), strict=False)):
        _row(pictures, words, f"lab_preview_{index}")
    if not settings.augments:
        st.caption("All changes are off: the rows show what each would do. Switch them on under Augment.")


def _rows(settings: TrainingSettings) -> list:
    rows = [
        ("shift_px", lambda px: f"Moved by up to {px} px"),
        ("rotate_deg", lambda degrees: f"Turned by up to {degrees:g}°"),
        ("zoom", lambda share: f"Zoomed by up to {100 * share:.0f} %"),
        ("colour", lambda share: f"Recoloured by up to {100 * share:.0f} %"),
        ("flip", lambda _: "Mirrored, every second one"),
    ]
    return sorted(rows, key=lambda row: not getattr(settings, row[0]))


def _picture(chosen: Chosen) -> np.ndarray | None:
    kind, what = st.columns([1.3, 2], vertical_alignment="bottom")
    source = kind.segmented_control(
        "Show it on",
        [FROM_DATA, OWN],
        default=FROM_DATA,
        required=True,
        key="lab_preview_source",
        bind="query-params",
    )
    if source == OWN:
        with what:
            image = image_input(key="lab_preview_image", label="Picture", default="chelsea")
        return middle_square(image.pixels, OWN_SIDE_PX)
    if not chosen.data.at_hand:
        st.info("These pictures are not there yet; see it on a picture of your own.", icon=":material/image:")
        return None
    sample = kept_call(tasks.sample_pictures, chosen.data.key)
    if sample is None:
        return None
    index = what.slider(
        "Which", 1, len(sample.images), 1, key="lab_preview_index", help="One of the first training pictures."
    )
    return sample.images[index - 1]


def _row(pictures: np.ndarray, words: str, key: str) -> None:
    label, tiles = st.columns([1, 4], vertical_alignment="center")
    label.markdown(words)
    with tiles.container(horizontal=True, gap="xsmall", key=key):
        for index, one in enumerate(pictures):
            with st.container(width=TILE_PX):
                _tile(st, one, f"{words.strip('*')}, draw {index + 1}")


def _tile(place, picture: np.ndarray, alt: str) -> None:
    colour = np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture
    factor = max(1, round(TILE_PX / picture.shape[0]))
    large = np.repeat(np.repeat(colour, factor, axis=0), factor, axis=1)
    place.image(display_jpeg(large), width=TILE_PX, alt=alt)
