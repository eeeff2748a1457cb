"""The events that announce segments and the end of an asset."""

from datetime import UTC, datetime

from services.contracts.errors import InvalidMessage
from services.contracts.events import AssetEnded, SegmentEncoded, SegmentStatus, SegmentUploaded, now
from services.contracts.segments import SegmentRow
from tca_model.errors import NOTHING_SHOWN


def build_segment_encoded(row: SegmentRow, *, model_version: str, index_timestamp: int | None) -> SegmentEncoded:
    """The event for a stored segment; one without informative frames is undecidable."""
    undecidable = row.frame_count == 0
    return SegmentEncoded(
        tenant=row.tenant,
        asset_id=row.asset_id,
        segment_id=row.segment_id,
        segment_index=row.segment_index,
        role=row.role,
        start_s=row.start_s,
        end_s=row.end_s,
        status=SegmentStatus.UNDECIDABLE if undecidable else SegmentStatus.DESCRIBED,
        reason=NOTHING_SHOWN if undecidable else None,
        frame_count=row.frame_count,
        stamp=row.stamp,
        index_timestamp=index_timestamp,
        model_version=model_version,
        uploaded_at=datetime.fromtimestamp(row.uploaded_at, UTC),
        encoded_at=now(),
    )


def build_segment_failed(upload: SegmentUploaded, error: InvalidMessage, *, model_version: str) -> SegmentEncoded:
    """The event for a segment file of a longer upload that can never be described."""
    assert upload.segment_index is not None
    assert upload.start_s is not None
    return SegmentEncoded(
        tenant=upload.tenant,
        asset_id=upload.asset_id,
        segment_id=f"{upload.asset_id}:{upload.segment_index}",
        segment_index=upload.segment_index,
        role=upload.role,
        start_s=upload.start_s,
        end_s=upload.start_s + (upload.duration_s or 0.0),
        status=SegmentStatus.FAILED,
        reason=error.reason,
        frame_count=0,
        model_version=model_version,
        uploaded_at=upload.uploaded_at,
        encoded_at=now(),
    )


def build_asset_ended(
    tenant: str,
    asset_id: str,
    *,
    segment_count: int,
    duration_s: float | None = None,
    error: InvalidMessage | None = None,
) -> AssetEnded:
    """The event for the end of an asset: no more segments follow. `error`: why its file could not be read fully."""
    return AssetEnded(
        tenant=tenant,
        asset_id=asset_id,
        segment_count=segment_count,
        duration_s=duration_s,
        status="failed" if error else "complete",
        reason=error.reason if error else None,
    )
