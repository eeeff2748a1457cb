"""Which partitions are idle: only there does silence about an asset mean that nothing is being sent."""

import math
from collections.abc import Mapping

# Share of the idle time. In a longer gap between two looks this process slept or waited for a backend, and records
# sent in that time may not be counted in the lag yet.
LONGEST_GAP = 0.1


class IdlePartitions:
    """How long each partition has been caught up (lag 0). A single new record does not reset it."""

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._since: dict[int, float] = {}
        self._zero_at: dict[int, float] = {}  # last time the lag was zero
        self._looked_at: float | None = None

    def update(self, lag: Mapping[int, int], at: float) -> None:
        """Note the lags of all owned partitions."""
        if self._looked_at is None or not 0 <= at - self._looked_at <= LONGEST_GAP * self._idle_s:
            self._since.clear()
        self._looked_at = at
        for partition in self._since.keys() - lag.keys():
            self.forget(partition)
        for partition, records in lag.items():
            if records == 0:
                self._zero_at[partition] = at
                self._since.setdefault(partition, at)
            elif at - self._zero_at.get(partition, -math.inf) > LONGEST_GAP * self._idle_s:
                self.forget(partition)

    def forget(self, partition: int) -> None:
        """Start again for a partition that was assigned or revoked."""
        self._since.pop(partition, None)

    def partitions(self, at: float) -> frozenset[int]:
        """The partitions that have been caught up for the idle time."""
        return frozenset(
            partition
            for partition, since in self._since.items()
            if at - since >= self._idle_s and self._zero_at[partition] == self._looked_at
        )
