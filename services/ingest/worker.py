"""The ingest loop, a step at a time: consume while there is room, publish what is ready, commit what is done."""

import structlog

from services.contracts import topics
from services.contracts.ports import Bus
from services.ingest.pipeline import IngestPipeline, Outcome
from services.runtime import metrics
from services.runtime.offsets import OffsetTracker
from services.runtime.retry import Caller, call_once

GROUP = "ingest"
# Records done behind one that is not: they come again after a crash, so they must not grow without bound.
MAX_UNCOMMITTED = 1000
# In one step: what is done at once takes no room, and decoders, probes and signals wait meanwhile.
MAX_ACCEPTED = 32

log = structlog.get_logger(__name__)


class IngestWorker:
    def __init__(self, bus: Bus, pipeline: IngestPipeline, *, call: Caller = call_once) -> None:
        """`call` makes the calls to the bus."""
        self._bus = bus
        self._pipeline = pipeline
        self._call = call
        self._consumer = bus.consumer(topics.VIDEO_SEGMENTS, GROUP)
        self._tracker = OffsetTracker()

    def run_once(self, timeout_s: float) -> bool:
        """Move on by one step; False when there was nothing to do."""
        accepted = self._accept(0.0 if self._in_work() else timeout_s)
        return self._advance(timeout_s) or accepted

    def drain(self, timeout_s: float) -> bool:
        self.keep_alive()
        self._follow_rebalance()
        return self._advance(timeout_s)

    def keep_alive(self) -> None:
        self._consumer.pause()
        metrics.paused.set(1)
        self._consumer.poll(1, 0.0)

    def close(self) -> None:
        self._consumer.close()

    def _accept(self, timeout_s: float) -> bool:
        """Take records while there is room, waiting for the first; whether there were any."""
        accepted = False
        for _ in range(MAX_ACCEPTED):
            if not self._has_room():
                self.keep_alive()
                self._follow_rebalance()
                break
            self._consumer.resume()
            records = self._consumer.poll(1, 0.0 if accepted else timeout_s)
            lost = self._follow_rebalance()
            if not records:
                break
            accepted = True
            # What was polled while its partition went is another consumer's; where it came back, it comes again.
            if records[0].partition not in lost and not self._tracker.is_in_work(records[0]):
                metrics.records.labels(topics.VIDEO_SEGMENTS).inc()
                self._tracker.start(records[0])
                self._settle(self._pipeline.accept(records[0]))
        metrics.paused.set(not self._has_room())
        return accepted

    def _has_room(self) -> bool:
        return self._pipeline.has_room and self._tracker.uncommitted_count < MAX_UNCOMMITTED

    def _in_work(self) -> bool:
        return not self._pipeline.is_idle

    def _advance(self, timeout_s: float) -> bool:
        """Move the work at hand on; False when there is none."""
        if not self._in_work():
            return False
        for outcome in self._pipeline.advance(timeout_s):
            self._settle(outcome)
        metrics.in_flight_records.set(self._pipeline.in_flight_records)
        metrics.in_flight_bytes.set(self._pipeline.in_flight_bytes)
        return True

    def _follow_rebalance(self) -> frozenset[int]:
        """Drop the work of partitions that were taken: another consumer does it. Returns those that are gone."""
        rebalance = self._consumer.take_rebalance()
        for partition in rebalance.revoked:
            self._pipeline.abandon(partition)
            self._tracker.forget(partition)
        return rebalance.revoked - rebalance.assigned

    def _settle(self, outcome: Outcome) -> None:
        if outcome.messages:
            self._call("publish", self._bus.publish, outcome.messages)
        if outcome.done:
            self._log(outcome)
            if newest := self._tracker.finish(outcome.record):
                self._call("offsets", self._consumer.commit, [newest])

    def _log(self, outcome: Outcome) -> None:
        record = outcome.record
        refused = [message.headers for message in outcome.messages if "dlq_reason" in message.headers]
        tell = log.warning if refused else log.info
        tell(
            "dead letter" if refused else "done",
            topic=record.message.topic,
            partition=record.partition,
            offset=record.offset,
            asset=record.message.key,
            traceparent=record.message.headers.get("traceparent"),
            reason=refused[0]["dlq_reason"] if refused else None,
        )
