"""How far the consumer groups are, as the brokers say, also where no process of a service is alive."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from services.contracts.topics import ENCODED_SEGMENTS, MATCH_EVIDENCE, VIDEO_SEGMENTS
from services.runtime import metrics

INGEST_GROUP = "ingest"
ALERTER_GROUP = "alerter"


class GroupTopic(NamedTuple):
    """A topic that a group reads."""

    topic: str
    group: str


def name_matcher_group(model_version: str) -> str:
    """The group of the matchers of one model version: each leaves events of other versions alone."""
    return f"matcher-{model_version}"


def list_groups(model_version: str) -> list[GroupTopic]:
    """What the three services read."""
    return [
        GroupTopic(VIDEO_SEGMENTS, INGEST_GROUP),
        GroupTopic(ENCODED_SEGMENTS, name_matcher_group(model_version)),
        GroupTopic(MATCH_EVIDENCE, ALERTER_GROUP),
    ]


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """A partition as a group has it.

    done      all records below this offset are committed; `end` if no record follows the committed offset
    end       the offset of the next record to be published
    oldest_s  when the first record that is not committed was published, in seconds since the epoch; None if there is
              none, or it could not be read
    is_owned  whether a member of the group has the partition; not known, and False, during a rebalance
    """

    partition: int
    done: int
    end: int
    oldest_s: float | None
    is_owned: bool

    @property
    def lag(self) -> int:
        """Offsets that are not committed; some of them may hold no record."""
        return max(0, self.end - self.done)


@dataclass(frozen=True, slots=True)
class GroupLag:
    """All partitions of a topic as a group has them. `asked_s`: a time before the brokers were asked."""

    topic: str
    group: str
    asked_s: float
    partitions: tuple[PartitionLag, ...]

    @property
    def lag(self) -> int:
        return sum(partition.lag for partition in self.partitions)

    @property
    def unowned_partitions(self) -> list[int]:
        return [partition.partition for partition in self.partitions if not partition.is_owned]

    def oldest_age_s(self, now_s: float) -> float:
        """For how long the oldest record that is not committed has been there; 0 if there is none."""
        times = [one.oldest_s for one in self.partitions if one.oldest_s is not None]
        return max(0.0, now_s - min(times)) if times else 0.0


class LagReader(Protocol):
    def __call__(self) -> list[GroupLag]:
        """What the brokers tell now. Raises CopydetectError if they do not, or there is no such topic."""


def export(lags: Iterable[GroupLag], now_s: float) -> None:
    """Set the metrics of these groups."""
    for one in lags:
        metrics.group_lag.labels(one.group).set(one.lag)
        metrics.group_oldest_age.labels(one.group).set(one.oldest_age_s(now_s))
        metrics.group_unowned.labels(one.group).set(len(one.unowned_partitions))


def withdraw() -> None:
    """Remove the metrics of all groups: an old lag would look like a present one."""
    for gauge in (metrics.group_lag, metrics.group_oldest_age, metrics.group_unowned):
        gauge.clear()


class LagMonitor:
    """Reads the lag of all groups, sets their metrics, and tells it to whoever wants to know."""

    def __init__(
        self,
        read: LagReader,
        clock: Callable[[], float],
        *,
        observers: Iterable[Callable[[GroupLag], None]] = (),
    ) -> None:
        """`clock`: seconds since the epoch, as in the records' timestamps."""
        self._read = read
        self._clock = clock
        self._observers = tuple(observers)

    def update(self) -> None:
        """Read once. Raises CopydetectError if that fails; nothing is reported then, and the metrics are withdrawn."""
        try:
            lags = self._read()
        except BaseException:
            withdraw()
            raise
        export(lags, self._clock())
        for lag in lags:
            for observe in self._observers:
                observe(lag)
