"""The strongest patches: a planted pattern is found where it is, and fields are what gradients say they are."""

from __future__ import annotations

import io
import zipfile

import cv2
import numpy as np
import pytest

from core.interpretation.mosaics import overlay_heat, patch_block, patch_wall
from core.interpretation.photographs import PhotographsError, read_photographs
from core.interpretation.top_patches import local_maxima, strongest_patches
from core.interpretation.types import LayerField, TopPatches
from core.interpretation.views import View, crop_with_margin, cut_views

SIDE_PX = 40
PLACES = {0: (7, 21), 2: (30, 3)}  # view: top left corner (row, column) of the planted pattern


def planted() -> tuple[np.ndarray, list[View]]:
    """A pattern (5, 5, 3), and noisy views of which two hold it, the second one fainter."""
    rng = np.random.default_rng(3)
    pattern = rng.integers(0, 2, (5, 5, 3)) * 255
    views = []
    for number in range(4):
        pixels = rng.integers(110, 146, (SIDE_PX, SIDE_PX, 3))
        if number in PLACES:
            row, column = PLACES[number]
            strength = 1.0 if number == 0 else 0.5
            pixels[row : row + 5, column : column + 5] = 128 + (pattern - 127.5) * strength
        views.append(View(np.clip(pixels, 0, 255).astype(np.uint8), number, 0, 0))
    return pattern, views


def reader_of(pattern: np.ndarray):
    """A layer of two channels by OpenCV: the first answers to the pattern, the second to brightness. No padding."""
    kernel = (pattern - pattern.mean()) / 255.0

    def read(batch: np.ndarray) -> np.ndarray:
        answers = []
        for picture in batch:
            found = sum(
                cv2.filter2D(picture[..., c], cv2.CV_32F, kernel[..., c].astype(np.float32))[2:-2, 2:-2]
                for c in range(3)
            )
            answers.append(np.stack([np.maximum(found, 0), picture.mean(axis=2)[2:-2, 2:-2]], axis=-1))
        return np.asarray(answers, np.float32)

    return read


FIELD = LayerField("conv", SIDE_PX - 4, SIDE_PX - 4, 2, size_px=5, stride_px=1, offset_px=0)


def test_the_planted_pattern_is_picked_first_and_where_it_is():
    pattern, views = planted()
    found = strongest_patches(reader_of(pattern), views, FIELD, [0])
    first, second = found.units[0].patches[:2]
    assert (first.source, first.row, first.column) == (0, *PLACES[0])
    assert (second.source, second.row, second.column) == (2, *PLACES[2])
    assert np.array_equal(first.pixels, views[0].pixels[7:12, 21:26])
    assert first.box_xyxy == (21, 7, 26, 12)
    assert first.value > second.value > 0


def test_patches_fall_and_do_not_overlap_in_a_photograph():
    pattern, views = planted()
    patches = strongest_patches(reader_of(pattern), views, FIELD, [0, 1], count=9).units[0].patches
    values = [patch.value for patch in patches]
    assert values == sorted(values, reverse=True)
    for index, one in enumerate(patches):
        for other in patches[:index]:
            if one.source == other.source:
                covered = np.zeros((2, SIDE_PX, SIDE_PX), bool)
                for layer, patch in enumerate((one, other)):
                    x1, y1, x2, y2 = patch.box_xyxy
                    covered[layer, y1:y2, x1:x2] = True
                assert (covered[0] & covered[1]).sum() <= 0.25 * (covered[0] | covered[1]).sum()


def test_a_channel_that_is_off_has_no_patch():
    _, views = planted()
    found = strongest_patches(lambda batch: np.zeros((len(batch), 36, 36, 2), np.float32), views, FIELD, [1])
    assert found.units[0].patches == ()
    assert (patch_block(found.units[0], 8) == 128).all()


@pytest.mark.parametrize(("channels", "views"), [([2], True), ([0], False)])
def test_what_is_not_there_is_refused(channels, views):
    pattern, cut = planted()
    with pytest.raises(ValueError, match="channels 0 to 1|no photograph"):
        strongest_patches(reader_of(pattern), cut if views else [], FIELD, channels)


