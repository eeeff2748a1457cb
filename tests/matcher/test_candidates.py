"""Candidates: near by segment or by frame, from other assets only, and no asset crowds out the rest."""

from collections.abc import Iterable
from typing import Unpack

import numpy as np
import pytest

from services.backends.memory.index import MemoryIndex
from services.contracts.events import Role
from services.contracts.segments import Candidate, DescribedSegment, SearchRequest, SegmentKey
from services.matcher.candidates import (
    NEAR_IDENTICAL,
    CandidateLimits,
    CandidateStage,
    ExhaustiveCandidates,
    NearestCandidates,
    distinct_frames,
    merge,
)
from tca_model.types import FloatArray
from tests.descriptors import DIMENSION, RowFields, cut, described, work
from tests.vectors import unit


def index_of(*segments: DescribedSegment) -> MemoryIndex:
    index = MemoryIndex(model_version="v1")
    index.store(segments)
    return index


class SpyIndex(MemoryIndex):
    """Keeps every search request."""

    def __init__(self) -> None:
        super().__init__(model_version="v1")
        self.by_segment: list[SearchRequest] = []
        self.by_frame: list[SearchRequest] = []

    def search_segments(self, request: SearchRequest) -> list[list[Candidate]]:
        self.by_segment.append(request)
        return super().search_segments(request)

    def search_frames(self, request: SearchRequest) -> list[list[Candidate]]:
        self.by_frame.append(request)
        return super().search_frames(request)


def find(stage: CandidateStage, *queries: DescribedSegment) -> list[list[str]]:
    return [names(keys) for keys in stage(queries, after=None)]


def at_angles(*degrees: float) -> FloatArray:
    """Unit vectors in a plane."""
    radians = np.radians(degrees)
    frames = np.zeros((len(degrees), DIMENSION), np.float32)
    frames[:, 0], frames[:, 1] = np.cos(radians), np.sin(radians)
    return frames


def test_the_first_of_nearly_identical_frames_is_kept() -> None:
    nearly = np.degrees(np.arccos(NEAR_IDENTICAL)) - 1
    frames = at_angles(0, nearly, 90, 90 - nearly, 180)
    np.testing.assert_array_equal(distinct_frames(frames), frames[[0, 2, 4]])


def test_a_slow_pan_keeps_a_frame_for_every_step_away_from_the_kept_ones() -> None:
    pan = at_angles(*range(0, 90, 5))
    kept = distinct_frames(pan)
    assert 1 < len(kept) < len(pan)
    assert ((pan @ kept.T).max(axis=1) >= NEAR_IDENTICAL).all(), "every frame has a kept one that stands for it"
    assert (np.tril(kept @ kept.T, -1) < NEAR_IDENTICAL).all()


@pytest.mark.parametrize("count", [1, 5])
def test_a_still_keeps_one_frame(count: int) -> None:
    assert len(distinct_frames(at_angles(*[30] * count))) == 1


def test_different_frames_are_all_kept_unchanged() -> None:
    np.testing.assert_array_equal(distinct_frames(work(1)), work(1))


def found(segment_id: str, similarity: float) -> Candidate:
    return Candidate(SegmentKey("default", segment_id, "content"), segment_id.split(":")[0], similarity)


def names(keys: Iterable[SegmentKey]) -> list[str]:
    return [key.segment_id for key in keys]


def test_assets_are_ranked_by_their_nearest_vector_and_segments_within_them() -> None:
    candidates = [
        found("a:0", 0.2),
        found("a:1", 0.9),
        found("b:0", 0.5),
        found("a:0", 0.3),
        found("c:7", 0.95),
    ]
    assert names(merge(candidates, CandidateLimits())) == ["c:7", "a:1", "a:0", "b:0"]


def test_an_asset_with_a_thousand_near_frames_does_not_crowd_out_another() -> None:
    lecture = [found(f"lecture:{n}", 0.9) for n in range(1000)]
    merged = merge([*lecture, found("film:3", 0.4)], CandidateLimits(assets=2, segments_per_asset=16))
    assert len(merged) == 17
    assert names(merged)[-1] == "film:3"


def test_only_the_best_assets_are_kept() -> None:
    candidates = [found(f"{n}:0", n / 10) for n in range(5)]
    assert names(merge(candidates, CandidateLimits(assets=2))) == ["4:0", "3:0"]


def test_no_results_give_no_candidates() -> None:
    assert merge([], CandidateLimits()) == []


def test_a_short_copy_is_found_by_its_frames_where_the_segment_vector_fails() -> None:
    copy = np.concatenate([work(2, 0, 29), work(1, 7, 10)])
    others = [described(f"other{n}", 0, work(10 + n)) for n in range(5)]
    index = index_of(*cut("original", work(1, 0, 64)), *others)
    stage = NearestCandidates(index, CandidateLimits(segments=1, per_frame=1, assets=5))
    [nearest] = find(stage, described("copy", 0, copy))
    assert "original:0" in nearest


def test_each_segment_of_an_asset_gets_its_own_candidates() -> None:
    index = index_of(described("one", 0, work(1)), described("two", 0, work(2)))
    queries = cut("both", np.concatenate([work(1), work(2)]))
    first, second = find(NearestCandidates(index), *queries)
    assert (first[0], second[0]) == ("one:0", "two:0")


