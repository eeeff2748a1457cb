"""What is known of an asset so far; every event gives a new value, the old one stays as it was.

So a caller can publish what follows from an event and keep the new state only when that was committed. An event that
came before changes nothing, whoever repeats it: ingest announces again after its own crash.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.contracts.events import AssetEnded, DuplicateAlert, Role, SegmentEncoded, SegmentStatus
from services.matcher.rerank import Comparison
from tca_model.matching.evidence import PairEvidence, SegmentEvidence, discount, join


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """What became of a segment, as the event said that told it."""

    status: SegmentStatus
    role: Role
    stamp: str | None
    model_version: str
    reason: str | None
    frame_count: int
    end_s: float
    uploaded_at: datetime

    @classmethod
    def of(cls, event: SegmentEncoded) -> "SegmentRecord":
        return cls(
            status=event.status,
            role=event.role,
            stamp=event.stamp,
            model_version=event.model_version,
            reason=event.reason,
            frame_count=event.frame_count,
            end_s=event.end_s,
            uploaded_at=event.uploaded_at,
        )

    @property
    def content(self) -> tuple[str | None, str]:
        """What was described, and by which model: evidence of other content does not count."""
        return self.stamp, self.model_version


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

    def join_evidence(self, *, query_frames: int, reference_frames: int) -> PairEvidence:
        """The pair's evidence so far, given all frames that are known of the two assets."""
        return join(self.evidence.values(), query_frames=query_frames, reference_frames=reference_frames)

    def without(self, segments: frozenset[int]) -> "Pair":
        """The pair as if these query segments had never come."""
        if segments.isdisjoint(self.evidence):
            return self
        evidence = {index: one for index, one in self.evidence.items() if index not in segments}
        cosines = {index: one for index, one in self.cosines.items() if index not in segments}
        return replace(self, evidence=evidence, cosines=cosines)


@dataclass(frozen=True, slots=True)
class AssetState:
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
        """When the first of its segments was; unknown before one came."""
        return min((done.uploaded_at for done in self.segments.values()), default=None)

    @property
    def newest_uploaded_at(self) -> datetime | None:
        return max((done.uploaded_at for done in self.segments.values()), default=None)

    @property
    def min_duration_s(self) -> float:
        """How long the asset is at least."""
        stated_s = (self.ended.duration_s if self.ended else None) or 0.0
        return max([stated_s, *(done.end_s for done in self.segments.values())])

    @property
    def frame_count(self) -> int:
        return sum(done.frame_count for done in self.segments.values())

    @property
    def is_complete(self) -> bool:
        """Whether all that will come of the asset has come, in whatever order."""
        return self.ended is not None and len(self.segments) >= self.ended.segment_count

    @property
    def is_final(self) -> bool:
        """Whether its alerts are; what comes after a verdict does not open them again."""
        return self.decided or self.is_complete

    def count(self, status: SegmentStatus) -> int:
        return sum(done.status == status for done in self.segments.values())

    def is_already_known(self, event: SegmentEncoded) -> bool:
        """Whether the segment is known just so, and was searched for.

        A failure takes nothing back of a segment that the same model described: the index holds it still.
        """
        done = self.segments.get(event.segment_index)
        if done is None or done.model_version != event.model_version:
            return False
        if event.status == SegmentStatus.FAILED and done.status != SegmentStatus.FAILED:
            return True
        same_reason = event.stamp is not None or done.reason == event.reason
        return (done.stamp, done.role, done.status) == (event.stamp, event.role, event.status) and same_reason

    def with_segment(
        self, event: SegmentEncoded, comparisons: Iterable[Comparison], evidence_floor: float
    ) -> "AssetState":
        """The state after a segment that says something new.

        Where there was other content, or a decision on a segment that had failed, the asset is decided on anew, at its
        next end: every segment of a file is replaced or mended before that, and none gives a verdict of its own.
        Comparisons below the floor are forgotten: they cannot lift a pair over the alert threshold. A piece of a copy
        that would be too short on its own may go on in the next segment.
        """
        replaced = self._replaced_by(event)
        before = self.segments.get(event.segment_index)
        is_mended = before is not None and before.status == SegmentStatus.FAILED != event.status
        is_new = bool(replaced) or (is_mended and self.decided)
        unsaid = replaced | {event.segment_index}
        pairs = {other: pair.without(unsaid) for other, pair in self.pairs.items()}
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
        kept = {index: done for index, done in self.segments.items() if index not in replaced}
        return replace(
            self,
            role=event.role,
            segments={**kept, event.segment_index: SegmentRecord.of(event)},
            pairs=pairs,
            ended=None if is_new else self.ended,
            decided=self.decided and not is_new,
        )

    def _replaced_by(self, event: SegmentEncoded) -> frozenset[int]:
        """The segments whose content is no more: all of a file have one stamp, and models are never mixed."""
        gone = {index for index, done in self.segments.items() if done.model_version != event.model_version}
        done = self.segments.get(event.segment_index)
        if done is not None and done.stamp not in (None, event.stamp):
            gone |= {index for index, other in self.segments.items() if other.content == done.content}
        return frozenset(gone)

    def with_end(self, event: AssetEnded) -> "AssetState":
        """The state after an end. Of several, one that completes the asset holds before a failure, then the larger
        count: nothing is decided before all came that any of them promises. A decision stands, but for a failure of
        what was read to its end after all."""
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
    """What the best of its intervals counts for, however short it is; -1 without any."""
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
