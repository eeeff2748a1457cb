"""A consumer in a group: rebalances, commits, gaps between offsets, outages."""

from collections.abc import Iterator

import pytest
from kafka import KafkaProducer
from kafka.structs import MemberState

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.consumer import KafkaConsumer
from services.contracts.errors import DependencyDown
from services.contracts.ports import Record
from tests.backends.kafka.cases import (
    connect,
    join,
    make_topic,
    message,
    take,
    unique_name,
    values,
    wait_until,
)
from tests.metric_values import metric_value
from tests.servers.fixtures import StartServer
from tests.servers.kafka_server import KafkaServer
from tests.servers.process import Backend

pytestmark = pytest.mark.integration


class Group:
    """A topic with two partitions, and consumers of one group."""

    def __init__(self, address: str) -> None:
        self.connection = connect(address)
        self.bus = KafkaBus(self.connection)
        self.topic = make_topic(self.connection, "input", 2)
        self.name = unique_name("group")
        self.open: list[KafkaConsumer] = []

    def add_member(self) -> KafkaConsumer:
        self.open.append(self.bus.open_consumer(self.topic, self.name))
        return self.open[-1]

    def publish(self, *numbers: int) -> None:
        """Publish with keys of both partitions."""
        self.bus.publish([message(self.topic, str(number), key=f"k{number}") for number in numbers])

    def close(self) -> None:
        for consumer in self.open:
            consumer.close()
        self.bus.close()


@pytest.fixture
def group(kafka: Backend) -> Iterator[Group]:
    opened = Group(kafka.address)
    yield opened
    opened.close()


def is_stable(consumer: KafkaConsumer) -> bool:
    """Whether no rebalance is in progress: during one, a member that leaves is noticed only when its session ends."""
    client = consumer._client
    return client.group_metadata().state == MemberState.STABLE and not client._coordinator.need_rejoin()


def share(first: KafkaConsumer, second: KafkaConsumer) -> tuple[set[int], set[int]]:
    """Wait until each owns one partition, and return what each owns; `first` owned both."""
    mine, theirs = {0, 1}, set[int]()

    def is_shared() -> bool:
        for consumer, partitions in ((first, mine), (second, theirs)):
            consumer.poll(100, 0.1)
            rebalance = consumer.take_rebalance()
            partitions -= rebalance.revoked
            partitions |= rebalance.assigned
        return len(mine) == len(theirs) == 1 and all(map(is_stable, (first, second)))

    wait_until(is_shared)
    return mine, theirs


def rebalance_counts() -> list[float]:
    """How many partitions were assigned and revoked so far."""
    return [metric_value("copydetect_rebalances_total", event=event) for event in ("assigned", "revoked")]


def test_a_second_consumer_gets_one_of_two_partitions(group: Group) -> None:
    before = rebalance_counts()
    first, second = group.add_member(), group.add_member()
    assert join(first, 2) == {0, 1}
    mine, theirs = share(first, second)
    assert mine | theirs == {0, 1}
    assert mine != theirs
    assert [after - count for after, count in zip(rebalance_counts(), before, strict=True)] == [3, 1]

    second.close()  # leaves at once: the other owns both long before the session ends
    wait_until(lambda: bool(first.poll(1, 0.1)) or first.take_rebalance().assigned == theirs, patience_s=5)


def test_a_pause_holds_for_partitions_that_are_assigned_later(group: Group) -> None:
    first, second = group.add_member(), group.add_member()
    join(first, 2)
    _, theirs = share(first, second)
    first.pause()
    group.publish(*range(20))
    second.close()
    wait_until(lambda: not first.poll(100, 0.1) and first.take_rebalance().assigned == theirs)
    assert first.poll(100, 1.0) == []
    assert all(first.lag().values())
    first.resume()
    assert sorted(map(int, values(take(first, 20)))) == list(range(20))


