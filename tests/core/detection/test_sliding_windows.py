"""Sliding windows: both forms of a network give the same numbers, windows lie where they should, boxes come of maps."""

import keras
import numpy as np
import pytest
from keras import ops

from core.detection.sliding_windows import (
    STRIDE_PX,
    WINDOW_PX,
    Level,
    ScoreMap,
    WindowError,
    at_level,
    cut_windows,
    pyramid_levels,
    select_windows,
    window_box,
)
from core.detection.sliding_windows_drawing import best_cell, cell_at, overlay_heat, window_pixels
from core.detection.sliding_windows_layers import layer_costs
from core.detection.sliding_windows_network import (
    build_window_classifier,
    fold_normalisation,
    fully_convolutional,
    network_stride_px,
    softmax,
    unfold_normalisation,
)
from core.detection.sliding_windows_snippets import compare_dense_as_convolution
from core.detection.sliding_windows_tasks import compare_ways, face_windows, score_windows
from core.runtime.report import JobCancelled, Report
from core.runtime.samples import load_sample


def picture(height=96, width=120, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def random_classifier():
    model = build_window_classifier(4, seed=3)
    rng = np.random.default_rng(1)
    for layer in model.layers:
        layer.set_weights([w + rng.normal(0, 0.02, w.shape) for w in layer.get_weights()])
    return model


class TestTheTwoForms:
    @pytest.mark.parametrize("size", [(64, 64), (96, 120), (75, 99)])  # exact fit, several windows, pixels left over
    def test_give_the_same_numbers(self, random_classifier, size):
        image = picture(*size)
        convolutional = fully_convolutional(random_classifier)
        maps = ops.convert_to_numpy(convolutional(image[None].astype(np.float32)))[0]
        windows = cut_windows(image)
        single = np.stack(
            [[ops.convert_to_numpy(random_classifier(w[None].astype(np.float32)))[0] for w in row] for row in windows]
        )
        assert maps.shape == single.shape
        assert np.abs(softmax(maps) - softmax(single)).max() < 1e-5
        assert np.abs(maps - single).max() < 1e-5 * max(1.0, np.abs(single).max())

    def test_the_embedded_weights_too(self):
        compared = compare_ways(load_sample("chelsea"), 112)
        assert [way.name for way in compared.ways] == ["one by one", "in batches", "convolutional"]
        assert max(value for _, _, value in compared.differences) < 1e-5
        rows, columns = compared.level.rows, compared.level.columns
        assert all(way.probabilities.shape == (rows, columns, 7) and way.seconds > 0 for way in compared.ways)

    def test_have_the_same_parameters(self, random_classifier):
        assert fully_convolutional(random_classifier).count_params() == random_classifier.count_params()

    def test_move_by_the_product_of_all_strides(self):
        assert network_stride_px() == STRIDE_PX

    def test_the_three_programs_agree(self):
        comparison = compare_dense_as_convolution(3, 4)
        assert comparison.runs[0].result.shape == (3, 4, 192)
        assert max(difference.largest for difference in comparison.differences) < 1e-4

    def test_folding_keeps_the_answers(self):
        trained = build_window_classifier(2, normalised=True, seed=5)
        rng = np.random.default_rng(2)
        for layer in trained.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
        windows = np.stack([picture(64, 64, seed) for seed in range(3)]).astype(np.float32)
        plain = fold_normalisation(trained, 2)
        assert ops.convert_to_numpy(plain(windows)) == pytest.approx(
            ops.convert_to_numpy(trained(windows, training=False)), abs=2e-4
        )

    def test_unfolding_keeps_the_answers_and_changes_nothing_in_a_batch(self, random_classifier):
        windows = np.stack([picture(64, 64, seed) for seed in range(6)]).astype(np.float32)
        trained = unfold_normalisation(random_classifier, 4, windows)
        expected = ops.convert_to_numpy(random_classifier(windows))
        assert ops.convert_to_numpy(trained(windows, training=False)) == pytest.approx(expected, abs=1e-3)
        assert ops.convert_to_numpy(trained(windows, training=True)) == pytest.approx(expected, abs=1e-3)
        folded = fold_normalisation(trained, 4)
        assert ops.convert_to_numpy(folded(windows)) == pytest.approx(expected, abs=1e-3)


class TestTheLayers:
    def test_are_those_of_the_network(self, random_classifier):
        costs = {cost.name: cost for cost in layer_costs(Level(1.0, 120, 96), 4)}
        convolutional = fully_convolutional(random_classifier)
        image = ops.convert_to_tensor(picture()[None].astype(np.float32))
        for name, cost in costs.items():
            layer = random_classifier.get_layer(name)
            assert cost.parameters == layer.count_params()
            shape = tuple(layer.output.shape[1:])
            assert cost.window_shape == (shape if len(shape) == 3 else (1, 1, *shape))
            twin = convolutional.get_layer(name if not name.startswith("fc") else f"{name}_conv")
            until = keras.Model(convolutional.input, twin.output)
            assert cost.image_shape == tuple(until(image).shape[1:])

    def test_one_window_costs_the_same_in_both_forms(self):
        for cost in layer_costs(Level(1.0, 64, 64), 6):
            assert cost.window_multiplications == cost.image_multiplications
            assert cost.window_shape == cost.image_shape


class TestWindows:
    def test_are_the_pixels_of_the_image(self):
        image = picture(100, 130)
        windows = cut_windows(image)
        assert windows.shape == (5, 9, 64, 64, 3)
        for row, column in ((0, 0), (4, 8), (2, 3)):
            top, left = STRIDE_PX * row, STRIDE_PX * column
            assert (windows[row, column] == image[top : top + WINDOW_PX, left : left + WINDOW_PX]).all()

    def test_an_image_of_512_px_has_3249(self):
        assert pyramid_levels(512, 512, largest_px=512, count=1)[0].windows == 3249

    def test_every_size_of_the_pyramid_holds_a_window(self):
        for size in ((640, 480), (100, 900), (64, 64), (20, 20), (3000, 2000)):
            levels = pyramid_levels(*size, largest_px=320, count=6, factor=0.6)
            assert levels and all(level.windows >= 1 for level in levels)
            assert all(a.scale > b.scale for a, b in zip(levels, levels[1:], strict=False))
            assert at_level(picture(size[1] % 400 + 1, size[0] % 400 + 1), levels[0]).shape[:2] == (
                levels[0].height_px,
                levels[0].width_px,
            )

    @pytest.mark.parametrize("arguments", [{"count": 0}, {"factor": 1.0}, {"factor": 0.0}])
    def test_settings_out_of_range_are_refused(self, arguments):
        with pytest.raises(WindowError):
            pyramid_levels(100, 100, **arguments)

    def test_a_picture_too_narrow_is_refused(self):
        with pytest.raises(WindowError, match="too narrow"):
            pyramid_levels(2000, 20)
        with pytest.raises(WindowError):
            cut_windows(picture(40, 90))

    def test_a_point_finds_the_window_around_it(self):
        level = Level(0.5, 200, 120)
        for row, column in ((0, 0), (3, 7), (level.rows - 1, level.columns - 1)):
            left, top, right, bottom = window_box(row, column, level.scale)
            assert cell_at((left + right) / 2, (top + bottom) / 2, level) == (row, column)
        assert cell_at(-50, 1e6, level) == (level.rows - 1, 0)

    def test_the_pixels_of_a_window_are_those_the_network_saw(self):
        image = picture(128, 160)
        level = Level(1.0, 160, 128)
        assert (window_pixels(image, level, 2, 5) == cut_windows(image)[2, 5]).all()


class TestBoxes:
    def maps(self):
        level = Level(0.5, 160, 128)
        probabilities = np.zeros((level.rows, level.columns, 3), np.float32)
        probabilities[..., 0] = 1
        for row, column, score in ((2, 3, 0.9), (2, 4, 0.8), (6, 10, 0.7)):
            probabilities[row, column] = [1 - score, score, 0]
        probabilities[2, 5] = [0.05, 0, 0.95]
        return [ScoreMap(level, probabilities)]

    def test_the_best_window_of_a_heap_stays(self):
        found = select_windows(self.maps(), threshold=0.5, iou_threshold=0.3)
        assert len(found.candidates.scores) == 4 and found.kept.sum() == 3
        kept = found.detections
        assert np.sort(kept.scores) == pytest.approx([0.7, 0.9, 0.95])
        best = kept.boxes_xyxy[kept.scores.argmax()]
        assert best.tolist() == list(window_box(2, 5, 0.5))

    def test_a_threshold_and_a_choice_of_classes(self):
        assert len(select_windows(self.maps(), threshold=0.85).candidates.scores) == 2
        assert select_windows(self.maps(), 0.5, 0.3, [1]).candidates.class_ids.tolist() == [1]
        assert len(select_windows(self.maps(), threshold=0.99).detections.scores) == 0
        assert len(select_windows([]).detections.scores) == 0


class TestHeat:
    def test_colours_lie_in_the_middle_of_their_windows(self):
        level = Level(1.0, 128, 128)
        scores = np.full((level.rows, level.columns), np.nan, np.float32)
        scores[4, 2] = 1.0
        canvas = np.full((128, 128, 3), 100, np.uint8)
        changed = (overlay_heat(canvas, scores, level, 1.0) != canvas).any(axis=-1)
        rows, columns = np.nonzero(changed)
        left, top, right, bottom = window_box(4, 2, 1.0)
        assert (rows.min() + rows.max() + 1) / 2 == (top + bottom) / 2
        assert (columns.min() + columns.max() + 1) / 2 == (left + right) / 2
        assert changed.sum() == STRIDE_PX**2
        assert best_cell(np.nan_to_num(scores)) == (4, 2)


class TestTasks:
    def test_scores_of_a_photograph(self):
        scores = score_windows(load_sample("chelsea"), 192, 3, 0.7)
        assert len(scores.maps) == 2 and len(scores.class_names) == 6
        for entry in scores.maps:
            assert entry.probabilities.shape == (entry.level.rows, entry.level.columns, 7)
            assert entry.probabilities.sum(axis=-1) == pytest.approx(1.0, abs=1e-5)

    def test_a_cancelled_comparison_ends(self):
        class Stopped(Report):
            def __call__(self, fraction=None, message="", metrics=None, preview=None):
                if message.startswith("One by one"):
                    raise JobCancelled

        with pytest.raises(JobCancelled):
            compare_ways(load_sample("chelsea"), 96, Stopped())

    def test_more_windows_than_anybody_waits_for_are_refused(self):
        with pytest.raises(WindowError, match="one by one"):
            compare_ways(picture(64, 64).repeat(16, 0).repeat(16, 1), 1024)

    def test_mtccns_first_stage_is_a_sliding_window(self):
        found = face_windows(load_sample("astronaut"), 60.0)
        assert found.compared >= 100 and found.largest_difference < 1e-5
        # The face lies at about (222, 117); one of the best proposals holds its middle.
        best = found.boxes_xyxy[:20]
        assert ((best[:, 0] < 222) & (best[:, 2] > 222) & (best[:, 1] < 117) & (best[:, 3] > 117)).any()

    def test_a_picture_without_room_for_a_window(self):
        assert face_windows(picture(15, 15), 20.0).maps == ()
