"""The events that announce segments, and the end and the removal of an asset."""

from collections.abc import Sequence
from datetime import UTC, datetime

from services.contracts.errors import InvalidMessage
from services.contracts.events import (
    AssetEnded,
    AssetErased,
    AssetRemoved,
    Event,
    SegmentEncoded,
    SegmentStatus,
    SegmentUploaded,
    UploadEnded,
    now,
)
from services.contracts.segments import SegmentRow
from services.ingest.job import Job
from tca_model.errors import NOTHING_SHOWN


def build_stored_events(
    job: Job, rows: Sequence[SegmentRow], *, model_version: str, index_timestamp: int | None, ended: bool
) -> list[Event]:
    """The events that announce these rows, and the end of the asset if the job has `ended` and is its last."""
    events: list[Event] = [
        build_segment_encoded(row, model_version=model_version, index_timestamp=index_timestamp) for row in rows
    ]
    if ended and (job.upload.is_whole_file or job.upload.last_segment):
        last = rows[-1]
        ending = build_asset_ended(
            job.upload,
            generation=job.generation,
            model_version=model_version,
            segment_count=last.segment_count or last.segment_index + 1,
            duration_s=last.end_s,
            decoded_share=job.decoded_share if job.upload.is_whole_file else None,
        )
        events.append(ending)
    return events


def build_failure_events(job: Job, error: InvalidMessage, *, model_version: str) -> list[Event]:
    """The events without which the asset of a job that failed would never be complete."""
    upload, generation = job.upload, job.generation
    if upload.segment_index is None:
        count = job.stored_count
        return [
            build_asset_ended(
                upload, generation=generation, model_version=model_version, segment_count=count, error=error
            )
        ]
    failed = build_segment_failed(
        upload, error, generation=generation, model_version=model_version, uploaded_s=job.uploaded_s
    )
    if not upload.last_segment:
        return [failed]
    count = upload.segment_index + 1
    return [
        failed,
        build_asset_ended(upload, generation=generation, model_version=model_version, segment_count=count),
    ]


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
        generation=row.generation,
        content=row.content,
        is_whole_file=row.is_whole_file,
        index_timestamp=index_timestamp,
        model_version=model_version,
        uploaded_at=datetime.fromtimestamp(row.uploaded_at, UTC),
        encoded_at=now(),
    )


def build_segment_failed(
    upload: SegmentUploaded, error: InvalidMessage, *, generation: int, model_version: str, uploaded_s: float
) -> SegmentEncoded:
    """The event for a segment file of a longer upload that can never be described.

    `uploaded_s`: when the first segment of the asset was uploaded, in seconds since the epoch.
    """
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
        generation=generation,
        is_whole_file=False,
        model_version=model_version,
        uploaded_at=datetime.fromtimestamp(uploaded_s, UTC),
        encoded_at=now(),
    )


def build_asset_ended(
    cause: SegmentUploaded | UploadEnded,
    *,
    generation: int,
    model_version: str,
    segment_count: int,
    duration_s: float | None = None,
    decoded_share: float | None = None,
    error: InvalidMessage | None = None,
) -> AssetEnded:
    """The event for the end of an asset: no more segments follow. `error`: why its file could not be read fully."""
    return AssetEnded(
        tenant=cause.tenant,
        asset_id=cause.asset_id,
        segment_count=segment_count,
        duration_s=duration_s,
        status="failed" if error else "complete",
        reason=error.reason if error else None,
        generation=generation,
        model_version=model_version,
        uploaded_at=cause.uploaded_at if isinstance(cause, SegmentUploaded) else None,
        decoded_share=decoded_share,
    )


def build_asset_erased(removal: AssetRemoved, *, generation: int, model_version: str) -> AssetErased:
    """The event for a removed asset, once nothing older than its removal is stored."""
    return AssetErased(
        tenant=removal.tenant,
        asset_id=removal.asset_id,
        reason=removal.reason,
        generation=generation,
        model_version=model_version,
    )
