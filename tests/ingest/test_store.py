"""What is stored of an upload, whether it can be announced again, and with which generation, role and time."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from services.backends.memory.cache import MemoryCache
from services.backends.memory.index import MemoryIndex
from services.contracts.events import Role, SegmentUploaded, UploadEnded
from services.contracts.segments import DescribedSegment, SegmentRow
from services.ingest.replaced import make_tail
from services.ingest.store import SegmentStore, find_stored, find_uploaded_s
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


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        ([row(0), row(1, segment_count=2)], 2),
        ([row(0, role=Role.PROBE), row(1, segment_count=2, role=Role.PROBE)], 2),
        ([row(0), row(0, role=Role.PROBE), row(1, segment_count=2, role=Role.PROBE)], 2),
        ([row(0, role=Role.PROBE), row(1, segment_count=2)], 0),
        ([row(0), row(1, segment_count=2, stamp="other")], 0),
        ([row(0), row(1)], 0),
        ([row(1, segment_count=2)], 0),
        ([], 0),
    ],
    ids=[
        "complete",
        "another role",
        "another role and a part",
        "mixed",
        "mixed content",
        "interrupted",
        "tail",
        "nothing",
    ],
)
def test_a_whole_file_is_stored_if_all_its_segments_have_its_stamp(rows: list[SegmentRow], count: int) -> None:
    found = find_stored(rows, upload(), STAMP)
    assert len(found) == count
    assert len({one.role for one in found}) <= 1


def test_its_own_role_is_preferred() -> None:
    rows = [row(0, role=role, segment_count=1) for role in Role]
    for role in Role:
        assert [one.role for one in find_stored(rows, upload(role=role), STAMP)] == [role]


def test_a_segment_file_is_stored_without_its_neighbours() -> None:
    assert find_stored([row(0), row(1)], upload(segment_index=1, start_s=32), STAMP) == [row(1)]
    assert find_stored([row(0)], upload(segment_index=1, start_s=32), STAMP) == []


def refresh(store: SegmentStore, index: MemoryIndex, role: Role, generation: int) -> list[SegmentRow]:
    rows = [one for one in index.read_rows("default") if one.generation == 0]
    return store.refresh(rows, role=role, generation=generation, uploaded_s=7.0)


def test_a_new_role_is_stored_beside_the_old_one(store: SegmentStore, index: MemoryIndex, cache: MemoryCache) -> None:
    rows = refresh(store, index, Role.REFERENCE, generation=2)
    assert [(one.role, one.generation, one.uploaded_at) for one in rows] == [(Role.REFERENCE, 2, 7.0)] * 2
    assert [one for one in index.read_rows("default") if one.role is Role.REFERENCE] == rows
    assert len(index.read_rows("default")) == 4, "the old role is deleted after this was announced"
    assert [one.row for one in cache.get_many([one.key for one in rows]).values()] == rows


def test_an_older_generation_is_stored_again(store: SegmentStore, index: MemoryIndex, cache: MemoryCache) -> None:
    rows = refresh(store, index, Role.UPLOAD, generation=2)
    assert [one.generation for one in rows] == [2, 2]
    assert index.read_rows("default") == rows
    assert [one.row for one in cache.get_many([one.key for one in rows]).values()] == rows


@pytest.mark.parametrize("stored", [3, 4])
def test_what_is_as_new_or_newer_is_not_written_again(
    store: SegmentStore, index: MemoryIndex, monkeypatch: pytest.MonkeyPatch, stored: int
) -> None:
    refresh(store, index, Role.UPLOAD, generation=stored)
    rows = index.read_rows("default")
    monkeypatch.setattr(index, "store", lambda _: pytest.fail("written again"))
    announced = store.refresh(rows, role=Role.UPLOAD, generation=3, uploaded_s=9.0)
    assert announced == [replace(one, generation=3) for one in rows]


def test_nothing_is_refreshed_while_a_segment_is_missing(store: SegmentStore, index: MemoryIndex) -> None:
    rows = index.read_rows("default")
    index.delete("default", "a", before=1, from_index=1)
    assert store.refresh(rows, role=Role.REFERENCE, generation=1, uploaded_s=0.0) == []
    assert [one.role for one in index.read_rows("default")] == [Role.UPLOAD]


def test_a_tail_is_not_spared_because_of_later_whole_files(index: MemoryIndex, cache: MemoryCache) -> None:
    tail = row(2, generation=1, is_whole_file=False, stamp="tail")
    later = row(2, generation=5, stamp="whole")
    store = SegmentStore(index, cache)
    store.store([describe(tail), describe(later)])
    store.delete([make_tail(UploadEnded(asset_id="a", segment_count=2), segment_count=2, generation=3)])
    assert index.read_rows("default") == [later]


def test_tails_of_many_assets_are_looked_for_together_and_each_by_its_own_end(
    index: MemoryIndex, cache: MemoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def segment_file(asset_id: str, number: int) -> SegmentRow:
        return replace(row(number, generation=1, is_whole_file=False, stamp=f"{number}"), asset_id=asset_id)

    store = SegmentStore(index, cache)
    store.store([describe(segment_file(asset_id, number)) for asset_id in "bc" for number in range(3)])
    read_rows, reads = index.read_rows, list[Any]()

    def read_and_count(*arguments: Any) -> list[SegmentRow]:
        reads.append(arguments)
        return read_rows(*arguments)

    monkeypatch.setattr(index, "read_rows", read_and_count)
    ends = {"b": 1, "c": 2, "unknown": 0}
    uploads = [UploadEnded(asset_id=name, segment_count=count) for name, count in ends.items()]
    store.delete([make_tail(one, segment_count=one.segment_count, generation=9) for one in uploads])
    looked_up = [one for one in reads if len(one[1]) > 1]
    assert len(looked_up) == 1
    left = {name: len(read_rows("default", [name])) for name in "bc"}
    assert left == {"b": 1, "c": 2}


def test_a_whole_file_has_the_time_of_its_first_upload_as_long_as_it_is_current() -> None:
    rows = [row(0, generation=1, uploaded_at=5.0, segment_count=1)]
    assert find_uploaded_s(rows, upload(), STAMP) == 5.0
    assert find_uploaded_s(rows, upload(role=Role.REFERENCE), STAMP) == 5.0
    assert find_uploaded_s(rows, upload(), "other content") is None
    assert find_uploaded_s(rows, upload(), None) is None
    replaced = [*rows, row(0, generation=2, uploaded_at=6.0, stamp="other content", segment_count=1)]
    assert find_uploaded_s(replaced, upload(), STAMP) is None


def test_a_segment_file_has_the_time_of_the_current_segment_files_of_its_asset() -> None:
    first = row(0, generation=1, uploaded_at=5.0, is_whole_file=False)
    event = upload(segment_index=1, start_s=32)
    assert find_uploaded_s([first], event, "own") == 5.0
    assert find_uploaded_s([replace(first, is_whole_file=True)], event, "own") is None
    assert find_uploaded_s([first, row(0, generation=2, stamp="whole")], event, "own") is None
    assert find_uploaded_s([], event, "own") is None
