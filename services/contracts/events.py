"""The events on the topics: one frozen, validated type each, JSON in UTF-8, CloudEvents 1.0 headers.

    video-segments     SegmentUploaded, UploadEnded, AssetRemoved
    encoded-segments   SegmentEncoded, AssetEnded, AssetErased
    match-evidence     services.contracts.evidence
    duplicate-alerts   DuplicateAlert
    asset-verdicts     AssetVerdict, AssetRemovedAck

Events carry ids and small values, never frames or descriptors. An unknown field of what uploaders send is refused, so
that a misspelt optional field is never lost silently. In all other events it is ignored: it comes from a newer release
during an upgrade. An unknown schema version is always refused. JSON Schemas: deploy/schemas/ (`copydetect schemas`).
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from services.contracts.fields import (
    MAX_START_S,
    MAX_UPLOADED_SEGMENT_S,
    Count,
    Generation,
    Identifier,
    Moment,
    Seconds,
    Share,
    Similarity,
    UploadedIndex,
    UploadedMoment,
)


class Role(StrEnum):
    UPLOAD = "upload"  # searched and indexed
    REFERENCE = "reference"  # searched and indexed, always the reference side of an alert
    PROBE = "probe"  # searched only


def side_order(role: Role, uploaded_at: float, asset_id: str) -> tuple[bool, float, str]:
    """A sort key that puts the reference side of an alert first: a reference, else the earlier upload, ties by id.

    `uploaded_at` is in seconds since the epoch.
    """
    return role is not Role.REFERENCE, uploaded_at, asset_id


class Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    tenant: Identifier = "default"

    @property
    def key(self) -> str:
        """The Kafka key: events with equal keys stay in order."""
        raise NotImplementedError


class AssetEvent(Event):
    asset_id: Identifier

    @property
    def key(self) -> str:
        return f"{self.tenant}/{self.asset_id}"


class SegmentUploaded(AssetEvent):
    """A whole file, which ingest cuts, or one segment file of a longer upload (`segment_index`, `start_s`)."""

    model_config = ConfigDict(extra="forbid")

    uri: Annotated[str, Field(min_length=1, max_length=4096)]
    role: Role = Role.UPLOAD
    segment_index: UploadedIndex | None = None
    start_s: Annotated[float, Field(ge=0, le=MAX_START_S)] | None = None
    duration_s: Annotated[float, Field(gt=0, le=MAX_UPLOADED_SEGMENT_S)] | None = None
    last_segment: bool = False
    uploaded_at: UploadedMoment
    metadata: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _segment_has_a_start(self) -> Self:
        if (self.segment_index is None) != (self.start_s is None):
            raise ValueError(
                "segment_index and start_s come together: both for a segment file, neither for a whole file"
            )
        return self

    @property
    def is_whole_file(self) -> bool:
        return self.segment_index is None


class UploadEnded(AssetEvent):
    """Ends an upload of segment files if the last one was not marked when it was published."""

    model_config = ConfigDict(extra="forbid")

    segment_count: Count


class AssetRemoved(AssetEvent):
    """Takes an asset down: nothing of it is found, cached or alerted any more. AssetRemovedAck says that it is done."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=1000)] | None = None


class SegmentStatus(StrEnum):
    DESCRIBED = "described"
    UNDECIDABLE = "undecidable"  # no informative frames
    FAILED = "failed"


class SegmentEncoded(AssetEvent):
    """The outcome of a segment. A whole file that cannot be read to its end gets none for the rest."""

    segment_id: str
    segment_index: Count
    role: Role
    start_s: Seconds
    end_s: Seconds
    status: SegmentStatus
    reason: str | None = None
    frame_count: Count
    generation: Generation = 0
    content: str | None = None  # part of its key in index and cache; None for a failed segment
    is_whole_file: bool = True  # cut from a whole file, not uploaded as a segment file
    index_timestamp: int | None = None  # None (a segment announced again): search with strong consistency
    model_version: str
    uploaded_at: Moment  # of the asset's first segment
    encoded_at: Moment


