"""From an asset's state to its events: alerts, which grow by revision, and the final verdict."""

import hashlib
from datetime import UTC, datetime
from typing import NamedTuple

from services.contracts.events import (
    AssetVerdict,
    CopiedInterval,
    DuplicateAlert,
    PairSimilarity,
    SegmentStatus,
    Side,
    side_order,
)
from services.matcher.state import AssetState, Pair
from tca_model.matching.evidence import PairEvidence
from tca_model.types import Match

ID_DIGITS = 32  # 128 bits
# Smaller changes do not cause a new revision: intervals move by whole frames, of 1 s, and people read two digits of a
# score. A revision with a new status carries all figures as they are.
MOVED_S = 0.5
CHANGED_SCORE = 0.005


class Extent(NamedTuple):
    """What the index holds of an asset so far."""

    uploaded_at: float  # first segment, seconds since the epoch
    duration_s: float
    frame_count: int


def alert_of(
    state: AssetState,
    pair: Pair,
    joined: PairEvidence,
    score: float,
    *,
    other: Extent | None,  # None: deleted in the meantime
    model_version: str,
    now: datetime,
) -> DuplicateAlert | None:
    """The next revision of the alert about a pair with this alert score, or None if it would say nothing new."""
    before = pair.alert
    assert state.uploaded_at is not None  # there is evidence, so there is a segment
    assert state.newest_uploaded_at is not None
    other = other or Extent(pair.other_uploaded_at, 0.0, 0)
    mine = Side(asset_id=state.asset_id, uploaded_at=state.uploaded_at)
    theirs = Side(asset_id=pair.other_id, uploaded_at=datetime.fromtimestamp(other.uploaded_at, UTC))
    flipped = side_order(state.role, mine.uploaded_at.timestamp(), mine.asset_id) < side_order(
        pair.other_role, theirs.uploaded_at.timestamp(), theirs.asset_id
    )
    query, reference = (theirs, mine) if flipped else (mine, theirs)
    forward, backward = joined.chamfer_query_to_reference, joined.chamfer_reference_to_query
    mine_covered = _coverage(joined.query_coverage_s, state.min_duration_s)
    other_covered = _coverage(joined.reference_coverage_s, other.duration_s)
    alert = DuplicateAlert(
        tenant=state.tenant,
        alert_id=_hash_id(state.tenant, state.asset_id, pair.other_id),
        pair_id=_hash_id(state.tenant, *sorted((state.asset_id, pair.other_id))),
        revision=before.revision + 1 if before else 1,
        status="final" if state.is_final else "open",
        model_version=model_version,
        query=query,
        reference=reference,
        score=score,
        joined_score=round(joined.joined_score, 4),
        similarity=PairSimilarity(
            chamfer_query_to_reference=backward if flipped else forward,
            chamfer_reference_to_query=forward if flipped else backward,
            segment_cosine=pair.segment_cosine,
        ),
        intervals=tuple(
            _to_interval(match, state.min_duration_s, other.duration_s, flipped=flipped) for match in joined.intervals
        ),
        query_coverage=other_covered if flipped else mine_covered,
        reference_coverage=mine_covered if flipped else other_covered,
        first_detected_at=before.first_detected_at if before else now,
        detected_at=now,
        latency_s=(now - max(state.newest_uploaded_at, theirs.uploaded_at)).total_seconds(),
    )
    return None if before and _is_no_news(before, alert) else alert


def withdrawal_of(before: DuplicateAlert, *, model_version: str, now: datetime) -> DuplicateAlert | None:
    """The last revision of an alert whose asset was replaced and no longer shows the other.

    None if the alert was withdrawn already.
    """
    nothing = PairSimilarity(chamfer_query_to_reference=0, chamfer_reference_to_query=0, segment_cosine=0)
    changes = {
        "revision": before.revision + 1,
        "status": "final",
        "model_version": model_version,
        "score": 0.0,
        "joined_score": 0.0,
        "similarity": nothing,
        "intervals": (),
        "query_coverage": 0.0,
        "reference_coverage": 0.0,
        "detected_at": now,
        "latency_s": (now - max(before.query.uploaded_at, before.reference.uploaded_at)).total_seconds(),
    }
    alert = before.model_copy(update=changes)
    return None if _is_no_news(before, alert) else alert


def verdict_of(state: AssetState, *, now: datetime) -> AssetVerdict:
    """The verdict on a complete asset."""
    assert state.ended is not None
    alerts = [pair.alert for pair in state.pairs.values() if pair.alert and pair.evidence]
    live = [alert for alert in alerts if alert.intervals or alert.score]  # not withdrawn
    alert_ids = tuple(sorted(alert.alert_id for alert in live if alert.query.asset_id == state.asset_id))
    described = state.count(SegmentStatus.DESCRIBED)
    missed = sum(one.is_missed for one in state.segments.values())
    failures = [one.reason for _, one in sorted(state.segments.items()) if one.status == SegmentStatus.FAILED]
    failed = state.ended.status == "failed" or (not described and len(failures) > 0)
    return AssetVerdict(
        tenant=state.tenant,
        asset_id=state.asset_id,
        # Fail closed: what was compared with nothing is not unique.
        verdict=(
            "failed" if failed else "copies" if alert_ids else "unique" if described and not missed else "undecidable"
        ),
        reason=state.ended.reason or next(filter(None, failures), None) or _explain_missed(missed, described),
        alert_ids=alert_ids,
        copied_by=len(live) - len(alert_ids),
        segments_described=described,
        segments_compared=described - missed,
        segments_undecidable=state.count(SegmentStatus.UNDECIDABLE),
        segments_failed=len(failures),
        decided_at=now,
    )


def _explain_missed(missed: int, described: int) -> str | None:
    if not missed:
        return None
    return f"{missed} of {described} segments were compared with nothing: the index does not hold them (any more)"


def _is_no_news(before: DuplicateAlert, after: DuplicateAlert) -> bool:
    """Whether a revision would say nothing new.

    Coverages and similarities do not count: some of them decrease while an upload continues.
    """
    stated = {"status", "query", "reference", "model_version"}
    if before.model_dump(include=stated) != after.model_dump(include=stated):
        return False
    if len(before.intervals) != len(after.intervals):
        return False
    if abs(before.score - after.score) >= CHANGED_SCORE:
        return False
    return all(map(_is_unmoved, before.intervals, after.intervals))


def _is_unmoved(before: CopiedInterval, after: CopiedInterval) -> bool:
    moved = (abs(one - other) for one, other in zip(_bounds(before), _bounds(after), strict=True))
    return max(moved) < MOVED_S and abs(before.score - after.score) < CHANGED_SCORE


def _bounds(interval: CopiedInterval) -> tuple[float, float, float, float]:
    return interval.query_start_s, interval.query_end_s, interval.reference_start_s, interval.reference_end_s


def _to_interval(match: Match, mine_s: float, other_s: float, *, flipped: bool) -> CopiedInterval:
    match = match.limit(mine_s, other_s)
    query = match.query_start_s, match.query_end_s
    reference = match.reference_start_s, match.reference_end_s
    if flipped:
        query, reference = reference, query
    return CopiedInterval(
        query_start_s=query[0],
        query_end_s=query[1],
        reference_start_s=reference[0],
        reference_end_s=reference[1],
        score=round(match.similarity, 4),
    )


def _coverage(covered_s: float, duration_s: float) -> float:
    return min(1.0, covered_s / duration_s) if duration_s > 0 else 0.0


def _hash_id(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:ID_DIGITS]
