"""What is known of an asset so far. States are immutable: every event leads to a new one.

So a caller can publish the effects of an event and keep the new state only after the commit. A repeated event changes
nothing: for example, ingest announces again after a crash of its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.contracts.events import AssetEnded, DuplicateAlert, Role, SegmentEncoded, SegmentStatus
from services.matcher.rerank import Comparison
from tca_model.matching.evidence import PairEvidence, SegmentEvidence, discount, join


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """What the latest event about a segment says."""

    status: SegmentStatus
    role: Role
    stamp: str | None
    model_version: str
    reason: str | None
    frame_count: int
    end_s: float
    uploaded_at: datetime
    is_missed: bool = False  # described, but the index did not hold it, so that it was compared with nothing

    @classmethod
    def of(cls, event: SegmentEncoded, *, is_missed: bool = False) -> "SegmentRecord":
        return cls(
            status=event.status,
            role=event.role,
            stamp=event.stamp,
            model_version=event.model_version,
            reason=event.reason,
            frame_count=event.frame_count,
            end_s=event.end_s,
            uploaded_at=event.uploaded_at,
            is_missed=is_missed,
        )

    @property
    def content(self) -> tuple[str | None, str]:
        """The content and the model that described it; evidence of other content does not count."""
        return self.stamp, self.model_version


@dataclass(frozen=True, slots=True)
class Pair:
    """The evidence about one other asset, and the alert last published about it."""

    other_id: str
    other_role: Role
    other_uploaded_at: float  # seconds since the epoch
    evidence: Mapping[int, SegmentEvidence]  # by query segment
    cosines: Mapping[int, float]  # of segment descriptors, by query segment
    alert: DuplicateAlert | None = None

    @property
    def segment_cosine(self) -> float:
        return max(self.cosines.values())

    def join_evidence(self, *, query_frames: int, reference_frames: int) -> PairEvidence:
        """Join the evidence so far; the counts are all frames of the two assets that are known."""
        return join(self.evidence.values(), query_frames=query_frames, reference_frames=reference_frames)

    def without(self, segments: frozenset[int]) -> "Pair":
        """The pair without the evidence of these query segments."""
        if segments.isdisjoint(self.evidence):
            return self
        evidence = {index: one for index, one in self.evidence.items() if index not in segments}
        cosines = {index: one for index, one in self.cosines.items() if index not in segments}
        return replace(self, evidence=evidence, cosines=cosines)


@dataclass(frozen=True, slots=True)
class AssetState:
    """All that is known of an asset."""

    tenant: str
    asset_id: str
    role: Role = Role.UPLOAD
    segments: Mapping[int, SegmentRecord] = field(default_factory=dict)
    pairs: Mapping[str, Pair] = field(default_factory=dict)
    ended: AssetEnded | None = None
    decided: bool = False
    touched_at: float = 0.0  # when its last event was processed, seconds since the epoch

    @property
    def key(self) -> str:
        return f"{self.tenant}/{self.asset_id}"

    @property
    def uploaded_at(self) -> datetime | None:
        """When its first segment was uploaded; None before one is known."""
        return min((one.uploaded_at for one in self.segments.values()), default=None)

    @property
    def newest_uploaded_at(self) -> datetime | None:
        """When its last segment was uploaded; None before one is known."""
        return max((one.uploaded_at for one in self.segments.values()), default=None)

    @property
    def min_duration_s(self) -> float:
        """Lower bound on the asset's duration in seconds."""
        stated_s = (self.ended.duration_s if self.ended else None) or 0.0
        return max([stated_s, *(one.end_s for one in self.segments.values())])

    @property
    def frame_count(self) -> int:
        return sum(one.frame_count for one in self.segments.values())

    @property
    def is_complete(self) -> bool:
        """Whether its end and all its segments have come, in any order."""
        return self.ended is not None and len(self.segments) >= self.ended.segment_count

    @property
    def is_final(self) -> bool:
        """Whether its alerts are final. They stay final after a verdict, whatever follows."""
        return self.decided or self.is_complete

    def count(self, status: SegmentStatus) -> int:
        return sum(one.status == status for one in self.segments.values())

    def is_already_known(self, event: SegmentEncoded) -> bool:
        """Whether an equal event about the segment was processed before.

        A failure of a segment that the same model has described changes nothing: the index still holds it.
        """
        known = self.segments.get(event.segment_index)
        if known is None or known.is_missed or known.model_version != event.model_version:
            return False
        if event.status == SegmentStatus.FAILED and known.status != SegmentStatus.FAILED:
            return True
        same_reason = event.stamp is not None or known.reason == event.reason
        return (known.stamp, known.role, known.status) == (event.stamp, event.role, event.status) and same_reason

    def with_segment(
        self,
        event: SegmentEncoded,
        comparisons: Iterable[Comparison],
        evidence_floor: float,
        *,
        is_missed: bool = False,
    ) -> "AssetState":
        """The state after a segment event that says something new.

        If it replaces other content, or a failed segment of a decided asset, the asset is decided again at its next
        end: all segments of a file are replaced before that, and single ones must not lead to verdicts of their own.
        Comparisons below the floor are dropped: they cannot lift a pair over the alert threshold. A piece of a copy
        that is too short on its own is kept, since it may continue in the next segment.
        """
        replaced = self._find_replaced(event)
        before = self.segments.get(event.segment_index)
        is_repaired = before is not None and (
            before.status == SegmentStatus.FAILED != event.status or (before.is_missed and not is_missed)
        )
        is_new = bool(replaced) or (is_repaired and self.decided)
        outdated = replaced | {event.segment_index}
        pairs = {other: pair.without(outdated) for other, pair in self.pairs.items()}
        pairs = {other: pair for other, pair in pairs.items() if pair.evidence or pair.alert}
        for comparison in comparisons:
            evidence, row = comparison.evidence, comparison.row
            if max(join([evidence]).joined_score, _strongest_piece(evidence)) < evidence_floor:
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
        kept = {index: known for index, known in self.segments.items() if index not in replaced}
        return replace(
            self,
            role=event.role,
            segments={**kept, event.segment_index: SegmentRecord.of(event, is_missed=is_missed)},
            pairs=pairs,
            ended=None if is_new else self.ended,
            decided=self.decided and not is_new,
        )

    def _find_replaced(self, event: SegmentEncoded) -> frozenset[int]:
        """The segments whose content no longer exists: a file has one stamp for all, and models are never mixed."""
        stale = {index for index, known in self.segments.items() if known.model_version != event.model_version}
        known = self.segments.get(event.segment_index)
        if known is not None and known.stamp not in (None, event.stamp):
            stale |= {index for index, other in self.segments.items() if other.content == known.content}
        return frozenset(stale)

    def with_end(self, event: AssetEnded) -> "AssetState":
        """The state after an end event.

        Of several ends a complete one wins over a failed one, then the one with the larger count: nothing is decided
        before all segments have come that any end announces. A decision is final, except that a failed end is
        replaced if the file could be read fully later.
        """
        if self.ended is None or _rank(event) > _rank(self.ended):
            if not self.decided:
                return replace(self, ended=event)
            assert self.ended is not None
            if self.ended.status == "failed" and event.status == "complete":
                return replace(self, ended=event, decided=False)
        return self

    def with_alerts(self, alerts: Mapping[str, DuplicateAlert]) -> "AssetState":
        """The state after these alerts, by other asset, were published."""
        published = {other: replace(self.pairs[other], alert=alert) for other, alert in alerts.items()}
        return replace(self, pairs={**self.pairs, **published})


def _strongest_piece(evidence: SegmentEvidence) -> float:
    """The largest discounted similarity of its intervals, however short; -1 without any."""
    return max(
        (
            discount(
                one.similarity, min(one.query_end_s - one.query_start_s, one.reference_end_s - one.reference_start_s)
            )
            for one in evidence.matches
        ),
        default=-1.0,
    )


def _rank(ended: AssetEnded) -> tuple[bool, int, float]:
    return ended.status == "complete", ended.segment_count, ended.duration_s or 0.0
