"""The next revision of the alert about a pair."""

import hashlib
from datetime import datetime

from services.alerter.pair import Pair
from services.alerter.revisions import get_next_revision
from services.alerter.state import AssetState
from services.contracts.events import CopiedInterval, DuplicateAlert, PairSimilarity, Side
from services.contracts.generations import published_s
from tca_model.matching.evidence import JoinedEvidence
from tca_model.types import Match

ID_DIGITS = 32  # 128 bits
# Smaller changes do not cause a new revision: intervals move by whole frames, of 1 s, and people read two digits of a
# score. A revision with a new status carries all figures as they are.
MOVED_S = 0.5
CHANGED_SCORE = 0.005


def build_alert(
    state: AssetState, pair: Pair, joined: JoinedEvidence, score: float, *, now: datetime
) -> DuplicateAlert | None:
    """The next revision of the alert about a pair with this alert score, or None if it would say nothing new.

    The asset of the state is the query side; at least one segment of it is known.
    """
    before = pair.alert
    assert state.uploaded_at is not None
    duration_s = state.min_duration_s
    alert = DuplicateAlert(
        tenant=state.tenant,
        alert_id=hash_id(state.tenant, state.asset_id, pair.other.asset_id),
        pair_id=hash_id(state.tenant, *sorted((state.asset_id, pair.other.asset_id))),
        revision=get_next_revision(before.revision if before else 0, now),
        status="final" if state.is_complete else "open",
        model_version=pair.model_version,
        query=Side(asset_id=state.asset_id, uploaded_at=state.uploaded_at),
        reference=Side(asset_id=pair.other.asset_id, uploaded_at=pair.other.uploaded_at),
        score=score,
        joined_score=round(joined.joined_score, 4),
        similarity=PairSimilarity(
            chamfer_query_to_reference=joined.chamfer_query_to_reference,
            chamfer_reference_to_query=joined.chamfer_reference_to_query,
            segment_cosine=pair.segment_cosine,
        ),
        intervals=tuple(_to_interval(match, duration_s, pair.other.duration_s) for match in joined.intervals),
        query_coverage=_cover(joined.query_coverage_s, duration_s),
        reference_coverage=_cover(joined.reference_coverage_s, pair.other.duration_s),
        first_detected_at=before.first_detected_at if before else now,
        detected_at=now,
        latency_s=max(0.0, now.timestamp() - published_s(pair.newest_generation)),
    )
    return None if before and _is_no_news(before, alert) else alert


def withdraw(before: DuplicateAlert, *, now: datetime) -> DuplicateAlert:
    """The revision that withdraws a live alert."""
    nothing = PairSimilarity(chamfer_query_to_reference=0, chamfer_reference_to_query=0, segment_cosine=0)
    changes = {
        "revision": get_next_revision(before.revision, now),
        "status": "withdrawn",
        "score": 0.0,
        "joined_score": 0.0,
        "similarity": nothing,
        "intervals": (),
        "query_coverage": 0.0,
        "reference_coverage": 0.0,
        "detected_at": now,
        "latency_s": 0.0,
    }
    return before.model_copy(update=changes)


def hash_id(*parts: str) -> str:
    """An id made of these names."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:ID_DIGITS]


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


def _to_interval(match: Match, query_s: float, reference_s: float) -> CopiedInterval:
    match = match.limit(query_s, reference_s)
    return CopiedInterval(
        query_start_s=match.query_start_s,
        query_end_s=match.query_end_s,
        reference_start_s=match.reference_start_s,
        reference_end_s=match.reference_end_s,
        score=round(match.similarity, 4),
    )


def _cover(covered_s: float, duration_s: float) -> float:
    return min(1.0, covered_s / duration_s) if duration_s > 0 else 0.0
