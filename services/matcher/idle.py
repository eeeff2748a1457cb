"""How long partitions have had nothing more to give: only then does silence mean that nothing is being sent."""

import math
from collections.abc import Mapping

# Of the time that is asked for: in a longer gap between two looks this process slept, or waited in an outage, and
# what was sent meanwhile may not be counted as lag yet.
LONGEST_GAP = 0.1


class IdlePartitions:
    """Since when each partition's lag has been zero, again and again; a record now and then is no backlog."""

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._since: dict[int, float] = {}
        self._zero_at: dict[int, float] = {}  # when it was zero last
        self._looked_at: float | None = None

    def look(self, lag: Mapping[int, int], at: float) -> None:
        """Take note of the lags of all partitions at hand."""
        if self._looked_at is None or not 0 <= at - self._looked_at <= LONGEST_GAP * self._idle_s:
            self._since.clear()
        self._looked_at = at
        for partition in self._since.keys() - lag.keys():
            self.forget(partition)
        for partition, left in lag.items():
            if left == 0:
                self._zero_at[partition] = at
                self._since.setdefault(partition, at)
            elif at - self._zero_at.get(partition, -math.inf) > LONGEST_GAP * self._idle_s:
                self.forget(partition)

    def forget(self, partition: int) -> None:
        """It changed hands: what was seen of it does not count."""
        self._since.pop(partition, None)

    def partitions(self, at: float) -> frozenset[int]:
        """Those that have been quiet for the idle time."""
        return frozenset(
            partition
            for partition, since in self._since.items()
            if at - since >= self._idle_s and self._zero_at[partition] == self._looked_at
        )
