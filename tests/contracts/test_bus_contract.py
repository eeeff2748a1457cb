"""What every Bus does, whatever stands behind it."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.backends.memory import MemoryBus
from services.contracts.ports import Bus, Message

BUSES: dict[str, Callable[[], Bus]] = {"memory": MemoryBus}

# A history of one topic and group; "restart" is a new consumer, as after a crash.
steps = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 4)),
        st.tuples(st.just("poll"), st.integers(1, 5)),
        st.tuples(st.just("commit"), st.integers(1, 5)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=40,
)


@pytest.fixture(params=BUSES)
def make_bus(request: pytest.FixtureRequest) -> Callable[[], Bus]:
    return BUSES[request.param]


def message(number: int, topic: str = "t", key: str = "k") -> Message:
    return Message(topic, key, str(number).encode(), {"ce_type": "test"})


def test_records_come_in_order_as_they_were_published(make_bus: Callable[[], Bus]) -> None:
    bus = make_bus()
    sent = [message(number) for number in range(5)]
    bus.publish(sent[:2])
    bus.publish(sent[2:])
    consumer = bus.consumer("t", "g")

    records = consumer.poll(3, 0.1) + consumer.poll(9, 0.1)
    assert [record.message for record in records] == sent
    assert consumer.poll(9, 0.0) == []


def test_topics_and_groups_are_apart(make_bus: Callable[[], Bus]) -> None:
    bus = make_bus()
    bus.publish([message(1, "a"), message(2, "b")])
    first = bus.consumer("a", "first")
    first.commit(first.poll(9, 0.1))

    assert [record.message.value for record in bus.consumer("b", "first").poll(9, 0.1)] == [b"2"]
    assert [record.message.value for record in bus.consumer("a", "second").poll(9, 0.1)] == [b"1"]
    assert bus.consumer("a", "first").poll(9, 0.0) == []


def test_a_consumer_of_a_topic_that_is_still_empty_sees_what_comes(make_bus: Callable[[], Bus]) -> None:
    bus = make_bus()
    consumer = bus.consumer("t", "g")
    assert consumer.poll(9, 0.0) == []
    bus.publish([message(1)])
    assert len(consumer.poll(9, 1.0)) == 1


def test_a_commit_never_goes_back(make_bus: Callable[[], Bus]) -> None:
    bus = make_bus()
    bus.publish([message(number) for number in range(4)])
    consumer = bus.consumer("t", "g")
    records = consumer.poll(9, 0.1)
    consumer.commit(records[:3])
    consumer.commit(records[:1])
    consumer.commit([])
    assert bus.consumer("t", "g").poll(9, 0.1) == records[3:]


@pytest.mark.parametrize("name", BUSES)
@given(history=steps)
def test_no_history_loses_or_repeats_a_record(name: str, history: list[tuple[str, int]]) -> None:
    bus = BUSES[name]()
    consumer = bus.consumer("t", "g")
    published = polled = committed = 0
    seen = []  # what this consumer polled and has not committed
    for step, count in history:
        if step == "publish":
            bus.publish([message(number) for number in range(published, published + count)])
            published += count
        elif step == "poll":
            records = consumer.poll(count, 0.0)
            expected = range(polled, min(polled + count, published))
            assert [int(record.message.value) for record in records] == list(expected)
            polled += len(records)
            seen += records
        elif step == "commit":
            consumer.commit(seen[:count])
            committed += len(seen[:count])
            del seen[:count]
        else:
            consumer = bus.consumer("t", "g")
            polled = committed
            seen.clear()
