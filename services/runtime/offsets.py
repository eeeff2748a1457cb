"""Which records may be committed when work completes out of order.

Only dispatched offsets count: a topic written in transactions, or compacted, has gaps.
"""

from services.contracts.ports import Record


class OffsetTracker:
    """Per partition, the longest run of finished records from the oldest that was dispatched."""

    def __init__(self) -> None:
        self._unfinished: dict[int, dict[int, Record]] = {}
        self._finished: dict[int, dict[int, Record]] = {}

    @property
    def uncommitted(self) -> int:
        """How many records were dispatched and not yet given out by `done` to be committed."""
        return sum(len(offsets) for held in (self._unfinished, self._finished) for offsets in held.values())

    def is_in_work(self, record: Record) -> bool:
        """Whether it was dispatched and is not done."""
        return record.offset in self._unfinished.get(record.partition, {})

    def dispatched(self, record: Record) -> None:
        """The record's work begins; offsets of a partition come in rising order."""
        self._unfinished.setdefault(record.partition, {})[record.offset] = record

    def done(self, record: Record) -> Record | None:
        """The newest record of its partition up to which everything is finished, where this moved it on."""
        unfinished = self._unfinished[record.partition]
        finished = self._finished.setdefault(record.partition, {})
        oldest = next(iter(unfinished))
        finished[record.offset] = unfinished.pop(record.offset)
        if record.offset != oldest:
            return None
        bound = next(iter(unfinished), None)
        committable = [offset for offset in finished if bound is None or offset < bound]
        newest = finished[max(committable)]
        for offset in committable:
            del finished[offset]
        return newest

    def forget(self, partition: int) -> None:
        """The partition was taken away: its records come again, there or elsewhere."""
        self._unfinished.pop(partition, None)
        self._finished.pop(partition, None)
