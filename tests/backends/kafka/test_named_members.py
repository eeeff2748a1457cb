"""The group knows a consumer with states by the name of its process: over restarts, and if two have it."""

from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient, TopicPartition

from services.backends.kafka.state import KafkaStateConsumer
from services.contracts.errors import Fenced, TransientError
from services.contracts.ports import Rebalance, Record
from tests.backends.kafka.cases import PATIENCE_S, SHORT, join, join_and_restore, message, take, values, wait_until
from tests.backends.kafka.state_cases import Place
from tests.servers.process import Backend

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]


@pytest.fixture
def place(kafka: Backend) -> Iterator[Place]:
    opened = Place(kafka.address)
    yield opened
    opened.close()


class Pair:
    """Two members that own one partition each; neither has restored it."""

    def __init__(self, place: Place) -> None:
        self.first, self.second = place.add_member("a"), place.add_member("b")
        mine, theirs = join(self.first, 2), set[int]()

        def is_shared() -> bool:
            for consumer, owned in ((self.first, mine), (self.second, theirs)):
                follow(consumer, owned)
            return len(mine) == len(theirs) == 1

        wait_until(is_shared)
        self.mine, self.theirs = mine, theirs


def follow(consumer: KafkaStateConsumer, owned: set[int]) -> Rebalance:
    """Poll, and keep what the consumer owns up to date."""
    consumer.poll(1, 0.1)
    rebalance = consumer.take_rebalance()
    owned -= rebalance.revoked
    owned |= rebalance.assigned
    return rebalance


def die(place: Place, consumer: KafkaStateConsumer) -> None:
    """As if the process was killed."""
    place.open.remove(consumer)
    consumer._client._client.close()


def test_a_restart_has_its_partitions_back_and_others_notice_nothing(place: Place) -> None:
    pair = Pair(place)
    generation = pair.second._client.group_metadata().generation_id
    die(place, pair.first)
    again = place.add_member("a")
    assert join(again, 1) == pair.mine
    # A member without a name would have waited for the session of the dead one, and a rebalance.
    assert follow(pair.second, pair.theirs) == Rebalance(frozenset(), frozenset())
    assert pair.second._client.group_metadata().generation_id == generation
    [partition] = pair.mine
    assert again.restore(partition) == {}
    again.commit_all([], [], {partition: {"x": b"1"}})


def test_a_leader_that_started_again_still_notices_new_partitions(kafka: Backend, place: Place) -> None:
    first = place.add_member("a")
    join_and_restore(first, 2)
    die(place, first)
    again = place.add_member("a")
    owned = join(again, 2)
    admin = KafkaAdminClient(bootstrap_servers=kafka.address)
    admin.create_partitions({place.input: 3})
    admin.create_partitions({place.states: 3})
    admin.close()

    def has_new_one() -> bool:
        again._client._coordinator._cluster.request_update()  # as the client does every five minutes
        follow(again, owned)
        return owned == {0, 1, 2}

    wait_until(has_new_one)
    assert again.owned_partitions == {0, 1, 2}


def test_others_take_over_after_the_session_of_one_that_was_closed(place: Place) -> None:
    pair = Pair(place)
    pair.first.close()
    owned = set(pair.theirs)
    wait_until(lambda: bool(follow(pair.second, owned)) and owned == {0, 1}, patience_s=SHORT.session_s + PATIENCE_S)
    for partition in owned:
        pair.second.restore(partition)
    place.publish(*range(10))
    assert len(take(pair.second, 10)) == 10


def test_the_second_process_of_a_name_fences_the_first_although_it_is_idle(place: Place) -> None:
    first = place.add_member("a")
    join_and_restore(first, 2)
    second = place.add_member("a")
    join(second, 2)

    def is_fenced() -> bool:
        try:
            first.poll(1, 0.1)
        except Fenced as error:
            assert "COPYDETECT_INSTANCE" in str(error)  # noqa: PT017 - polls before it raise nothing
            return True
        return False

    wait_until(is_fenced)
    for partition in (0, 1):
        second.restore(partition)
    with pytest.raises(Fenced):
        first.commit_all([], [message(place.output, "first")], {0: {"x": b"1"}})
    second.commit_all([], [message(place.output, "second")], {0: {"x": b"2"}})
    assert place.output_values() == ["second"]


def test_the_group_alone_refuses_the_offsets_of_a_fenced_process(place: Place) -> None:
    """Its generation is that of the process that replaced it: only its own id tells them apart."""
    first = place.add_member("a")
    join_and_restore(first, 2)
    old = first._client.group_metadata()
    second = place.add_member("a")
    second._transactions._name += "-of-another-name"  # so that the producer of the first is not fenced
    join_and_restore(second, 2)
    assert second._client.group_metadata().generation_id == old.generation_id
    with pytest.raises(Fenced):
        first._transactions.commit([], {TopicPartition(place.input, 0): 0}, old)


def test_a_process_that_stood_still_for_longer_than_its_session_writes_nothing_and_starts_over(place: Place) -> None:
    place.publish(*range(10))
    first = place.add_member("a")
    join_and_restore(first, 2)
    records = take(first, 10)
    first._client._coordinator._disable_heartbeat()
    second = place.add_member("b")
    join_and_restore(second, 2)  # when the session of the first is over
    second.commit_all(take(second, 10), [message(place.output, "second")], {0: {"x": b"newer"}, 1: {"y": b"newer"}})

    first._client._coordinator._enable_heartbeat()
    with pytest.raises(TransientError):
        first.commit_all(records, [message(place.output, "first")], {0: {"x": b"older"}, 1: {"y": b"older"}})
    assert place.output_values() == ["second"]

    mine, theirs = set[int](), {0, 1}
    first.take_rebalance()

    def is_shared() -> bool:
        follow(first, mine)
        follow(second, theirs)
        return len(mine) == len(theirs) == 1

    wait_until(is_shared)
    [partition] = mine
    assert set(first.restore(partition).values()) == {b"newer"}
    place.publish(*range(10, 20))
    later: list[Record] = []
    wait_until(lambda: later.extend(first.poll(9, 0.1)) or bool(later))  # type: ignore[func-returns-value]
    assert min(map(int, values(later))) >= 10
