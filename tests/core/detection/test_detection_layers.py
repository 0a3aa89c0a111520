"""Cells, steps, rows, programs and drawing of detections, each against a plain reference."""

import json

import numpy as np
import pytest

from core.detection.boxes import BoxError, pairwise_iou
from core.detection.cells import answering_rows, cell_side_px, input_side_px, object_cells, start_boxes
from core.detection.drawing import (
    class_colour,
    draw_box,
    draw_cells,
    draw_detections,
    draw_dots,
    draw_grid,
    draw_labels,
    draw_outlines,
    screen_canvas,
)
from core.detection.evaluation import ImageDetections
from core.detection.grid import cell_centres
from core.detection.predictions import NetworkAnswer, PictureError, answer_of, select
from core.detection.report_rows import coco_rows, table_rows
from core.detection.snippets import compare_suppression, suppression_snippets
from core.detection.steps import suppression_step
from core.detection.suppression import non_max_suppression
from core.detection.yolox import COCO_NAMES, decode_yolox

SIDE = 64
NAMES = ("person", "car", "cat")


def answer_with(cell: int, box: tuple[float, ...], class_id: int, size=(128, 96)) -> NetworkAnswer:
    """One cell (a row of the answer) says a box in pixels of the network's square; all others say nothing."""
    cells = cell_centres(SIDE, SIDE)
    raw = np.full((len(cells), 4 + len(NAMES)), -9.0, np.float32)
    x, y, stride = cells[cell]
    raw[cell, :4] = np.log(np.array([x - box[0], y - box[1], box[2] - x, box[3] - y]) / stride)
    raw[cell, 4 + class_id] = 2.0
    scale = SIDE / max(size)
    return answer_of(raw, SIDE, (scale, scale), size, NAMES, "made")


