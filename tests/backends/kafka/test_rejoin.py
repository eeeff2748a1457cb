"""A consumer whose polls are shorter than the broker's answers, and one whose metadata come late."""

import time

import pytest

from services.backends.kafka.bus import KafkaBus
from tests.backends.kafka.cases import connect, make_topic, own_name, until
from tests.servers.process import Backend

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("pause_s", [0.0, 0.05])
def test_polls_of_no_length_join_a_group(kafka: Backend, pause_s: float) -> None:
    connection = connect(kafka.address)
    consumer = KafkaBus(connection).consumer(make_topic(connection, "input"), own_name("group"))
    client = consumer._client
    given: set[int] = set()

    def joined() -> bool:
        consumer.poll(1, 0.002)
        time.sleep(pause_s)  # the answer comes now
        rebalance = consumer.take_rebalance()
        given.difference_update(rebalance.revoked)
        given.update(rebalance.assigned)
        return given == {0}

    until(joined, patience_s=10)
    # As when metadata change: the leader asks again, and counts the metadata as dealt with before it has the answer.
    client._coordinator._assignment_snapshot = {"something": "else"}
    generation = client.group_metadata().generation_id
    until(lambda: not consumer.poll(1, 0.002) and client.group_metadata().generation_id > generation, patience_s=10)
    time.sleep(0.2)
    until(lambda: not consumer.poll(1, 0.002) and not client._coordinator.rejoining, patience_s=5)
    assert client._coordinator._heartbeat_enabled
    consumer.close()
