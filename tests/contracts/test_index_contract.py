"""What every DescriptorIndex stores, reads and deletes, whatever the backend."""

from dataclasses import replace

import numpy as np
import pytest

from services.contracts.events import Role
from services.contracts.ports import DescriptorIndex
from services.contracts.segments import SegmentKey
from tests.contracts.index_cases import find_frames, find_segments, make_segment, request_for
from tests.vectors import unit_rows


def test_an_index_knows_its_model_version(index: DescriptorIndex) -> None:
    assert index.model_version.startswith("v1")


def test_a_stored_segment_is_read_unchanged(index: DescriptorIndex) -> None:
    segment = make_segment("a", 7, frames=40)
    index.store([segment])

    assert index.read_rows("default", ["a", "never-seen"]) == [segment.row]
    read = index.read([segment.row.key])[segment.row.key]
    assert read.row == segment.row
    np.testing.assert_array_equal(read.vector, segment.vector)
    np.testing.assert_array_equal(read.descriptor.timestamps_s, segment.descriptor.timestamps_s)
    np.testing.assert_array_equal(read.descriptor.frames, segment.descriptor.frames)


def test_an_empty_index_finds_nothing(index: DescriptorIndex) -> None:
    assert index.search_segments(request_for(unit_rows(1, 2))) == [[], []]
    assert index.search_frames(request_for(unit_rows(1, 2))) == [[], []]
    assert index.read_rows("default") == []
    assert index.read_rows("default", []) == []
    assert index.read([]) == {}
    assert index.read([SegmentKey("default", "a:0")]) == {}
    index.store([])
    index.delete("default", "a")
    index.flush()


def test_storing_again_changes_nothing(index: DescriptorIndex) -> None:
    segment = make_segment("a")
    index.store([segment])
    index.store([segment, segment])

    assert index.read_rows("default") == [segment.row]
    assert find_frames(index, segment.descriptor.frames, limit=9) == ["a:0"] * 3
    assert len(index.read([segment.row.key])[segment.row.key].descriptor) == 3


def test_tenants_never_see_each_other(index: DescriptorIndex) -> None:
    ours = make_segment("same", seed=1, tenant="ours")
    theirs = make_segment("same", seed=2, tenant="theirs")
    index.store([ours, theirs, make_segment("other", seed=2, tenant="theirs")])

    assert index.read_rows("ours") == [ours.row]
    assert index.read_rows("ours", ["same", "other"]) == [ours.row]
    np.testing.assert_array_equal(index.read([ours.row.key])[ours.row.key].descriptor.frames, ours.descriptor.frames)
    assert SegmentKey("ours", "other:0") not in index.read([SegmentKey("ours", "other:0")])
    assert find_segments(index, theirs.vector, tenant="ours") == ["same:0"]
    assert find_frames(index, theirs.descriptor.frames, tenant="ours", limit=9) == ["same:0"] * 3
    assert find_segments(index, theirs.vector, tenant="nobody") == []

    index.delete("theirs", "same")
    assert index.read_rows("ours") == [ours.row]
    assert [row.asset_id for row in index.read_rows("theirs")] == ["other"]


@pytest.mark.parametrize(
    ("before", "after"), [(Role.UPLOAD, Role.PROBE), (Role.PROBE, Role.UPLOAD), (Role.UPLOAD, Role.REFERENCE)]
)
def test_a_segment_that_changes_its_role_is_there_once(index: DescriptorIndex, before: Role, after: Role) -> None:
    index.store([make_segment("a", seed=1, role=before, stamp="before")])
    changed = make_segment("a", seed=1, role=after, stamp="after")
    index.store([changed])

    assert index.read_rows("default") == [changed.row]
    assert len(index.read([changed.row.key])) == 1
    assert find_segments(index, changed.vector) == ([] if after is Role.PROBE else ["a:0"])


@pytest.mark.parametrize(("before", "after"), [(5, 2), (2, 5), (3, 3), (3, 0)])
def test_replacing_a_segment_leaves_nothing_of_the_old_one(index: DescriptorIndex, before: int, after: int) -> None:
    old = make_segment("a", seed=1, frames=before, stamp="old")
    new = make_segment("a", seed=2, frames=after, stamp="new")
    index.store([old])
    index.store([new])

    assert index.read_rows("default") == [new.row]
    np.testing.assert_array_equal(index.read([new.row.key])[new.row.key].descriptor.frames, new.descriptor.frames)
    assert find_frames(index, old.descriptor.frames, limit=9) == ["a:0"] * after


def test_a_segment_without_frames_is_known_but_not_found(index: DescriptorIndex) -> None:
    black = make_segment("black", frames=0)
    index.store([black, make_segment("a", seed=1)])

    assert index.read_rows("default", ["black"]) == [black.row]
    assert len(index.read([black.row.key])[black.row.key].descriptor) == 0
    assert find_segments(index, -unit_rows(1)[0], limit=9) == ["a:0"]


def test_delete_can_keep_the_first_segments_of_an_asset(index: DescriptorIndex) -> None:
    kept = [make_segment("a", 0, seed=1), make_segment("b", 12, seed=9)]
    gone = [make_segment("a", number, seed=number) for number in (2, 10, 11)]
    index.store(kept + gone)
    index.delete("default", "a", from_index=2)

    assert index.read_rows("default") == [one.row for one in kept]
    assert set(index.read([one.row.key for one in kept + gone])) == {one.row.key for one in kept}
    assert set(find_frames(index, gone[0].descriptor.frames, limit=99)) == {"a:0", "b:12"}

    index.store(gone[:1])
    assert find_segments(index, gone[0].vector)[0] == "a:2"
    index.delete("default", "a")
    assert {row.asset_id for row in index.read_rows("default")} == {"b"}


def test_rows_are_sorted_by_asset_and_index(index: DescriptorIndex) -> None:
    index.store([make_segment(asset, number, frames=1) for number in (10, 9, 0) for asset in ("b", "a")])
    assert [row.segment_id for row in index.read_rows("default")] == ["a:0", "a:9", "a:10", "b:0", "b:9", "b:10"]
    assert [row.segment_index for row in index.read_rows("default", ["b"])] == [0, 9, 10]


def test_a_flush_loses_nothing(index: DescriptorIndex) -> None:
    first, second = make_segment("a", seed=1, frames=5), make_segment("b", seed=2)
    index.store([first])
    index.flush()
    index.store([second])
    replaced = replace(first, row=replace(first.row, stamp="again"))
    index.store([replaced])
    index.delete("default", "b")
    index.flush()

    assert index.read_rows("default") == [replaced.row]
    assert len(index.read([first.row.key])[first.row.key].descriptor) == 5
    assert find_frames(index, second.descriptor.frames, limit=9) == ["a:0"] * 5
