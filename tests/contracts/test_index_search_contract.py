"""What every DescriptorIndex finds, in which order, and for whom, whatever the backend."""

from dataclasses import replace

import numpy as np
import pytest

from services.contracts.events import Role
from services.contracts.ports import DescriptorIndex
from tests.contracts.index_cases import find_frames, find_segments, make_segment, request_for
from tests.vectors import unit_rows


def test_a_search_sees_at_once_what_was_stored(index: DescriptorIndex) -> None:
    for seed in range(3):
        segment = make_segment(f"a{seed}", seed=seed)
        written_at = index.store([segment])
        nearest = index.search_frames(request_for(segment.descriptor.frames, limit=1, after=written_at))
        assert [one[0].key for one in nearest] == [segment.row.key] * 3
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
def test_a_segment_is_found_in_both_roles_until_the_older_one_is_deleted(
    index: DescriptorIndex, before: Role, after: Role
) -> None:
    old = make_segment("a", seed=1, role=before, generation=1)
    new = make_segment("a", seed=1, role=after, generation=2)
    index.store([old])
    index.store([new])
    searches = (index.search_segments, index.search_frames)
    everything = request_for(unit_rows(1), limit=9)
    among_references = replace(everything, references_only=True)
    [reference] = [one.row.key for one in (old, new) if one.row.role is Role.REFERENCE]
    for search in searches:
        assert {one.key for one in search(everything)[0]} == {old.row.key, new.row.key}
        assert {one.key for one in search(among_references)[0]} == {reference}
    index.delete("default", "a", before=2)
    for search in searches:
        assert {one.key for one in search(everything)[0]} == {new.row.key}
        assert {one.key for one in search(among_references)[0]} == {new.row.key} & {reference}


def test_probes_are_read_but_never_found(index: DescriptorIndex) -> None:
    probe = make_segment("p", seed=1, role=Role.PROBE)
    index.store([probe, make_segment("u", seed=2), make_segment("r", seed=3, role=Role.REFERENCE)])

    assert set(find_segments(index, probe.vector)) == {"u:0", "r:0"}
    assert set(find_frames(index, probe.descriptor.frames, limit=9)) == {"u:0", "r:0"}
    assert index.read_rows("default", ["p"]) == [probe.row]
    assert {row.asset_id for row in index.read_rows("default")} == {"p", "u", "r"}
    assert len(index.read([probe.row.key])[probe.row.key].descriptor) == 3
    index.delete("default", "p", before=2)
    assert index.read_rows("default", ["p"]) == []
    assert index.read([probe.row.key]) == {}


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
