"""The verdict on an asset follows from its segments, its alerts and its end."""

from datetime import UTC, datetime

import pytest
from services.matcher.alert import verdict_of
from services.matcher.state import AssetState, Pair, SegmentRecord

from services.contracts.events import AssetEnded, DuplicateAlert, PairSimilarity, Role, SegmentStatus, Side
from tca_model.matching.evidence import ReferenceEvidence, SegmentEvidence

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)

DESCRIBED, UNDECIDABLE, FAILED = SegmentStatus.DESCRIBED, SegmentStatus.UNDECIDABLE, SegmentStatus.FAILED

EVIDENCE = SegmentEvidence(0, 32, 16.0, (ReferenceEvidence(1, 32, 24.0),), ())
ALERT = DuplicateAlert(
    alert_id="alert",
    pair_id="pair",
    revision=1,
    status="open",
    model_version="v1",
    query=Side(asset_id="mine", uploaded_at=AT),
    reference=Side(asset_id="other", uploaded_at=AT),
    score=0.9,
    similarity=PairSimilarity(chamfer_query_to_reference=0.9, chamfer_reference_to_query=0.9, segment_cosine=0.5),
    intervals=(),
    query_coverage=0.0,
    reference_coverage=0.0,
    first_detected_at=AT,
    detected_at=AT,
    latency_s=0.0,
)


def segment(status: SegmentStatus, reason: str | None = None) -> SegmentRecord:
    return SegmentRecord(status, Role.UPLOAD, "stamp", "v1", reason, 32, 80.0, AT)


@pytest.mark.parametrize(
    ("segments", "copies", "status", "verdict"),
    [
        ([DESCRIBED, DESCRIBED], False, "complete", "unique"),
        ([DESCRIBED], True, "complete", "copies"),
        ([DESCRIBED, UNDECIDABLE, FAILED], False, "complete", "unique"),
        ([UNDECIDABLE, UNDECIDABLE], False, "complete", "undecidable"),
        ([], False, "complete", "undecidable"),
        ([FAILED], False, "complete", "failed"),
        ([UNDECIDABLE, FAILED], False, "complete", "failed"),
        ([DESCRIBED], False, "failed", "failed"),
        ([], False, "failed", "failed"),
    ],
)
def test_the_verdict_follows_from_segments_alerts_and_end(
    segments: list[SegmentStatus], copies: bool, status: str, verdict: str
) -> None:
    pair = Pair("other", Role.UPLOAD, AT.timestamp(), {0: EVIDENCE}, {0: 0.5}, ALERT if copies else None)
    state = AssetState(
        "default",
        "mine",
        segments={index: segment(status) for index, status in enumerate(segments)},
        pairs={"other": pair},
        ended=AssetEnded.model_validate(
            {"asset_id": "mine", "segment_count": len(segments), "duration_s": 1, "status": status, "reason": "why"}
        ),
    )
    decided = verdict_of(state, now=AT)
    assert decided.verdict == verdict
    assert decided.alert_ids == (("alert",) if copies else ())
    counts = (decided.segments_described, decided.segments_undecidable, decided.segments_failed)
    assert counts == tuple(segments.count(status) for status in (DESCRIBED, UNDECIDABLE, FAILED))
    assert (decided.tenant, decided.asset_id, decided.reason) == ("default", "mine", "why")
    assert decided.decided_at == AT


def test_a_verdict_without_a_reason_of_its_own_has_the_reason_of_the_first_failed_segment() -> None:
    ended = AssetEnded(asset_id="mine", segment_count=3, duration_s=1, status="complete")
    segments = {2: segment(FAILED, "late"), 1: segment(FAILED, "no picture"), 0: segment(DESCRIBED)}
    decided = verdict_of(AssetState("default", "mine", segments=segments, ended=ended), now=AT)
    assert (decided.verdict, decided.reason) == ("unique", "no picture")
