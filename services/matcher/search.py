"""Compares described segments of one asset with similar segments of others: read -> search -> read -> rerank."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.contracts.segments import DescribedSegment, SegmentKey
from services.matcher.candidates import CandidateStage
from services.matcher.rerank import Comparison, DescriptorReader, compare
from services.runtime import metrics

# Limits memory: each segment has up to (32 + 8) x 16 candidates of 60 KB.
QUERIES_AT_ONCE = 8


class Found(NamedTuple):
    """A searched segment, and a comparison with each other asset among its candidates."""

    query: DescribedSegment
    comparisons: list[Comparison]
    candidate_count: int


@dataclass(frozen=True, slots=True)
class Search:
    """Searches for stored segments, and compares them with what it finds."""

    read: DescriptorReader
    candidates: CandidateStage

    def __call__(self, keys: Collection[SegmentKey], *, after: int | None) -> dict[SegmentKey, Found]:
        """The comparisons of these segments, which are of one asset; without those that the index does not hold.

        `after`: as in SearchRequest.
        """
        with metrics.time_stage("read"):
            queries = _with_frames(keys, self.read(keys))
        return {
            found.query.row.key: found
            for start in range(0, len(queries), QUERIES_AT_ONCE)
            for found in self._compare(queries[start : start + QUERIES_AT_ONCE], after)
        }

    def _compare(self, queries: Sequence[DescribedSegment], after: int | None) -> Iterator[Found]:
        with metrics.time_stage("search"):
            candidates = self.candidates(queries, after=after)
        with metrics.time_stage("read"):
            read = self.read({key for keys in candidates for key in keys})
        with metrics.time_stage("rerank"):
            for query, keys in zip(queries, candidates, strict=True):
                yield Found(query, compare(query, _with_frames(keys, read)), len(keys))


def _with_frames(keys: Iterable[SegmentKey], read: Mapping[SegmentKey, DescribedSegment]) -> list[DescribedSegment]:
    """Those of the segments that were read and have frames."""
    return [read[key] for key in keys if key in read and read[key].row.frame_count > 0]
