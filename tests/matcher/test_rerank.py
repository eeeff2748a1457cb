"""Comparing all candidates at once equals comparing them one by one; descriptors are read through the cache."""

from collections.abc import Collection

import numpy as np
import pytest

from services.backends.memory.cache import MemoryCache
from services.backends.memory.index import MemoryIndex
from services.contracts.segments import DescribedSegment, SegmentKey
from services.matcher.rerank import DescriptorReader, compare
from tca_model.matching.evidence import join
from tests.descriptors import cut, described, work
from tests.vectors import unit


class CountingIndex(MemoryIndex):
    def __init__(self, *segments: DescribedSegment) -> None:
        super().__init__(model_version="v1")
        self.store(segments)
        self.reads: list[set[SegmentKey]] = []

    def read(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]:
        self.reads.append(set(keys))
        return super().read(keys)


def noisy(frames: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(frames.shape, dtype=np.float32)
    return unit(frames + 0.03 * noise)


def test_one_matrix_product_equals_a_loop_over_all_frames() -> None:
    query = described("copy", 3, np.concatenate([work(9, 0, 8), noisy(work(1, 28, 40), 0), work(9, 8, 15)]))
    assets = {
        "full": cut("full", work(1, 0, 70)),
        "lone": [described("lone", 1, noisy(work(1, 32, 39), 1))],
        "else": cut("else", work(5, 0, 20)),
    }
    shuffled = [segment for segments in assets.values() for segment in segments][::-1]
    comparisons = {comparison.asset_id: comparison for comparison in compare(query, shuffled)}
    assert comparisons.keys() == assets.keys()
    assert [one.row.segment_index for one in comparisons["full"].segments] == [0, 1, 2]
    for asset_id, segments in assets.items():
        comparison = comparisons[asset_id]
        evidence = comparison.evidence
        frames = [frame for segment in segments for frame in segment.descriptor.frames]
        rows = [max(float(own @ other) for other in frames) for own in query.descriptor.frames]
        assert evidence.segment_index == 3
        assert evidence.frame_count == len(rows)
        assert evidence.similarity_sum == pytest.approx(sum(rows), abs=1e-4)
        assert [one.segment_index for one in evidence.references] == [one.row.segment_index for one in segments]
        for reference, segment in zip(evidence.references, segments, strict=True):
            columns = [
                max(float(other @ own) for own in query.descriptor.frames) for other in segment.descriptor.frames
            ]
            assert reference.frame_count == len(columns)
            assert reference.similarity_sum == pytest.approx(sum(columns), abs=1e-4)
        cosines = [float(query.vector @ segment.vector) for segment in segments]
        assert comparison.segment_cosine == pytest.approx(max(cosines), abs=1e-6)
    [match] = join([comparisons["full"].evidence]).intervals
    found = (match.query_start_s, match.query_end_s, match.reference_start_s, match.reference_end_s)
    assert found == pytest.approx((104, 116, 28, 40), abs=1.01)
    assert join([comparisons["else"].evidence]).intervals == ()


def test_segments_with_overlapping_starts_are_compared_in_order_of_time() -> None:
    query = described("copy", 0, work(1, 0, 30))
    first = described("live", 0, work(1, 0, 20), start_s=40.0)
    second = described("live", 1, work(1, 20, 40), start_s=30.0)
    single = [described("single", n, work(1, n, n + 1), start_s=200.0 - n) for n in range(9)]
    live, backwards = compare(query, [first, second, *single])
    assert [reference.segment_index for reference in live.evidence.references] == [0, 1]
    assert all(match.query_end_s > match.query_start_s for match in live.evidence.matches)
    assert len(backwards.evidence.references) == 9


def test_intervals_do_not_depend_on_which_side_is_the_query() -> None:
    # A scene that stands still for 6 s before the copied part looks like the copy's first second.
    old = described("old", 0, np.concatenate([np.repeat(work(1, 0, 1), 6, axis=0), work(1, 1, 14)]), uploaded_at=1.0)
    new = described("new", 0, noisy(work(1, 0, 12), 0), uploaded_at=2.0)
    [one], [other] = compare(new, [old]), compare(old, [new])
    [match], [turned] = one.evidence.matches, other.evidence.matches
    assert (match.query_start_s, match.query_end_s) == (turned.reference_start_s, turned.reference_end_s) == (0, 12)
    assert (match.reference_start_s, match.reference_end_s) == (turned.query_start_s, turned.query_end_s)
    assert match.similarity == pytest.approx(turned.similarity)


def test_no_candidates_lead_to_no_comparisons() -> None:
    assert compare(described("copy", 0, work(1)), []) == []


def test_a_miss_is_read_from_the_index_once_and_cached() -> None:
    segments = cut("a", work(1, 0, 96))
    keys = [segment.row.key for segment in segments]
    index, cache = CountingIndex(*segments), MemoryCache(10**7)
    cache.put_many(segments[:1])
    read = DescriptorReader(index, cache)

    assert read(keys).keys() == set(keys)
    assert index.reads == [set(keys[1:])], "cached segments are not read"
    assert cache.get_many(keys).keys() == set(keys)
    assert read(keys).keys() == set(keys)
    assert len(index.reads) == 1
    for segment in segments:
        found = read([segment.row.key])[segment.row.key]
        assert found.row == segment.row
        np.testing.assert_allclose(found.descriptor.frames, segment.descriptor.frames, atol=1e-3)


def test_no_keys_lead_to_no_read() -> None:
    index = CountingIndex()
    assert DescriptorReader(index, MemoryCache(1000))([]) == {}
    assert index.reads == []


def test_incomplete_segments_of_the_index_are_left_out_and_not_cached() -> None:
    [whole, torn] = cut("a", work(1, 0, 64))

    class Torn(CountingIndex):
        def read(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]:
            return {key: found for key, found in super().read(keys).items() if key != torn.row.key}

    index, cache = Torn(whole, torn), MemoryCache(10**7)
    read = DescriptorReader(index, cache)
    assert read([whole.row.key, torn.row.key]).keys() == {whole.row.key}
    assert cache.get_many([torn.row.key]) == {}
    read([torn.row.key])
    assert index.reads[-1] == {torn.row.key}, "it is read again, since it may be complete by now"


def test_a_cache_that_forgets_everything_changes_nothing() -> None:
    segments = cut("a", work(1, 0, 64))
    read = DescriptorReader(CountingIndex(*segments), MemoryCache(1))
    keys = [segment.row.key for segment in segments]
    assert read(keys).keys() == read(keys).keys() == set(keys)


def test_a_cached_segment_is_never_read_for_other_content_under_its_name() -> None:
    old, new = described("a", 0, work(1), stamp="old"), described("a", 0, work(2), stamp="new")
    index, cache = CountingIndex(new), MemoryCache(10**7)
    cache.put_many([old])  # by a matcher that was late
    read = DescriptorReader(index, cache)
    assert read([new.row.key])[new.row.key].row.stamp == "new"
    assert read([old.row.key])[old.row.key].row.stamp == "old", "findings leave it out"
    assert read([described("a", 0, work(1), stamp="newer").row.key]) == {}
