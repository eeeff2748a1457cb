"""Guarantees taken away on purpose, one at a time: a run must then find something lost, doubled or wrong.

The product is changed in the memory of a test's process only. Which scenario shows a control is in scenarios.py.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from unittest.mock import patch

from services.backends.kafka.connection import KafkaConnection
from services.backends.kafka.state import KafkaStateConsumer
from services.backends.kafka.transaction import Outgoing, Transactions
from services.backends.milvus.client import Milvus
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
    search = Milvus.search

    def search_what_is_there(self: Milvus, *args: Any, **kwargs: Any) -> Any:
        client_search = self._client.search

        def search_bounded(*args: Any, **kwargs: Any) -> Any:
            kwargs.pop("guarantee_timestamp", None)
            return client_search(*args, **kwargs | {"consistency_level": "Bounded"})

        self._client.search = search_bounded
        try:
            return search(self, *args, **kwargs)
        finally:
            self._client.search = client_search

    patch.object(Milvus, "search", search_what_is_there).start()


def commit_ahead() -> None:
    """The offset of whatever is finished is committed, as if everything before it were finished too."""
    finish = OffsetTracker.finish

    def finish_all_before(self: OffsetTracker, record: Record) -> Record | None:
        finish(self, record)
        return record

    patch.object(OffsetTracker, "finish", finish_all_before).start()


def membership_at_commit() -> None:
    """The membership that the broker checks is the one at the commit, not that of the poll that brought the records."""

    def read_late(self: KafkaStateConsumer) -> Any:
        return self._client.group_metadata()

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


CONTROLS: Final[Mapping[str, Callable[[], None]]] = {
    "auto-commit": auto_commit,
    "announce-before-store": announce_before_store,
    "bounded-search": bounded_search,
    "commit-ahead": commit_ahead,
    "membership-at-commit": membership_at_commit,
    "unguarded-transactions": unguarded_transactions,
}


def apply_control(name: str) -> None:
    """Take away the guarantee of that name."""
    CONTROLS[name]()
