"""States beside the records that they follow from: nothing lost, nothing twice, whoever dies when."""

import threading
import time
from collections.abc import Iterator

import pytest
from kafka import KafkaProducer, OffsetAndMetadata, TopicPartition

from services.backends.kafka_bus import KafkaBus
from services.backends.kafka_state import KafkaStateConsumer
from services.contracts.errors import TransientError
from services.contracts.ports import Record
from tests.backends.kafka_cases import (
    connect,
    join,
    join_and_restore,
    make_topic,
    message,
    own_name,
    take,
    until,
    values,
)
from tests.servers.process import Backend

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]


LONG = 2**21  # more than clients and brokers take by default


class Place:
    """An input of two partitions with states and an output."""

    def __init__(self, address: str) -> None:
        self.connection = connect(address)
        self.bus = KafkaBus(self.connection)
        self.input = make_topic(self.connection, "input", 2)
        self.states = make_topic(self.connection, "states", 2, compact=True)
        self.output = make_topic(self.connection, "output")
        self.group = own_name("group")
        self.open: list[KafkaStateConsumer] = []

    def member(self, instance: str) -> KafkaStateConsumer:
        bus = KafkaBus(self.connection, instance)
        self.open.append(bus.state_consumer(self.input, self.group, self.states))
        return self.open[-1]

    def publish(self, *numbers: int) -> None:
        self.bus.publish([message(self.input, str(number), key=f"k{number}") for number in numbers])

    def output_values(self) -> list[str]:
        return values(list(self.bus.read([self.output])))

    def open_transaction(self, instance: str, state: bytes, offset: int) -> KafkaProducer:
        """A transaction of `instance` on partition 0 that has everything but its end."""
        producer = KafkaProducer(
            **self.connection.producer_arguments(),
            transactional_id=f"{self.group}-{instance}",
            transaction_timeout_ms=6000,
        )
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(self.states, key=b"x", value=state, partition=0)
        producer.send(self.output, key=b"k", value=state)
        producer.flush(5)
        producer.send_offsets_to_transaction(
            {TopicPartition(self.input, 0): OffsetAndMetadata(offset, "", -1)}, self.group
        )
        return producer

    def close(self) -> None:
        for consumer in self.open:
            consumer.close()
        self.bus.close()


@pytest.fixture
def place(kafka: Backend) -> Iterator[Place]:
    made = Place(kafka.address)
    yield made
    made.close()


def of_partition(records: list[Record], partition: int) -> list[Record]:
    return [record for record in records if record.partition == partition]


def test_states_lie_in_the_partition_of_their_input(place: Place) -> None:
    consumer = place.member("a")
    join_and_restore(consumer, 2)
    consumer.commit_all([], [], {0: {"same": b"0", "long": b"x" * LONG}, 1: {"same": b"1"}})
    stored = list(place.bus.read([place.states]))
    assert {(record.partition, record.message.key, record.message.value[:1]) for record in stored} == {
        (0, "same", b"0"),
        (0, "long", b"x"),
        (1, "same", b"1"),
    }


def test_no_record_comes_before_its_states(place: Place) -> None:
    place.publish(*range(10))
    consumer = place.member("a")
    join(consumer, 2)
    assert consumer.poll(100, 1.0) == []
    consumer.pause()
    consumer.resume()
    assert consumer.poll(100, 0.5) == []
    consumer.restore(0)
    assert {record.partition for record in take(consumer, 10, patience_s=2)} == {0}
    consumer.pause()
    consumer.restore(1)
    assert consumer.poll(100, 0.5) == []
    consumer.resume()
    assert {record.partition for record in take(consumer, 1)} == {1}


def test_after_an_error_nothing_is_visible_and_everything_comes_again(place: Place) -> None:
    place.publish(*range(10))
    consumer = place.member("a")
    join_and_restore(consumer, 2)
    records = take(consumer, 10)
    first, rest = records[:4], records[4:]
    consumer.commit_all(first, [message(place.output, "first")], {0: {"x": b"1"}, 1: {"y": b"1"}})
    consumer.moves()

    commit = consumer._transactions._producer.commit_transaction
    consumer._transactions._producer.commit_transaction = lambda: time.sleep(5) or commit()
    with pytest.raises(TransientError):
        consumer.commit_all(rest, [message(place.output, "lost")], {0: {"x": None}, 1: {"y": b"2"}})
    with pytest.raises(TransientError, match="were taken"):
        consumer.commit_all(rest, [message(place.output, "too early")], {0: {"x": b"5"}})
    assert consumer.moves() == ({0, 1}, {0, 1})
    assert consumer.poll(100, 0.5) == []

    restored = {partition: consumer.restore(partition) for partition in (0, 1)}
    assert restored == {0: {"x": b"1"}, 1: {"y": b"1"}}
    again = take(consumer, len(rest))
    assert sorted(values(again)) == sorted(values(rest))
    with pytest.raises(TransientError, match="were taken"):
        consumer.commit_all([Record(again[0].message, again[0].partition, 99)], [], {})
    join_and_restore(consumer, 2)
    again = take(consumer, len(rest))
    consumer.commit_all(again, [message(place.output, "rest")], {0: {"x": None}})
    assert place.output_values() == ["first", "rest"]


def test_a_process_that_died_in_a_transaction_finds_it_undone_at_once(place: Place) -> None:
    """A restart has the same name, and its first restore ends what was left open, without the timeout."""
    place.publish(*range(10))
    place.open_transaction("a", b"half", 1)
    started = time.monotonic()
    consumer = place.member("a")
    assert join_and_restore(consumer, 2) == {0: {}, 1: {}}
    assert time.monotonic() - started < 5
    assert sorted(map(int, values(take(consumer, 10)))) == list(range(10))
    assert place.output_values() == []


