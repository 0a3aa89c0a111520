"""Training from the command line on drawn pictures: what it writes, and that it learns."""

import json
import sys

import cv2
import numpy as np
import pytest

from core.detection import pretrain, train

SIZE = 96


def draw_archive(folder, count: int = 24) -> None:
    """Bright squares (class "square") and discs ("disc") on noise; the last quarter is for validation."""
    rng = np.random.default_rng(0)
    pictures, annotations, images = [], [], []
    for index in range(count):
        picture = rng.integers(0, 60, (SIZE, SIZE, 3)).astype(np.uint8)
        side = int(rng.integers(28, 48))
        x, y = (int(v) for v in rng.integers(0, SIZE - side, 2))
        if index % 2:
            cv2.rectangle(picture, (x, y), (x + side - 1, y + side - 1), (40, 220, 240), cv2.FILLED)
        else:
            cv2.circle(picture, (x + side // 2, y + side // 2), side // 2, (240, 90, 40), cv2.FILLED)
        pictures.append(cv2.imencode(".jpg", picture)[1].ravel())
        split = "val" if index >= count * 3 // 4 else "train"
        images.append(
            {"id": index, "file_name": f"{index}.jpg", "width": SIZE, "height": SIZE, "split": split}
            | {"source": "drawn", "exhaustive": ["square", "disc"]}
        )
        bbox = [x, y, side, side]
        annotations.append({"id": index, "image_id": index, "category_id": 1 - index % 2, "bbox": bbox})
    offsets = np.concatenate([[0], np.cumsum([len(p) for p in pictures])])
    np.savez(folder / "detection.npz", jpeg=np.concatenate(pictures), offsets=offsets)
    categories = [{"id": 0, "name": "square"}, {"id": 1, "name": "disc"}]
    layout = {"categories": categories, "images": images, "annotations": annotations}
    (folder / "detection.json").write_text(json.dumps(layout), encoding="utf-8")
    teacher = [{"image_id": 0, "category": "lamp", "bbox": [10, 10, 40, 40], "score": 0.9}]
    (folder / "teacher_boxes.json").write_text(json.dumps(teacher), encoding="utf-8")


def run(monkeypatch, module, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [module.__name__, *(str(a) for a in arguments)])
    module.main()


@pytest.mark.slow
def test_training_learns_writes_and_resumes(tmp_path, monkeypatch):
    draw_archive(tmp_path)
    first, second = tmp_path / "first", tmp_path / "second"
    fixed = ("--data", tmp_path, "--batch", 6, "--average-decay", 0.9, "--validate-every", 1)
    run(monkeypatch, train, *fixed, "--sizes", 64, 96, "--epochs", 40, "--out", first)
    history = json.loads((first / "history.json").read_text())
    assert len(history) == 40 and {row["size_px"] for row in history} == {64, 96}
    assert history[-1]["loss"] < 0.8 * history[0]["loss"], [row["loss"] for row in history]
    report = json.loads((first / "evaluation.json").read_text())
    assert report["true_boxes"] == {"square": 3, "disc": 3} and "drawn" in report["sources"]
    assert json.loads((first / "config.json").read_text())["epochs"] == 40
    resume = ("--resume", first / "last.weights.h5", "--out", second)
    run(monkeypatch, train, *fixed, "--sizes", 64, "--epochs", 1, *resume)
    resumed = json.loads((second / "history.json").read_text())
    assert len(resumed) == 41 and resumed[-1]["loss"] < history[0]["loss"]


@pytest.mark.slow
def test_pretraining_writes_a_backbone_that_training_takes(tmp_path, monkeypatch):
    for name in ("detection", "imagenette"):
        (tmp_path / name).mkdir()
    draw_archive(tmp_path / "detection")
    with np.load(tmp_path / "detection" / "detection.npz") as archive:
        layout = {"label": np.arange(24) % 2, "split": (np.arange(24) > 17).astype(np.int8)}
        pictures = {"jpeg": archive["jpeg"], "offsets": archive["offsets"]}
        target = tmp_path / "imagenette" / "imagenette_112.npz"
        np.savez(target, **pictures, **layout, class_names=np.array(["a", "b"]))
    out = tmp_path / "out"
    run(monkeypatch, pretrain, "--data", tmp_path, "--out", out, "--minutes", 0.3, "--size", 64, "--batch", 4)
    assert 0 <= json.loads((out / "pretrain_history.json").read_text())[-1]["val_accuracy"] <= 1
    short = ("--sizes", 64, "--epochs", 1, "--batch", 6, "--backbone", out / "backbone.weights.h5")
    run(monkeypatch, train, "--data", tmp_path / "detection", "--out", out, *short)
    assert (out / "evaluation.json").is_file()


def test_batches_are_the_same_for_the_same_seed_and_epoch(tmp_path):
    draw_archive(tmp_path)
    archive = train.load_archive(tmp_path)
    settings = train.Settings((64, 96), 4, 1e-3, 0.0, 0.5, 0.99, 3, None, 2, True)
    progress = train.Progress()
    first, second = (train.Batches(archive, archive.indices("train"), settings, progress) for _ in range(2))
    (x, y), (again, _) = first[1], second[1]
    np.testing.assert_array_equal(x, again)
    assert x.shape == (4, 64, 64, 3) and y["objects"].shape == (4, train.MAX_OBJECTS, 6)
    assert y["background"].shape == (4, 84, 2) and y["cells"].shape == (4, 84, 3)
    progress.fraction = 0.9
    second.start(1)
    assert second[1][0].shape == (4, 96, 96, 3)  # later pictures are larger
    first.start(1)
    assert (second[0][0] == first[0][0]).all() and not (first[1][1]["cells"] == 0).all()
