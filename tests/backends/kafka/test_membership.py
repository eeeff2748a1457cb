"""An alerter commits only as the member of its group that it was at its last poll."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import pytest
from kafka import TopicPartition

from services.backends.kafka import consumer as kafka_consumer
from services.backends.kafka.connection import KafkaConnection
from services.backends.kafka.state import KafkaStateConsumer
from services.backends.kafka.transaction import Transactions
from services.contracts.errors import TransientError

STATES: dict[int, dict[str, bytes | None]] = {0: {"x": b"1"}}


class Group(NamedTuple):
    group_id: str = "alerter"
    generation_id: int = 5
    member_id: str = "first"


class Client:
    """A client that is a member of a group without a broker."""

    group = Group()

    def group_metadata(self) -> Group:
        return self.group

    def poll(self, *arguments: Any, **options: Any) -> dict[Any, Any]:  # noqa: ARG002 - of the client
        return {}

    @property
    def _coordinator(self) -> Any:
        return self

    @property
    def _cluster(self) -> Any:
        return self

    def partitions_for_topic(self, topic: str) -> set[int]:  # noqa: ARG002 - of the client
        return {0}

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **options: 1  # noqa: ARG005


class Committed:
    """Transactions that note the groups they were committed for."""

    def __init__(self) -> None:
        self.groups: list[Group] = []

    def commit(self, outgoing: Sequence[Any], offsets: Any, group: Group) -> None:  # noqa: ARG002 - of Transactions
        self.groups.append(group)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client()
    monkeypatch.setattr(kafka_consumer, "open_client", lambda *arguments, **options: made)  # noqa: ARG005
    for fix in ("keep_join_results", "report_lost_partitions", "return_parked_records", "pass_unreadable"):
        monkeypatch.setattr(kafka_consumer, fix, lambda *_: None)
    monkeypatch.setattr(kafka_consumer, "watch_fencing", lambda _: lambda: False)
    return made


def own(consumer: KafkaStateConsumer) -> None:
    """Assign partition 0 to the consumer, with its states restored."""
    consumer._assignment.on_partitions_assigned([TopicPartition("match-evidence", 0)])
    consumer.take_rebalance()
    consumer._assignment.release(0, committed=0)


@pytest.mark.parametrize(
    "now",
    [Group(member_id="second"), Group(member_id=""), Group(generation_id=-1)],
    ids=["joined again", "no name", "no generation"],
)
def test_a_member_that_is_another_one_since_its_last_poll_commits_nothing(client: Client, now: Group) -> None:
    """After a loss and a new join between two polls, of which the listener has not heard yet."""
    committed = Committed()
    consumer = KafkaStateConsumer(
        KafkaConnection("nowhere:1"),
        "match-evidence",
        "alerter",
        cast(Transactions, committed),
        instance="a",
        state_topic="alerter-state",
        state_partitions=1,
    )
    own(consumer)
    consumer.poll(1, 0)
    consumer.commit_all([], [], STATES)
    assert committed.groups == [Group()]

    client.group = now
    with pytest.raises(TransientError, match="the membership in group alerter was lost since the last poll"):
        consumer.commit_all([], [], STATES)
    assert committed.groups == [Group()]
    own(consumer)
    if now.member_id and now.generation_id >= 0:
        consumer.poll(1, 0)
        consumer.commit_all([], [], STATES)
        assert committed.groups == [Group(), now]
