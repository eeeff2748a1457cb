"""What is known of an asset so far; every event gives a new value, the old one stays as it was.

So a caller can publish what follows from an event and keep the new state only when that was committed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.contracts.events import AssetEnded, DuplicateAlert, Role, SegmentEncoded, SegmentStatus
from services.matcher.rerank import Comparison
from tca_model.evidence import PairEvidence, SegmentEvidence, join


@dataclass(frozen=True, slots=True)
class Pair:
    """What was found of one other asset, and the alert that was last published about it."""

    other_id: str
    other_role: Role
    other_uploaded_at: float  # seconds since the epoch
    evidence: Mapping[int, SegmentEvidence]  # by query segment
    cosines: Mapping[int, float]  # of segment descriptors, by query segment
    alert: DuplicateAlert | None = None

    @property
    def segment_cosine(self) -> float:
        return max(self.cosines.values())

    def joined(self, *, query_frames: int, reference_frames: int) -> PairEvidence:
        """The pair's evidence so far, given all frames that are known of the two assets."""
        return join(self.evidence.values(), query_frames=query_frames, reference_frames=reference_frames)


@dataclass(frozen=True, slots=True)
class AssetState:
    tenant: str
    asset_id: str
    role: Role = Role.UPLOAD
    uploaded_at: datetime | None = None  # of the first of its segments; unknown before one came
    newest_uploaded_at: datetime | None = None
    known_s: float = 0.0  # the end of the latest segment that came
    segments: Mapping[int, SegmentStatus] = field(default_factory=dict)
    frame_counts: Mapping[int, int] = field(default_factory=dict)  # by segment
    pairs: Mapping[str, Pair] = field(default_factory=dict)
    ended: AssetEnded | None = None
    decided: bool = False

    def is_complete(self) -> bool:
        """Whether all that will come of the asset has come, in whatever order."""
        return self.ended is not None and len(self.segments) >= self.ended.segment_count

    def count(self, status: SegmentStatus) -> int:
        return sum(found == status for found in self.segments.values())

    def with_segment(
        self, event: SegmentEncoded, comparisons: Iterable[Comparison], evidence_floor: float
    ) -> "AssetState":
        """The state after a segment; a repeated one replaces what it said before.

        Comparisons below the floor are forgotten: they cannot lift a pair over the alert threshold.
        """
        pairs = {other: _without(pair, event.segment_index) for other, pair in self.pairs.items()}
        pairs = {other: pair for other, pair in pairs.items() if pair.evidence or pair.alert}
        for comparison in comparisons:
            evidence, row = comparison.evidence, comparison.row
            if join([evidence]).score < evidence_floor:
                continue
            pair = pairs.get(row.asset_id)
            pairs[row.asset_id] = Pair(
                other_id=row.asset_id,
                other_role=row.role,
                other_uploaded_at=min(row.uploaded_at, pair.other_uploaded_at if pair else row.uploaded_at),
                evidence={**(pair.evidence if pair else {}), event.segment_index: evidence},
                cosines={**(pair.cosines if pair else {}), event.segment_index: comparison.segment_cosine},
                alert=pair.alert if pair else None,
            )
        return replace(
            self,
            role=event.role,
            uploaded_at=min(event.uploaded_at, self.uploaded_at or event.uploaded_at),
            newest_uploaded_at=max(event.uploaded_at, self.newest_uploaded_at or event.uploaded_at),
            known_s=max(self.known_s, event.end_s),
            segments={**self.segments, event.segment_index: event.status},
            frame_counts={**self.frame_counts, event.segment_index: event.frame_count},
            pairs=pairs,
        )

    def with_end(self, event: AssetEnded) -> "AssetState":
        return replace(self, ended=event, known_s=max(self.known_s, event.duration_s or 0.0))

    def with_alerts(self, alerts: Mapping[str, DuplicateAlert]) -> "AssetState":
        """The state after these alerts, by other asset, were published."""
        published = {other: replace(self.pairs[other], alert=alert) for other, alert in alerts.items()}
        return replace(self, pairs={**self.pairs, **published})


def _without(pair: Pair, segment_index: int) -> Pair:
    if segment_index not in pair.evidence:
        return pair
    evidence = {index: one for index, one in pair.evidence.items() if index != segment_index}
    cosines = {index: one for index, one in pair.cosines.items() if index != segment_index}
    return replace(pair, evidence=evidence, cosines=cosines)
