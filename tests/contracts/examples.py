"""One event of each type, at least."""

from datetime import UTC, datetime

from services.contracts.events import (
    AssetEnded,
    AssetErased,
    AssetRemoved,
    AssetRemovedAck,
    AssetVerdict,
    CopiedInterval,
    DuplicateAlert,
    Event,
    PairSimilarity,
    Role,
    SegmentEncoded,
    SegmentStatus,
    SegmentUploaded,
    Side,
    UploadEnded,
)
from services.contracts.evidence import (
    AssetFacts,
    ComparedSegment,
    Finding,
    PairEvidence,
    PairLinked,
    SegmentRange,
    SegmentSearched,
    SideReplaced,
)
from tca_model.matching.calibration import Calibration, Curve
from tca_model.matching.evidence import ReferenceEvidence, SegmentEvidence
from tca_model.types import Match

AT = datetime(2026, 7, 1, 12, 30, 0, 123456, tzinfo=UTC)

CALIBRATION = Calibration(alert_threshold=0.9, curve=Curve(slope=3, intercept=-1), basis="")
FACTS = AssetFacts(asset_id="b", role=Role.REFERENCE, uploaded_at=AT, duration_s=64, frame_count=60)
COMPARED = ComparedSegment(segment_index=0, generation=5, start_s=0, end_s=32)
FINDING = Finding(
    other=FACTS,
    evidence=SegmentEvidence(1, 32, 30.5, (ReferenceEvidence(0, 30, 28.25),), (Match(32, 40, 8, 16, 0.9),)),
    compared=(COMPARED,),
    segment_cosine=0.75,
)

EVENTS: list[Event] = [
    SegmentUploaded(asset_id="a", uri="file:///videos/ä%20b.mp4", uploaded_at=AT, metadata={"title": ["x", None, 1.5]}),
    SegmentUploaded(
        tenant="t",
        asset_id="a-B_c.9",
        uri="/a",
        role=Role.PROBE,
        segment_index=3,
        start_s=96,
        duration_s=32,
        last_segment=True,
        uploaded_at=AT,
    ),
    UploadEnded(asset_id="a", segment_count=4),
    AssetRemoved(asset_id="a", reason="court order"),
    SegmentEncoded(
        asset_id="a",
        segment_id="a:1",
        segment_index=1,
        role=Role.REFERENCE,
        start_s=32,
        end_s=64,
        status=SegmentStatus.DESCRIBED,
        frame_count=32,
        generation=2**62,
        content="0123456789abcdef",
        is_whole_file=False,
        index_timestamp=2**60,
        model_version="v1",
        uploaded_at=AT,
        encoded_at=AT,
    ),
    AssetEnded(asset_id="a", segment_count=0, duration_s=None, status="failed", reason="not a video", generation=7),
    AssetEnded(asset_id="a", segment_count=2, duration_s=40.5, status="complete", decoded_share=0.75),
    AssetErased(asset_id="a", generation=8, model_version="v1"),
    SegmentSearched(
        asset_id="a",
        generation=7,
        segment_index=1,
        content="0123456789abcdef",
        is_whole_file=True,
        role=Role.UPLOAD,
        start_s=32,
        end_s=64,
        status=SegmentStatus.DESCRIBED,
        frame_count=32,
        is_compared=True,
        model_version="v1",
        uploaded_at=AT,
        calibration=CALIBRATION,
        findings=(FINDING,),
    ),
    PairEvidence(
        asset_id="b",
        reference=FACTS.model_copy(update={"asset_id": "a"}),
        generation=7,
        start_s=32,
        end_s=64,
        finding=FINDING,
        model_version="v1",
        calibration=CALIBRATION,
    ),
    PairLinked(asset_id="b", query_id="a", alert_id="1", is_live=True, compared=(COMPARED,)),
    SideReplaced(asset_id="a", reference_id="b", replaced=(SegmentRange(first=2, before=9),)),
    DuplicateAlert(
        alert_id="1",
        pair_id="2",
        revision=1,
        status="open",
        model_version="v1",
        query=Side(asset_id="a", uploaded_at=AT),
        reference=Side(asset_id="b", uploaded_at=AT),
        score=0.75,
        similarity=PairSimilarity(chamfer_query_to_reference=0.7, chamfer_reference_to_query=-0.1, segment_cosine=0.25),
        intervals=(
            CopiedInterval(query_start_s=0, query_end_s=9.5, reference_start_s=3, reference_end_s=12.5, score=0.9),
        ),
        query_coverage=1,
        reference_coverage=0.5,
        first_detected_at=AT,
        detected_at=AT,
        latency_s=0.5,
    ),
    AssetVerdict(
        asset_id="a",
        verdict="copies",
        alert_ids=("1", "2"),
        segments_described=3,
        segments_undecidable=1,
        segments_failed=0,
        decoded_share=0.75,
        decided_at=AT,
    ),
    AssetRemovedAck(asset_id="a", reason="court order", removed_at=AT),
]
