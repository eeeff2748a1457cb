"""What is stored of an upload: reading it changes nothing, and each change does one thing."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from services.backends.memory.cache import MemoryCache
from services.backends.memory.index import MemoryIndex
from services.contracts.events import Role, SegmentUploaded
from services.contracts.segments import DescribedSegment, SegmentRow
from services.ingest.store import SegmentStore, is_unchanged
from tca_model.types import VideoDescriptor

AT = datetime(2026, 7, 1, tzinfo=UTC)
STAMP = "content"


@pytest.fixture
def index() -> MemoryIndex:
    return MemoryIndex(model_version="v1")


@pytest.fixture
def cache() -> MemoryCache:
    return MemoryCache(10**6)


@pytest.fixture
def store(index: MemoryIndex, cache: MemoryCache) -> SegmentStore:
    """Two segments of one file, stored and cached."""
    store = SegmentStore(index, cache)
    store.store([describe(row(0)), describe(row(1, segment_count=2))])
    return store


def row(segment_index: int, **changes: Any) -> SegmentRow:
    start_s = 32.0 * segment_index
    first = SegmentRow("default", "a", segment_index, Role.UPLOAD, start_s, start_s + 1, 1, STAMP, "/a.mp4", 0.0)
    return replace(first, **changes)


def describe(row: SegmentRow) -> DescribedSegment:
    frames = np.ones((1, 3), np.float32) / np.sqrt(3, dtype=np.float32)
    return DescribedSegment(row, VideoDescriptor(np.array([row.start_s]), frames), frames[0])


def upload(**fields: Any) -> SegmentUploaded:
    return SegmentUploaded(asset_id="a", uri="/a.mp4", uploaded_at=AT, **fields)


def test_a_whole_file_has_all_rows_of_its_asset_and_a_segment_file_has_its_own(store: SegmentStore) -> None:
    assert [one.segment_index for one in store.read_rows(upload())] == [0, 1]
    assert [one.segment_index for one in store.read_rows(upload(segment_index=1, start_s=32))] == [1]
    assert store.read_rows(upload(segment_index=2, start_s=64)) == []


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row(0), row(1, segment_count=2)], True),
        ([row(0, role=Role.PROBE), row(1, segment_count=2)], True),
        ([row(0), row(1, segment_count=2, stamp="other")], False),
        ([row(0), row(1)], False),
        ([row(1, segment_count=2)], False),
        ([], False),
    ],
    ids=["complete", "another role", "other content", "interrupted", "incomplete", "nothing stored"],
)
def test_a_whole_file_is_unchanged_if_all_its_segments_have_its_stamp(rows: list[SegmentRow], expected: bool) -> None:
    assert is_unchanged(rows, upload(), STAMP) == expected


def test_a_segment_file_is_unchanged_without_its_neighbours() -> None:
    assert is_unchanged([row(1)], upload(segment_index=1, start_s=32), STAMP)


def test_rows_with_the_same_stamp_are_not_cleared(store: SegmentStore, index: MemoryIndex, cache: MemoryCache) -> None:
    rows = store.read_rows(upload())
    store.clear_stale(rows, STAMP, delete=True)
    assert index.read_rows("default") == rows
    assert len(cache.get_many([one.key for one in rows])) == 2


@pytest.mark.parametrize("delete", [True, False])
def test_stale_rows_leave_the_cache_and_the_index_only_if_deleted(
    store: SegmentStore, index: MemoryIndex, cache: MemoryCache, delete: bool
) -> None:
    rows = store.read_rows(upload())
    store.clear_stale(rows, "other content", delete=delete)
    assert index.read_rows("default") == ([] if delete else rows)
    assert cache.get_many([one.key for one in rows]) == {}


def test_a_role_changes_in_index_and_cache(store: SegmentStore, index: MemoryIndex, cache: MemoryCache) -> None:
    rows = store.change_role(store.read_rows(upload()), Role.REFERENCE)
    assert [one.role for one in rows] == [Role.REFERENCE] * 2
    assert index.read_rows("default") == rows
    assert [one.row for one in cache.get_many([one.key for one in rows]).values()] == rows


def test_segments_that_have_the_role_are_not_written_again(
    store: SegmentStore, index: MemoryIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "store", lambda _: pytest.fail("written again"))
    rows = store.read_rows(upload())
    assert store.change_role(rows, Role.UPLOAD) == rows


def test_a_role_cannot_change_while_a_segment_is_missing(store: SegmentStore, index: MemoryIndex) -> None:
    rows = store.read_rows(upload())
    index.delete("default", "a", from_index=1)
    assert store.change_role(rows, Role.REFERENCE) == []
    assert [one.role for one in index.read_rows("default")] == [Role.UPLOAD]
