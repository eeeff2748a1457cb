"""What described segments of one asset show of others: read -> search -> read -> rerank."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.contracts.events import Role, SegmentEncoded, SegmentStatus
from services.contracts.ports import DescribedSegment, SegmentKey
from services.matcher.candidates import CandidateStage
from services.matcher.rerank import Comparison, DescriptorReader, compare
from services.runtime import metrics

# Each has up to (32 + 8) x 16 candidates, of 60 KB: so many are in memory at once.
QUERIES_AT_ONCE = 8


class Content(NamedTuple):
    """A segment as an event announced it; another may announce the same segment with other content."""

    key: SegmentKey
    stamp: str | None

    @classmethod
    def of(cls, event: SegmentEncoded) -> "Content":
        return cls(SegmentKey(event.tenant, event.segment_id), event.stamp)


class Found(NamedTuple):
    comparisons: list[Comparison]
    candidate_count: int | None  # None: not searched for


@dataclass(frozen=True, slots=True)
class Search:
    read: DescriptorReader
    candidates: CandidateStage
    finders: frozenset[Role]  # the roles that are searched for

    def __call__(self, events: Collection[SegmentEncoded]) -> dict[Content, Found]:
        """What each of these segments of one asset shows of others, for which all are searched at once."""
        found = {Content.of(event): Found([], None) for event in events}
        wanted = [event for event in events if event.status == SegmentStatus.DESCRIBED and event.role in self.finders]
        stamps = {content.key: content.stamp for content in map(Content.of, wanted)}
        with metrics.stage("read"):
            # One that was deleted or replaced meanwhile may not be there; an event of its new content will come.
            queries = _whole(stamps, self.read(stamps.keys(), stamps))
        if not queries:
            return found
        after = _newest(wanted)
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            for query, one in self._compared(queries[start : start + QUERIES_AT_ONCE], after):
                found[Content(query.row.key, stamps[query.row.key])] = one
        return found

    def _compared(
        self, queries: Sequence[DescribedSegment], after: int | None
    ) -> Iterator[tuple[DescribedSegment, Found]]:
        with metrics.stage("search"):
            candidates = self.candidates(queries, after=after)
        with metrics.stage("read"):
            read = self.read({key for keys in candidates for key in keys})
        with metrics.stage("rerank"):
            for query, keys in zip(queries, candidates, strict=True):
                yield query, Found(compare(query, _whole(keys, read)), len(keys))


def _newest(events: Sequence[SegmentEncoded]) -> int | None:
    """The timestamp that a search for these must see; None, the strongest demand, when one of them has none."""
    timestamps = [event.index_timestamp for event in events]
    known = [timestamp for timestamp in timestamps if timestamp is not None]
    return max(known) if known and len(known) == len(timestamps) else None


def _whole(keys: Iterable[SegmentKey], read: Mapping[SegmentKey, DescribedSegment]) -> list[DescribedSegment]:
    return [read[key] for key in keys if key in read and read[key].row.frame_count > 0]
