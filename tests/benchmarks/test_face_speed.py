"""Finding, aligning and encoding the face of a portrait of one megapixel, against the package finding alone."""

import time
from collections.abc import Callable

import pytest

from core.faces import tasks
from core.runtime.samples import megapixel


def best_time(run: Callable[[], object], repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.benchmark
def test_all_three_steps_take_less_than_the_package_takes_to_find():
    from mtcnn import MTCNN

    portrait = megapixel("astronaut")
    package = MTCNN()
    package.detect_faces(portrait)
    tasks.faces_of_picture(portrait)
    ours = best_time(lambda: tasks.faces_of_picture(portrait))
    theirs = best_time(lambda: package.detect_faces(portrait), 3)
    print(
        f"portrait of {portrait.shape[1]} x {portrait.shape[0]}: {1000 * ours:.0f} ms, package {1000 * theirs:.0f} ms"
    )
    assert ours < 0.5 * theirs
