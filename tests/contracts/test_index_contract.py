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
    segment = make_segment("a", 7, frames=40, generation=2**62, is_whole_file=False)
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
    assert index.read([SegmentKey("default", "a:0", "0")]) == {}
    index.store([])
    index.delete("default", "a", before=9)
    index.erase("default", "a", before=9)
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
    assert index.read([SegmentKey("ours", "other:0", theirs.row.content)]) == {}
    assert find_segments(index, theirs.vector, tenant="ours") == ["same:0"]
    assert find_frames(index, theirs.descriptor.frames, tenant="ours", limit=9) == ["same:0"] * 3
    assert find_segments(index, theirs.vector, tenant="nobody") == []

    index.delete("theirs", "same", before=2)
    assert index.read_rows("ours") == [ours.row]
    assert [row.asset_id for row in index.read_rows("theirs")] == ["other"]


@pytest.mark.parametrize("frames", [(5, 2), (2, 5), (3, 0), (0, 3)])
def test_other_content_of_a_segment_has_another_key(index: DescriptorIndex, frames: tuple[int, int]) -> None:
    old = make_segment("a", seed=1, frames=frames[0], stamp="old", generation=1)
    new = make_segment("a", seed=2, frames=frames[1], stamp="new", generation=2)
    index.store([old])
    index.store([new])

    read = index.read([old.row.key, new.row.key])
    for one in (old, new):
        assert read[one.row.key].row == one.row
        np.testing.assert_array_equal(read[one.row.key].descriptor.frames, one.descriptor.frames)
    assert {row.key for row in index.read_rows("default")} == {old.row.key, new.row.key}


@pytest.mark.parametrize("role", [Role.UPLOAD, Role.REFERENCE, Role.PROBE])
def test_what_a_delayed_writer_stores_leaves_newer_content_readable(index: DescriptorIndex, role: Role) -> None:
    new = make_segment("a", seed=2, frames=5, stamp="new", generation=2, role=role)
    index.store([new])
    index.store([make_segment("a", seed=1, frames=3, stamp="old", generation=1, role=role)])
    index.delete("default", "a", before=1)

    np.testing.assert_array_equal(index.read([new.row.key])[new.row.key].descriptor.frames, new.descriptor.frames)
    assert new.row in index.read_rows("default")


@pytest.mark.parametrize("role", [Role.UPLOAD, Role.PROBE])
def test_content_that_is_stored_again_has_the_new_generation(index: DescriptorIndex, role: Role) -> None:
    index.store([make_segment("a", seed=1, role=role, generation=1)])
    again = make_segment("a", seed=1, role=role, generation=5)
    index.store([again])
    index.delete("default", "a", before=5)

    assert index.read_rows("default") == [again.row]
    assert len(index.read([again.row.key])[again.row.key].descriptor) == 3, "the frames have the new generation too"


def test_a_segment_without_frames_is_known_but_not_found(index: DescriptorIndex) -> None:
    black = make_segment("black", frames=0)
    index.store([black, make_segment("a", seed=1)])

    assert index.read_rows("default", ["black"]) == [black.row]
    assert len(index.read([black.row.key])[black.row.key].descriptor) == 0
    assert find_segments(index, -unit_rows(1)[0], limit=9) == ["a:0"]


def test_delete_spares_newer_generations(index: DescriptorIndex) -> None:
    old = [make_segment("a", number, seed=1, stamp="old", generation=1) for number in range(2)]
    old += [make_segment("a", 2, seed=1, stamp="old", generation=1, role=Role.PROBE)]
    new = [make_segment("a", number, seed=2, stamp="new", generation=2) for number in range(2)]
    other = make_segment("b", seed=3, generation=1)
    index.store([*old, *new, other])
    index.delete("default", "a", before=2)

    assert index.read_rows("default") == [*(one.row for one in new), other.row]
    assert set(index.read([one.row.key for one in [*old, *new]])) == {one.row.key for one in new}
    found = index.search_frames(request_for(unit_rows(1), limit=99))[0]
    assert {one.key for one in found} == {one.row.key for one in [*new, other]}


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [({}, []), ({"from_index": 2}, [0]), ({"from_index": 2, "to_index": 11}, [0, 11]), ({"to_index": 2}, [2, 10, 11])],
)
def test_delete_can_keep_segments_by_index(index: DescriptorIndex, bounds: dict[str, int], kept: list[int]) -> None:
    stored = [make_segment("a", number, seed=number) for number in (0, 2, 10, 11)]
    index.store(stored)
    index.delete("default", "a", before=2, **bounds)

    assert [row.segment_index for row in index.read_rows("default")] == kept
    keys = {one.row.key for one in stored if one.row.segment_index in kept}
    assert index.read([one.row.key for one in stored]).keys() == keys
    assert {one.key for one in index.search_frames(request_for(unit_rows(2), limit=99))[0]} == keys


def test_what_was_deleted_can_be_stored_again(index: DescriptorIndex) -> None:
    segment = make_segment("a", seed=1)
    for _ in range(2):
        index.store([segment])
        assert find_segments(index, segment.vector) == ["a:0"]
        index.delete("default", "a", before=2)
        assert find_segments(index, segment.vector) == []


def test_erase_removes_all_older_segments_of_an_asset(index: DescriptorIndex) -> None:
    older = [make_segment("a", number, seed=number, stamp=str(number), generation=number) for number in range(3)]
    older += [make_segment("a", role=Role.PROBE), make_segment("a", role=Role.REFERENCE)]
    spared = [make_segment("a", stamp="later", generation=5), make_segment("b"), make_segment("a", tenant="other")]
    index.store([*older, *spared])
    for _ in range(2):
        index.erase("default", "a", before=5)
        assert index.read_rows("default") == [spared[0].row, spared[1].row]
        assert index.read([one.row.key for one in [*older, *spared]]).keys() == {one.row.key for one in spared}
        found = index.search_frames(request_for(unit_rows(0), limit=99))[0]
        assert {one.key for one in found} == {spared[0].row.key, spared[1].row.key}


def test_rows_are_sorted_by_asset_and_index(index: DescriptorIndex) -> None:
    index.store([make_segment(asset, number, frames=1) for number in (10, 9, 0) for asset in ("b", "a")])
    assert [row.segment_id for row in index.read_rows("default")] == ["a:0", "a:9", "a:10", "b:0", "b:9", "b:10"]
    assert [row.segment_index for row in index.read_rows("default", ["b"])] == [0, 9, 10]


def test_a_flush_loses_nothing(index: DescriptorIndex) -> None:
    first, second = make_segment("a", seed=1, frames=5), make_segment("b", seed=2)
    index.store([first])
    index.flush()
    index.store([second])
    again = replace(first, row=replace(first.row, generation=7))
    index.store([again])
    index.delete("default", "b", before=2)
    index.flush()

    assert index.read_rows("default") == [again.row]
    assert len(index.read([first.row.key])[first.row.key].descriptor) == 5
    assert find_frames(index, second.descriptor.frames, limit=9) == ["a:0"] * 5
