"""The matcher loop, a step at a time: consume a batch, publish what follows, commit, keep the new states."""

from services.contracts import topics
from services.contracts.ports import Bus
from services.matcher.pipeline import MatchPipeline

GROUP = "matcher"
BATCH_RECORDS = 64


class MatchWorker:
    def __init__(self, bus: Bus, pipeline: MatchPipeline) -> None:
        self._bus = bus
        self._pipeline = pipeline
        self._consumer = bus.consumer(topics.ENCODED_SEGMENTS, GROUP)

    def run_once(self, timeout_s: float) -> bool:
        """Move on by one batch; False when there was none within the time."""
        records = self._consumer.poll(BATCH_RECORDS, timeout_s)
        if not records:
            return False
        batch = self._pipeline(records)
        self._bus.publish(batch.messages)
        self._consumer.commit(records)
        self._pipeline.keep(batch)
        return True
