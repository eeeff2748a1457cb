"""States are committed with their records: nothing is lost or repeated if a commit fails or a process dies."""

import time
from collections.abc import Iterator

import pytest
from kafka import errors as kafka_errors

from services.backends.kafka.state import KafkaStateConsumer
from services.contracts.errors import TransientError
from services.contracts.ports import Rebalance, Record
from tests.backends.kafka.cases import join, join_and_restore, message, take, values
from tests.backends.kafka.state_cases import Place
from tests.servers.process import Backend

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

LONG = 2**21  # more than clients and brokers accept by default


@pytest.fixture
def place(kafka: Backend) -> Iterator[Place]:
    opened = Place(kafka.address)
    yield opened
    opened.close()


def of_partition(records: list[Record], partition: int) -> list[Record]:
    return [record for record in records if record.partition == partition]


def test_states_are_in_the_partition_of_their_input(place: Place) -> None:
    consumer = place.add_member("a")
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
    consumer = place.add_member("a")
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
    consumer = place.add_member("a")
    join_and_restore(consumer, 2)
    records = take(consumer, 10)
    first, rest = records[:4], records[4:]
    consumer.commit_all(first, [message(place.output, "first")], {0: {"x": b"1"}, 1: {"y": b"1"}})
    consumer.take_rebalance()

    commit = consumer._transactions._producer.commit_transaction

    def commit_late() -> None:
        time.sleep(5)
        commit()

    consumer._transactions._producer.commit_transaction = commit_late
    with pytest.raises(TransientError):
        consumer.commit_all(rest, [message(place.output, "lost")], {0: {"x": None}, 1: {"y": b"2"}})
    with pytest.raises(TransientError, match="were revoked"):
        consumer.commit_all(rest, [message(place.output, "too early")], {0: {"x": b"5"}})
    assert consumer.take_rebalance() == Rebalance(assigned=frozenset({0, 1}), revoked=frozenset({0, 1}))
    assert consumer.poll(100, 0.5) == []

    restored = {partition: consumer.restore(partition) for partition in (0, 1)}
    assert restored == {0: {"x": b"1"}, 1: {"y": b"1"}}
    again = take(consumer, len(rest))
    assert sorted(values(again)) == sorted(values(rest))
    with pytest.raises(TransientError, match="were revoked"):
        consumer.commit_all([Record(again[0].message, again[0].partition, 99)], [], {})
    join_and_restore(consumer, len({record.partition for record in again}))
    again = take(consumer, len(rest))
    consumer.commit_all(again, [message(place.output, "rest")], {0: {"x": None}})
    assert place.output_values() == ["first", "rest"]


def fail_next_commit(consumer: KafkaStateConsumer) -> None:
    """Let the client fail as it does while the group rebalances."""

    def fail() -> None:
        raise kafka_errors.RebalanceInProgressError

    consumer._transactions._producer.commit_transaction = fail


def test_an_error_starts_only_over_what_its_transaction_touched(place: Place) -> None:
    place.publish(*range(10))
    consumer = place.add_member("a")
    join_and_restore(consumer, 2)
    records = take(consumer, 10)
    first, second = of_partition(records, 0), of_partition(records, 1)
    consumer.commit_all(second, [], {1: {"y": b"1"}})
    fail_next_commit(consumer)
    with pytest.raises(TransientError):
        consumer.commit_all(first, [message(place.output, "lost")], {0: {"x": b"1"}})
    assert consumer.take_rebalance() == Rebalance(assigned=frozenset({0}), revoked=frozenset({0}))

    # The other goes on meanwhile, without a restore.
    consumer.commit_all([], [message(place.output, "other")], {1: {"y": b"2"}})
    place.publish(*range(10))
    later = take(consumer, len(second))
    assert {record.partition for record in later} == {1}
    consumer.commit_all(later, [], {1: {"y": b"3"}})

    assert consumer.restore(0) == {}
    again = take(consumer, 2 * len(first))
    assert values(again[: len(first)]) == values(first)
    consumer.commit_all(again, [], {0: {"x": b"1"}})
    assert place.output_values() == ["other"]


def test_an_error_also_brings_back_polled_records_of_partitions_that_it_did_not_touch(place: Place) -> None:
    """A worker that drops all its records after an error loses none."""
    place.publish(*range(10))
    consumer = place.add_member("a")
    join_and_restore(consumer, 2)
    records = take(consumer, 10)
    first, second = of_partition(records, 0), of_partition(records, 1)
    consumer.commit_all([*first, second[0]], [], {})
    fail_next_commit(consumer)
    with pytest.raises(TransientError):
        consumer.commit_all([], [], {0: {"x": b"1"}})
    assert consumer.take_rebalance() == Rebalance(assigned=frozenset({0, 1}), revoked=frozenset({0, 1}))
    for partition in (0, 1):
        consumer.restore(partition)
    assert values(take(consumer, len(second) - 1)) == values(second[1:])


def test_a_restart_aborts_the_transaction_that_the_process_died_in_at_once(place: Place) -> None:
    """A restart has the same name, so its first restore aborts what was left open, without waiting for the timeout."""
    place.publish(*range(10))
    place.open_transaction("a", b"half", 1)
    started = time.monotonic()
    consumer = place.add_member("a")
    assert join_and_restore(consumer, 2) == {0: {}, 1: {}}
    assert time.monotonic() - started < 5
    assert sorted(map(int, values(take(consumer, 10)))) == list(range(10))
    assert place.output_values() == []


def test_a_restart_after_a_committed_transaction_repeats_nothing(place: Place) -> None:
    place.publish(*range(10))
    producer = place.open_transaction("a", b"whole", 1)
    producer.commit_transaction()
    producer.close(timeout=1)
    consumer = place.add_member("a")
    assert join_and_restore(consumer, 2) == {0: {"x": b"whole"}, 1: {}}
    records = take(consumer, 9)
    assert min(record.offset for record in of_partition(records, 0)) == 1
    assert place.output_values() == ["whole"]
