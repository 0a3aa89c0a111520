"""Further views of the YOLO page: numbers, links, jobs to their end, and input that cannot be used."""

import io
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from core.detection.annotations import to_coco
from core.detection.batch import zip_of
from core.detection.drawn_sets import drawn_zip
from core.detection.overlap import compare_boxes
from core.detection.video import VideoWriter
from core.runtime.images import encode_jpeg
from core.runtime.samples import load_sample
from pages.parts import compute
from pages.parts.box_canvas import keep_inside

PAGE = "yolo_detection"


def texts(app):
    return "\n".join(element.value for element in [*app.markdown, *app.caption, *app.success, *app.info])


def formulas(app):
    return "\n".join(latex.value for latex in app.latex)


def finish(app, key: str, limit_s: float = 400.0):
    """Wait for the job that was started under this key, then run the page once more."""
    until = time.monotonic() + limit_s
    while not compute.engine().job(app.session_state[f"_job_{key}"], owner="local").finished:
        assert time.monotonic() < until, "the job did not end"
        time.sleep(0.1)
    app.run()
    assert not app.exception, [problem.value for problem in app.exception]


def annotated_upload(count: int = 6) -> bytes:
    made = drawn_zip("streets", count)
    return zip_of({**made.pictures, "annotations.json": to_coco(made.annotations).encode()})


def test_two_boxes_with_their_numbers_put_in(open_page):
    app = open_page(PAGE, view="Two boxes")
    expected = compare_boxes((120, 90, 360, 290), (220, 140, 480, 340))
    assert app.metric[0].value == f"{expected.iou:.3f}" and app.metric[1].value == f"{expected.giou:.3f}"
    assert r"\frac{21{,}000}{48{,}000 + 52{,}000 - 21{,}000} = \frac{21{,}000}{79{,}000} = 0.2658" in formulas(app)
    assert "Counts as missed" in texts(app)


def test_two_boxes_follow_their_fields_and_stay_inside(open_page):
    app = open_page(PAGE, view="Two boxes", yolo_iou_1_left="130", yolo_iou_1_top="90", yolo_iou_1_right="9000")
    assert "Kept inside 640 × 400 pixels: 130, 90, 640, 340." in texts(app)
    app.number_input(key="yolo_iou_1_right").set_value(360)
    app.number_input(key="yolo_iou_1_bottom").set_value(290).run()
    assert app.metric[0].value == f"{230 / 240:.3f}" and "Counts as found" in texts(app)


def test_two_boxes_that_do_not_touch(open_page):
    app = open_page(PAGE, view="Two boxes", yolo_iou_1_left="500", yolo_iou_1_right="600")
    assert app.metric[0].value == "0.000" and app.metric[1].value.startswith("−")


@pytest.mark.parametrize("box", [(-5, -5, -1, -1), (float("nan"), 0, float("inf"), 3), (700, 500, 0, 0)])
def test_any_numbers_become_a_box_inside(box):
    left, top, right, bottom = keep_inside(box, 640, 400)
    assert 0 <= left < right <= 640 and 0 <= top < bottom <= 400


def test_the_target_tensor_of_a_drawn_street(open_page):
    app = open_page(PAGE, view="Target tensor")
    assert r"3 \times 3 \times (2 \cdot (5 + 3)) &= 3 \times 3 \times 16" in formulas(app)
    vector = app.dataframe[0].value
    assert vector[""].tolist()[:6] == ["p_c", "b_x", "b_y", "b_h", "b_w", "c_1 (pedestrian)"]
    assert vector["Anchor 2"][0] == "1" and set(vector["Anchor 1"][1:]) == {"?"}
    assert app.dataframe[1].value["Object"].tolist() == ["car", "pedestrian", "pedestrian"]
    assert app.dataframe[1].value["Anchor"].tolist() == [2, 1, 1]


def test_a_cell_outside_of_a_coarser_grid_becomes_the_last(open_page):
    app = open_page(PAGE, view="Target tensor", yolo_target_row="18", yolo_target_col="18")
    assert "row 2, column 2" in texts(app)
    assert set(app.dataframe[0].value["Anchor 1"]) == {"0", "?"}


def test_boxes_of_the_visitor_and_what_is_no_box(open_page):
    app = open_page(PAGE, view="Target tensor", yolo_target_drag="true", yolo_target_car="10 20 100 90")
    assert app.dataframe[1].value["Cell"].tolist()[1] == "(0, 0)"
    app.text_input(key="yolo_target_car").set_value("10 20 thirty 40").run()
    assert [error.value for error in app.error] == [
        "“10 20 thirty 40” is not four numbers; the box stays where it was."
    ]


def test_two_objects_in_one_cell_are_told(open_page):
    app = open_page(
        PAGE,
        view="Target tensor",
        yolo_target_drag="true",
        yolo_target_anchors="1",
        yolo_target_car="10 20 100 90",
        yolo_target_motorcycle="12 22 98 88",
    )
    assert "share a cell and an anchor" in app.warning[0].value


def test_anchors_by_k_means_fit_better_than_by_hand(open_page):
    app = open_page(PAGE, view="Anchors")
    app.slider(key="yolo_anchor_k").set_value(2).run()
    clustered, by_hand, _ = (float(metric.value.replace(",", "")) for metric in app.metric)
    assert clustered > by_hand > 0.3
    table = app.dataframe[0].value
    assert len(table) == 2 and table["Boxes"].sum() == int(app.metric[2].value)
    app.text_input(key="yolo_anchor_hand").set_value("3 x 4 x 5").run()
    assert "is not one to 9 sizes" in app.error[0].value


