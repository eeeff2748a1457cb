"""A topic gets more partitions than there are for its states: those wait and are named, the others go on."""

from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient
from structlog.testing import capture_logs

from services.backends.kafka import refusal
from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.refusal import Refusal
from services.backends.kafka.state import KafkaStateConsumer
from services.contracts.errors import DependencyDown
from services.contracts.ports import Rebalance, Record
from tests.backends.kafka.cases import connect, join, join_and_restore, message, take, values, wait_until
from tests.backends.kafka.state_cases import Place
from tests.metric_values import metric_value
from tests.servers.process import Backend

NOTHING: frozenset[int] = frozenset()


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Topics:
    """The number of partitions of the state topic, and how often it was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
        self.count: int | None = count
        self.requests = 0
        monkeypatch.setattr(refusal, "count_partitions", self._answer)

    def _answer(self, *_: object) -> int:
        self.requests += 1
        if self.count is None:
            raise DependencyDown("no answer")
        return self.count


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> Topics:
    return Topics(monkeypatch, 2)


def assigned(*partitions: int) -> Rebalance:
    return Rebalance(frozenset(partitions), NOTHING)


def test_only_partitions_with_states_are_seen(topics: Topics) -> None:
    refused = Refusal(connect("nowhere:1"), "input", "states", 2)
    assert refused.apply(Rebalance(frozenset({0, 1}), frozenset({5}))) == Rebalance(frozenset({0, 1}), frozenset({5}))
    assert (topics.requests, refused.reason) == (0, None)
    assert refused.apply(assigned(2, 3)) == Rebalance(NOTHING, NOTHING)
    assert refused.reason is not None
    assert "input has partitions that states does not have (2, 3)" in refused.reason
    assert "--topic states --partitions 4" in refused.reason
    # The worker never had them.
    assert refused.apply(Rebalance(NOTHING, frozenset({0, 3}))) == Rebalance(NOTHING, frozenset({0}))
    assert "(2)" in refused.reason
    assert refused.apply(Rebalance(NOTHING, frozenset({2}))) == Rebalance(NOTHING, NOTHING)
    assert refused.reason is None


def test_refused_partitions_are_seen_once_they_have_states(topics: Topics) -> None:
    clock = Clock()
    refused = Refusal(connect("nowhere:1"), "input", "states", 2, clock)
    refused.apply(assigned(0, 1, 2, 3))
    topics.count = 3
    clock.now_s += refusal.RECOUNT_S - 1
    assert refused.apply(assigned()) == assigned()
    clock.now_s += 1
    assert refused.apply(assigned()) == assigned(2)
    assert refused.reason is not None
    assert "(3)" in refused.reason
    topics.count = None
    clock.now_s += refusal.RECOUNT_S
    assert refused.apply(assigned()) == assigned()
    assert topics.requests == 3
    topics.count = 4
    clock.now_s += refusal.RECOUNT_S
    assert refused.apply(assigned()) == assigned(3)
    assert refused.reason is None


@pytest.fixture
def place(kafka: Backend) -> Iterator[Place]:
    opened = Place(kafka.address)
    yield opened
    opened.close()


def enlarge(kafka: Backend, topic: str, partitions: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka.address)
    admin.create_partitions({topic: partitions})
    admin.close()


def publish_everywhere(place: Place) -> None:
    """Thirty records, which all of three partitions get some of; a bus that is open may still know two."""
    bus = KafkaBus(place.connection)
    bus.publish([message(place.input, str(number), key=f"k{number}") for number in range(30)])
    bus.close()


@pytest.mark.integration
@pytest.mark.timeout(90)
def test_the_other_partitions_go_on_when_a_topic_is_enlarged(
    kafka: Backend, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusal, "RECOUNT_S", 0.0)
    consumer = place.add_member("a")
    join_and_restore(consumer, 2)
    enlarge(kafka, place.input, 3)

    def is_refused() -> bool:
        consumer._client._coordinator._cluster.request_update()  # as the client does every five minutes
        assert consumer.poll(100, 0.1) == []
        assert consumer.take_rebalance() == assigned()
        return consumer.hindrance is not None

    with capture_logs() as logs:
        wait_until(is_refused)
    assert [one["partitions"] for one in logs if one["event"] == "partitions without states"] == [[2]]
    assert metric_value("copydetect_refused_partitions", topic=place.input) == 1

    publish_everywhere(place)
    found = take_all_of_two(consumer)
    consumer.commit_all(found, [message(place.output, "done")], {0: {"x": b"1"}, 1: {"y": b"1"}})
    assert place.output_values() == ["done"]
    assert consumer.lag()[2] > 0

    enlarge(kafka, place.states, 3)
    wait_until(lambda: not consumer.poll(100, 0.1) and consumer.take_rebalance() == assigned(2))
    assert metric_value("copydetect_refused_partitions", topic=place.input) == 0
    assert consumer.restore(2) == {}
    rest = take(consumer, 30 - len(found))
    assert sorted(map(int, values([*found, *rest]))) == list(range(30))


def take_all_of_two(consumer: KafkaStateConsumer) -> list[Record]:
    """All records of partitions 0 and 1."""
    found: list[Record] = []

    def has_read_them() -> bool:
        found.extend(consumer.poll(100, 0.2))
        return bool(found) and consumer.lag()[0] == consumer.lag()[1] == 0

    wait_until(has_read_them)
    assert {record.partition for record in found} == {0, 1}
    return found


@pytest.mark.integration
def test_a_restart_after_it_goes_on_too(kafka: Backend, place: Place) -> None:
    enlarge(kafka, place.input, 3)
    publish_everywhere(place)
    bus = KafkaBus(place.connection, "a")
    consumer = bus.open_state_consumer(place.input, place.group, place.states)
    place.open.append(consumer)
    assert join(consumer, 2) == {0, 1}
    for partition in (0, 1):
        consumer.restore(partition)
    take_all_of_two(consumer)
    assert "(2)" in (consumer.hindrance or "")
