"""Alerts between files, as a scan raises them."""

from datetime import UTC, datetime

from services.cli.files import VideoFile
from services.contracts.events import CopiedInterval, DuplicateAlert, PairSimilarity, Side

NOW = datetime(2026, 11, 24, tzinfo=UTC)
INTERVAL = CopiedInterval(query_start_s=0, query_end_s=10, reference_start_s=65, reference_end_s=75, score=0.9)


def alert(
    query: VideoFile, reference: VideoFile, score: float, *, finder: str = "q", revision: int = 1
) -> DuplicateAlert:
    similarity = PairSimilarity(
        chamfer_query_to_reference=score, chamfer_reference_to_query=score, segment_cosine=score
    )
    return DuplicateAlert(
        alert_id=f"{finder}-{query.asset_id}-{reference.asset_id}",
        pair_id="-".join(sorted((query.asset_id, reference.asset_id))),
        revision=revision,
        status="final",
        model_version="v",
        query=Side(asset_id=query.asset_id, uploaded_at=NOW),
        reference=Side(asset_id=reference.asset_id, uploaded_at=NOW),
        score=score,
        joined_score=score,
        similarity=similarity,
        intervals=(INTERVAL,),
        query_coverage=1,
        reference_coverage=0.5,
        first_detected_at=NOW,
        detected_at=NOW,
        latency_s=0,
    )