def crowd(seed: int = 0, count: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    middles = rng.uniform(40, 260, (6, 2))[rng.integers(0, 6, count)] + rng.normal(0, 7, (count, 2))
    sizes = rng.uniform(30, 70, (count, 2))
    boxes = np.concatenate([middles - sizes / 2, middles + sizes / 2], axis=1)
    return boxes, rng.permutation(count) / count + 0.001, rng.integers(0, 3, count)


def test_the_side_is_read_from_the_number_of_answers():
    for side in (32, 256, 416, 640):
        count = len(cell_centres(side, side))
        made = NetworkAnswer(np.zeros((count, 4), np.float32), np.zeros((count, 1), np.float32), (500, 250), ("a",), "")
        assert input_side_px(made) == side
        assert cell_side_px(made, 8) == pytest.approx(8 * 500 / side)


def test_exception_answers_of_no_square_grids():
    made = NetworkAnswer(np.zeros((100, 4), np.float32), np.zeros((100, 1), np.float32), (9, 9), ("a",), "")
    with pytest.raises(PictureError, match="received 100"):
        input_side_px(made)


def test_cells_of_an_object_whose_neighbour_answered():
    # Row 64 of 84 is the first cell of the 4 x 4 grid at stride 16; its middle is (8, 8) of the 64 px square.
    answer = answer_with(64 + 1, (20, 2, 50, 22), 2)  # answered by column 1, whose middle is (24, 8)
    found = select(answer, 0.5).detections
    assert answering_rows(answer, found).tolist() == [65]
    cells = object_cells(answer, found)
    # The midpoint (35, 12) of the square falls into column 2, row 0 of 16 px cells.
    assert (cells.strides_px[0], cells.cells[0], cells.rows[0], cells.columns[0]) == (16, 4, 0, 2)
    np.testing.assert_allclose(cells.fractions[0], [3 / 16, 12 / 16, 30 / 16, 20 / 16], rtol=1e-4)
    # On the picture, twice as large as the square, cells are 32 px.
    np.testing.assert_allclose(cells.cells_xyxy[0], [64, 0, 96, 32])
    np.testing.assert_allclose(cells.answered_xyxy[0], [32, 0, 64, 32])
    np.testing.assert_allclose(cells.start_xyxy[0], [16, -16, 80, 48])  # two strides about (48, 16)


def test_start_boxes_of_yolox_are_one_stride_at_the_cell_s_corner():
    count = len(cell_centres(SIDE, SIDE))
    rows = np.zeros((count, 85), np.float32)
    boxes, scores = decode_yolox(rows, SIDE)
    made = NetworkAnswer(boxes, scores, (SIDE, SIDE), COCO_NAMES, "yolox")
    np.testing.assert_allclose(start_boxes(made)[9], [4, 4, 12, 12])  # the cell at (8, 8) of the 8 px grid


def test_exception_boxes_of_another_answer():
    answer = answer_with(3, (10, 1, 40, 9), 1)
    foreign = ImageDetections(np.array([[1.0, 2, 3, 4]]), np.array([0]), np.array([0.5]))
    with pytest.raises(PictureError, match="selected from this answer"):
        answering_rows(answer, foreign)


@pytest.mark.parametrize("per_class", [True, False])
def test_steps_tell_what_a_plain_loop_does(per_class):
    boxes, scores, class_ids = crowd()
    ids = class_ids if per_class else None
    result = non_max_suppression(boxes, scores, ids, 0.4)
    alive = set(range(len(boxes)))
    for number in range(1, len(result.picked) + 1):
        step = suppression_step(boxes, ids, result, number)
        rivals = [i for i in alive if not per_class or class_ids[i] == class_ids[step.picked]]
        assert step.picked == max(rivals, key=lambda i: scores[i])
        alive.remove(step.picked)
        rivals.remove(step.picked)
        iou = {i: pairwise_iou(boxes[[step.picked]], boxes[[i]])[0, 0] for i in rivals}
        assert set(step.dropped.tolist()) == {i for i in rivals if iou[i] > 0.4}
        np.testing.assert_allclose(step.dropped_iou, [iou[i] for i in step.dropped], rtol=1e-9)
        assert set(step.spared.tolist()) == {i for i in rivals if 0 < iou[i] <= 0.4}
        assert (np.diff(step.spared_iou) <= 0).all()
        alive -= set(step.dropped.tolist())
        assert set(step.waiting.tolist()) == alive
        assert len(step.kept_before) == number - 1
        assert len(step.gone) + len(step.kept_before) + 1 + len(step.dropped) + len(alive) == len(boxes)
    assert not alive


def test_exception_no_such_step():
    boxes, scores, _ = crowd(count=4)
    result = non_max_suppression(boxes, scores)
    for number in (0, len(result.picked) + 1):
        with pytest.raises(BoxError, match="expected a step"):
            suppression_step(boxes, None, result, number)


@pytest.mark.parametrize("per_class", [True, False])
@pytest.mark.parametrize("threshold", [0.2, 0.45, 0.7])
def test_the_programs_keep_the_same_boxes_as_the_core(per_class, threshold):
    boxes, scores, class_ids = crowd(seed=3)
    ids = class_ids if per_class else None
    answer = compare_suppression(boxes, scores, ids, threshold)
    keep = non_max_suppression(boxes, scores, ids, threshold).keep
    assert [run.name for run in answer.runs] == ["NumPy", "OpenCV", "TensorFlow"]
    for run in answer.runs:
        np.testing.assert_array_equal(run.result > 0, keep, err_msg=run.name)
        assert run.time_ms > 0
    assert [pair.largest for pair in answer.differences] == [0, 0, 0]
    assert f"Of 120 boxes stay: NumPy {keep.sum()}" in answer.note


def test_exception_programs():
    with pytest.raises(BoxError, match="threshold"):
        suppression_snippets(1.5, True)
    with pytest.raises(BoxError, match="at least one"):
        compare_suppression(np.zeros((0, 4)), np.zeros(0), None, 0.5)


def test_rows_are_those_of_the_command():
    found = ImageDetections(
        np.array([[1.234, 2, 11.239, 22], [0, 0, 5, 5]], np.float32),
        np.array([2, 0]),
        np.array([0.9, 0.25], np.float32),
    )
    rows = coco_rows("a.jpg", found, NAMES)
    assert json.loads(json.dumps(rows))[0] == {
        "file_name": "a.jpg",
        "category": "cat",
        "bbox": [1.23, 2.0, 10.01, 20.0],
        "score": 0.9,
    }
    flat = table_rows("a.jpg", found, NAMES)
    assert [row["width"] for row in flat] == [10.01, 5.0] and flat[1]["category"] == "person"


def found_at(box, score=0.8, class_id=1) -> ImageDetections:
    return ImageDetections(np.array([box], np.float32), np.array([class_id]), np.array([score], np.float32))


@pytest.mark.parametrize("side", [40, 320, 2048])
def test_a_drawn_box_has_its_class_s_colour_at_every_size(side):
    picture = np.full((side, side, 3), 127, np.uint8)
    drawn = draw_detections(picture, found_at((0.25 * side, 0.5 * side, 0.75 * side, 0.9 * side)), NAMES)
    assert (drawn[round(0.7 * side), round(0.25 * side)] == class_colour(1)).all()
    assert (picture == 127).all()
    # The label covers ground above the box, in the class's colour, with letters on it.
    label = (drawn == class_colour(1)).all(axis=2)
    outline = 2 * (0.5 * side + 0.4 * side) * max(1, round(side / 320))
    assert label.sum() > 1.3 * outline


def test_labels_do_not_cover_each_other():
    canvas = np.zeros((600, 900, 3), np.uint8)
    boxes = np.array([[300, 200, 600, 500]] * 4, np.float32)
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0)]
    draw_labels(canvas, boxes, ["one 80 %", "two 70 %", "three 60 %", "four 50 %"], colours)
    areas = [int((canvas == colour).all(axis=2).sum()) for colour in colours]
    assert min(areas) > 0.6 * max(areas)


