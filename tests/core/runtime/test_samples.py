"""Sample photographs against the packages that carry them; drawn scenes against what they promise."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from sklearn.datasets import load_sample_image

from core.runtime import samples, scenes
from core.runtime.samples import MEGAPIXEL_SIZE_PX, SAMPLES, load_sample, megapixel
from core.runtime.scenes import SCENES

PROJECT = Path(__file__).parents[3]
PHOTOGRAPHS = [name for name, sample in SAMPLES.items() if sample.kind == "photograph"]


def reference(name: str) -> np.ndarray:
    """The photograph as its package loads it, made RGB."""
    if SAMPLES[name].source == "scikit-learn":
        return load_sample_image(SAMPLES[name].path)
    pixels = skimage.data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(skimage.data, name)()
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_are_those_of_their_package(name):
    np.testing.assert_array_equal(load_sample(name), reference(name))


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_loads_and_says_where_it_comes_from(name):
    pixels = load_sample(name)
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    assert 150 <= min(pixels.shape[:2]) and max(pixels.shape[:2]) <= 1500
    assert not pixels.flags.writeable and load_sample(name) is pixels
    sample = SAMPLES[name]
    assert sample.name == name and sample.label and sample.source and sample.licence and sample.credit
    assert sample.kind == ("scene" if name in SCENES else "photograph")


def test_names_and_labels_are_unique_and_every_scene_is_offered():
    assert len({sample.label for sample in SAMPLES.values()}) == len(SAMPLES)
    assert {name for name, sample in SAMPLES.items() if sample.kind == "scene"} == set(SCENES)


def test_photographs_need_no_network(monkeypatch):
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a sample asked for the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    load_sample.cache_clear()
    for name in SAMPLES:
        load_sample(name)


def test_samples_import_neither_of_the_packages():
    program = (
        "import sys\n"
        "from core.runtime.samples import SAMPLES, load_sample\n"
        "for name in SAMPLES: load_sample(name)\n"
        "packages = {'skimage', 'sklearn', 'scipy', 'tensorflow', 'keras', 'streamlit', 'pandas'}\n"
        "heavy = packages & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    finished = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr


def test_an_unknown_name_is_named():
    for load in (load_sample, megapixel):
        with pytest.raises(KeyError, match="astronaut.*received 'nobody'"):
            load("nobody")


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(samples, "find_spec", lambda name: None)
    load_sample.cache_clear()
    with pytest.raises(FileNotFoundError, match="scikit-learn"):
        load_sample("china")
    assert load_sample("street").shape == (512, 512, 3)


def test_threads_get_the_same_picture():
    load_sample.cache_clear()
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(load_sample("coffee"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    for pixels in found:
        np.testing.assert_array_equal(pixels, found[0])


class TestMegapixel:
    @pytest.mark.parametrize("name", ["astronaut", "china", "retina", "page", "shapes", "zone_plate"])
    def test_size_and_type(self, name):
        pixels = megapixel(name)
        assert pixels.shape == (MEGAPIXEL_SIZE_PX[1], MEGAPIXEL_SIZE_PX[0], 3)
        assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous and not pixels.flags.writeable

    def test_a_photograph_keeps_its_middle_and_its_proportions(self):
        photograph = load_sample("astronaut").astype(float)  # 512 x 512: rows 64 to 448 are kept
        blocks = megapixel("astronaut").astype(float).reshape(96, 9, 128, 9, 3).mean(axis=(1, 3))
        kept = photograph[64:448].reshape(96, 4, 128, 4, 3).mean(axis=(1, 3))
        assert np.abs(blocks - kept).mean() < 1


class TestScenes:
    @pytest.mark.parametrize("name", SCENES)
    @pytest.mark.parametrize("size", [(512, 512), (640, 360), (90, 160)])
    def test_any_size_and_always_the_same(self, name, size):
        first, second = SCENES[name](*size), SCENES[name](*size)
        assert first.shape == (size[1], size[0], 3) and first.dtype == np.uint8
        np.testing.assert_array_equal(first, second)
        assert np.ptp(first) > 100

    def test_another_seed_gives_other_shapes(self):
        assert (scenes.shapes(seed=1) != scenes.shapes(seed=2)).any()

    def test_shapes_are_as_many_as_asked_for_and_apart(self):
        for seed in range(5):
            canvas = scenes.shapes(400, 300, seed=seed, n_shapes=11).astype(int)
            is_coloured = np.ptp(canvas, axis=2) > 60
            n_labels, _, stats, _ = cv2.connectedComponentsWithStats(is_coloured.astype(np.uint8))
            assert n_labels - 1 == 11 and stats[1:, cv2.CC_STAT_AREA].min() > 30

    def test_the_checkerboard_alternates(self):
        board = scenes.checkerboard(512, 512)[..., 0]
        middles = board[32::64, 32::64] > 128
        np.testing.assert_array_equal(middles, np.indices((8, 8)).sum(axis=0) % 2 == 1)

    def test_the_zone_plate_reaches_the_highest_frequency_at_its_rim(self):
        values = scenes.zone_plate(513, 513)[256, :, 0].astype(float)
        assert values[256] == 250  # the middle is bright
        # At radius r the phase pi r^2 / D turns by 2 pi r / D a pixel: an eighth of a turn at r = D / 8.
        radius = np.arange(257)
        expected = np.round((0.5 + 0.48 * np.cos(np.pi * radius**2 / 513)) * 255)
        np.testing.assert_array_equal(values[256:], expected)
        # At the rim neighbours alternate.
        rim = np.diff(values[-12:])
        assert (rim[1:] * rim[:-1] < 0).all()

    def test_gratings_stand_across_the_direction_of_their_sector(self):
        picture = scenes.gratings(512, 512)[..., 0].astype(float) - 127.5
        grid_y, grid_x = np.gradient(picture)
        for sector in range(8):
            angle = sector * np.pi / 8
            column = round(255.5 + 150 * np.cos(angle))
            row = round(255.5 + 150 * np.sin(angle))
            window = np.s_[row - 16 : row + 16, column - 16 : column + 16]
            tensor = np.array(
                [
                    [(grid_x[window] ** 2).sum(), (grid_x[window] * grid_y[window]).sum()],
                    [(grid_x[window] * grid_y[window]).sum(), (grid_y[window] ** 2).sum()],
                ]
            )
            along = np.linalg.eigh(tensor)[1][:, 1]  # the main direction of the gradients
            assert abs(along @ (np.cos(angle), np.sin(angle))) > 0.995

    def test_steps_and_ramps_have_edges_in_both_directions(self):
        picture = scenes.step_and_ramp(512, 512)[..., 0].astype(int)
        step, ramp, level = picture[40], picture[120], picture[:, 10]
        assert np.flatnonzero(np.diff(step)).tolist() == [127, 383]
        assert np.diff(step)[127] == -np.diff(step)[383] == 204
        assert (np.diff(ramp)[110:200] >= 1).all() and (np.diff(ramp)[320:400] <= -1).all()
        assert np.abs(np.diff(level)).max() >= 204
