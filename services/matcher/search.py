"""Compares described segments of one asset with similar segments of others: read -> search -> read -> rerank."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.contracts.events import Role, SegmentEncoded, SegmentStatus
from services.contracts.segments import DescribedSegment, SegmentKey
from services.matcher.candidates import CandidateStage
from services.matcher.rerank import Comparison, DescriptorReader, compare
from services.runtime import metrics

# Limits memory: each segment has up to (32 + 8) x 16 candidates of 60 KB.
QUERIES_AT_ONCE = 8


class Content(NamedTuple):
    """A segment with the content that an event announced; a later event may announce other content."""

    key: SegmentKey
    stamp: str | None

    @classmethod
    def of(cls, event: SegmentEncoded) -> "Content":
        return cls(SegmentKey(event.tenant, event.segment_id), event.stamp)


class Found(NamedTuple):
    """What a search for one segment found: a comparison with each other asset among its candidates."""

    comparisons: list[Comparison]
    candidate_count: int | None  # None: the segment was not searched for, or is not in the index


@dataclass(frozen=True, slots=True)
class Search:
    """Searches for the segments that events announced, and compares them with what it finds."""

    read: DescriptorReader
    candidates: CandidateStage
    searching_roles: frozenset[Role]  # only segments of these roles are searched for

    def __call__(self, events: Collection[SegmentEncoded]) -> dict[Content, Found]:
        """The comparisons of each of the segments, which are of one asset and are searched for together."""
        found = {Content.of(event): Found([], None) for event in events}
        searching = [event for event in events if self.is_searched_for(event)]
        stamps = {content.key: content.stamp for content in map(Content.of, searching)}
        with metrics.time_stage("read"):
            # Missing are segments that were deleted or replaced meanwhile, and what the index lost.
            queries = _with_frames(stamps, self.read(stamps.keys(), stamps))
        if not queries:
            return found
        after = _newest_timestamp(searching)
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            for query, one in self._compare(queries[start : start + QUERIES_AT_ONCE], after):
                found[Content(query.row.key, stamps[query.row.key])] = one
        return found

    def is_searched_for(self, event: SegmentEncoded) -> bool:
        """Whether the segment is to be compared with others."""
        return event.status == SegmentStatus.DESCRIBED and event.role in self.searching_roles

    def _compare(
        self, queries: Sequence[DescribedSegment], after: int | None
    ) -> Iterator[tuple[DescribedSegment, Found]]:
        with metrics.time_stage("search"):
            candidates = self.candidates(queries, after=after)
        with metrics.time_stage("read"):
            read = self.read({key for keys in candidates for key in keys})
        with metrics.time_stage("rerank"):
            for query, keys in zip(queries, candidates, strict=True):
                yield query, Found(compare(query, _with_frames(keys, read)), len(keys))


def _newest_timestamp(events: Sequence[SegmentEncoded]) -> int | None:
    """The write timestamp that a search for these events must see; None (see every write) if one of them has none."""
    timestamps = [event.index_timestamp for event in events]
    known = [timestamp for timestamp in timestamps if timestamp is not None]
    return max(known) if known and len(known) == len(timestamps) else None


def _with_frames(keys: Iterable[SegmentKey], read: Mapping[SegmentKey, DescribedSegment]) -> list[DescribedSegment]:
    """Those of the segments that were read and have frames."""
    return [read[key] for key in keys if key in read and read[key].row.frame_count > 0]