def test_a_process_that_died_after_its_transaction_repeats_nothing(place: Place) -> None:
    place.publish(*range(10))
    producer = place.open_transaction("a", b"whole", 1)
    producer.commit_transaction()
    producer.close(timeout=1)
    consumer = place.member("a")
    assert join_and_restore(consumer, 2) == {0: {"x": b"whole"}, 1: {}}
    records = take(consumer, 9)
    assert min(record.offset for record in of_partition(records, 0)) == 1
    assert place.output_values() == ["whole"]


@pytest.mark.parametrize("commits", [True, False])
def test_the_pending_transaction_of_an_old_owner_is_waited_for(place: Place, commits: bool) -> None:
    """Its outcome decides both offset and states; without the wait one would be of before and one of after it."""
    place.publish(*range(10))
    place.bus.publish([])
    producer = place.open_transaction("old", b"pending", 1)
    consumer = place.member("new")
    join(consumer, 2)
    end = threading.Timer(1.5, producer.commit_transaction if commits else producer.abort_transaction)
    end.start()
    started = time.monotonic()
    states = consumer.restore(0)
    assert 1 < time.monotonic() - started < 10
    end.join()
    assert states == ({"x": b"pending"} if commits else {})
    records = take(consumer, 3, patience_s=3)
    assert records[0].offset == (1 if commits else 0)
    producer.close(timeout=1)


def test_states_are_read_to_the_end_beyond_an_open_transaction(place: Place) -> None:
    """A reader of what is committed is told an end that lies before the open transaction, and before what follows."""
    consumer = place.member("new")
    join(consumer, 2)
    stranger = KafkaProducer(
        **place.connection.producer_arguments(), transactional_id=own_name(), transaction_timeout_ms=6000
    )
    stranger.init_transactions()
    stranger.begin_transaction()
    stranger.send(place.states, key=b"open", value=b"1", partition=0)
    stranger.flush(5)
    other = KafkaProducer(**place.connection.producer_arguments())
    other.send(place.states, key=b"behind", value=b"2", partition=0)
    other.close()
    end = threading.Timer(1.5, stranger.abort_transaction)
    end.start()
    assert consumer.restore(0) == {"behind": b"2"}
    end.join()
    stranger.close(timeout=1)


def test_a_partition_that_was_taken_is_written_no_more(place: Place) -> None:
    """Also when no record is committed: then only the membership tells the broker that it is another's."""
    first = place.member("a")
    join_and_restore(first, 2)
    group = first._client.group_metadata()
    second = place.member("b")
    owned = join_both(first, second)
    theirs = next(iter(owned[1]))
    with pytest.raises(TransientError):
        first.commit_all([], [], {theirs: {"x": b"stolen"}})
    # As if it had been taken between the look at what is ours and the transaction.
    with pytest.raises(TransientError):
        first._transactions.commit([], {TopicPartition(place.input, theirs): 0}, group)
    assert second.restore(theirs) == {}


def join_both(first: KafkaStateConsumer, second: KafkaStateConsumer) -> tuple[set[int], set[int]]:
    """What each has in the end; `first` had both, and restores nothing."""
    owned: tuple[set[int], set[int]] = ({0, 1}, set())

    def shared() -> bool:
        for consumer, partitions in zip((first, second), owned, strict=True):
            consumer.poll(1, 0.1)
            moves = consumer.moves()
            partitions -= moves.taken
            partitions |= moves.given
        return len(owned[0]) == len(owned[1]) == 1

    until(shared)
    return owned


class Counter:
    """A worker in a thread: it counts the records of each key in the state, and writes each count to the output."""

    def __init__(self, place: Place, instance: str) -> None:
        self.consumer = place.member(instance)
        self.place = place
        self.counts: dict[int, dict[str, int]] = {}
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.stop.is_set():
            records = self.consumer.poll(3, 0.1)
            try:
                self.turn(records)
            except TransientError:
                continue

    def turn(self, records: list[Record]) -> None:
        moves = self.consumer.moves()
        for partition in moves.taken:
            self.counts.pop(partition, None)
        for partition in moves.given:
            self.counts[partition] = {key: int(value) for key, value in self.consumer.restore(partition).items()}
        states: dict[int, dict[str, bytes | None]] = {}
        messages = []
        for record in records:
            counts, key = self.counts[record.partition], record.message.key
            counts[key] = counts.get(key, 0) + 1
            states.setdefault(record.partition, {})[key] = str(counts[key]).encode()
            messages.append(message(self.place.output, f"{key}={counts[key]}"))
        self.consumer.commit_all(records, messages, states)

    def die(self) -> None:
        """Gone without a word: no commit, no farewell."""
        self.stop.set()
        self.thread.join()
        self.place.open.remove(self.consumer)
        self.consumer._client._client.close()


def test_two_count_together_and_one_dies_and_no_count_is_lost_or_repeated(place: Place) -> None:
    keys, rounds = range(8), 12
    first = Counter(place, "a")
    second = None
    for number in range(rounds):
        place.publish(*keys)
        if number == 3:
            second = Counter(place, "b")
        if number == 7 and second is not None:
            until(lambda worker=second: bool(worker.counts))  # type: ignore[misc]
            second.die()
        time.sleep(0.2)
    expected = sorted(f"k{key}={count}" for key in keys for count in range(1, rounds + 1))
    until(lambda: len(place.output_values()) >= len(expected), patience_s=40)
    time.sleep(0.5)
    first.stop.set()
    first.thread.join()
    assert sorted(place.output_values()) == expected
