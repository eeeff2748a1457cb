"""What every Bus does, whatever the backend."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.backends.kafka.bus import KafkaBus
from services.backends.memory.bus import MemoryBus
from services.contracts.ports import Consumer, Message, Record, StateConsumer
from services.ingest.ports import ReadableBus
from tests.backends.kafka.cases import connect, join, join_and_restore, make_topic, take, unique_name, values
from tests.servers.process import Backend

# A history of one topic and group; "restart" replaces the consumer, as after a crash.
History = list[tuple[str, int]]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 4)),
        st.tuples(st.just("poll"), st.integers(1, 5)),
        st.tuples(st.just("commit"), st.integers(1, 5)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=40,
)
HISTORY: History = [
    *[("publish", 3), ("poll", 2), ("commit", 1), ("restart", 0)],
    *[("poll", 1), ("poll", 5), ("publish", 2), ("restart", 0)],
    *[("poll", 3), ("commit", 5), ("poll", 5), ("restart", 0)],
    *[("publish", 1), ("poll", 2), ("commit", 1), ("restart", 0), ("poll", 1)],
]


class Place:
    """A bus, with topics of one partition and a group for one test alone; closing it also closes its consumers."""

    def __init__(self, bus: ReadableBus, make_topic: Callable[[str], str], group: str) -> None:
        self.bus = bus
        self.group = group
        self._make_topic = make_topic
        self._topics: dict[str, str] = {}
        self._open = ExitStack()

    def topic(self, name: str = "t") -> str:
        if name not in self._topics:
            self._topics[name] = self._make_topic(name)
        return self._topics[name]

    def message(self, number: int, topic: str = "t", key: str = "k") -> Message:
        return Message(self.topic(topic), key, str(number).encode(), {"ce_type": "test"})

    def open_consumer(self, topic: str = "t", group: str = "g") -> Consumer:
        consumer = self.bus.open_consumer(self.topic(topic), self.group + group)
        self._open.callback(consumer.close)
        return consumer

    def open_state_consumer(self) -> StateConsumer:
        consumer = self.bus.open_state_consumer(self.topic(), self.group, self.topic("s"))
        self._open.callback(consumer.close)
        return consumer

    def close(self) -> None:
        self._open.close()
        self.bus.close()


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.integration)])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "memory":
        opened = Place(MemoryBus(), lambda name: name, "")
    else:
        kafka: Backend = request.getfixturevalue("kafka")
        connection = connect(kafka.address)
        opened = Place(
            KafkaBus(connection, unique_name("instance")),
            lambda name: make_topic(connection, name, compact=name == "s"),
            unique_name("group"),
        )
    yield opened
    opened.close()


def test_a_topic_is_read_without_a_group_from_an_offset(place: Place) -> None:
    place.bus.publish([place.message(number) for number in range(4)])
    assert values(list(place.bus.read([place.topic()]))) == ["0", "1", "2", "3"]
    assert values(list(place.bus.read([place.topic()], starts={0: 2}))) == ["2", "3"]
    assert list(place.bus.read([place.topic()], starts={})) == []


def test_records_are_polled_unchanged_and_in_order(place: Place) -> None:
    sent = [place.message(number) for number in range(5)]
    place.bus.publish(sent[:2])
    place.bus.publish(sent[2:])
    consumer = place.open_consumer()

    records = take(consumer, 3) + take(consumer, 2)
    assert [record.message for record in records] == sent
    assert consumer.poll(9, 0.0) == []


def test_topics_and_groups_are_independent(place: Place) -> None:
    place.bus.publish([place.message(1, "a"), place.message(2, "b")])
    first = place.open_consumer("a", "first")
    first.commit(take(first, 1))
    first.close()

    other = place.open_consumer("b", "first")
    assert values(take(other, 1)) == ["2"]
    other.close()
    assert values(take(place.open_consumer("a", "second"), 1)) == ["1"]
    again = place.open_consumer("a", "first")
    join(again)
    assert again.poll(9, 0.3) == []


def test_a_consumer_of_an_empty_topic_gets_later_records(place: Place) -> None:
    consumer = place.open_consumer()
    assert consumer.poll(9, 0.0) == []
    place.bus.publish([place.message(1)])
    assert len(take(consumer, 1)) == 1


def test_a_commit_never_goes_back(place: Place) -> None:
    place.bus.publish([place.message(number) for number in range(4)])
    consumer = place.open_consumer()
    records = take(consumer, 4)
    consumer.commit(records[:3])
    consumer.commit(records[:1])
    consumer.commit([])
    consumer.close()
    assert take(place.open_consumer(), 1) == records[3:]


def test_partitions_are_assigned_once(place: Place) -> None:
    consumer = place.open_consumer()
    assert join(consumer) == {0}
    consumer.poll(1, 0.0)
    assert consumer.take_rebalance() == (frozenset(), frozenset())


def test_a_paused_consumer_gets_its_records_after_the_pause(place: Place) -> None:
    place.bus.publish([place.message(1), place.message(2)])
    consumer = place.open_consumer()
    assert values(take(consumer, 1)) == ["1"]
    consumer.pause()
    assert consumer.poll(9, 0.5) == []
    consumer.resume()
    assert values(take(consumer, 1)) == ["2"]


def test_lag_counts_unpolled_records(place: Place) -> None:
    place.bus.publish([place.message(number) for number in range(3)])
    consumer = place.open_consumer()
    take(consumer, 1)
    assert consumer.lag() == {0: 2}
    take(consumer, 2)
    assert consumer.lag() == {0: 0}


def test_messages_states_and_records_are_committed_together(place: Place) -> None:
    place.bus.publish([place.message(number) for number in range(3)])
    consumer = place.open_state_consumer()
    assert join_and_restore(consumer) == {0: {}}
    records = take(consumer, 2)
    consumer.commit_all(records, [place.message(7, "out")], {0: {"x": b"1", "y": b"2"}})
    consumer.commit_all([], [place.message(8, "out")], {0: {"y": None, "z": b"3"}})
    consumer.commit_all([], [], {0: {"x": b"4"}})
    consumer.commit_all([], [], {})
    consumer.close()

    consumer = place.open_state_consumer()
    assert join_and_restore(consumer) == {0: {"x": b"4", "z": b"3"}}
    assert values(take(consumer, 1)) == ["2"]
    assert values(take(place.open_consumer("out"), 2)) == ["7", "8"]


def test_no_record_comes_twice_from_a_state_consumer(place: Place) -> None:
    place.bus.publish([place.message(number) for number in range(3)])
    consumer = place.open_state_consumer()
    join_and_restore(consumer)
    records: list[Record] = []
    for _ in range(3):
        polled = take(consumer, 1)
        records += polled
        consumer.commit_all(polled, [], {})
    assert values(records) == ["0", "1", "2"]
    assert consumer.poll(1, 0.2) == []
    assert consumer.lag() == {0: 0}


def test_a_fixed_history_loses_and_repeats_nothing(place: Place) -> None:
    run(HISTORY, place, take)


@given(history=steps)
def test_no_history_loses_or_repeats_a_record(history: History) -> None:
    run(history, Place(MemoryBus(), lambda name: name, ""), lambda consumer, count: consumer.poll(count, 0.0))


def run(history: History, place: Place, take: Callable[[Consumer, int], list[Record]]) -> None:
    consumer = place.open_consumer()
    published = polled = committed = 0
    seen: list[Record] = []  # what this consumer polled and has not committed
    for step, count in history:
        if step == "publish":
            place.bus.publish([place.message(number) for number in range(published, published + count)])
            published += count
        elif step == "poll":
            expected = range(polled, min(polled + count, published))
            records = take(consumer, len(expected)) if expected else consumer.poll(count, 0.0)
            assert [int(record.message.value) for record in records] == list(expected)
            polled += len(records)
            seen += records
        elif step == "commit":
            consumer.commit(seen[:count])
            committed += len(seen[:count])
            del seen[:count]
        else:
            consumer.close()
            consumer = place.open_consumer()
            polled = committed
            seen.clear()
