"""The ingest loop, a step at a time: consume while there is room, publish what is ready, commit what is done."""

from services.contracts import topics
from services.contracts.ports import Bus
from services.ingest.pipeline import IngestPipeline, Outcome
from services.runtime.offsets import OffsetTracker

GROUP = "ingest"


class IngestWorker:
    def __init__(self, bus: Bus, pipeline: IngestPipeline) -> None:
        self._bus = bus
        self._pipeline = pipeline
        self._consumer = bus.consumer(topics.VIDEO_SEGMENTS, GROUP)
        self._tracker = OffsetTracker()

    def run_once(self, timeout_s: float) -> bool:
        """Move on by one step; False when there was nothing to do."""
        accepted = False
        while self._pipeline.has_room and (records := self._consumer.poll(1, 0.0)):
            accepted = True
            self._tracker.dispatched(records[0])
            self._settle(self._pipeline.accept(records[0]))
        if self._pipeline.is_idle:
            return accepted
        for outcome in self._pipeline.advance(timeout_s):
            self._settle(outcome)
        return True

    def _settle(self, outcome: Outcome) -> None:
        if outcome.messages:
            self._bus.publish(outcome.messages)
        if outcome.done and (newest := self._tracker.done(outcome.record)):
            self._consumer.commit([newest])
