"""Guarantees taken away on purpose, one at a time: a run must then find something lost, doubled or wrong.

The product is changed in the memory of a test's process only. Which scenario shows a control is in scenarios.py.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from pymilvus import MilvusClient

from services.backends.kafka.connection import KafkaConnection
from services.backends.kafka.state import KafkaStateConsumer
from services.backends.kafka.transaction import Outgoing, Transactions
from services.contracts.ports import Record
from services.contracts.segments import DescribedSegment
from services.ingest.store import SegmentStore
from services.runtime.offsets import OffsetTracker

LATE_S: Final = 2.0  # how long after its announcement a segment is stored


def auto_commit() -> None:
    """What was polled is committed by the client, worked on or not."""
    arguments = KafkaConnection.consumer_arguments

    def commit_by_itself(self: KafkaConnection) -> dict[str, Any]:
        return arguments(self) | {"enable_auto_commit": True, "auto_commit_interval_ms": 100}

    patch.object(KafkaConnection, "consumer_arguments", commit_by_itself).start()


def announce_before_store() -> None:
    """Segments are announced at once and stored a little later."""
    store = SegmentStore.store

    def store_later(self: SegmentStore, segments: Sequence[DescribedSegment]) -> int | None:
        timer = threading.Timer(LATE_S, store, (self, segments))
        timer.daemon = True
        timer.start()
        return None

    patch.object(SegmentStore, "store", store_later).start()


def bounded_search() -> None:
    """Searches see what the index happens to have loaded."""
    search = MilvusClient.search

    def search_what_is_there(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("guarantee_timestamp", None)
        return search(*args, **kwargs | {"consistency_level": "Bounded"})

    patch.object(MilvusClient, "search", search_what_is_there).start()


def commit_ahead() -> None:
    """The offset of whatever is finished is committed, as if everything before it were finished too."""
    finish = OffsetTracker.finish

    def finish_all_before(self: OffsetTracker, record: Record) -> Record | None:
        finish(self, record)
        return record

    patch.object(OffsetTracker, "finish", finish_all_before).start()


def membership_at_commit() -> None:
    """The membership that the broker checks is the one at the commit, not that of the poll that brought the records.

    And it comes without the name of the process: by that alone the broker would know a member that has left.
    """

    def read_late(self: KafkaStateConsumer) -> Any:
        return self._client.group_metadata()._replace(group_instance_id=None)

    patch.object(KafkaStateConsumer, "_read_membership", read_late).start()


def unguarded_transactions() -> None:
    """A transaction is committed when the client says that it is flushed, whatever became of its records."""

    def publish(_: Transactions, producer: Any, outgoing: Sequence[Outgoing]) -> None:
        producer.begin_transaction()
        for record in outgoing:
            producer.send(
                record.topic,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
                partition=record.partition,
            )
        producer.flush()

    patch.object(Transactions, "_publish", publish).start()


class Control(NamedTuple):
    service: str  # whose guarantee it is
    apply: Callable[[], None]


CONTROLS: Final[Mapping[str, Control]] = {
    "auto-commit": Control("ingest", auto_commit),
    "announce-before-store": Control("ingest", announce_before_store),
    "commit-ahead": Control("ingest", commit_ahead),
    "bounded-search": Control("matcher", bounded_search),
    "membership-at-commit": Control("alerter", membership_at_commit),
    "unguarded-transactions": Control("alerter", unguarded_transactions),
}


def apply_control(name: str, service: str) -> None:
    """Take away the guarantee of that name, if it is one of this service."""
    control = CONTROLS[name]
    if control.service == service:
        control.apply()
