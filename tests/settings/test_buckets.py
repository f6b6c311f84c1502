"""Buckets: those of sd-scripts, for any size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_copier.settings.buckets import bucket_of


@pytest.mark.parametrize(
    ("size", "resolution", "bucket", "scaled"),
    [
        # As sd-scripts' BucketManager with no_upscale and steps of 64 has them.
        ((4000, 3000), 512, (512, 384), (512, 384)),
        ((3000, 4000), 512, (384, 512), (384, 512)),
        ((1920, 1080), 512, (640, 384), (683, 384)),
        ((4000, 3000), 1024, (1088, 832), (1109, 832)),
        ((512, 512), 512, (512, 512), (512, 512)),
        ((300, 200), 512, (256, 192), (300, 200)),
    ],
)
def test_buckets_are_those_of_sd_scripts(size, resolution, bucket, scaled):
    assert bucket_of(size, resolution) == (bucket, scaled)


@given(st.integers(64, 8000), st.integers(64, 8000), st.sampled_from([512, 768, 1024]))
def test_a_bucket_is_no_larger_than_the_resolution_and_64_divides_it(width, height, resolution):
    try:
        (across, down), scaled = bucket_of((width, height), resolution)
    except ValueError:
        assert max(width, height) > 10 * min(width, height)
        return
    assert across % 64 == down % 64 == 0
    assert across * down <= resolution * resolution
    assert across <= scaled[0] <= width and down <= scaled[1] <= height
