"""A call that fails for now is made until it succeeds, and nothing that lives dies meanwhile."""

from dataclasses import dataclass, field

import pytest
from prometheus_client import REGISTRY

from services.backends.memory.index import MemoryIndex
from services.backends.retrying_index import RetryingIndex
from services.contracts.errors import DependencyDown, InvalidMessage, TransientError
from services.contracts.ports import SearchRequest
from services.runtime.probes import Health
from services.runtime.retry import Retrier, Stopped
from tests.descriptors import cut, work


@dataclass
class Flaky:
    """Fails as often as it is told, then answers."""

    failures: list[Exception]
    calls: list[object] = field(default_factory=list)

    def __call__(self, argument: object) -> str:
        self.calls.append(argument)
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


def test_a_call_is_made_until_it_succeeds() -> None:
    flaky = Flaky([TransientError("not now"), DependencyDown("gone")])
    alive: list[int] = []
    health = Health(loop_timeout_s=60)
    health.clear("start")
    patience = Retrier(health, keep_alive=lambda: alive.append(1), is_over=lambda: False)

    before = REGISTRY.get_sample_value("copydetect_retries_total", {"stage": "a_test"}) or 0
    assert patience("a_test", flaky, 7) == "answer"
    assert flaky.calls == [7, 7, 7]
    assert len(alive) >= 2, "the consumer is kept alive in each wait"
    assert REGISTRY.get_sample_value("copydetect_retries_total", {"stage": "a_test"}) == before + 2
    assert health.unready() == {}


def test_while_it_waits_a_service_is_alive_and_not_ready_and_says_why() -> None:
    health = Health(loop_timeout_s=60)
    health.clear("start")
    told: list[dict[str, str]] = []
    patience = Retrier(health, keep_alive=lambda: told.append(health.unready()), is_over=lambda: False)

    patience("milvus", Flaky([DependencyDown("Milvus at x does not answer")]), None)
    assert told[0] == {"milvus": "Milvus at x does not answer"}
    assert health.dead() == {}


@pytest.mark.parametrize("error", [InvalidMessage("never", stage="parse"), ValueError("a defect")])
def test_what_will_never_succeed_is_not_tried_again(error: Exception) -> None:
    flaky = Flaky([error])
    patience = Retrier(Health(loop_timeout_s=60), keep_alive=lambda: None, is_over=lambda: False)
    with pytest.raises(type(error), match=str(error)):
        patience("a_test", flaky, None)
    assert len(flaky.calls) == 1


def test_a_service_that_is_told_to_stop_does_not_wait_for_ever() -> None:
    endless = Flaky([DependencyDown("gone")] * 1000)
    over = iter([False, True])
    patience = Retrier(Health(loop_timeout_s=60), keep_alive=lambda: None, is_over=lambda: next(over))
    with pytest.raises(Stopped):
        patience("a_test", endless, None)
    assert len(endless.calls) <= 2


class Failing(MemoryIndex):
    """Every method fails once, with what a backend that is down gives."""

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


def test_every_call_of_an_index_waits_for_it() -> None:
    failing = Failing()
    alive: list[int] = []
    patience = Retrier(Health(loop_timeout_s=60), keep_alive=lambda: alive.append(1), is_over=lambda: False)
    # The wrapper takes the method before it calls, so each must be looked up anew for every attempt.
    index = RetryingIndex(failing, patience)
    segments = cut("a", work(1, 0, 40))
    keys = [segment.row.key for segment in segments]
    vector = segments[0].vector[None]

    assert index.model_version == "v1"
    index.store(segments)
    assert [row.key for row in index.assets("default", ["a"])] == keys
    assert set(index.read(keys)) == set(keys)
    nearest = index.search_segments(SearchRequest(tenant="default", vectors=vector, exclude_asset="b", limit=1))
    assert nearest[0][0].segment_id == "a:0"
    frames = index.search_frames(
        SearchRequest(tenant="default", vectors=segments[1].descriptor.frames, exclude_asset="b", limit=1)
    )
    assert {found[0].segment_id for found in frames} == {"a:1"}
    index.delete("default", "a", from_index=1)
    assert [row.segment_index for row in index.assets("default", ["a"])] == [0]
    index.flush()
    assert failing.failed == {"store", "assets", "read", "search_segments", "search_frames", "delete", "flush"}
    assert len(alive) >= len(failing.failed)
