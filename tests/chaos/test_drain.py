"""A drain ends when nothing is left, and names what is left when nothing gets on."""

from typing import cast

import pytest

from tests.chaos import drain as drain_module
from tests.chaos.backends import Backends
from tests.chaos.drain import drain
from tests.chaos.fleet import Fleet
from tests.chaos.observed import Unread
from tests.chaos.topics import TopicReader


class FakeFleet:
    def __init__(self) -> None:
        self.is_hanging = False
        self.stuck: list[str] = []
        self.repaired = 0

    def repair(self) -> None:
        self.repaired += 1

    def supervise(self) -> None:
        pass


class FakeTopics:
    """What each look at the topics finds, the last one again and again: the number of unread records, and an end."""

    def __init__(self, *looks: tuple[int, int]) -> None:
        self._looks = list(looks)
        self.count = 0

    def list_topics(self) -> list[str]:
        return ["t"]

    def find_ends(self, topics: list[str]) -> dict[str, int]:
        self.count += 1
        return dict.fromkeys(topics, self._look[1])

    def find_unread(self, group: str, topic: str) -> list[Unread]:
        return [Unread(group, topic, 0, self._look[0])] if self._look[0] else []

    @property
    def _look(self) -> tuple[int, int]:
        return self._looks[min(self.count, len(self._looks)) - 1]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that goes on by sleeping only."""
    now = [0.0]

    class Time:
        @staticmethod
        def monotonic() -> float:
            return now[0]

        @staticmethod
        def sleep(seconds: float) -> None:
            now[0] += seconds

    monkeypatch.setattr(drain_module, "time", Time)
    return now


def drain_with(fleet: FakeFleet, topics: FakeTopics) -> list[str]:
    class FakeBackends:
        def repair(self) -> None:
            pass

    problems = drain(
        cast(Backends, FakeBackends()), cast(Fleet, fleet), cast(TopicReader, topics), {"g": "t"}, lambda _: None
    )
    return list(map(str, problems))


def test_it_waits_until_nothing_is_left_and_nothing_new_comes(clock: list[float]) -> None:
    fleet, topics = FakeFleet(), FakeTopics((2, 5), (1, 6), (0, 7))
    assert drain_with(fleet, topics) == []
    assert fleet.repaired == 1
    assert clock[0] >= 2 * 2 + drain_module.QUIET_S


def test_it_waits_for_a_process_that_hangs(clock: list[float]) -> None:
    fleet = FakeFleet()
    fleet.is_hanging = True
    topics = FakeTopics((0, 7))
    assert drain_with(fleet, topics) == ["wrong: services still publish, or hang, after 300 s"]
    assert clock[0] >= drain_module.LIMIT_S


def test_what_is_left_when_nothing_gets_on_is_named(clock: list[float]) -> None:
    assert drain_with(FakeFleet(), FakeTopics((3, 5))) == ["lost: g still has 3 records to read after 300 s"]
    assert clock[0] >= drain_module.LIMIT_S


def test_it_waits_for_as_long_as_fewer_are_left(clock: list[float]) -> None:
    assert drain_with(FakeFleet(), FakeTopics(*((left, 5) for left in range(400, -1, -1)))) == []
    assert clock[0] >= 2 * drain_module.LIMIT_S


def test_a_process_that_did_not_stop_is_named(clock: list[float]) -> None:
    fleet = FakeFleet()
    fleet.stuck.append("ingest-1")
    assert drain_with(fleet, FakeTopics((0, 7))) == ["wrong: ingest-1 did not stop after SIGTERM"]
    assert clock[0] >= drain_module.QUIET_S
