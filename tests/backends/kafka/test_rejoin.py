"""A consumer whose polls are shorter than the broker takes to answer, and one whose metadata arrive late."""

import time

import pytest

from services.backends.kafka.bus import KafkaBus
from tests.backends.kafka.cases import connect, make_topic, unique_name, wait_until
from tests.servers.process import Backend

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("pause_s", [0.0, 0.05])
def test_very_short_polls_join_a_group(kafka: Backend, pause_s: float) -> None:
    connection = connect(kafka.address)
    consumer = KafkaBus(connection).open_consumer(make_topic(connection, "input"), unique_name("group"))
    client = consumer._client
    owned: set[int] = set()

    def has_joined() -> bool:
        consumer.poll(1, 0.002)
        time.sleep(pause_s)  # the answer arrives now
        rebalance = consumer.take_rebalance()
        owned.difference_update(rebalance.revoked)
        owned.update(rebalance.assigned)
        return owned == {0}

    wait_until(has_joined, patience_s=10)
    # As after a change of metadata: the leader rejoins, and considers the metadata handled before it has the answer.
    client._coordinator._assignment_snapshot = {"something": "else"}
    generation = client.group_metadata().generation_id
    wait_until(
        lambda: not consumer.poll(1, 0.002) and client.group_metadata().generation_id > generation, patience_s=10
    )
    time.sleep(0.2)
    wait_until(lambda: not consumer.poll(1, 0.002) and not client._coordinator.rejoining, patience_s=5)
    assert client._coordinator._heartbeat_enabled
    consumer.close()
