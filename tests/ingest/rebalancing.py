"""Rebalances as a test wants them."""

from collections.abc import Sequence
from typing import Any

from services.backends.memory.bus import MemoryConsumer
from services.contracts.ports import Rebalance, Record

REVOKED = Rebalance(assigned=frozenset(), revoked=frozenset({0}))
REASSIGNED = Rebalance(assigned=frozenset({0}), revoked=frozenset({0}))


class RebalancingConsumer:
    """A consumer with scripted rebalances: one of `rebalances` per call of `take_rebalance`."""

    def __init__(self, consumer: MemoryConsumer, rebalances: Sequence[Rebalance] = ()) -> None:
        self._consumer = consumer
        self.rebalances = list(rebalances)
        self.paused = False
        self.commits: list[int] = []

    def take_rebalance(self) -> Rebalance:
        return self.rebalances.pop(0) if self.rebalances else Rebalance(frozenset(), frozenset())

    def pause(self) -> None:
        self.paused = True
        self._consumer.pause()

    def resume(self) -> None:
        self.paused = False
        self._consumer.resume()

    def commit(self, records: Sequence[Record]) -> None:
        self.commits += [record.offset for record in records]
        self._consumer.commit(records)

    def seek(self, offset: int) -> None:
        self._consumer._position = offset

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)
