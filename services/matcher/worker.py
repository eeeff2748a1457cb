"""The matcher loop, step by step: consume a batch, publish all that follows from it, commit.

Assets of a batch are matched side by side in threads, since most of the time is spent waiting for the index; the
messages of one asset stay in order. After a crash the batch is matched again: the alerter knows what it has seen.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, wait

from services.contracts import topics
from services.contracts.ports import Bus, Message, Record
from services.matcher.pipeline import MatchPipeline, Work, refuse
from services.runtime import metrics
from services.runtime.defects import Suspects
from services.runtime.done import report_done
from services.runtime.retry import Caller, call_once

BATCH_RECORDS = 64
LONGEST_SILENCE_S = 10.0  # between two polls; far below the `max_poll_s` of services.backends.kafka.connection
WAIT_S = 0.2  # for threads, between two looks whether a poll is due


class MatchWorker:
    """Runs a matcher pipeline on the records of a bus."""

    def __init__(
        self,
        bus: Bus,
        pipeline: MatchPipeline,
        *,
        group: str,
        threads: Executor | None = None,
        call: Caller = call_once,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`threads` match assets side by side; None matches one after the other. `call` calls the bus; it may retry."""
        self._bus = bus
        self._pipeline = pipeline
        self._threads = threads
        self._call = call
        self._clock = clock
        self._records: list[Record] = []  # polled, not committed
        self._suspects = Suspects()
        self._polled_at = clock()
        self._consumer = bus.open_consumer(topics.ENCODED_SEGMENTS, group)

    def run_once(self, timeout_s: float) -> bool:
        """Process one batch. Returns False if there was none within the time, or a defect spoilt it."""
        self._consumer.resume()
        metrics.paused.set(0)
        self._poll(BATCH_RECORDS, 0.0 if self._records else timeout_s)
        records = self._suspects.select(self._records)
        if not records or (messages := self._process(records)) is None:
            return False
        self._call("publish", self._bus.publish, messages)
        self._follow_rebalance([])  # another matcher repeats what was revoked meanwhile, which does no harm
        done = [record for record in records if record in self._records]
        self._call("commit", self._consumer.commit, done)
        self._records = [record for record in self._records if record not in done]
        self._suspects.clear(records)
        report_done(records)
        return True

    def keep_alive(self) -> None:
        """Poll without consuming, so that the group keeps this matcher while a step waits."""
        self._consumer.pause()
        metrics.paused.set(1)
        self._poll(1, 0.0)

    def drain(self, timeout_s: float) -> bool:  # noqa: ARG002 - a step leaves no work behind
        """Returns False, nothing to drain: records that were polled and not committed are delivered again."""
        return False

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _process(self, records: Sequence[Record]) -> list[Message] | None:
        """What follows from the records; None if a defect prevents that, and they are to be tried again."""

        def match() -> list[Message]:
            works, dead_letters = self._pipeline.sort(records)
            return [*dead_letters, *self._match(works)]

        return self._suspects.process(
            records, match, give_up=self._pipeline.give_up, refuse=lambda record, reason: [refuse(record, reason)]
        )

    def _match(self, works: Sequence[Work]) -> list[Message]:
        messages: list[Message] = []
        if self._threads is None:
            for work in works:
                messages += self._pipeline(work)
                self._stay_member()
            return messages
        futures = [self._threads.submit(self._pipeline, work) for work in works]
        unfinished: set[Future[list[Message]]] = set(futures)
        while unfinished:
            unfinished = wait(unfinished, WAIT_S).not_done
            self._stay_member()
        return [message for future in futures for message in future.result()]

    def _stay_member(self) -> None:
        """Poll without consuming if a batch takes long: a group removes members that do not poll."""
        if self._clock() - self._polled_at >= LONGEST_SILENCE_S:
            self.keep_alive()

    def _poll(self, max_records: int, timeout_s: float) -> None:
        polled = self._consumer.poll(max_records, timeout_s)
        self._polled_at = self._clock()
        self._follow_rebalance(polled)

    def _follow_rebalance(self, polled: Sequence[Record]) -> None:
        """Forget the records of revoked partitions, which another matcher gets, and keep these that came with it.

        They come after the rebalance: if a partition was revoked and assigned again, they are its next records.
        """
        rebalance = self._consumer.take_rebalance()
        for partition in rebalance.revoked:
            self._suspects.forget(partition)
        lost = rebalance.revoked - rebalance.assigned
        self._records = [record for record in self._records if record.partition not in rebalance.revoked]
        self._records += [record for record in polled if record.partition not in lost]
