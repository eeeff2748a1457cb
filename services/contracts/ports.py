"""The three ports of a service: bus, descriptor index, descriptor cache.

They are implemented by Kafka, Milvus and Redis in a cluster; by an in-process bus, Milvus Lite and a dictionary of
bounded size on a laptop. Every implementation passes the same contract tests (tests/contracts).
An index and a cache are opened for one model version, which is part of their names, so that descriptors of different
models never mix.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

from services.contracts.segments import Candidate, DescribedSegment, SearchRequest, SegmentKey, SegmentRow


class DescriptorIndex(Protocol):
    """Segment and frame vectors, searchable, and the store of record of the frame descriptors."""

    @property
    def model_version(self) -> str: ...

    def store(self, batch: Sequence[DescribedSegment]) -> int | None:
        """Upsert all frame rows, then all segment rows; returns the write's timestamp if the backend has one."""

    def read_rows(self, tenant: str, asset_ids: Collection[str] | None = None) -> list[SegmentRow]:
        """All segment rows of these assets (None: of every asset of the tenant), sorted by asset and index."""

    def read(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]:
        """The stored segments; leaves out those whose row or one of its `frame_count` frame rows is missing."""

    def search_segments(self, request: SearchRequest) -> list[list[Candidate]]:
        """For each of the N vectors the nearest segments by segment vector, best first. Probes are never found."""

    def search_frames(self, request: SearchRequest) -> list[list[Candidate]]:
        """The same over frame vectors: for each of the N vectors the segments of its nearest frames."""

    def delete(
        self, tenant: str, asset_id: str, *, before: int, from_index: int = 0, to_index: int | None = None
    ) -> None:
        """Remove the asset's segments of generations below `before`, and then their frames.

        Only those with an index from `from_index` up to and without `to_index` (None: all further ones).
        """

    def erase(self, tenant: str, asset_id: str, *, before: int) -> None:
        """The same for all segments of the asset, and in the indexes of every model version."""

    def flush(self) -> None:
        """Make stored segments durable and fast to search."""

    def close(self) -> None: ...


class DescriptorCache(Protocol):
    """Described segments by key; may lose any of them at any time."""

    def get_many(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]: ...

    def put_many(self, segments: Iterable[DescribedSegment]) -> None: ...

    def discard(self, keys: Collection[SegmentKey]) -> None:
        """Remove these, because their asset was removed. What was replaced has other keys, and expires."""


class Raw(NamedTuple):
    """A message as it came, with what text cannot hold: no key, no value, other bytes than UTF-8, two equal headers."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """A message to publish: JSON bytes with CloudEvents headers. Messages with equal keys stay in order.

    `raw`: of a message that came from elsewhere. It is published instead of key and value, with `headers` added to its
    own.
    """

    topic: str
    key: str
    value: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: Raw | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Record:
    """A consumed message, with its position in the topic.

    `fault`: why the bus could not read it; the message then holds the bytes of all records up to the offset that came
    together, without key and headers.
    `timestamp_ms`: when it was published, in milliseconds since the epoch, if the bus knows. It never goes back within
    a partition: where a broker's clock did, it is the time of an earlier record.
    """

    message: Message
    partition: int
    offset: int
    fault: str | None = None
    timestamp_ms: int | None = None


class Rebalance(NamedTuple):
    """Partitions assigned to a consumer and revoked from it; one may be in both, revoked first."""

    assigned: frozenset[int]
    revoked: frozenset[int]


class Consumer(Protocol):
    """Reads the partitions of one topic that its group assigns to it. For one thread.

    A partition may be revoked at any time: its polled records then belong to another consumer, commits of them are
    ignored, and unfinished work on them is to be dropped.
    """

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """Up to `max_records` next records; none after `timeout_s`, or while paused. Unreadable ones come on top.

        Call it often even while paused: it also shows the group that the consumer is alive.
        """

    def take_rebalance(self) -> Rebalance:
        """The partitions assigned and revoked since the last call. To be called after every poll."""

    def pause(self) -> None:
        """Return no records until `resume`, not even from partitions that are assigned meanwhile."""

    def resume(self) -> None: ...

    def lag(self) -> Mapping[int, int]:
        """The lag of each owned partition: offsets between the position and the end, as known without a request."""

    def commit(self, records: Sequence[Record]) -> None:
        """Commit these records, and all before them in their partitions."""

    def close(self) -> None:
        """Leave the group, so that another consumer takes over at once."""


States: TypeAlias = Mapping[int, Mapping[str, bytes | None]]  # by partition and key; None removes the state


class StateConsumer(Consumer, Protocol):
    """A consumer that commits records together with their effects: all of it happens, or nothing.

    For each partition of its topic it also keeps states, one per key. After an error of `commit_all` the partitions of
    its records and states, and of all polled records that are not committed, are revoked and assigned again at the last
    commit: their states held in memory must be dropped and restored. Those of other partitions hold.
    A group may know it by the name of its process: then a restart has its partitions back at once, and after `close`
    others get them only when the session of the member is over.
    """

    def restore(self, partition: int) -> dict[str, bytes]:
        """The committed states of a partition. Call it after the assignment: the partition gives no records before."""

    def commit_all(self, records: Sequence[Record], messages: Sequence[Message], states: States) -> None:
        """Publish the messages, change the states and commit the records in one transaction.

        Raises TransientError if the outcome is unknown or nothing happened, and Fenced if another process replaced
        this one.
        """


class Bus(Protocol):
    def publish(self, messages: Sequence[Message]) -> None:
        """Return when every message is acknowledged."""

    def open_consumer(self, topic: str, group: str) -> Consumer:
        """A consumer that starts at the first record that its group has not committed."""

    def open_state_consumer(self, topic: str, group: str, state_topic: str) -> StateConsumer:
        """The same, with states in `state_topic`, which has as many partitions as `topic`."""

    def close(self) -> None: ...