def test_local_maxima_are_those_of_a_plain_loop():
    values = np.random.default_rng(0).random((9, 11)).astype(np.float32) - 0.3
    expected = []
    for row in range(9):
        for column in range(11):
            around = values[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            if values[row, column] > 0 and values[row, column] == around.max():
                expected.append((float(values[row, column]), row, column))
    assert list(local_maxima(values, most=99)) == sorted(expected, reverse=True)


@pytest.mark.parametrize("shape", [(50, 130), (130, 50), (64, 64), (3, 200), (1, 1)])
def test_views_cover_the_photograph(shape):
    picture = np.random.default_rng(1).integers(0, 255, (*shape, 3)).astype(np.uint8)
    views = cut_views(picture, 32, source=7, most=99)
    assert all(view.pixels.shape == (32, 32, 3) and view.source == 7 for view in views)
    edges = sorted(max(view.left_px, view.top_px) for view in views)
    assert edges[0] == 0
    assert all(later - earlier <= 32 for earlier, later in zip(edges, edges[1:], strict=False))


def test_a_crop_beyond_the_edge_is_grey_there():
    picture = np.full((6, 6, 3), 9, np.uint8)
    crop = crop_with_margin(picture, (-2, 4, 3, 9))
    assert crop.shape == (5, 5, 3)
    assert (crop[:2, 2:] == 9).all() and (crop[2:] == 128).all() and (crop[:, :2] == 128).all()


def test_fields_are_those_that_gradients_reach():
    import keras
    import tensorflow as tf

    from core.architectures.embedded_backbone import build_backbone
    from core.architectures.summary import summarise_model
    from core.interpretation.subjects import layer_fields

    side = 64
    model = build_backbone(input_shape=(side, side, 3), seed=1)
    for name, row, column in (("block2_conv1", 9, 20), ("block3_conv1", 8, 7)):
        field = layer_fields(summarise_model(model), [name])[0]
        inner = keras.Model(model.inputs, model.get_layer(name).output)
        reached = np.zeros((side, side), bool)
        for seed in range(6):  # one picture leaves some paths switched off by a ReLU or a pooling
            x = tf.constant(np.random.default_rng(seed).uniform(0, 255, (1, side, side, 3)).astype(np.float32))
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.reduce_sum(inner(x)[0, row, column])
            reached |= np.abs(tape.gradient(y, x)[0]).max(axis=2) > 0
        left, top, right, bottom = field.box(row, column)
        rows, columns = np.nonzero(reached)
        assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (top, bottom, left, right)


class TestTheWall:
    def test_blocks_are_where_clicks_find_them(self):
        pattern, views = planted()
        found = strongest_patches(reader_of(pattern), views, FIELD, [0, 1])
        wall = patch_wall(TopPatches(FIELD, found.units * 3, 4, 4), columns=4, patch_px=10)
        for unit in range(6):
            row, column = wall.origin(unit)
            assert wall.unit_at(row, column) == unit
            assert wall.unit_at(row + wall.unit_px - 1, column + wall.unit_px - 1) == unit
        assert wall.unit_at(wall.pixels.shape[0] - 1, wall.pixels.shape[1] - 1) is None

    def test_heat_brightens_where_it_is(self):
        picture = np.full((20, 20, 3), 90, np.uint8)
        heat = np.zeros((2, 2), np.float32)
        assert np.array_equal(overlay_heat(picture, heat), picture)
        heat[0, 0] = 3.0
        shown = overlay_heat(picture, heat).astype(int).sum(axis=2)
        assert shown[0, 0] > shown[-1, -1]
        with pytest.raises(ValueError, match="0 to 1"):
            overlay_heat(picture, heat, 2.0)


class TestOwnPhotographs:
    @staticmethod
    def png(value: int) -> bytes:
        return cv2.imencode(".png", np.full((30, 40, 3), value, np.uint8))[1].tobytes()

    @staticmethod
    def zipped(files: dict[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return buffer.getvalue()

    def test_pictures_and_zips_are_read_together(self):
        data = self.zipped({"a/1.png": self.png(10), "a/notes.txt": b"no", "b/2.png": b"no picture"})
        read = read_photographs([("mine.png", self.png(200)), ("more.zip", data)])
        assert [int(picture[0, 0, 0]) for picture in read.photographs] == [200, 10]
        assert read.notes == ("1 could not be read as a picture and were left out, first 2.png.",)

    @pytest.mark.parametrize(
        ("name", "data", "said"),
        [
            ("empty.zip", b"", "0 bytes"),
            ("not.zip", b"something else", "no zip archive"),
            ("text.png", b"hello", "None of the files"),
        ],
    )
    def test_others_are_refused_in_a_sentence(self, name, data, said):
        with pytest.raises(PhotographsError, match=said):
            read_photographs([(name, data)])

    def test_paths_that_climb_out_are_refused(self):
        with pytest.raises(PhotographsError, match="leads out of it"):
            read_photographs([("bad.zip", self.zipped({"../1.png": self.png(1)}))])
