"""Measure region proposals and the three forms of R-CNN beside YOLO on the validation photographs.

    python -m core.detection.evaluate_regions --data DIR --out OUT.json [--every 1] [--forms faster_rcnn embedded]
        [--search-only]

Photographs are those with a class that is annotated completely; a class is counted only where it is. `--every 5` takes
a fifth of them. Recall of selective search counts true boxes of completely annotated classes, crowds left out.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.detection.datasets import DetectionArchive, load_archive
from core.detection.evaluation import ImageTruth, evaluate
from core.detection.proposals import MOST_PROPOSALS, recall_of, selective_search
from core.detection.region_tasks import ALL_FORMS, evaluate_pictures


def chosen_pictures(archive: DetectionArchive, every: int) -> list[int]:
    """Validation photographs with a class that is annotated completely, each `every`-th of them."""
    return [i for i in archive.indices("val") if archive.records[i].exhaustive.any()][::every]


def counted_boxes(archive: DetectionArchive, index: int) -> NDArray[Any]:
    """True boxes (n, 4) of classes that are annotated completely in a photograph, without crowds."""
    record = archive.records[index]
    return record.boxes_xyxy[record.exhaustive[record.class_ids] & ~record.is_crowd]


def search_report(archive: DetectionArchive, indices: list[int], most: int) -> dict[str, Any]:
    """Recall of selective search at several numbers of proposals, and its time."""
    counts = [n for n in (100, 200, 500, 1000) if n < most] + [most]
    reached, total = dict.fromkeys(counts, 0), 0
    proposals, times_ms = [], []
    for index in indices:
        start = time.process_time()
        found = selective_search(archive.image(index), most)
        times_ms.append(1000 * (time.process_time() - start))
        truth = counted_boxes(archive, index)
        total += len(truth)
        proposals.append(len(found.proposals_xyxy))
        for count in counts:
            reached[count] += int(recall_of(found.proposals_xyxy[:count], truth).sum())
    return {
        "images": len(indices),
        "true_boxes": total,
        "recall_at_iou_50": {str(count): round(100 * hits / total, 1) for count, hits in reached.items()},
        "proposals_mean": round(float(np.mean(proposals)), 1),
        "proposals_most": int(max(proposals)),
        "processor_ms_mean": round(float(np.mean(times_ms)), 1),
    }


def forms_report(
    archive: DetectionArchive, indices: list[int], forms: tuple[str, ...], most: int
) -> dict[str, dict[str, Any]]:
    """Quality (mAP) and mean time of each form."""
    loads = [partial(archive.image, index) for index in indices]
    truth = [counted_boxes(archive, index) for index in indices]
    result = evaluate_pictures(loads, truth, forms, most)
    records = [archive.records[i] for i in indices]
    true = [ImageTruth(r.boxes_xyxy, r.class_ids, r.is_crowd, r.exhaustive) for r in records]
    names = archive.class_names
    report: dict[str, dict[str, Any]] = {}
    for run in result.runs:
        measured = evaluate(true, run.found, len(names))
        known = measured.true_boxes > 0
        report[run.form] = {
            "map_50": round(100 * measured.map_50, 2),
            "map_50_95": round(100 * measured.map_50_95, 2),
            "ap_50": {
                name: round(100 * float(measured.average_precision[i, 0]), 1)
                for i, name in enumerate(names)
                if known[i]
            },
            "ms": round(run.total_ms, 1),
            "stages_ms": {stage.name: round(stage.ms, 1) for stage in run.stages},
        }
    return report


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="measure region proposals and the forms of R-CNN")
    parser.add_argument("--data", type=Path, required=True, help="folder with detection.npz and detection.json")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--most", type=int, default=MOST_PROPOSALS)
    parser.add_argument("--forms", nargs="+", choices=ALL_FORMS, default=list(ALL_FORMS))
    parser.add_argument("--search-only", action="store_true")
    args = parser.parse_args()
    archive = load_archive(args.data)
    indices = chosen_pictures(archive, args.every)
    if args.search_only:
        report: dict[str, Any] = search_report(archive, indices, args.most)
    else:
        report = {"images": len(indices), "forms": forms_report(archive, indices, tuple(args.forms), args.most)}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
