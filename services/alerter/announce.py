"""The events that are due after an asset's state changed, and the state that notes that they were built.

alerts            of pairs in which the asset is the query
PairLinked        to the partition of the reference, with each of them
AssetVerdict      once the asset is complete, and again when what it says changes
AssetRemovedAck   once no alert names a removed asset any more
"""

from dataclasses import dataclass, replace
from datetime import datetime

from services.alerter.alert import build_alert, withdraw
from services.alerter.pair import Pair
from services.alerter.state import AssetState
from services.alerter.verdict import build_verdict, is_verdict_due
from services.contracts.events import AssetRemovedAck, DuplicateAlert, Event
from services.contracts.evidence import PairLinked
from services.runtime.rule import AlertRule, alert_score

JUDGED_STEPS = 50  # an alert grows by a fiftieth of its evidence at a time, 2 %


@dataclass(frozen=True, slots=True)
class Announcer:
    """Builds the events that follow from an asset's state."""

    rule: AlertRule

    def __call__(self, before: AssetState, state: AssetState, now: datetime) -> tuple[AssetState, list[Event]]:
        """The state after its events, and the events: alerts first. `before`: the state that was announced last."""
        alerts = {
            other: alert
            for other, pair in state.pairs.items()
            if _is_to_be_judged(before, state, pair) and (alert := self._alert(state, pair, now))
        }
        if alerts:
            published = {other: replace(state.pairs[other], alert=alert) for other, alert in alerts.items()}
            state = replace(state, pairs={**state.pairs, **published})
        events: list[Event] = []
        for other, alert in alerts.items():
            events += [alert, _build_link(state.pairs[other], alert)]
        removed = state.removed
        if removed and not state.is_removal_acknowledged and (state.segments or not state.links):
            state = replace(state, is_removal_acknowledged=True)
            events.append(
                AssetRemovedAck(tenant=state.tenant, asset_id=state.asset_id, reason=removed.reason, removed_at=now)
            )
        if state.is_complete and is_verdict_due(state, verdict := build_verdict(state, now=now)):
            state = replace(state, verdict=verdict, verdict_revision=verdict.revision, answered=state.newest_generation)
            events.append(verdict)
        return state, events

    def _alert(self, state: AssetState, pair: Pair, now: datetime) -> DuplicateAlert | None:
        if pair.units and state.uploaded_at is not None:
            joined = pair.join(query_frames=state.min_frame_count)
            score = alert_score(joined.joined_score, pair.calibration)
            # A reported pair stays reported until the upload ends: what follows may raise its score again.
            if self.rule.is_reported(state.tenant, score, pair.calibration) or (pair.is_live and state.is_open):
                return build_alert(state, pair, joined, score, now=now)
        return withdraw(pair.alert, now=now) if pair.alert and pair.is_live else None


def _is_to_be_judged(before: AssetState, state: AssetState, pair: Pair) -> bool:
    """Whether the alert about a pair may be due.

    To join evidence takes time in proportion to it. While a long video arrives, the alert of a pair with much evidence
    grows in steps of 2 %; once the video is complete, all of it counts. Evidence may be there before its segments are
    known: without any there is no alert, and with the first one all evidence is judged.
    """
    if before.uploaded_at is None:
        return True
    if state.is_complete:
        return (
            not before.is_complete or before.ended != state.ended or before.pairs.get(pair.other.asset_id) is not pair
        )
    count = len(pair.units)
    return before.pairs.get(pair.other.asset_id) is not pair and count % max(1, count // JUDGED_STEPS) == 0


def _build_link(pair: Pair, alert: DuplicateAlert) -> PairLinked:
    return PairLinked(
        tenant=alert.tenant,
        asset_id=alert.reference.asset_id,
        query_id=alert.query.asset_id,
        alert_id=alert.alert_id,
        is_live=alert.is_live,
        compared=pair.list_reference_segments() if alert.is_live else (),
    )
