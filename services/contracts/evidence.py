"""The events on match-evidence: what the matcher found, and what the partitions of the alerter tell each other.

    from the matcher   SegmentSearched, PairEvidence, and AssetEnded and AssetErased as ingest announced them
    from the alerter   PairLinked, SideReplaced

A pair has a query side and a reference side, which only the assets decide (`side_order`), not which of them was
searched. Its evidence goes to the partition of the query side.
"""

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from services.contracts.events import AssetEvent, Role, SegmentStatus, side_order
from services.contracts.fields import Count, Generation, Identifier, Moment, Seconds, Similarity
from tca_model.matching.calibration import Calibration, Curve
from tca_model.matching.evidence import SegmentEvidence


def _ignore_newer_fields(value: Any) -> Any:
    """Leave out the fields of a newer release. A bundle's own calibration is read strictly."""
    if isinstance(value, dict):
        value = {name: one for name, one in value.items() if name in Calibration.model_fields}
        if isinstance(curve := value.get("curve"), dict):
            value["curve"] = {name: one for name, one in curve.items() if name in Curve.model_fields}
    return value


SentCalibration: TypeAlias = Annotated[Calibration, BeforeValidator(_ignore_newer_fields)]


class _Part(BaseModel):
    """A part of an event."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class AssetFacts(_Part):
    """What is known of an asset: the sums of its current segments in the index at the time of the search."""

    asset_id: Identifier
    role: Role
    uploaded_at: Moment  # of its first segment
    duration_s: Seconds
    frame_count: Count

    @property
    def side_order(self) -> tuple[bool, float, str]:
        """A sort key that puts the reference side of a pair first."""
        return side_order(self.role, self.uploaded_at.timestamp(), self.asset_id)


class ComparedSegment(_Part):
    """A segment of the other asset that a searched segment was compared with."""

    segment_index: Count
    generation: Generation
    start_s: Seconds
    end_s: Seconds


class Finding(_Part):
    """What one searched segment shows about one other asset.

    In `evidence` the searched segment is the query, whichever side of the pair its asset is. `compared` are the
    segments of the other asset in the evidence, by index.
    """

    other: AssetFacts
    evidence: SegmentEvidence
    compared: tuple[ComparedSegment, ...]
    segment_cosine: Similarity


class SegmentSearched(AssetEvent):
    """A segment as ingest announced it, and all that was found about pairs in which its asset is the query.

    It replaces what was known of the segment. `is_compared`: False if it should have been compared and was not, because
    the index does not hold it.
    """

    generation: Generation
    segment_index: Count
    content: str | None
    is_whole_file: bool
    role: Role
    start_s: Seconds
    end_s: Seconds
    status: SegmentStatus
    reason: str | None = None
    frame_count: Count
    is_compared: bool
    model_version: str
    uploaded_at: Moment
    calibration: SentCalibration
    findings: tuple[Finding, ...] = ()


class PairEvidence(AssetEvent):
    """What a search of a segment of `reference` found about `asset_id`, which is the query side of their pair."""

    reference: AssetFacts
    generation: Generation  # of the searched segment, as the next two
    start_s: Seconds
    end_s: Seconds
    finding: Finding
    model_version: str
    calibration: SentCalibration


class PairLinked(AssetEvent):
    """An alert that names `asset_id` as its reference was published, or (`is_live` False) withdrawn.

    `compared`: the segments of the reference that it rests on.
    """

    query_id: Identifier
    alert_id: str
    is_live: bool
    compared: tuple[ComparedSegment, ...] = ()


class SegmentRange(_Part):
    """Segments of an asset from `first` up to and without `end` (None: all further ones), of older generations."""

    first: Count = 0
    end: Count | None = None
    before: Generation

    def covers(self, segment_index: int, generation: int) -> bool:
        return (
            generation < self.before and self.first <= segment_index and (self.end is None or segment_index < self.end)
        )


class SideReplaced(AssetEvent):
    """Segments of `reference_id` are no more: evidence about them no longer counts in its pair with `asset_id`."""

    reference_id: Identifier
    replaced: tuple[SegmentRange, ...] = Field(min_length=1)
