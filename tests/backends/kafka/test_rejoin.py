"""Faults of the client while it joins a group: short polls, late metadata, and a membership that was lost before."""

import time

import pytest
from kafka import KafkaAdminClient
from kafka.admin import MemberToRemove

from services.backends.kafka.bus import KafkaBus
from services.contracts.ports import Rebalance
from tests.backends.kafka.cases import connect, join, make_topic, unique_name, wait_until
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


def test_a_loss_is_reported_even_if_the_consumer_learns_of_it_while_it_rejoins(kafka: Backend) -> None:
    """As after a pause of the process, if a rebalance began before it and the group has removed the member since."""
    connection = connect(kafka.address)
    topic, group = make_topic(connection, "input", 2), unique_name("group")
    consumer = KafkaBus(connection).open_consumer(topic, group)
    join(consumer, 2)
    coordinator = consumer._client._coordinator
    coordinator._disable_heartbeat()  # the process stands still
    coordinator.request_rejoin()
    admin = KafkaAdminClient(bootstrap_servers=kafka.address)
    admin.remove_group_members(group, [MemberToRemove(member_id=consumer._client.group_metadata().member_id)])
    admin.close()
    rebalances: list[Rebalance] = []

    def has_joined_again() -> bool:
        consumer.poll(1, 0.1)
        rebalances.append(consumer.take_rebalance())
        return coordinator.generation_if_stable() is not None

    wait_until(has_joined_again)
    assert frozenset().union(*(one.revoked for one in rebalances)) == {0, 1}
    assert frozenset().union(*(one.assigned for one in rebalances)) == {0, 1}
    consumer.close()
