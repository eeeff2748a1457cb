"""The events that are due for an asset: alerts that changed, and its verdict once it is complete."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from services.contracts.events import AssetEnded, AssetVerdict, DuplicateAlert
from services.contracts.ports import DescriptorIndex
from services.matcher.alert import Extent, alert_of, verdict_of, withdrawal_of
from services.matcher.rule import AlertRule
from services.matcher.state import AssetState, Pair


@dataclass(frozen=True, slots=True)
class Announcer:
    """Builds the events that follow from an asset's state, and notes in the state that they were built."""

    index: DescriptorIndex
    rule: AlertRule

    def __call__(self, state: AssetState, now: datetime) -> tuple[AssetState, list[DuplicateAlert | AssetVerdict]]:
        """The state after its events, and the events: alerts first."""
        alerts = self._alerts(state, now)
        state = state.with_alerts(alerts)
        if not state.is_complete or state.decided:
            return state, list(alerts.values())
        return replace(state, decided=True), [*alerts.values(), verdict_of(state, now=now)]

    def _alerts(self, state: AssetState, now: datetime) -> dict[str, DuplicateAlert]:
        """The alerts that say something new, by other asset."""
        found = {other: pair for other, pair in state.pairs.items() if pair.evidence}
        extents = self._read_extents(state.tenant, found.keys())
        alerts: dict[str, DuplicateAlert] = {}
        for other, pair in state.pairs.items():
            alert = self._alert(state, pair, extents.get(other), now)
            if alert:
                alerts[other] = alert
        return alerts

    def _alert(self, state: AssetState, pair: Pair, other: Extent | None, now: datetime) -> DuplicateAlert | None:
        version = self.index.model_version
        if pair.evidence:
            joined = pair.join_evidence(
                query_frames=state.frame_count, reference_frames=other.frame_count if other else 0
            )
            score = self.rule.alert_score(joined.joined_score)
            # A reported pair stays reported until the asset ends: only then is its content known to be replaced.
            if self.rule.is_reported(state.tenant, score) or (pair.alert and not state.is_final):
                return alert_of(state, pair, joined, score, other=other, model_version=version, now=now)
        return withdrawal_of(pair.alert, model_version=version, now=now) if pair.alert and state.is_final else None

    def _read_extents(self, tenant: str, asset_ids: Collection[str]) -> dict[str, Extent]:
        extents: dict[str, Extent] = {}
        for row in self.index.read_rows(tenant, asset_ids) if asset_ids else ():
            known = extents.get(row.asset_id, Extent(row.uploaded_at, row.end_s, 0))
            extents[row.asset_id] = Extent(
                uploaded_at=min(known.uploaded_at, row.uploaded_at),
                duration_s=max(known.duration_s, row.end_s),
                frame_count=known.frame_count + row.frame_count,
            )
        return extents


def end_for_silence(state: AssetState, idle_s: float) -> AssetState:
    """The state, ended with the segments it has, because no event arrived for `idle_s` seconds."""
    received, before = len(state.segments), state.ended
    reason = f"no segment arrived for {idle_s:g} s"
    if before:
        reason = (
            f"{before.reason + '; ' if before.reason else ''}{reason}, {received} of {before.segment_count} had arrived"
        )
    ended = AssetEnded(
        tenant=state.tenant,
        asset_id=state.asset_id,
        segment_count=received,
        duration_s=before.duration_s if before else None,
        status="failed" if not received or (before and before.status == "failed") else "complete",
        reason=reason,
    )
    return replace(state, ended=ended)
