"""Which record a defect of this program is to be blamed on, so that it stops neither the process nor its partition.

When work on several records raises an exception that is no error of this project, all of them are suspects. Each is
tried again alone; one that fails alone `MAX_ATTEMPTS` times is a dead letter of the stage "defect". If one after the
other fails, the records are not to blame: the exception ends the process after `MAX_IN_A_ROW` of them.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import TypeVar

import structlog

from services.contracts.errors import CopydetectError, InvalidMessage
from services.contracts.ports import Record

MAX_ATTEMPTS = 3
MAX_IN_A_ROW = 5

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Suspects:
    """The suspected records of a worker, and how often each has failed alone."""

    def __init__(self) -> None:
        self._failures: dict[tuple[int, int], int] = {}
        self._in_a_row = 0

    def __contains__(self, record: Record) -> bool:
        return (record.partition, record.offset) in self._failures

    def __bool__(self) -> bool:
        return bool(self._failures)

    def select(self, records: Sequence[Record]) -> tuple[Record, ...]:
        """The records to process next: a suspect comes alone."""
        if records and records[0] in self:
            return (records[0],)
        return tuple(takewhile(lambda record: record not in self, records))

    def blame(self, records: Iterable[Record], error: Exception) -> InvalidMessage | None:
        """Suspect these records, which were in progress when `error` was raised; logs it with its traceback.

        Returns the reason for the dead letter if there is only one, and it has failed for the last time. Raises `error`
        if that happened to too many in a row, and if no record was in progress.
        """
        suspects = list(records)
        log.error("a defect of this program", records=[_name(one) for one in suspects], exc_info=error)
        for one in suspects:
            self._failures.setdefault((one.partition, one.offset), 0)
        if not suspects or self._in_a_row >= MAX_IN_A_ROW:
            raise error
        if len(suspects) != 1:
            return None
        [alone] = suspects
        self._failures[alone.partition, alone.offset] += 1
        if self._failures[alone.partition, alone.offset] < MAX_ATTEMPTS:
            return None
        self._in_a_row += 1
        return InvalidMessage(f"gave up after {MAX_ATTEMPTS} attempts: {error!r}", stage="defect")

    def process(
        self,
        records: Sequence[Record],
        work: Callable[[], T],
        *,
        give_up: Callable[[Record, InvalidMessage], T],
        refuse: Callable[[Record, InvalidMessage], T],
    ) -> T | None:
        """What work on these records leads to; None if a defect prevents that, and they are to be tried again.

        `give_up` makes what giving a record up leads to, and may have a defect itself; `refuse` a dead letter alone.
        """
        try:
            return work()
        except CopydetectError:
            raise
        except Exception as error:  # noqa: BLE001 - no record may stop its partition
            reason = self.blame(records, error)
        if reason is None:
            return None
        try:
            return give_up(records[0], reason)
        except Exception as error:  # noqa: BLE001 - a dead letter can be made in any case
            log.warning("dead letter without an effect on its asset", reason=repr(error))
            return refuse(records[0], reason)

    def clear(self, records: Iterable[Record]) -> None:
        """Suspect these no more: they are done."""
        for one in records:
            failures = self._failures.pop((one.partition, one.offset), 0)
            if failures < MAX_ATTEMPTS:
                self._in_a_row = 0

    def forget(self, partition: int) -> None:
        """Drop a revoked partition."""
        self._failures = {place: count for place, count in self._failures.items() if place[0] != partition}


def _name(record: Record) -> str:
    return f"{record.message.topic}/{record.partition}/{record.offset}"
