"""The verdict on an asset, and its end for silence."""

from dataclasses import replace
from datetime import datetime

from services.alerter.revisions import get_next_revision
from services.alerter.state import AssetState
from services.contracts.events import AssetEnded, AssetVerdict, SegmentStatus

WHOLE_SHARE = 0.95  # below, the verdict says what was decoded: a damaged end or beginning costs a second or two
UNSTATED = {"revision", "decided_at", "uploaded_at"}  # what may differ between verdicts that say the same


def build_verdict(state: AssetState, *, now: datetime) -> AssetVerdict:
    """The next revision of the verdict on a complete asset."""
    assert state.ended is not None
    alerts = [pair.alert for pair in state.pairs.values() if pair.alert and pair.alert.is_live]
    described = state.count(SegmentStatus.DESCRIBED)
    missed = sum(one.status == SegmentStatus.DESCRIBED and not one.is_compared for one in state.segments.values())
    failures = [one.reason for _, one in sorted(state.segments.items()) if one.status == SegmentStatus.FAILED]
    failed = state.ended.status == "failed" or (not described and len(failures) > 0)
    return AssetVerdict(
        tenant=state.tenant,
        asset_id=state.asset_id,
        revision=get_next_revision(state.verdict_revision, now),
        # Fail closed: what was compared with nothing is not unique.
        verdict=(
            "failed" if failed else "copies" if alerts else "unique" if described and not missed else "undecidable"
        ),
        reason=state.ended.reason
        or next(filter(None, failures), None)
        or _explain_missed(missed, described)
        or _explain_undecoded(state.ended.decoded_share),
        alert_ids=tuple(sorted(alert.alert_id for alert in alerts)),
        copied_by=len(state.links),
        segments_described=described,
        segments_compared=described - missed,
        segments_undecidable=state.count(SegmentStatus.UNDECIDABLE),
        segments_failed=len(failures),
        uploaded_at=state.ended.uploaded_at,
        decoded_share=state.ended.decoded_share,
        decided_at=now,
    )


def is_verdict_due(state: AssetState, verdict: AssetVerdict) -> bool:
    """Whether an upload is still to be answered, or the verdict says something new."""
    if state.verdict is None or state.newest_generation > state.answered:
        return True
    return state.verdict.model_dump(exclude=UNSTATED) != verdict.model_dump(exclude=UNSTATED)


def end_for_silence(state: AssetState, idle_s: float) -> AssetState:
    """The state, ended with the segments it has, because no event arrived for `idle_s` seconds."""
    received, before = len(state.segments), state.ended
    reason = f"no segment arrived for {idle_s:g} s"
    if before and before.generation == state.newest_generation:
        reason = (
            f"{before.reason + '; ' if before.reason else ''}{reason}, {received} of {before.segment_count} had arrived"
        )
    else:
        before = None
    ended = AssetEnded(
        tenant=state.tenant,
        asset_id=state.asset_id,
        segment_count=received,
        duration_s=before.duration_s if before else None,
        status="failed" if not received or (before and before.status == "failed") else "complete",
        reason=reason,
        generation=state.newest_generation,
        uploaded_at=before.uploaded_at if before else None,
        decoded_share=before.decoded_share if before else None,
    )
    return replace(state, ended=ended)


def _explain_missed(missed: int, described: int) -> str | None:
    if not missed:
        return None
    return f"{missed} of {described} segments were compared with nothing: the index does not hold them (any more)"


def _explain_undecoded(share: float | None) -> str | None:
    if share is None or share >= WHOLE_SHARE:
        return None
    return f"only {share:.0%} of the file could be decoded and was compared"
