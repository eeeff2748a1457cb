"""How long partitions have had nothing more to give: only then does silence mean that nothing is being sent."""

from collections.abc import Mapping

# Of the time that is asked for: in a longer gap between two looks this process slept, or waited in an outage, and
# what was sent meanwhile may not be counted as lag yet.
LONGEST_GAP = 0.1


class Quiet:
    """Since when each partition's lag has been zero, at every look, without a gap."""

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._since: dict[int, float] = {}
        self._looked_at: float | None = None

    def look(self, lag: Mapping[int, int], at: float) -> None:
        """Take note of the lags of all partitions at hand."""
        if self._looked_at is None or not 0 <= at - self._looked_at <= LONGEST_GAP * self._idle_s:
            self._since.clear()
        self._looked_at = at
        self._since = {partition: self._since.get(partition, at) for partition, left in lag.items() if left == 0}

    def forget(self, partition: int) -> None:
        """It changed hands: what was seen of it does not count."""
        self._since.pop(partition, None)

    def partitions(self, at: float) -> frozenset[int]:
        """Those that have been quiet for the idle time."""
        return frozenset(partition for partition, since in self._since.items() if at - since >= self._idle_s)
