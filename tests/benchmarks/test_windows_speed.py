"""A sliding window one by one and in batches against its convolutional form, as ratios taken in one run."""

import pytest

from core.detection.sliding_windows_tasks import compare_ways
from core.runtime.samples import load_sample


@pytest.mark.benchmark
def test_the_convolutional_form_is_many_times_faster():
    compared = compare_ways(load_sample("astronaut"), 512)
    one, batches, convolutional = (way.seconds for way in compared.ways)
    print(
        f"\n{compared.level.windows} windows: convolutional {1000 * convolutional:.0f} ms, in batches "
        f"{batches / convolutional:.1f} times, one by one {one / convolutional:.1f} times as long"
    )
    assert compared.level.windows == 3249
    assert batches > 4 * convolutional
    assert one > 15 * convolutional
