"""Buckets of the benchmark."""

from contextlib import ExitStack
from pathlib import Path

from benchmarks.buckets import Share, fill


def test_tasks_share_each_bucket_and_no_address_comes_twice(tmp_path: Path) -> None:
    with ExitStack() as stack:
        buckets = fill(tmp_path, ["drawn"], 2, 3, stack)["drawn"]
        shares = [
            Share(bucket, number, 2, []).documents() for bucket in buckets for number in range(2)
        ]
    assert [len(each) for each in shares] == [2, 1, 2, 1]
    assert len({document.uri for each in shares for document in each}) == 6
