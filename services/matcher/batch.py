"""All effects of one batch; metrics and logs are written after the commit."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from services.contracts.envelope import LONGEST_KEY, trace_of
from services.contracts.events import AssetVerdict, DuplicateAlert
from services.contracts.ports import Message, Record
from services.runtime import metrics

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Batch:
    """Messages to publish and states to store.

    `touched`: when an already known event was seen again, by partition and key of its asset.
    """

    messages: list[Message] = field(default_factory=list)
    states: dict[int, dict[str, bytes | None]] = field(default_factory=dict)
    touched: dict[tuple[int, str], float] = field(default_factory=dict)
    announced: list[DuplicateAlert | AssetVerdict] = field(default_factory=list)
    dead_stages: list[str] = field(default_factory=list)
    candidate_counts: list[int] = field(default_factory=list)
    uncompared: int = 0  # described segments that the index does not hold

    @property
    def is_empty(self) -> bool:
        return not self.messages and not self.states


def report_committed(batch: Batch, records: Sequence[Record], committed_at: float) -> None:
    """Write metrics and log of a batch that was committed at `committed_at`, seconds since the epoch."""
    for record in records:
        metrics.records.labels(record.message.topic).inc()
        log.info(
            "done",
            topic=record.message.topic,
            partition=record.partition,
            offset=record.offset,
            asset=record.message.key[:LONGEST_KEY],
            traceparent=trace_of(record.message),
        )
    for stage in batch.dead_stages:
        metrics.dead_letters.labels(stage).inc()
    metrics.uncompared_segments.inc(batch.uncompared)
    for found in batch.candidate_counts:
        metrics.candidates.observe(found)
    for event in batch.announced:
        if isinstance(event, AssetVerdict):
            metrics.verdicts.labels(event.verdict).inc()
            log.info("verdict", asset=event.key, verdict=event.verdict, reason=event.reason)
            continue
        metrics.alerts.labels(event.status).inc()
        log.info(
            "alert",
            tenant=event.tenant,
            query=event.query.asset_id,
            reference=event.reference.asset_id,
            revision=event.revision,
            status=event.status,
            score=event.score,
        )
        if event.revision == 1:
            metrics.alert_latency.observe(event.latency_s + committed_at - event.detected_at.timestamp())
