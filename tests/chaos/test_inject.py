"""Each kind of fault does what it says, and what it did ends with it."""

from typing import Any, cast

import pytest

from tests.chaos.backends import Backends
from tests.chaos.faults import Fault, FaultKind
from tests.chaos.fleet import INSTANCES, Fleet
from tests.chaos.inject import Injector
from tests.chaos.topics import TopicReader


class Recorder:
    """Logs the calls of its methods, whatever they are."""

    is_running = True

    def __init__(self, name: str, log: list[str]) -> None:
        self._name = name
        self._log = log

    def __getattr__(self, method: str) -> Any:
        def record(*args: object, **kwargs: object) -> None:
            told = ", ".join(map(str, (*args, *kwargs.values())))
            self._log.append(f"{self._name} {method} {told}".strip())

        return record


class FakeFleet(Recorder):
    instances = INSTANCES


class FakeBackends(Recorder):
    def __init__(self, log: list[str]) -> None:
        super().__init__("backends", log)
        names = ("kafka-1", "kafka-2", "kafka-3", "redis", "milvus")
        self.servers = {name: Recorder(name, log) for name in names}
        self.nodes = [self.servers[name] for name in names[:3]]


class FakeTopics:
    def find_coordinator(self, group: str) -> int:
        assert group == "matcher-v1"
        return 3


def make_injector(backends: FakeBackends, log: list[str]) -> Injector:
    return Injector(
        cast(Backends, backends),
        cast(Fleet, FakeFleet("fleet", log)),
        cast(TopicReader, FakeTopics()),
        {"matcher": "matcher-v1"},
    )


READY = [f"kafka-{number} await_ready" for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("kind", "target", "detail", "begin", "end"),
    [
        (FaultKind.KILL, "ingest-1", "", ["fleet kill ingest-1"], []),
        (FaultKind.TERMINATE, "matcher-2", "", ["fleet terminate matcher-2"], []),
        (FaultKind.PAUSE, "alerter-1", "", ["fleet pause alerter-1"], ["fleet resume alerter-1"]),
        (FaultKind.FAIL_POINT, "ingest-1", "x", ["fleet restart_with ingest-1, x"], []),
        (FaultKind.KILL, "kafka-2", "", [*READY, "kafka-2 kill"], ["kafka-2 launch"]),
        (FaultKind.PAUSE, "kafka-2", "", [*READY, "kafka-2 pause"], ["kafka-2 resume"]),
        (FaultKind.KILL_COORDINATOR, "kafka-1", "matcher", [*READY, "kafka-3 kill"], ["kafka-3 launch"]),
        (FaultKind.KILL, "redis", "", ["redis kill"], ["redis launch"]),
        (FaultKind.FLUSH, "redis", "", ["backends flush_redis"], []),
        (FaultKind.PAUSE, "milvus", "", ["milvus pause"], ["milvus resume"]),
        (FaultKind.CUT, "milvus", "", ["backends change milvus, cut, 0.2"], ["backends change milvus, pass"]),
        (FaultKind.DELAY, "redis", "", ["backends change redis, delay, 0.5"], ["backends change redis, pass"]),
        (
            FaultKind.HALF_OPEN,
            "kafka-1",
            "",
            [*READY, "backends change kafka-1, half-open, 0.3"],
            ["backends change kafka-1, pass"],
        ),
    ],
)
def test_a_fault_begins_and_ends(kind: FaultKind, target: str, detail: str, begin: list[str], end: list[str]) -> None:
    log: list[str] = []
    injector = make_injector(FakeBackends(log), log)
    fault = Fault(kind, target, 1.0, 2.0, detail)
    injector.begin(fault)
    assert log == begin
    log.clear()
    injector.end(fault)
    assert log == end
    assert injector.done == {fault.name: 1}


def test_a_server_that_ends_by_itself_is_started_again_and_one_that_was_killed_is_not() -> None:
    log: list[str] = []
    backends = FakeBackends(log)
    injector = make_injector(backends, log)
    injector.begin(Fault(FaultKind.KILL, "redis", 1.0, 2.0))
    for name in ("redis", "milvus"):
        backends.servers[name].is_running = False
    log.clear()
    injector.supervise()
    assert log == ["milvus launch"]
    assert injector.done == {"kill redis": 1, "crash milvus": 1}


def test_a_server_that_has_ended_is_neither_frozen_nor_resumed() -> None:
    log: list[str] = []
    backends = FakeBackends(log)
    injector = make_injector(backends, log)
    backends.servers["milvus"].is_running = False
    fault = Fault(FaultKind.PAUSE, "milvus", 1.0, 2.0)
    injector.begin(fault)
    injector.end(fault)
    assert log == []