def test_labels_stay_inside_the_picture():
    canvas = np.zeros((60, 80, 3), np.uint8)
    draw_labels(canvas, np.array([[70, -5, 90, 80]], np.float32), ["a long name 99 %"], [(250, 0, 0)])
    assert (canvas[:, :, 0] == 250).any()


def test_grid_lines_stand_at_the_cells_borders():
    canvas = np.zeros((100, 150, 3), np.uint8)
    draw_grid(canvas, 50.0)
    lit = np.flatnonzero(canvas[10, :, 0] > 100)
    assert lit.tolist() == [50, 100]
    assert np.flatnonzero(canvas[:, 10, 0] > 100).tolist() == [50]
    with pytest.raises(ValueError, match="one pixel"):
        draw_grid(canvas, 0.5)


def test_cells_dots_and_outlines_are_drawn_where_they_are():
    canvas = np.zeros((320, 320, 3), np.uint8)
    draw_cells(canvas, np.array([[-16.0, 100, 60, 160], [300, 300, 400, 400]]), [(200, 0, 0)] * 2, opacity=0.5)
    assert canvas[130, 20].tolist() == [100, 0, 0] and canvas[200, 200].tolist() == [0, 0, 0]
    draw_dots(canvas, np.array([[200.0, 50]]), [(0, 200, 0)])
    assert canvas[50, 200].tolist() == [0, 200, 0]
    draw_outlines(canvas, np.array([[210.0, 210, 280, 280]]), np.array([1]))
    assert canvas[240, 210].tolist() == list(class_colour(1)) and canvas[240, 240].tolist() == [0, 0, 0]
    draw_box(canvas, np.array([20.0, 200, 180, 300]), (9, 9, 250), 2, dashed=True)
    upper_edge = (canvas[200, 20:180] == (9, 9, 250)).all(axis=1)
    assert 0.3 < upper_edge.mean() < 0.8


@pytest.mark.parametrize(
    ("size", "shown"), [((30, 60), (450, 900)), ((1000, 1000), (1000, 1000)), ((3000, 1500), (1280, 640))]
)
def test_a_canvas_fits_a_screen(size, shown):
    canvas, scale = screen_canvas(np.zeros((*size, 3), np.uint8))
    assert canvas.shape == (*shown, 3)
    assert scale == pytest.approx(shown[0] / size[0])
