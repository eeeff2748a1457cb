"""The ingest loop, step by step: consume while there is room, publish what is ready, commit what is done."""

from collections.abc import Callable, Iterable, Mapping

import structlog

from services.contracts import topics
from services.contracts.envelope import LONGEST_KEY, trace_of
from services.contracts.errors import CopydetectError
from services.contracts.ports import Rebalance, Record
from services.ingest.outcome import Outcome, find_refusal, refuse
from services.ingest.ownership import find_removals
from services.ingest.pipeline import IngestPipeline
from services.ingest.ports import ReadableBus
from services.runtime import metrics
from services.runtime.defects import Suspects
from services.runtime.flood import FloodGuard
from services.runtime.group_lag import INGEST_GROUP
from services.runtime.offsets import OffsetTracker
from services.runtime.probes import Health
from services.runtime.retry import Caller, call_once

# Records that are parked, in work, or done and waiting for an earlier one: a crash repeats them, so they are limited.
# COPYDETECT_MAX_PARKED is always lower, so that others are accepted, and done, behind as many parked records.
MAX_UNCOMMITTED = 1000
# Records per step: some take no room, and decoders, probes and signals must not wait for them.
MAX_ACCEPTED = 32

log = structlog.get_logger(__name__)


class IngestWorker:
    """Runs an ingest pipeline on the records of a bus."""

    def __init__(
        self,
        bus: ReadableBus,
        pipeline: IngestPipeline,
        *,
        call: Caller = call_once,
        max_invalid_in_a_row: int = 0,
        health: Health | None = None,
    ) -> None:
        """`call` makes the calls to the bus, and may retry them. `health`: reports why no record is accepted any more.

        That is after so many invalid records in a row; what has begun is finished, and the group keeps this worker.
        """
        self._bus = bus
        self._pipeline = pipeline
        self._call = call
        self._consumer = bus.open_consumer(topics.VIDEO_SEGMENTS, INGEST_GROUP)
        self._tracker = OffsetTracker()
        self._flood = FloodGuard(max_invalid_in_a_row)
        self._health = health
        metrics.flooded.set(0)
        self._suspects = Suspects()
        self._rebalance = Rebalance(frozenset(), frozenset())  # what happened since the work was last brought in line
        self._again: list[Record] = []  # suspects, to be tried one at a time
        self._later: list[Record] = []  # to be begun again when no suspect is left

    def run_once(self, timeout_s: float) -> bool:
        """Do one step. Returns False if there was nothing to do."""
        accepted = self._accept(0.0 if self._has_work() else timeout_s)
        return self._advance(timeout_s) or accepted

    def drain(self, timeout_s: float) -> bool:
        """Do one step of the work that has begun, without new records. Returns False if none is left.

        What is parked or still being downloaded is dropped, and delivered again: it could take all the time there is.
        """
        self.keep_alive()
        self._follow_rebalance()
        self._pipeline.drop_unfetched()
        return self._advance(timeout_s)

    def keep_alive(self, timeout_s: float = 0.0) -> None:
        """Poll without consuming, so that the group keeps this worker."""
        self._consumer.pause()
        metrics.paused.set(1)
        self._consumer.poll(1, timeout_s)
        self._note_rebalance()

    def close(self) -> None:
        self._consumer.close()

    def _accept(self, timeout_s: float) -> bool:
        """Accept records while there is room, waiting for the first. Returns whether there were any."""
        accepted = self._accept_suspect() or self._accept_later()
        for _ in range(MAX_ACCEPTED):
            if not self._has_room():
                self.keep_alive(0.0 if self._has_work() else timeout_s)
                self._follow_rebalance()
                break
            self._consumer.resume()
            records = self._consumer.poll(1, 0.0 if accepted else timeout_s)
            lost = self._follow_rebalance()
            if not records:
                break
            accepted = True
            for record in records:
                # If its partition was revoked meanwhile, another consumer has the record, or it is delivered again.
                if record.partition not in lost and not self._tracker.is_in_progress(record):
                    metrics.records.labels(topics.VIDEO_SEGMENTS).inc()
                    self._tracker.start(record)
                    self._start(record)
        metrics.paused.set(not self._has_room())
        return accepted

    def _accept_suspect(self) -> bool:
        """Accept a suspect alone. Returns whether there was one."""
        if not self._again or self._has_work():
            return False
        self._start(self._again.pop(0))
        return True

    def _accept_later(self) -> bool:
        """Accept what was dropped beside the suspects. Returns whether there was any."""
        accepted = False
        while self._later and not self._suspects and self._pipeline.has_room:
            self._start(self._later.pop(0))
            accepted = True
        return accepted

    def _start(self, record: Record) -> None:
        self._finish(self._guard(lambda: [self._pipeline.accept(record)]))

    def _guard(self, work: Callable[[], list[Outcome]]) -> list[Outcome]:
        """The outcomes of work on records; a defect in it stops neither the process nor a partition."""
        try:
            return work()
        except CopydetectError:
            raise
        except Exception as error:  # noqa: BLE001 - no record may stop its partition
            return self._quarantine(error)

    def _quarantine(self, error: Exception) -> list[Outcome]:
        """Drop all work in progress, to try its records again one at a time. Returns what ends the one to blame.

        Records without a file are not suspected, if there are others: hundreds of downloads would take too long alone.
        """
        self._later += self._pipeline.drop_unfetched()
        records = [one for one in self._tracker.unfinished if one not in self._again and one not in self._later]
        if not records:
            records, self._later = self._later, []
        for partition in {record.partition for record in records}:
            self._pipeline.abandon(partition)
        reason = self._suspects.blame(records, error)
        if reason is None:
            self._again = [*records, *self._again]
            return []
        try:
            return [self._pipeline.give_up(records[0], reason)]
        except Exception as again:  # noqa: BLE001 - a dead letter can be made in any case
            log.warning("dead letter without an end of its asset", reason=repr(again))
            return [refuse(records[0], reason)]

    def _has_room(self) -> bool:
        if self._suspects or self._later or self._flood.is_flooded:
            return False
        return self._pipeline.has_room and self._tracker.uncommitted_count < MAX_UNCOMMITTED

    def _has_work(self) -> bool:
        return not self._pipeline.is_idle

    def _advance(self, timeout_s: float) -> bool:
        """Advance the work that has begun. Returns False if there is none."""
        has_work = self._has_work()
        if has_work:
            self._finish(self._guard(lambda: self._pipeline.advance(timeout_s)))
        metrics.in_flight_records.set(self._pipeline.in_flight_records)
        metrics.parked_records.set(self._pipeline.parked_records)
        metrics.in_flight_bytes.set(self._pipeline.in_flight_bytes)
        return has_work

    def _follow_rebalance(self) -> frozenset[int]:
        """Drop the work of revoked partitions. Returns those that are not assigned to this worker again."""
        self._note_rebalance()
        rebalance, self._rebalance = self._rebalance, Rebalance(frozenset(), frozenset())
        for partition in rebalance.revoked:
            self._pipeline.abandon(partition)
            self._tracker.forget(partition)
            self._suspects.forget(partition)
        self._again = [record for record in self._again if record.partition not in rebalance.revoked]
        self._later = [record for record in self._later if record.partition not in rebalance.revoked]
        for partition in rebalance.revoked:
            self._erase_again(partition)
        return rebalance.revoked - rebalance.assigned

    def _note_rebalance(self) -> None:
        """Let what waits, in the middle of a step, store nothing for revoked partitions."""
        new, old = self._consumer.take_rebalance(), self._rebalance
        self._rebalance = Rebalance((old.assigned - new.revoked) | new.assigned, old.revoked | new.revoked)
        self._pipeline.ownership.note_poll(new.revoked)

    def _erase_again(self, partition: int) -> None:
        """Release a lost partition: what was stored there in doubt, and is removed by now, is erased again."""
        if written := self._pipeline.ownership.release(partition):
            for removal in self._call("removals", find_removals, self._bus, written):
                log.warning("erased again: stored after its removal, perhaps", asset=removal.key)
                self._pipeline.erase_again(removal)

    def _finish(self, outcomes: Iterable[Outcome]) -> None:
        """Publish the outcomes, and commit what is done."""
        for outcome in outcomes:
            self._publish_and_commit(outcome)

    def _publish_and_commit(self, outcome: Outcome) -> None:
        if outcome.messages:
            self._call("publish", self._bus.publish, outcome.messages)
        refusal = find_refusal(outcome)
        if outcome.done or refusal:
            self._log(outcome)
        if outcome.done:
            self._suspects.clear([outcome.record])
            if newest := self._tracker.finish(outcome.record):
                self._call("offsets", self._consumer.commit, [newest])
            self._count(refusal)

    def _count(self, refusal: Mapping[str, str]) -> None:
        """Count a record that is done; say so if no other is accepted behind it."""
        was_flooded = self._flood.is_flooded
        self._flood.count(is_invalid=refusal.get("dlq_stage") == "parse", reason=refusal.get("dlq_reason"))
        if self._flood.is_flooded and not was_flooded:
            metrics.flooded.set(1)
            log.error("flooded", reason=self._flood.reason)
            if self._health is not None:
                self._health.mark_unready("flood", self._flood.reason)

    def _log(self, outcome: Outcome) -> None:
        record = outcome.record
        refusal = find_refusal(outcome)
        write = log.warning if refusal else log.info
        write(
            "dead letter" if refusal else "done",
            topic=record.message.topic,
            partition=record.partition,
            offset=record.offset,
            asset=record.message.key[:LONGEST_KEY],
            traceparent=trace_of(record.message),
            reason=refusal.get("dlq_reason"),
        )
