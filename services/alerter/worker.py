"""The alerter loop, step by step: consume a batch, commit all its effects, keep the new states.

An effect that is not committed did not happen: the bus then revokes the partitions and assigns them again, and the
states are restored from the last commit.
"""

import math
import random
import time
from collections.abc import Callable, Sequence

import structlog

from services.alerter.batch import Batch, report_committed
from services.alerter.idle import IdlePartitions
from services.alerter.pipeline import AlertPipeline, build_dead_letter
from services.alerter.state_store import StateStore
from services.contracts import topics
from services.contracts.errors import TransientError
from services.contracts.ports import Bus, Record
from services.runtime import metrics
from services.runtime.defects import Suspects
from services.runtime.group_lag import ALERTER_GROUP
from services.runtime.retry import Caller, call_once

BATCH_RECORDS = 256
TIDIED_ASSETS = 256  # per step: so many idle assets are ended, and as many old ones are forgotten, at most
TIDIED_RECORDS = 2000  # per step, about: what a transaction publishes in a fraction of its time
SMALLEST_SHARE = 1 / 256  # of these numbers, after commits that failed
GROWTH = 1.1  # of the share, by each commit: one that is too large costs seconds
TIDY_EVERY_S = 1.0  # while records keep coming; otherwise in every step without records

log = structlog.get_logger(__name__)


