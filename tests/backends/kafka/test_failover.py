"""How long the partitions of a process that died stand still, with the deadlines of the services."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import Timeouts
from services.backends.kafka.state import KafkaStateConsumer
from services.contracts.ports import Record
from tests.backends.kafka.cases import connect, join_and_restore, values
from tests.backends.kafka.member import IN_TRANSACTION, OWNS
from tests.backends.kafka.state_cases import Place
from tests.servers.process import Backend

pytestmark = [pytest.mark.integration, pytest.mark.timeout(150)]

LONGEST_S = 25.0  # the goal is 20, and the machine may be busy


class Member:
    """A process of tests.backends.kafka.member, and the lines it has printed."""

    def __init__(self, place: Place, address: str, instance: str) -> None:
        topics = [place.input, place.states, place.output]
        command = [sys.executable, "-m", "tests.backends.kafka.member", address, *topics, place.group, instance]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def place(kafka: Backend) -> Iterator[Place]:
    opened = Place(kafka.address)
    yield opened
    opened.close()


def turn(consumer: KafkaStateConsumer, seen: list[Record], restored: dict[int, dict[str, bytes]]) -> None:
    """A step of a worker that remembers what it got."""
    records = consumer.poll(100, 0.1)
    rebalance = consumer.take_rebalance()
    for partition in rebalance.revoked:
        restored.pop(partition, None)
    for partition in rebalance.assigned:
        restored[partition] = consumer.restore(partition)
    consumer.commit_all(records, [], {record.partition: {"y": record.message.value} for record in records})
    seen += records


def test_the_partitions_of_a_process_that_is_killed_in_a_transaction_go_on_soon(
    kafka: Backend, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    bus = KafkaBus(connect(kafka.address, Timeouts()), "b")
    survivor = bus.open_state_consumer(place.input, place.group, place.states)
    place.open.append(survivor)
    restored = join_and_restore(survivor, 2)
    seen: list[Record] = []
    member = Member(place, kafka.address, "a")
    try:
        while OWNS not in member.lines:
            turn(survivor, seen, restored)
        [theirs] = {0, 1} - set(restored)
        place.publish(*range(10))
        while IN_TRANSACTION not in member.lines:
            turn(survivor, seen, restored)
    finally:
        member.kill()
    killed = time.monotonic()
    while len(set(values(seen))) < 10:
        turn(survivor, seen, restored)
        assert time.monotonic() - killed < LONGEST_S
    took_s = time.monotonic() - killed
    with capsys.disabled():
        print(f"\npartitions of a killed process went on after {took_s:.1f} s")  # noqa: T201
    assert sorted(map(int, values(seen))) == list(range(10))
    assert restored[theirs] == {}
    assert place.output_values() == []
