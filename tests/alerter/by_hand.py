"""Events of the matcher made by hand: an asset "a" of three segments that shows parts of the assets "one" and "two"."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np

from services.alerter import fold
from services.alerter.fold import Folded
from services.alerter.state import AssetState
from services.contracts.events import AssetEnded, AssetErased, Event, Role, SegmentStatus
from services.contracts.evidence import (
    AssetFacts,
    ComparedSegment,
    Finding,
    PairEvidence,
    PairLinked,
    SegmentSearched,
    SideReplaced,
)
from services.contracts.segments import DescribedSegment
from services.matcher.rerank import Comparison, compare
from tca_model.matching.evidence import ReferenceEvidence, SegmentEvidence
from tca_model.types import Match
from tests.alerter.stages import CALIBRATION, MODEL
from tests.descriptors import UPLOADED_AT, cut, work

AT = datetime.fromtimestamp(UPLOADED_AT, UTC)
FAILED: dict[str, Any] = {"status": SegmentStatus.FAILED, "content": None, "frame_count": 0, "reason": "no picture"}


def facts_of(segments: Sequence[DescribedSegment]) -> AssetFacts:
    return AssetFacts(
        asset_id=segments[0].row.asset_id,
        role=segments[0].row.role,
        uploaded_at=datetime.fromtimestamp(segments[0].row.uploaded_at, UTC),
        duration_s=segments[-1].row.end_s,
        frame_count=sum(len(one.descriptor) for one in segments),
    )


def finding_of(comparison: Comparison, stored: Sequence[DescribedSegment]) -> Finding:
    """What a comparison with the stored segments of an asset shows."""
    compared = (
        ComparedSegment(
            segment_index=one.row.segment_index,
            generation=one.row.generation,
            start_s=one.row.start_s,
            end_s=one.row.end_s,
        )
        for one in comparison.segments
    )
    return Finding(
        other=facts_of(stored),
        evidence=comparison.evidence,
        compared=tuple(compared),
        segment_cosine=comparison.segment_cosine,
    )


def make_finding(
    *,
    other: str = "other",
    segment_index: int = 0,
    compared: Sequence[int] = (0,),
    generation: int = 1,
    match: Match | None = None,
    **facts: Any,
) -> Finding:
    """A finding of a segment of 32 frames, compared with segments of 32 s of another asset."""
    match = match or Match(0, 20, 0, 20, 0.9)
    known: dict[str, Any] = {"role": Role.UPLOAD, "uploaded_at": AT, "duration_s": 200.0, "frame_count": 200, **facts}
    return Finding(
        other=AssetFacts(asset_id=other, **known),
        evidence=SegmentEvidence(
            segment_index, 32, 16.0, tuple(ReferenceEvidence(index, 32, 16.0) for index in compared), (match,)
        ),
        compared=tuple(
            ComparedSegment(segment_index=index, generation=generation, start_s=32 * index, end_s=32 * index + 32)
            for index in compared
        ),
        segment_cosine=0.5,
    )


def searched(index: int, *findings: Finding, **fields: Any) -> SegmentSearched:
    values: dict[str, Any] = {
        "asset_id": "a",
        "generation": 1,
        "segment_index": index,
        "content": "content",
        "is_whole_file": True,
        "role": Role.UPLOAD,
        "start_s": 32 * index,
        "end_s": 32 * index + 32,
        "status": SegmentStatus.DESCRIBED,
        "frame_count": 32,
        "is_compared": True,
        "model_version": MODEL,
        "uploaded_at": AT,
        "calibration": CALIBRATION,
        "findings": findings,
    }
    return SegmentSearched(**values | fields)


def pair_evidence(finding: Finding, *, reference: AssetFacts | None = None, **fields: Any) -> PairEvidence:
    """Evidence of a search by a reference; `finding.other` is the asset that it is for."""
    index = finding.evidence.segment_index
    values: dict[str, Any] = {
        "asset_id": finding.other.asset_id,
        "reference": reference or make_finding(other="reference").other,
        "generation": 1,
        "start_s": 32 * index,
        "end_s": 32 * index + 32,
        "finding": finding,
        "model_version": MODEL,
        "calibration": CALIBRATION,
    }
    return PairEvidence(**values | fields)


def ended(segment_count: int, duration_s: float | None = None, **fields: Any) -> AssetEnded:
    values: dict[str, Any] = {"asset_id": "a", "status": "complete", "generation": 1, **fields}
    return AssetEnded(segment_count=segment_count, duration_s=duration_s, **values)


def erased(generation: int, **fields: Any) -> AssetErased:
    return AssetErased(**{"asset_id": "a", "generation": generation, "model_version": MODEL, **fields})


def apply(state: AssetState, event: Event) -> Folded:
    match event:
        case SegmentSearched():
            return fold.add_segment(state, event)
        case PairEvidence():
            return fold.add_evidence(state, event)
        case AssetEnded():
            return fold.add_end(state, event)
        case AssetErased():
            return fold.remove(state, event)
        case PairLinked():
            return fold.add_link(state, event)
        case SideReplaced():
            return fold.drop_replaced(state, event)
        case _:
            raise TypeError(f"the alerter knows no {type(event).__name__}")


def after(*events: Event, state: AssetState | None = None) -> AssetState:
    """The state of asset "a" after these events."""
    state = state or AssetState("default", "a")
    for event in events:
        state = apply(state, event).state
    return state


@cache
def three_segments() -> tuple[SegmentSearched, ...]:
    """The three segments of "a", searched by an index that holds "one" and "two"."""
    segments = cut("a", np.concatenate([work(1, 0, 20), work(2, 0, 40), work(3, 0, 36)]))
    stored = {"one": cut("one", work(1, 0, 60)), "two": cut("two", work(2, 10, 50))}
    events = []
    for index, segment in enumerate(segments):
        found = compare(segment, [*stored["one"], *stored["two"]])
        events.append(searched(index, *(finding_of(one, stored[one.asset_id]) for one in found)))
    return tuple(events)
