"""Which records may be committed if work finishes out of order.

Only started offsets count: a topic that is written in transactions, or compacted, has gaps.
"""

from services.contracts.ports import Record


class OffsetTracker:
    """Per partition, the longest run of finished records, starting at the oldest one that was started."""

    def __init__(self) -> None:
        self._unfinished: dict[int, dict[int, Record]] = {}
        self._finished: dict[int, dict[int, Record]] = {}

    @property
    def uncommitted_count(self) -> int:
        """The number of records that were started and are not covered by a result of `finish` yet."""
        return sum(len(offsets) for held in (self._unfinished, self._finished) for offsets in held.values())

    @property
    def unfinished(self) -> list[Record]:
        """The records that were started and are not finished, in the order of their partitions and offsets."""
        return [
            self._unfinished[partition][offset]
            for partition in sorted(self._unfinished)
            for offset in sorted(self._unfinished[partition])
        ]

    def is_in_progress(self, record: Record) -> bool:
        """Whether the record was started and is not finished."""
        return record.offset in self._unfinished.get(record.partition, {})

    def start(self, record: Record) -> None:
        """Note that work on the record begins; the offsets of a partition must rise."""
        self._unfinished.setdefault(record.partition, {})[record.offset] = record

    def finish(self, record: Record) -> Record | None:
        """Note that work on the record is finished, and return the record to commit, if there is a new one.

        That is the newest record of the partition up to which everything is finished.
        Raises KeyError for a record that was not started.
        """
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
        """Drop a revoked partition: its records will be delivered again, here or elsewhere."""
        self._unfinished.pop(partition, None)
        self._finished.pop(partition, None)
