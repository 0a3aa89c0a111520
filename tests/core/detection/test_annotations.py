import io
import json
import zipfile

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.detection import annotated_zip
from core.detection.annotated_zip import read_annotated_zip
from core.detection.annotations import (
    AnnotationError,
    parse_class_names,
    parse_coco,
    parse_voc,
    parse_yolo,
    to_coco,
)

BOX = (10.0, 5.0, 30.0, 25.0)  # of a cat in a picture of 80 x 40
YOLO = "1 0.25 0.375 0.25 0.5"
VOC = (
    "<annotation><size><width>80</width><height>40</height></size><object><name>cat</name><bndbox>"
    "<xmin>11</xmin><ymin>6</ymin><xmax>30</xmax><ymax>25</ymax></bndbox></object></annotation>"
)
COCO = {
    "images": [{"id": 4, "file_name": "a.png"}],
    "categories": [{"id": 9, "name": "cat"}],
    "annotations": [{"id": 1, "image_id": 4, "category_id": 9, "bbox": [10, 5, 20, 20]}],
}


def png(width: int = 80, height: int = 40) -> bytes:
    return cv2.imencode(".png", np.full((height, width, 3), 90, np.uint8))[1].tobytes()


def zipped(files: dict[str, bytes | str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def coco_with(**changes) -> str:
    return json.dumps(COCO | changes)


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"images/a.png": png(), "labels/a.txt": YOLO, "data.yaml": "names: ['dog', 'cat']\n"}, "YOLO text"),
        ({"a.png": png(), "a.txt": YOLO, "classes.txt": "dog\ncat\n"}, "YOLO text"),
        ({"JPEGImages/a.png": png(), "Annotations/a.xml": VOC}, "VOC XML"),
        ({"train/a.png": png(), "annotations.json": json.dumps(COCO), "__MACOSX/._a.png": b"x"}, "COCO JSON"),
    ],
)
def test_three_formats_say_the_same(files, kind):
    result = read_annotated_zip(zipped(files))
    assert result.format == kind
    picture = result.annotations.pictures[0]
    np.testing.assert_allclose(picture.boxes_xyxy, [BOX])
    assert result.annotations.class_names[picture.class_ids[0]] == "cat"
    assert picture.size_px == (80, 40) and result.pictures[picture.file_name] == png()


def test_written_coco_is_read_back():
    first = read_annotated_zip(zipped({"a.png": png(), "a.txt": YOLO, "classes.txt": "dog\ncat"})).annotations
    again = read_annotated_zip(zipped({"a.png": png(), "out.json": to_coco(first)})).annotations
    np.testing.assert_allclose(again.pictures[0].boxes_xyxy, first.pictures[0].boxes_xyxy)
    assert again.class_names == ("cat",)  # "dog" names no object


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("names:\n  - cat\n  - dog\n", ("cat", "dog")),  # dashes
        ("names:\n  0: cat\n  1: dog\nnc: 2", ("cat", "dog")),  # numbers
        ('nc: 2\nnames: ["cat",\n "dog"]\n', ("cat", "dog")),  # brackets over two lines
    ],
)
def test_class_names_of_yaml_files(text, names):
    assert parse_class_names(text, "data.yaml") == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("7 0.5 0.5 0.1 0.1", "unknown class 7"),  # a class that is not there
        ("0.5 0.5 0.5 0.1 0.1", "unknown class"),  # a class that is no whole number
        ("0 0.5 0.5 nan 0.1", "finite number"),  # not a number
        ("0 0.5 0.5 0.1", "found 4 values"),  # a value is missing
        ("0 0.9 0.5 0.9 0.1", "outside the picture"),  # beyond the border
        ("0 0.5 0.5 0 0.1", "with an area"),  # no width
        ("0 x 0.5 0.1 0.1", "expected a number"),  # a word
    ],
)
def test_exception_yolo_lines(text, message):
    with pytest.raises(AnnotationError, match=message):
        parse_yolo(text, ["cat", "dog"], (80, 40), "a.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation><object>", "this is no XML"),  # cut off
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "entities"),  # the bomb of a few lines
        (VOC.replace("<xmax>30", "<xmax>300"), "outside the picture"),  # beyond the border
        (VOC.replace("<xmin>11", "<xmin>NaN"), "finite number"),  # not a number
        (VOC.replace("<name>cat</name>", ""), "expected a name"),  # no name
        (VOC.replace("<ymax>25</ymax>", ""), "expected a number"),  # a corner is missing
    ],
)
def test_exception_voc_files(text, message):
    with pytest.raises(AnnotationError, match=message):
        parse_voc(text, (80, 40), "a.xml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "no COCO annotation file"),  # other JSON
        ("{", "no COCO annotation file"),  # no JSON
        (coco_with(images=[{"id": 4, "file_name": "b.png"}]), "names b.png, which is missing"),
        (coco_with(categories=[]), "unknown category 9"),
        (coco_with(images=[{"id": 5, "file_name": "a.png"}]), "names image 4, which is missing"),
        (coco_with(annotations=[{"image_id": 4, "category_id": 9, "bbox": [0, 0, 999, 9]}]), "outside"),
        (coco_with(annotations=[{"image_id": 4, "category_id": 9, "bbox": [0, 0, 9]}]), "four numbers"),
    ],
)
def test_exception_coco_files(text, message):
    with pytest.raises(AnnotationError, match=message):
        parse_coco(text, "a.json", {"a.png": (80, 40)})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no zip", "no zip archive"),
        (zipped({"a.txt": YOLO}), "no picture"),
        (zipped({"a.png": png()}), "no annotations"),
        (zipped({"a.png": b"no picture", "a.txt": YOLO, "classes.txt": "dog\ncat"}), r"a\.png: "),
        (
            zipped({"a.png": png(), "b.txt": YOLO, "classes.txt": "dog\ncat"}),
            "b that it annotates is missing",
        ),
        (zipped({"a.png": png(), "a.xml": b"\xff\xfe\x00"}), "no text in UTF-8"),
        (zipped({"a.png": png(), "a.xml": "<annotation/>"}), "objects, found 0"),
    ],
)
def test_exception_zips(data, message):
    with pytest.raises(AnnotationError, match=message):
        read_annotated_zip(data)


def test_zip_bombs_are_refused_before_they_unpack(monkeypatch):
    monkeypatch.setattr(annotated_zip, "MAX_UNPACKED_BYTES", 100_000)
    with pytest.raises(AnnotationError, match="unpacks to more than"):
        read_annotated_zip(zipped({f"{i}.png": bytes(50_000) for i in range(3)}))
    monkeypatch.setattr(annotated_zip, "MAX_FILES", 2)
    with pytest.raises(AnnotationError, match="holds 3 files"):
        read_annotated_zip(zipped({f"{i}.png": b"x" for i in range(3)}))


def test_a_header_that_lies_about_the_size_is_found_out(monkeypatch):
    data = bytearray(zipped({"a.png": bytes(1_000_000)}))
    place = data.rfind(b"PK\x01\x02")  # the central directory's entry; its size field says ten bytes now
    data[place + 24 : place + 28] = (10).to_bytes(4, "little")
    with pytest.raises(AnnotationError):
        read_annotated_zip(bytes(data))


@given(st.binary(max_size=300), st.integers(0, 400))
def test_damaged_zips_end_in_a_sentence(noise, place):
    data = bytearray(zipped({"a.png": png(), "a.txt": YOLO, "classes.txt": "dog\ncat"}))
    place = min(place, len(data))
    data[place : place + len(noise)] = noise
    try:
        read_annotated_zip(bytes(data))
    except AnnotationError as error:
        assert str(error)
