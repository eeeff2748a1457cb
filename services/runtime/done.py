"""What is written down about every record that is done."""

from collections.abc import Iterable

import structlog

from services.contracts.envelope import LONGEST_KEY, trace_of
from services.contracts.ports import Record
from services.runtime import metrics

log = structlog.get_logger(__name__)


def report_done(records: Iterable[Record]) -> None:
    """Count and log records whose effects are committed."""
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
