"""States change their owner: the new one has all that the old one committed, and the old one writes no more."""

import threading
import time
from collections.abc import Iterator

import pytest
from kafka import KafkaProducer, TopicPartition

from services.backends.kafka.state import KafkaStateConsumer
from services.contracts.errors import TransientError
from services.contracts.ports import Rebalance, Record
from tests.backends.kafka.cases import join, join_and_restore, message, take, unique_name, wait_until
from tests.backends.kafka.state_cases import Place
from tests.servers.process import Backend

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]


@pytest.fixture
def place(kafka: Backend) -> Iterator[Place]:
    opened = Place(kafka.address)
    yield opened
    opened.close()


@pytest.mark.parametrize("commits", [True, False])
def test_a_restore_waits_for_the_pending_transaction_of_the_old_owner(place: Place, commits: bool) -> None:
    """Its outcome decides both offset and states; without the wait one could be from before and one from after it."""
    place.publish(*range(10))
    place.bus.publish([])
    producer = place.open_transaction("old", b"pending", 1)
    consumer = place.add_member("new")
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
    """For a reader of committed records the end is before the open transaction, and before all records behind it."""
    consumer = place.add_member("new")
    join(consumer, 2)
    other_process = KafkaProducer(
        **place.connection.producer_arguments(), transactional_id=unique_name(), transaction_timeout_ms=6000
    )
    other_process.init_transactions()
    other_process.begin_transaction()
    other_process.send(place.states, key=b"open", value=b"1", partition=0)
    other_process.flush(5)
    plain = KafkaProducer(**place.connection.producer_arguments())
    plain.send(place.states, key=b"behind", value=b"2", partition=0)
    plain.close()
    end = threading.Timer(1.5, other_process.abort_transaction)
    end.start()
    assert consumer.restore(0) == {"behind": b"2"}
    end.join()
    other_process.close(timeout=1)


def test_a_revoked_partition_is_not_written_any_more(place: Place) -> None:
    """Even if no record is committed: then only the membership shows the broker that it has another owner."""
    first = place.add_member("a")
    join_and_restore(first, 2)
    group = first._client.group_metadata()
    second = place.add_member("b")
    owned = join_both(first, second)
    theirs = next(iter(owned[1]))
    with pytest.raises(TransientError):
        first.commit_all([], [], {theirs: {"x": b"stolen"}})
    # As if it had been revoked between the check for ownership and the transaction.
    with pytest.raises(TransientError):
        first._transactions.commit([], {TopicPartition(place.input, theirs): 0}, group)
    assert second.restore(theirs) == {}


def test_a_member_that_left_between_two_polls_writes_nothing(place: Place) -> None:
    """As after SIGSTOP, or a step longer than max_poll_s: the client has left, and the listener does not know it."""
    place.publish(*range(10))
    first = place.add_member("a")
    join_and_restore(first, 2)
    records = take(first, 10)
    first._client._coordinator.maybe_leave_group()
    second = place.add_member("b")
    join_and_restore(second, 2)
    second.commit_all(take(second, 10), [message(place.output, "second")], {0: {"x": b"newer"}, 1: {"y": b"newer"}})

    assert first.take_rebalance() == Rebalance(frozenset(), frozenset())
    with pytest.raises(TransientError, match=r"membership in group .* was lost"):
        first.commit_all(records, [message(place.output, "first")], {0: {"x": b"older"}, 1: {"y": b"older"}})
    assert place.output_values() == ["second"]
    assert first.take_rebalance() == Rebalance(frozenset({0, 1}), frozenset({0, 1}))

    # The broker refuses it as well, by the name of its process. It would refuse no member without one: without the
    # check, older state would overwrite newer.
    nobody = first._client.group_metadata()
    assert (nobody.generation_id, nobody.member_id) == (-1, "")
    with pytest.raises(TransientError):
        first._transactions.commit([], {TopicPartition(place.input, 0): 0}, nobody)
    first._transactions.commit([], {TopicPartition(place.input, 0): 0}, nobody._replace(group_instance_id=None))


def join_both(first: KafkaStateConsumer, second: KafkaStateConsumer) -> tuple[set[int], set[int]]:
    """Wait until each owns one partition, and return what each owns; `first` owned both, and restores nothing."""
    owned: tuple[set[int], set[int]] = ({0, 1}, set())

    def is_shared() -> bool:
        for consumer, partitions in zip((first, second), owned, strict=True):
            consumer.poll(1, 0.1)
            rebalance = consumer.take_rebalance()
            partitions -= rebalance.revoked
            partitions |= rebalance.assigned
        return len(owned[0]) == len(owned[1]) == 1

    wait_until(is_shared)
    return owned


class Counter:
    """A worker thread that counts the records of each key in the state, and publishes each count."""

    def __init__(self, place: Place, instance: str) -> None:
        self.consumer = place.add_member(instance)
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
        rebalance = self.consumer.take_rebalance()
        for partition in rebalance.revoked:
            self.counts.pop(partition, None)
        for partition in rebalance.assigned:
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
        """End without a commit and without leaving the group."""
        self.stop.set()
        self.thread.join()
        self.place.open.remove(self.consumer)
        self.consumer._client._client.close()


def test_no_count_is_lost_or_repeated_when_one_of_two_counters_dies(place: Place) -> None:
    keys, rounds = range(8), 12
    first = Counter(place, "a")
    second = None
    for number in range(rounds):
        place.publish(*keys)
        if number == 3:
            second = Counter(place, "b")
        if number == 7 and second is not None:
            wait_until(lambda worker=second: bool(worker.counts))  # type: ignore[misc]
            second.die()
        time.sleep(0.2)
    expected = sorted(f"k{key}={count}" for key in keys for count in range(1, rounds + 1))
    wait_until(lambda: len(place.output_values()) >= len(expected), patience_s=40)
    time.sleep(0.5)
    first.stop.set()
    first.thread.join()
    assert sorted(place.output_values()) == expected