class AssetEnded(AssetEvent):
    """All segments of an asset were announced, or no more will come; the asset is complete when they are."""

    segment_count: Count
    duration_s: Seconds | None  # None if the uploader ended the upload
    status: Literal["complete", "failed"]
    reason: str | None = None
    generation: Generation = 0
    model_version: str | None = None  # of the ingest worker; None in events of older releases
    uploaded_at: Moment | None = None  # of the upload that ended; None if the uploader ended it by an event of its own
    decoded_share: Share | None = None  # of a whole file's time; None if it was not decoded now, as it was stored


class AssetErased(AssetEvent):
    """The rows of a removed asset are deleted, up to this generation."""

    reason: str | None = None
    generation: Generation
    model_version: str


class Side(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    asset_id: Identifier
    uploaded_at: Moment


class PairSimilarity(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    chamfer_query_to_reference: Similarity
    chamfer_reference_to_query: Similarity
    segment_cosine: Similarity


class CopiedInterval(BaseModel):
    """A stretch of the query and the stretch of the reference it copies, in seconds of each asset."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    query_start_s: Seconds
    query_end_s: Seconds
    reference_start_s: Seconds
    reference_end_s: Seconds
    score: Annotated[Similarity, Field(description="Mean similarity of the frames along the interval.")]


class DuplicateAlert(Event):
    """Two assets share content. Only the highest `revision` of an `alert_id` counts; revisions are not consecutive."""

    alert_id: str
    pair_id: str
    revision: Annotated[int, Field(ge=1)]
    status: Literal["open", "final", "withdrawn"]
    model_version: str
    query: Side
    reference: Side
    score: Annotated[
        Similarity,
        Field(
            description="Probability that the pair is a copy; of a bundle without calibration the joined score. "
            "0 in an alert that was withdrawn."
        ),
    ]
    joined_score: Annotated[
        Similarity | None,
        Field(description="Score of the evidence before calibration; missing in alerts of older releases."),
    ] = None
    similarity: PairSimilarity
    intervals: tuple[CopiedInterval, ...]
    query_coverage: Annotated[float, Field(ge=0, le=1)]
    reference_coverage: Annotated[float, Field(ge=0, le=1)]
    first_detected_at: Moment
    detected_at: Moment
    latency_s: float

    @property
    def key(self) -> str:
        return self.alert_id

    @property
    def is_first(self) -> bool:
        """Whether nothing was published about the pair before."""
        return self.first_detected_at == self.detected_at

    @property
    def is_live(self) -> bool:
        """Whether it still holds. Earlier releases withdrew by a final revision without evidence."""
        return self.status != "withdrawn" and bool(self.intervals or self.score)


class AssetVerdict(AssetEvent):
    """The outcome of a finished upload, so that a missing message never has two meanings.

    `copies`: live alerts (`alert_ids`) name it as their query. `copied_by`: how many name it as their reference.
    Another revision follows when that changes, and when the asset is uploaded again; only the highest one counts.
    """

    revision: Annotated[int, Field(ge=1)] = 1
    verdict: Literal["unique", "copies", "undecidable", "failed"]
    reason: str | None = None
    alert_ids: tuple[str, ...]
    copied_by: Count | None = None  # None in verdicts of older releases
    segments_described: Count
    segments_compared: Count | None = None  # None in verdicts of older releases; never above `segments_described`
    segments_undecidable: Count
    segments_failed: Count
    uploaded_at: Moment | None = None  # of the upload that it is about; None if that did not say
    decoded_share: Share | None = None  # of a whole file's time, and so compared; None if that is not known
    decided_at: Moment


class AssetRemovedAck(AssetEvent):
    """A removed asset is no longer in the index, and no alert names it; one in the making is withdrawn at once."""

    reason: str | None = None  # as it was given
    removed_at: Moment


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)