class AlertWorker:
    """Runs an alert pipeline on the records of a bus."""

    def __init__(
        self,
        bus: Bus,
        pipeline: AlertPipeline,
        states: StateStore,
        *,
        asset_idle_s: float,
        state_retention_s: float,
        alert_retention_s: float,
        processed_until: Callable[[], float] = lambda: math.inf,
        call: Caller = call_once,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`states`: those of the pipeline; the worker loads them. `call` makes the calls to the bus, and may retry.

        `processed_until`: up to when the stages before this one have processed what was published, in seconds since the
        epoch. Only then does silence about an asset mean that nothing was sent.

        Assets are forgotten `state_retention_s` after their last event, those that alerts name `alert_retention_s`.
        """
        self._pipeline = pipeline
        self._states = states
        self._asset_idle_s = asset_idle_s
        self._retentions_s = state_retention_s, alert_retention_s
        self._processed_until = processed_until
        self._call = call
        self._clock = clock
        self._idle = IdlePartitions(asset_idle_s)
        self._records: list[Record] = []  # polled, not committed
        self._share = 1.0  # of the largest batch; halved by each commit that failed
        self._suspects = Suspects()
        self._to_restore: frozenset[int] = frozenset()
        self._tidied_at = clock()
        self._consumer = bus.open_state_consumer(topics.MATCH_EVIDENCE, ALERTER_GROUP, topics.ALERTER_STATE)

    def run_once(self, timeout_s: float) -> bool:
        """Process one batch. Returns False if there was none within the time, or it was not committed."""
        if self._states.has_remnants:
            self.keep_alive()
            return self._tidy(was_busy=False)
        self._consumer.resume()
        metrics.paused.set(0)
        self._records += self._consumer.poll(self._scale(BATCH_RECORDS), 0.0 if self._records else timeout_s)
        self._follow_rebalance()
        self._restore_one()
        if self._to_restore:
            return True
        records = self._suspects.select(self._records)
        if records and ((batch := self._process(records)) is None or not self._commit(records, batch)):
            return False
        return self._tidy(was_busy=bool(records)) or bool(records)

    def keep_alive(self) -> None:
        """Poll without consuming, so that the group keeps this alerter while a step waits for the bus."""
        self._consumer.pause()
        metrics.paused.set(1)
        self._consumer.poll(1, 0.0)

    def drain(self, timeout_s: float) -> bool:  # noqa: ARG002 - a step leaves no work behind
        """Returns False, nothing to drain: records that were polled and not committed are delivered again."""
        return False

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _process(self, records: Sequence[Record]) -> Batch | None:
        """The effects of the records; None if a defect prevents that, and they are to be tried again."""
        return self._suspects.process(
            records,
            lambda: self._pipeline(records),
            give_up=self._pipeline.give_up,
            refuse=build_dead_letter,
        )

    def _follow_rebalance(self) -> bool:
        """Drop revoked partitions and note which ones to restore. Returns whether there was a rebalance."""
        rebalance = self._consumer.take_rebalance()
        for partition in rebalance.revoked:
            self._states.drop(partition)
            self._suspects.forget(partition)
        self._records = [record for record in self._records if record.partition not in rebalance.revoked]
        self._to_restore = (self._to_restore - rebalance.revoked) | rebalance.assigned
        for partition in rebalance.assigned | rebalance.revoked:
            self._idle.forget(partition)
        return bool(rebalance.assigned or rebalance.revoked)

    def _restore_one(self) -> None:
        """Restore one partition per step: the loop must not stop for long. Records wait until all are restored."""
        if self._to_restore:
            partition = min(self._to_restore)
            states = self._call("restore", self._consumer.restore, partition)
            self._to_restore -= {partition}
            self._states.load(partition, states, self._clock())

    def _tidy(self, *, was_busy: bool) -> bool:
        """If it is time, end idle assets or forget old ones. Returns whether there were any."""
        now = self._clock()
        self._idle.update(self._consumer.lag(), now)
        if was_busy and 0 <= now - self._tidied_at < TIDY_EVERY_S:
            return False
        self._tidied_at = now
        batch = self._build_tidy_batch(now)
        if batch.is_empty:
            self._pipeline.keep(batch)  # what is left open, until it is idle for as long again
            return False
        return self._commit((), batch)

    def _build_tidy_batch(self, now: float) -> Batch:
        """The batch that ends the first idle assets and forgets the first old ones, until it is full.

        The rest of an asset that was too much for one batch is a batch of its own, before anything else is done: no
        event may find a part of an asset.
        """
        batch = Batch()
        records = self._scale(TIDIED_RECORDS)
        for partition in self._states.partitions:
            self._pipeline.forget(partition, self._states.list_remnants(partition), batch, records)
        if not batch.is_empty:
            return batch
        assets = math.ceil(TIDIED_ASSETS / max(1, len(self._states.partitions)))
        silent_since = min(now, self._processed_until()) - self._asset_idle_s
        idle_partitions = self._idle.partitions(now)
        # In any order: no partition waits until the others have nothing left.
        for partition in random.sample(sorted(self._states.partitions), len(self._states.partitions)):
            if partition in idle_partitions:
                idle = self._states.list_open(partition, silent_since, assets)
                self._pipeline.end_idle(partition, idle, self._asset_idle_s, batch, records)
            old = self._states.list_forgettable(partition, now, *self._retentions_s, assets)
            self._pipeline.forget(partition, old, batch, records)
        return batch

    def _scale(self, largest: int) -> int:
        """The size of the next batch: less than the largest one after commits that failed."""
        return math.ceil(self._share * largest)

    def _commit(self, records: Sequence[Record], batch: Batch) -> bool:
        """Commit the batch. Returns False if that failed: it is built again, or its records are delivered again."""
        # Another consumer may have continued with a partition that was revoked while the batch was built.
        if self._follow_rebalance():
            return False
        try:
            with metrics.time_stage("commit"):
                self._consumer.commit_all(records, batch.messages, batch.states)
        except TransientError as error:
            log.warning("not committed, continues from the last commit", reason=str(error), records=len(records))
            self._records = []
            self._share = max(SMALLEST_SHARE, self._share / 2)
            return False
        self._share = min(1.0, GROWTH * self._share)
        self._records = self._records[len(records) :]
        self._suspects.clear(records)
        self._pipeline.keep(batch)
        report_committed(batch, records, self._clock())
        return True
