"""Keeps partitions from a worker that have no partition in the topic of its states.

A topic can be enlarged while a service runs. The new partitions have nowhere to keep states, so their records wait;
the other partitions go on. Nobody is to find that out from a standstill: it is logged, in the metrics, and a reason not
to be ready.
"""

import time
from collections.abc import Callable

import structlog

from services.backends.kafka.admin import count_partitions
from services.backends.kafka.connection import KafkaConnection
from services.contracts.errors import CopydetectError
from services.contracts.ports import Rebalance
from services.runtime import metrics

RECOUNT_S = 30.0  # while partitions are refused, how often the state topic is asked whether it has them by now

log = structlog.get_logger(__name__)


class Refusal:
    """The partitions of `topic` that a consumer owns and `state_topic` does not have."""

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        state_topic: str,
        state_partitions: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._state_topic = state_topic
        self._clock = clock
        self._count = state_partitions  # as far as known
        self._counted_s = float("-inf")
        self._refused: frozenset[int] = frozenset()
        self.reason: str | None = None  # what is wrong, in words; None if nothing is
        metrics.refused_partitions.labels(topic).set(0)

    def apply(self, rebalance: Rebalance) -> Rebalance:
        """The rebalance as a worker is to see it: without refused partitions, with those that are refused no longer."""
        owned = (self._refused - rebalance.revoked) | rebalance.assigned
        if max(owned, default=-1) >= self._count and self._clock() - self._counted_s >= RECOUNT_S:
            self._recount()
        refused = frozenset(partition for partition in owned if partition >= self._count)
        seen = Rebalance(owned - refused, rebalance.revoked - self._refused)
        if refused != self._refused:
            self._refused = refused
            self._report()
        return seen

    def forget(self) -> None:
        """Own nothing any more."""
        self.apply(Rebalance(frozenset(), self._refused))

    def _recount(self) -> None:
        self._counted_s = self._clock()
        try:
            self._count = count_partitions(self._connection, self._state_topic)
        except CopydetectError as error:
            log.warning("cannot count the partitions of the states", topic=self._state_topic, reason=str(error))

    def _report(self) -> None:
        metrics.refused_partitions.labels(self._topic).set(len(self._refused))
        if not self._refused:
            self.reason = None
            log.info("all partitions have states again", topic=self._topic)
            return
        needed = max(self._refused) + 1
        self.reason = (
            f"{self._topic} has partitions that {self._state_topic} does not have ({_list(self._refused)}): their "
            "records wait, the others go on. Assets have moved between partitions: let no upload be in progress, give "
            f"{self._state_topic} as many partitions (kafka-topics.sh --bootstrap-server {self._connection.brokers} "
            f"--alter --topic {self._state_topic} --partitions {needed}), and publish again what was"
        )
        log.error("partitions without states", topic=self._topic, partitions=sorted(self._refused), reason=self.reason)


def _list(partitions: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(partitions)))
