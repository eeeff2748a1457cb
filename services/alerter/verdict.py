"""The verdict on an asset, and its end for silence."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

from services.alerter.revisions import get_next_revision
from services.alerter.state import AssetState, SegmentState
from services.contracts.events import AssetEnded, AssetVerdict, SegmentStatus

WHOLE_SHARE = 0.95  # below, a file is not unique: a damaged end or beginning costs a second or two
UNSTATED = {"revision", "decided_at", "uploaded_at"}  # what may differ between verdicts that say the same


def build_verdict(state: AssetState, *, now: datetime) -> AssetVerdict:
    """The next revision of the verdict on a complete asset."""
    assert state.ended is not None
    alerts = [pair.alert for pair in state.pairs.values() if pair.alert and pair.alert.is_live]
    described, failed = state.count(SegmentStatus.DESCRIBED), state.count(SegmentStatus.FAILED)
    missed = sum(map(_is_missed, state.segments.values()))
    if state.ended.status == "failed" or (failed and not described):
        verdict: Literal["unique", "copies", "undecidable", "failed"] = "failed"
    elif alerts:
        verdict = "copies"
    else:
        # Fail closed: of what was compared with nothing, or could not be decoded, nobody knows that it is unique.
        is_whole = described and not missed and not failed and _is_decoded(state.ended)
        verdict = "unique" if is_whole else "undecidable"
    return AssetVerdict(
        tenant=state.tenant,
        asset_id=state.asset_id,
        revision=get_next_revision(state.verdict_revision, now),
        verdict=verdict,
        reason=state.ended.reason or _explain(state),
        alert_ids=tuple(sorted(alert.alert_id for alert in alerts)),
        copied_by=len(state.links),
        segments_described=described,
        segments_compared=described - missed,
        segments_undecidable=state.count(SegmentStatus.UNDECIDABLE),
        segments_failed=failed,
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


def _is_missed(segment: SegmentState) -> bool:
    return segment.status == SegmentStatus.DESCRIBED and not segment.is_compared


def _is_decoded(ended: AssetEnded) -> bool:
    """Whether nearly all of a file could be decoded, as far as is known."""
    return ended.decoded_share is None or ended.decoded_share >= WHOLE_SHARE


def _explain(state: AssetState) -> str | None:
    """What stands against `unique`, in words: failed segments, those compared with nothing, what was not decoded."""
    segments = [one for _, one in sorted(state.segments.items())]
    if failed := [one for one in segments if one.status == SegmentStatus.FAILED]:
        return _find_reason(failed) or f"{len(failed)} of {len(segments)} segments could not be decoded"
    described = state.count(SegmentStatus.DESCRIBED)
    if missed := [one for one in segments if _is_missed(one)]:
        why = _find_reason(missed) or "the index does not hold them (any more)"
        return f"{len(missed)} of {described} segments were compared with nothing: {why}"
    if described and state.ended and not _is_decoded(state.ended):
        return f"only {state.ended.decoded_share:.0%} of the file could be decoded and was compared"
    if described:
        return None
    return _find_reason(segments) or ("its segments show nothing" if segments else "the upload has no segments")


def _find_reason(segments: Sequence[SegmentState]) -> str | None:
    """The first reason that one of these segments states."""
    return next(filter(None, (one.reason for one in segments)), None)
