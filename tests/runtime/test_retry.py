"""A call that fails temporarily is repeated until it succeeds; meanwhile the service stays alive and in its group."""

from dataclasses import dataclass, field

import pytest

from services.backends.memory.index import MemoryIndex
from services.backends.retrying_index import RetryingIndex
from services.contracts.errors import DependencyDown, InvalidMessage, TransientError
from services.contracts.segments import SearchRequest
from services.runtime.probes import Health
from services.runtime.retry import Retrier, Stopped
from tests.descriptors import cut, work
from tests.metric_values import metric_value


@dataclass
class Flaky:
    """Raises these failures one after the other, then answers."""

    failures: list[Exception]
    calls: list[object] = field(default_factory=list)

    def __call__(self, argument: object) -> str:
        self.calls.append(argument)
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


def test_a_call_is_repeated_until_it_succeeds() -> None:
    flaky = Flaky([TransientError("not now"), DependencyDown("gone")])
    alive: list[int] = []
    health = Health(loop_timeout_s=60)
    health.clear("start")
    retrier = Retrier(health, keep_alive=lambda: alive.append(1), is_over=lambda: False)

    before = metric_value("copydetect_retries_total", stage="a_test")
    assert retrier("a_test", flaky, 7) == "answer"
    assert flaky.calls == [7, 7, 7]
    assert len(alive) >= 2, "the consumer is kept alive in each wait"
    assert metric_value("copydetect_retries_total", stage="a_test") == before + 2
    assert health.why_not_ready() == {}


def test_a_waiting_service_is_alive_but_not_ready_and_reports_why() -> None:
    health = Health(loop_timeout_s=60)
    health.clear("start")
    reported: list[dict[str, str]] = []
    retrier = Retrier(health, keep_alive=lambda: reported.append(health.why_not_ready()), is_over=lambda: False)

    retrier("milvus", Flaky([DependencyDown("Milvus at x does not answer")]), None)
    assert reported[0] == {"milvus": "Milvus at x does not answer"}
    assert health.why_not_alive() == {}


@pytest.mark.parametrize("error", [InvalidMessage("never", stage="parse"), ValueError("a bug")])
def test_a_call_that_can_never_succeed_is_not_repeated(error: Exception) -> None:
    flaky = Flaky([error])
    retrier = Retrier(Health(loop_timeout_s=60), keep_alive=lambda: None, is_over=lambda: False)
    with pytest.raises(type(error), match=str(error)):
        retrier("a_test", flaky, None)
    assert len(flaky.calls) == 1


def test_a_stopped_service_does_not_wait_for_ever() -> None:
    endless = Flaky([DependencyDown("gone")] * 1000)
    over = iter([False, True])
    retrier = Retrier(Health(loop_timeout_s=60), keep_alive=lambda: None, is_over=lambda: next(over))
    with pytest.raises(Stopped):
        retrier("a_test", endless, None)
    assert len(endless.calls) <= 2


class Failing(MemoryIndex):
    """Every method fails once, as if the backend were down."""

    def __init__(self) -> None:
        super().__init__(model_version="v1")
        self.failed: set[str] = set()

    def __getattribute__(self, name: str) -> object:
        method = super().__getattribute__(name)
        if name.startswith("_") or name in {"failed", "model_version"}:
            return method

        def fail_once(*arguments: object, **options: object) -> object:
            if name in self.failed:
                return method(*arguments, **options)
            self.failed.add(name)
            raise DependencyDown(name)

        return fail_once


def test_every_call_of_an_index_is_repeated() -> None:
    failing = Failing()
    alive: list[int] = []
    retrier = Retrier(Health(loop_timeout_s=60), keep_alive=lambda: alive.append(1), is_over=lambda: False)
    index = RetryingIndex(failing, retrier)
    segments = cut("a", work(1, 0, 40))
    keys = [segment.row.key for segment in segments]
    vector = segments[0].vector[None]

    assert index.model_version == "v1"
    index.store(segments)
    assert [row.key for row in index.read_rows("default", ["a"])] == keys
    assert set(index.read(keys)) == set(keys)
    nearest = index.search_segments(SearchRequest(tenant="default", vectors=vector, exclude_asset="b", limit=1))
    assert nearest[0][0].key == keys[0]
    frames = index.search_frames(
        SearchRequest(tenant="default", vectors=segments[1].descriptor.frames, exclude_asset="b", limit=1)
    )
    assert {found[0].key for found in frames} == {keys[1]}
    index.delete("default", "a", before=2, from_index=1)
    assert [row.segment_index for row in index.read_rows("default", ["a"])] == [0]
    index.erase("default", "a", before=2)
    assert index.read_rows("default", ["a"]) == []
    index.flush()
    reads, writes = {"read_rows", "read", "search_segments", "search_frames"}, {"store", "delete", "erase", "flush"}
    assert failing.failed == reads | writes
    assert len(alive) >= len(failing.failed)