@pytest.mark.parametrize("stage", [NearestCandidates, ExhaustiveCandidates])
def test_own_segments_probes_other_tenants_and_empty_segments_are_no_candidates(
    stage: type[NearestCandidates] | type[ExhaustiveCandidates],
) -> None:
    query = described("mine", 0, work(1))
    reference, upload = described("reference", 0, work(1), role=Role.REFERENCE), described("upload", 0, work(1))
    index = index_of(
        query,
        reference,
        upload,
        described("mine", 1, work(1)),
        described("probe", 0, work(1), role=Role.PROBE),
        described("theirs", 0, work(1), tenant="other"),
        described("black", 0, work(1, 0, 0)),
    )
    [keys] = stage(index)([query], after=None)
    assert set(keys) == {reference.row.key, upload.row.key}, "with their content"


def test_exhaustive_candidates_are_all_other_segments() -> None:
    index = index_of(*cut("a", work(1, 0, 96)), *cut("b", work(2, 0, 40)), *cut("mine", work(3, 0, 64)))
    everything = ["a:0", "a:1", "a:2", "b:0", "b:1"]
    assert find(ExhaustiveCandidates(index), *cut("mine", work(3, 0, 64))) == [everything, everything]


def test_an_empty_index_has_no_candidates() -> None:
    query = described("mine", 0, unit(work(1, 0, 3)))
    for stage in (NearestCandidates(index_of()), ExhaustiveCandidates(index_of())):
        assert find(stage, query) == [[]]


def test_a_search_must_see_writes_up_to_the_timestamp() -> None:
    index = SpyIndex()
    NearestCandidates(index)([described("mine", 0, work(1))], after=42)
    requests = index.by_segment + index.by_frame
    assert [request.after for request in requests] == [42] * 4, "among all and among references"


def still(asset_id: str, seconds: int, *, like: FloatArray, **fields: Unpack[RowFields]) -> list[DescribedSegment]:
    """A lecture: `seconds` frames that all show the same picture with different grain."""
    grain = np.random.default_rng(seconds).standard_normal((seconds, DIMENSION), dtype=np.float32)
    return cut(asset_id, unit(like + 0.002 * grain), **fields)


@pytest.mark.parametrize("by", [{"segments": 0}, {"per_frame": 0}], ids=["frames", "segments"])
def test_a_film_behind_a_lecture_that_takes_all_places_is_found(by: dict[str, int]) -> None:
    slide = work(1)[:1]
    lectures = [segment for n in range(3) for segment in still(f"lecture{n}", 1024, like=slide)]
    other = np.concatenate([slide, work(2, 0, 3)])  # like the query, but less than any minute of the lectures
    index = index_of(*lectures, described("film", 0, unit(work(1)[:1] + other)))
    stage = NearestCandidates(index, CandidateLimits(references=0, **by))
    [nearest] = find(stage, described("copy", 0, slide))
    assert "film:0" in nearest
    assert {name.split(":")[0] for name in nearest} == {"lecture0", "lecture1", "lecture2", "film"}


def test_only_crowded_vectors_are_searched_again() -> None:
    index = SpyIndex()
    index.store([*still("lecture", 64, like=work(1)[:1]), *(described(f"film{n}", 0, work(n)) for n in range(2, 40))])
    query = np.concatenate([work(1)[:1], work(50, 0, 5)])
    NearestCandidates(index, CandidateLimits(references=0))([described("mine", 0, query)], after=None)
    assert [(len(request.vectors), request.exclude_also) for request in index.by_frame] == [
        (6, frozenset()),
        (1, frozenset({"lecture"})),
    ]


def test_a_tenant_full_of_lectures_is_searched_a_limited_number_of_times() -> None:
    index = SpyIndex()
    index.store([one for n in range(20) for one in still(f"lecture{n}", 320, like=unit(work(1)[:1] + n * work(2)[:1]))])
    NearestCandidates(index, CandidateLimits(segments=8, references=0))([described("mine", 0, work(1)[:1])], after=None)
    assert [len(request.vectors) for request in index.by_segment] == [1] * (1 + CandidateLimits().rounds)


def test_a_reference_is_found_behind_a_viral_family_of_its_copies() -> None:
    viral = [described(f"copy{n}", 0, work(1)) for n in range(200)]
    less_alike = unit(work(1) + work(2))
    original = described("original", 0, less_alike, role=Role.REFERENCE)
    index = index_of(*viral, original)
    query = described("mine", 0, work(1))
    limits = CandidateLimits()
    [nearest] = find(NearestCandidates(index, limits), query)
    assert nearest[-1] == "original:0"
    assert len(nearest) == limits.assets + 1
    [without] = find(NearestCandidates(index, CandidateLimits(references=0)), query)
    assert "original:0" not in without


def test_references_stay_within_their_limit_and_come_once() -> None:
    references = [described(f"r{n}", 0, unit(work(1) + n / 10 * work(2)), role=Role.REFERENCE) for n in range(5)]
    index = index_of(*references, *(described(f"u{n}", 0, work(1)) for n in range(40)))
    limits = CandidateLimits(assets=3, references=2)
    [nearest] = find(NearestCandidates(index, limits), described("mine", 0, work(1)))
    assert len(nearest) == len(set(nearest))
    assert {"r0:0", "r1:0"} <= set(nearest)
    assert not {"r2:0", "r3:0", "r4:0"} & set(nearest)