def test_anchors_of_an_uploaded_set(open_page):
    app = open_page(PAGE, view="Anchors", yolo_anchor_set="Your own zip…")
    assert "COCO" in texts(app) and not app.dataframe
    app.file_uploader[0].upload("set.zip", annotated_upload(), "application/zip").run()
    assert "6 pictures" in texts(app) and "COCO JSON" in texts(app)
    assert int(app.metric[2].value) == sum(len(p.class_ids) for p in drawn_zip("streets", 6).annotations.pictures)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"no zip at all", "The file is no zip archive."),
        (zip_of({"a.txt": b"0 1 2"}), "The zip holds no picture."),
        (zip_of({"a.jpg": encode_jpeg(np.zeros((9, 9, 3), np.uint8))}), "The zip holds no annotations"),
    ],
)
def test_a_zip_that_cannot_be_used_gets_one_sentence(open_page, data, sentence):
    app = open_page(PAGE, view="Anchors", yolo_anchor_set="Your own zip…")
    app.file_uploader[0].upload("set.zip", data, "application/zip").run()
    assert len(app.error) == 1 and sentence in app.error[0].value and not app.exception


def test_many_pictures_to_their_result(open_page):
    app = open_page(PAGE, view="Many images and video")
    assert app.button(key="yolo_many_start").disabled
    chelsea = encode_jpeg(load_sample("chelsea"))
    files = zip_of({"cat.jpg": chelsea, "broken.jpg": chelsea[:300]})
    app.file_uploader[0].upload("all.zip", files, "application/zip").run()
    app.button(key="yolo_many_start").click().run()
    finish(app, "yolo_many")
    assert "1 objects in 1 pictures" in texts(app)
    assert app.dataframe[0].value["category"].tolist() == ["cat"]
    assert "broken.jpg" in texts(app)


def test_a_video_to_its_result_and_a_file_that_is_none(open_page, tmp_path: Path):
    app = open_page(PAGE, view="Many images and video", yolo_many_kind="Video")
    app.file_uploader[0].upload("clip.mp4", b"this is no video", "video/mp4").run()
    app.button(key="yolo_video_start").click().run()
    assert [error.value for error in app.error] == [
        "clip.mp4 is no video: expected the content of an MP4, MOV, AVI, WebM or MKV file."
    ]
    writer = VideoWriter(tmp_path, (320, 240), 10.0)
    for index in range(10):
        writer.write(np.full((240, 320, 3), 20 * index, np.uint8))
    app.file_uploader[0].set_value(("clip.mp4", writer.finish(), "video/mp4")).run()
    app.button(key="yolo_video_start").click().run()
    finish(app, "yolo_video")
    assert "in 5 frames (320 × 240)" in texts(app)


def test_an_evaluation_to_its_numbers(open_page):
    app = open_page(PAGE, view="Evaluation")
    app.button(key="yolo_eval_start").click().run()
    finish(app, "yolo_evaluation")
    assert app.metric[0].label == "mAP@.5" and float(app.metric[0].value.split()[0]) > 50
    before = app.dataframe[0].value
    assert set(before["Class"]) == {"person", "cat", "motorcycle"}
    app.slider(key="yolo_eval_iou").set_value(0.9).run()
    after = app.dataframe[0].value
    assert after["AP@.90"].mean() < before["AP@.50"].mean()
    app.selectbox(key="yolo_eval_set").set_value("streets").run()
    assert "The last evaluation was of other pictures." in texts(app) and not app.metric


def test_an_evaluation_names_the_classes_that_are_not_counted(open_page):
    kites = drawn_zip("kites", 5)
    app = open_page(PAGE, view="Evaluation", yolo_eval_set="Your own zip…")
    data = zip_of({**kites.pictures, "a.json": to_coco(kites.annotations).encode()})
    app.file_uploader[0].upload("kites.zip", data, "application/zip").run()
    assert "The detector knows none of these classes" in app.error[0].value


def test_fine_tuning_refuses_too_few_pictures(open_page):
    app = open_page(PAGE, view="Fine-tune", yolo_tune_set="Your own zip…")
    app.file_uploader[0].upload("few.zip", annotated_upload(3), "application/zip").run()
    assert "At least 5 annotated pictures are needed; here are 3." in app.error[0].value
    assert app.button(key="yolo_tune_start").disabled


def test_fine_tuning_shows_what_it_learns_from(open_page):
    app = open_page(PAGE, view="Fine-tune")
    assert "From **32 annotated pictures**" in texts(app) and "**kite**" in texts(app)
    assert not app.button(key="yolo_tune_start").disabled


def test_an_archive_with_a_password_bit_is_no_crash(open_page):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.jpg", b"x")
    data = bytearray(buffer.getvalue())
    for mark in (b"PK\x03\x04", b"PK\x01\x02"):
        place = data.find(mark) + (6 if mark == b"PK\x03\x04" else 8)
        data[place] |= 1
    app = open_page(PAGE, view="Many images and video")
    app.file_uploader[0].upload("locked.zip", bytes(data), "application/zip").run()
    app.button(key="yolo_many_start").click().run()
    assert "encrypted" in app.error[0].value
