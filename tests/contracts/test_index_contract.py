"""What every DescriptorIndex does, whatever the backend."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pymilvus import MilvusClient

from services.backends.memory.index import MemoryIndex
from services.backends.milvus.index import MilvusIndex
from services.contracts.events import Role
from services.contracts.ports import DescriptorIndex, SegmentKey
from tests.contracts.index_cases import DIMENSION, find_frames, find_segments, make_segment, request_for
from tests.servers.process import Backend
from tests.vectors import unit_rows


@pytest.fixture(scope="module")
def milvus_index(milvus_server: Backend) -> Iterator[MilvusIndex]:
    """One index for all tests: creating its collections takes the server many seconds."""
    version = f"v1_{uuid.uuid4().hex}"
    index = MilvusIndex(milvus_server.address, model_version=version, dimension=DIMENSION)
    yield index
    index.close()
    client = MilvusClient(milvus_server.address, dedicated=True)
    for collection in client.list_collections():
        if collection.endswith(version):
            client.drop_collection(collection)
    client.close()


@pytest.fixture(
    params=["memory", "milvus-lite", pytest.param("milvus", marks=[pytest.mark.integration, pytest.mark.timeout(180)])]
)
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DescriptorIndex]:
    if request.param == "milvus":
        shared: MilvusIndex = request.getfixturevalue("milvus_index")
        yield shared
        for collection in shared._milvus.collections():
            if collection.endswith(shared.model_version):
                shared._milvus._client.delete(collection, filter='pk != ""')
        return
    opened: DescriptorIndex = (
        MemoryIndex(model_version="v1")
        if request.param == "memory"
        else MilvusIndex(str(tmp_path / "index.db"), model_version="v1", dimension=DIMENSION)
    )
    yield opened
    opened.close()


def test_an_index_knows_its_model_version(index: DescriptorIndex) -> None:
    assert index.model_version.startswith("v1")


def test_a_stored_segment_is_read_unchanged(index: DescriptorIndex) -> None:
    segment = make_segment("a", 7, frames=40)
    index.store([segment])

    assert index.assets("default", ["a", "never-seen"]) == [segment.row]
    read = index.read([segment.row.key])[segment.row.key]
    assert read.row == segment.row
    np.testing.assert_array_equal(read.vector, segment.vector)
    np.testing.assert_array_equal(read.descriptor.timestamps_s, segment.descriptor.timestamps_s)
    np.testing.assert_array_equal(read.descriptor.frames, segment.descriptor.frames)


def test_a_search_sees_at_once_what_was_stored(index: DescriptorIndex) -> None:
    for seed in range(3):
        segment = make_segment(f"a{seed}", seed=seed)
        written_at = index.store([segment])
        nearest = index.search_frames(request_for(segment.descriptor.frames, limit=1, after=written_at))
        assert [one[0].segment_id for one in nearest] == [f"a{seed}:0"] * 3
        assert [one[0].asset_id for one in nearest] == [f"a{seed}"] * 3
        assert [one[0].similarity for one in nearest] == pytest.approx([1, 1, 1], abs=1e-5)
        assert find_segments(index, segment.vector)[0] == f"a{seed}:0"


def test_candidates_come_best_first_up_to_the_limit(index: DescriptorIndex) -> None:
    segments = [make_segment(f"a{seed}", seed=seed) for seed in range(6)]
    index.store(segments)
    queries = unit_rows(77, 4)

    vectors = np.stack([segment.vector for segment in segments])
    for query, nearest in zip(queries, index.search_segments(request_for(queries, limit=4)), strict=True):
        best = np.argsort(-vectors @ query)[:4]
        assert [candidate.asset_id for candidate in nearest] == [f"a{one}" for one in best]
        assert [candidate.similarity for candidate in nearest] == pytest.approx((vectors @ query)[best], abs=1e-5)

    frames = np.concatenate([segment.descriptor.frames for segment in segments])
    for query, nearest in zip(queries, index.search_frames(request_for(queries, limit=4)), strict=True):
        best = np.argsort(-frames @ query)[:4]
        assert [candidate.asset_id for candidate in nearest] == [f"a{one // 3}" for one in best]


def test_an_empty_index_finds_nothing(index: DescriptorIndex) -> None:
    assert index.search_segments(request_for(unit_rows(1, 2))) == [[], []]
    assert index.search_frames(request_for(unit_rows(1, 2))) == [[], []]
    assert index.assets("default") == []
    assert index.assets("default", []) == []
    assert index.read([]) == {}
    assert index.read([SegmentKey("default", "a:0")]) == {}
    index.store([])
    index.delete("default", "a")
    index.flush()


def test_storing_again_changes_nothing(index: DescriptorIndex) -> None:
    segment = make_segment("a")
    index.store([segment])
    index.store([segment, segment])

    assert index.assets("default") == [segment.row]
    assert find_frames(index, segment.descriptor.frames, limit=9) == ["a:0"] * 3
    assert len(index.read([segment.row.key])[segment.row.key].descriptor) == 3


def test_the_searching_asset_is_not_found(index: DescriptorIndex) -> None:
    index.store([make_segment("a", seed=1), make_segment("a", 1, seed=2), make_segment("ab", seed=3)])
    for search in (index.search_segments, index.search_frames):
        assert {one.asset_id for one in search(request_for(unit_rows(1), exclude_asset="a", limit=9))[0]} == {"ab"}


def test_a_request_can_exclude_further_assets(index: DescriptorIndex) -> None:
    lecture = [make_segment("lecture", number, seed=1) for number in range(4)]
    index.store([*lecture, make_segment("film", seed=2), make_segment("other", seed=3)])
    for search, vectors in (
        (index.search_segments, lecture[0].vector[np.newaxis]),
        (index.search_frames, lecture[0].descriptor.frames),
    ):
        request = request_for(vectors, limit=4)
        assert [{one.asset_id for one in nearest} for nearest in search(request)] == [{"lecture"}] * len(vectors)
        for excluded, rest in (
            ({"lecture"}, {"film", "other"}),
            ({"lecture", "never-seen"}, {"film", "other"}),
            ({"film", "lecture"}, {"other"}),
            ({"film", "lecture", "other"}, set()),
        ):
            nearest = search(replace(request, limit=9, exclude_also=frozenset(excluded)))
            assert [{one.asset_id for one in of_vector} for of_vector in nearest] == [rest] * len(vectors)


def test_references_can_be_searched_on_their_own(index: DescriptorIndex) -> None:
    original = make_segment("original", seed=2, role=Role.REFERENCE, tenant="ours")
    viral = [make_segment(f"copy{number}", seed=1, tenant="ours") for number in range(9)]
    index.store([*viral, original, make_segment("theirs", role=Role.REFERENCE), make_segment("p", role=Role.PROBE)])
    index.flush()
    index.store([make_segment("late", seed=1, tenant="ours", role=Role.REFERENCE)])
    for search in (index.search_segments, index.search_frames):
        request = request_for(unit_rows(1, 2), tenant="ours", exclude_asset="copy0", limit=99)
        everything = {"late", "original", *(f"copy{number}" for number in range(1, 9))}
        assert [{one.asset_id for one in nearest} for nearest in search(request)] == [everything] * 2
        among_references = search(replace(request, references_only=True))
        assert [{one.asset_id for one in nearest} for nearest in among_references] == [{"late", "original"}] * 2
        others = replace(request, references_only=True, exclude_also=frozenset({"original", "late"}))
        assert search(others) == [[], []]
    assert len(index.read([original.row.key])[original.row.key].descriptor) == 3


@pytest.mark.parametrize(("before", "after"), [(Role.UPLOAD, Role.REFERENCE), (Role.REFERENCE, Role.UPLOAD)])
def test_a_segment_is_a_reference_as_long_as_its_asset_is_one(
    index: DescriptorIndex, before: Role, after: Role
) -> None:
    for role in (before, after):
        segment = make_segment("a", seed=1, role=role)
        index.store([segment])
        assert index.read([segment.row.key])[segment.row.key].row.stamp == "first"
        for search in (index.search_segments, index.search_frames):
            found = search(request_for(unit_rows(1), limit=4, references_only=True))[0]
            assert {one.asset_id for one in found} == ({"a"} if role is Role.REFERENCE else set())


def test_tenants_never_see_each_other(index: DescriptorIndex) -> None:
    ours = make_segment("same", seed=1, tenant="ours")
    theirs = make_segment("same", seed=2, tenant="theirs")
    index.store([ours, theirs, make_segment("other", seed=2, tenant="theirs")])

    assert index.assets("ours") == [ours.row]
    assert index.assets("ours", ["same", "other"]) == [ours.row]
    np.testing.assert_array_equal(index.read([ours.row.key])[ours.row.key].descriptor.frames, ours.descriptor.frames)
    assert SegmentKey("ours", "other:0") not in index.read([SegmentKey("ours", "other:0")])
    assert find_segments(index, theirs.vector, tenant="ours") == ["same:0"]
    assert find_frames(index, theirs.descriptor.frames, tenant="ours", limit=9) == ["same:0"] * 3
    assert find_segments(index, theirs.vector, tenant="nobody") == []

    index.delete("theirs", "same")
    assert index.assets("ours") == [ours.row]
    assert [row.asset_id for row in index.assets("theirs")] == ["other"]


def test_probes_are_read_but_never_found(index: DescriptorIndex) -> None:
    probe = make_segment("p", seed=1, role=Role.PROBE)
    index.store([probe, make_segment("u", seed=2), make_segment("r", seed=3, role=Role.REFERENCE)])

    assert set(find_segments(index, probe.vector)) == {"u:0", "r:0"}
    assert set(find_frames(index, probe.descriptor.frames, limit=9)) == {"u:0", "r:0"}
    assert index.assets("default", ["p"]) == [probe.row]
    assert {row.asset_id for row in index.assets("default")} == {"p", "u", "r"}
    assert len(index.read([probe.row.key])[probe.row.key].descriptor) == 3
    index.delete("default", "p")
    assert index.assets("default", ["p"]) == []
    assert index.read([probe.row.key]) == {}


@pytest.mark.parametrize(
    ("before", "after"), [(Role.UPLOAD, Role.PROBE), (Role.PROBE, Role.UPLOAD), (Role.UPLOAD, Role.REFERENCE)]
)
def test_a_segment_that_changes_its_role_is_there_once(index: DescriptorIndex, before: Role, after: Role) -> None:
    index.store([make_segment("a", seed=1, role=before, stamp="before")])
    changed = make_segment("a", seed=1, role=after, stamp="after")
    index.store([changed])

    assert index.assets("default") == [changed.row]
    assert len(index.read([changed.row.key])) == 1
    assert find_segments(index, changed.vector) == ([] if after is Role.PROBE else ["a:0"])


@pytest.mark.parametrize(("before", "after"), [(5, 2), (2, 5), (3, 3), (3, 0)])
def test_replacing_a_segment_leaves_nothing_of_the_old_one(index: DescriptorIndex, before: int, after: int) -> None:
    old = make_segment("a", seed=1, frames=before, stamp="old")
    new = make_segment("a", seed=2, frames=after, stamp="new")
    index.store([old])
    index.store([new])

    assert index.assets("default") == [new.row]
    np.testing.assert_array_equal(index.read([new.row.key])[new.row.key].descriptor.frames, new.descriptor.frames)
    assert find_frames(index, old.descriptor.frames, limit=9) == ["a:0"] * after


def test_a_segment_without_frames_is_known_but_not_found(index: DescriptorIndex) -> None:
    black = make_segment("black", frames=0)
    index.store([black, make_segment("a", seed=1)])

    assert index.assets("default", ["black"]) == [black.row]
    assert len(index.read([black.row.key])[black.row.key].descriptor) == 0
    assert find_segments(index, -unit_rows(1)[0], limit=9) == ["a:0"]


def test_delete_can_keep_the_first_segments_of_an_asset(index: DescriptorIndex) -> None:
    kept = [make_segment("a", 0, seed=1), make_segment("b", 12, seed=9)]
    gone = [make_segment("a", number, seed=number) for number in (2, 10, 11)]
    index.store(kept + gone)
    index.delete("default", "a", from_index=2)

    assert index.assets("default") == [one.row for one in kept]
    assert set(index.read([one.row.key for one in kept + gone])) == {one.row.key for one in kept}
    assert set(find_frames(index, gone[0].descriptor.frames, limit=99)) == {"a:0", "b:12"}

    index.store(gone[:1])
    assert find_segments(index, gone[0].vector)[0] == "a:2"
    index.delete("default", "a")
    assert {row.asset_id for row in index.assets("default")} == {"b"}


def test_rows_are_sorted_by_asset_and_index(index: DescriptorIndex) -> None:
    index.store([make_segment(asset, number, frames=1) for number in (10, 9, 0) for asset in ("b", "a")])
    assert [row.segment_id for row in index.assets("default")] == ["a:0", "a:9", "a:10", "b:0", "b:9", "b:10"]
    assert [row.segment_index for row in index.assets("default", ["b"])] == [0, 9, 10]


def test_many_rows_and_many_query_vectors_at_once(index: DescriptorIndex) -> None:
    segments = [make_segment(f"a{seed}", frames=150, seed=seed) for seed in range(15)]
    index.store(segments)
    index.flush()

    assert len(index.read([segment.row.key for segment in segments])) == 15
    frames = np.concatenate([segment.descriptor.frames for segment in segments])
    nearest = index.search_frames(request_for(frames, exclude_asset="a3", limit=1))
    assert len(nearest) == len(frames) == 2250
    found = [one[0].asset_id for one in nearest]
    assert all(asset == f"a{number // 150}" for number, asset in enumerate(found) if number // 150 != 3)
    assert "a3" not in found


def test_a_flush_loses_nothing(index: DescriptorIndex) -> None:
    first, second = make_segment("a", seed=1, frames=5), make_segment("b", seed=2)
    index.store([first])
    index.flush()
    index.store([second])
    replaced = replace(first, row=replace(first.row, stamp="again"))
    index.store([replaced])
    index.delete("default", "b")
    index.flush()

    assert index.assets("default") == [replaced.row]
    assert len(index.read([first.row.key])[first.row.key].descriptor) == 5
    assert find_frames(index, second.descriptor.frames, limit=9) == ["a:0"] * 5