def test_commits_of_revoked_partitions_are_ignored(group: Group) -> None:
    group.publish(*range(20))
    first = group.add_member()
    records = take(first, 20)
    second = group.add_member()
    first.take_rebalance()
    mine, theirs = {0, 1}, set[int]()
    again: list[Record] = []

    def is_shared() -> bool:
        first.poll(100, 0.1)
        mine.difference_update(first.take_rebalance().revoked)
        again.extend(second.poll(100, 0.1))
        theirs.update(second.take_rebalance().assigned)
        return len(mine) == len(theirs) == 1 and all(map(is_stable, (first, second)))

    wait_until(is_shared)
    first.commit(records)
    first.close()
    again += take(second, 20 - len(again), patience_s=5)
    assert sorted(values(again)) == sorted(values([r for r in records if r.partition in theirs]))


def test_records_from_before_a_reassignment_commit_nothing(group: Group) -> None:
    group.publish(*range(4))
    first = group.add_member()
    old = take(first, 4)
    join_again = group.add_member()
    first.take_rebalance()
    _, theirs = share(first, join_again)
    first.commit([record for record in old if record.partition in theirs])
    join_again.close()
    wait_until(lambda: bool(first.poll(1, 0.1)) or first.take_rebalance().assigned == theirs)
    assert not first._pending


def test_gaps_between_offsets_do_not_count_as_lag_and_lose_nothing(group: Group) -> None:
    producer = KafkaProducer(**group.connection.producer_arguments(), transactional_id=unique_name())
    producer.init_transactions()
    for number, ends in enumerate(
        (producer.commit_transaction, producer.abort_transaction, producer.commit_transaction)
    ):
        producer.begin_transaction()
        producer.send(group.topic, key=b"k", value=str(number).encode(), partition=0)
        producer.flush()
        ends()
    producer.close()
    consumer = group.add_member()
    records = take(consumer, 2)
    assert values(records) == ["0", "2"]
    assert [record.offset for record in records] == [0, 4]
    wait_until(lambda: not consumer.poll(1, 0.1) and consumer.lag()[0] == 0)
    consumer.commit(records)
    consumer.close()
    again = group.add_member()
    join(again, 2)
    assert again.poll(9, 0.5) == []


def test_records_of_any_writer_are_read(group: Group) -> None:
    producer = KafkaProducer(**group.connection.producer_arguments())
    producer.send(group.topic, key=b"k\xff", value=None, headers=[("h", b"\xff"), ("t", b"x")], partition=0)
    producer.send(group.topic, key=None, value=b"v", partition=0)
    producer.close()
    tombstone, plain = take(group.add_member(), 2)
    assert (tombstone.message.value, tombstone.message.headers) == (b"", {"h": "�", "t": "x"})
    assert (plain.message.key, plain.message.value, plain.message.headers) == ("", b"v", {})


def test_reading_without_a_group_sees_everything_until_now(group: Group) -> None:
    group.publish(*range(5))
    assert sorted(values(list(group.bus.read([group.topic])))) == ["0", "1", "2", "3", "4"]
    assert list(group.bus.read([group.topic], from_start=False)) == []
    following = group.bus.read([group.topic], follow=True)
    assert sorted(next(following).message.value for _ in range(5)) == [b"0", b"1", b"2", b"3", b"4"]
    group.publish(5)
    assert next(following).message.value == b"5"
    following.close()  # type: ignore[attr-defined]


@pytest.mark.timeout(90)
def test_an_outage_is_noticed_and_survived(tmp_path, start_server: StartServer) -> None:  # type: ignore[no-untyped-def]
    server = start_server(KafkaServer(tmp_path))
    group = Group(server.address)

    def is_up() -> bool:
        return metric_value("copydetect_dependency_up", dependency="kafka") == 1

    consumer = group.add_member()
    group.publish(*range(4))
    records = take(consumer, 4)
    consumer.commit(records[:1])
    assert is_up()
    server.kill()
    wait_until(lambda: consumer.poll(9, 0.2) == [] and not is_up())
    wait_until(lambda: all(consumer.lag().values()))
    with pytest.raises(DependencyDown):
        consumer.commit(records)
    with pytest.raises(DependencyDown):
        group.publish(4)
    server.start()
    group.publish(4)
    # Uncommitted records may come again before it.
    wait_until(lambda: "4" in values(consumer.poll(9, 0.2)), patience_s=30)
    wait_until(is_up)
    consumer.commit(records)
    group.close()
