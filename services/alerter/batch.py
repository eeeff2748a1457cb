"""All effects of one batch; metrics and logs are written after the commit."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from services.alerter.state import AssetState
from services.contracts.events import AssetRemovedAck, AssetVerdict, DuplicateAlert, Event
from services.contracts.ports import Message, Record
from services.runtime import metrics
from services.runtime.done import report_done

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Batch:
    """Messages to publish, records of states to store, and the states that they lead to.

    `touched`: when an already known event was seen again, by partition and key of its asset.
    """

    messages: list[Message] = field(default_factory=list)
    states: dict[int, dict[str, bytes | None]] = field(default_factory=dict)
    assets: dict[tuple[int, str], AssetState | None] = field(default_factory=dict)
    touched: dict[tuple[int, str], float] = field(default_factory=dict)
    announced: list[Event] = field(default_factory=list)
    dead_stages: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not self.messages and not self.states

    @property
    def record_count(self) -> int:
        """How many records its transaction publishes."""
        return len(self.messages) + sum(map(len, self.states.values()))


def report_committed(batch: Batch, records: Sequence[Record], committed_at: float) -> None:
    """Write metrics and log of a batch that was committed at `committed_at`, seconds since the epoch."""
    report_done(records)
    for stage in batch.dead_stages:
        metrics.dead_letters.labels(stage).inc()
    for event in batch.announced:
        match event:
            case AssetVerdict():
                metrics.verdicts.labels(event.verdict).inc()
                log.info(
                    "verdict", asset=event.key, verdict=event.verdict, revision=event.revision, reason=event.reason
                )
            case AssetRemovedAck():
                log.info("removed", asset=event.key, reason=event.reason)
            case DuplicateAlert():
                _report_alert(event, committed_at)


def _report_alert(alert: DuplicateAlert, committed_at: float) -> None:
    metrics.alerts.labels(alert.status).inc()
    log.info(
        "alert",
        tenant=alert.tenant,
        query=alert.query.asset_id,
        reference=alert.reference.asset_id,
        revision=alert.revision,
        status=alert.status,
        score=alert.score,
    )
    if alert.is_first:
        metrics.alert_latency.observe(alert.latency_s + committed_at - alert.detected_at.timestamp())
