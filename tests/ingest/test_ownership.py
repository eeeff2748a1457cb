"""A worker that has lost its partition leaves nothing of an asset that was removed meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest

from services.backends.memory.index import MemoryIndex
from services.backends.retrying_index import RetryingIndex
from services.contracts.events import AssetRemoved
from services.contracts.ports import Rebalance
from services.contracts.segments import DescribedSegment
from services.ingest.ownership import DOUBT_S, SILENCE_S, Ownership
from services.runtime.probes import Health
from services.runtime.retry import Retrier
from tests.ingest.fakes import End, Shot
from tests.ingest.rebalancing import REVOKED, RebalancingConsumer
from tests.ingest.service import Service, upload

NONE = Rebalance(frozenset(), frozenset())


class Pair:
    """A worker that waits in `store`, and another one, to which its partition moves."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.waiting = service.worker
        self.consumer = RebalancingConsumer(self.waiting._consumer)  # type: ignore[arg-type]
        self.waiting._consumer = self.consumer
        self.ownership = service.pipeline.ownership
        self.clock_s = 0.0
        self.ownership._clock = lambda: self.clock_s
        self.ownership._polled_s = 0.0
        service.restart()  # the other worker

    def wait_in_store(self, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
        """Let a step of the first worker wait in `store` for an index that is down, until `meanwhile` has happened."""
        self.service.index.down = True

        def keep_alive() -> None:
            self.service.index.down = False
            meanwhile()
            self.waiting.keep_alive()

        retrier = Retrier(Health(loop_timeout_s=60), keep_alive=keep_alive, is_over=lambda: False)
        index = RetryingIndex(self.service.index, retrier, choose=self.ownership.choose)
        monkeypatch.setattr(self.waiting._pipeline._store, "_index", index)
        while self.service.index.down:
            self.waiting.run_once(0)

    def stand_still(self, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
        """Let a step of the first worker stand still before it stores, until `meanwhile` has happened."""
        store, stood = self.service.index.store, list[int]()

        def store_late(batch: list[DescribedSegment]) -> int | None:
            if not stood:
                stood.append(1)
                meanwhile()
                self.clock_s += SILENCE_S + 1
            return store(batch)

        monkeypatch.setattr(self.service.index, "store", store_late)
        while not stood:
            self.waiting.run_once(0)

    def run_the_other(self) -> None:
        """Let the partition move: the other worker does all that is published."""
        self.service.run()
        self.consumer.rebalances = [REVOKED]
        self.consumer.poll = lambda *_: []  # type: ignore[attr-defined]


def rows(index: MemoryIndex) -> list[str]:
    return [row.segment_id for row in index.read_rows("default")]


@pytest.mark.parametrize("again", [False, True], ids=["first upload", "stored already"])
def test_what_waits_to_be_stored_is_dropped_when_its_partition_moves(
    service: Service, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    film = service.write_film("a", Shot(0, 20), End(20))
    if again:
        service.publish(upload(film))
        service.run()
    service.publish(upload(film))
    pair = Pair(service)

    def remove() -> None:
        if not pair.consumer.rebalances:
            service.publish(AssetRemoved(asset_id="a"))
            pair.run_the_other()
            assert rows(service.index) == []

    pair.wait_in_store(monkeypatch, remove)
    announced = len(service.events())
    pair.consumer.rebalances = [NONE]
    while pair.waiting.run_once(0):
        pass
    assert rows(service.index) == []
    assert len(service.events()) == announced, "what is not stored is not announced"


def test_what_waits_for_other_partitions_is_stored(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.publish(upload(service.write_film("a", Shot(0, 20), End(20))))
    pair = Pair(service)
    moved = Rebalance(frozenset(), frozenset({1}))
    pair.wait_in_store(monkeypatch, lambda: pair.consumer.rebalances.append(moved))
    assert rows(service.index) == ["a:0"]
    assert [segment.segment_id for segment in service.segments()] == ["a:0"]


def test_a_process_that_stood_still_erases_again_what_was_removed_meanwhile(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.publish(upload(service.write_film("a", Shot(0, 20), End(20))))
    service.publish(upload(service.write_film("b", Shot(0, 20), End(20)), "b"))
    pair = Pair(service)

    def remove() -> None:
        service.publish(AssetRemoved(asset_id="a"))
        pair.run_the_other()
        pair.consumer.rebalances = [NONE] * 2 + [REVOKED]  # it is not told at once
        assert rows(service.index) == ["b:0"]

    pair.stand_still(monkeypatch, remove)
    assert rows(service.index) == ["a:0", "b:0"], "else this tests nothing"
    for _ in range(3):
        pair.waiting.run_once(0)
    assert rows(service.index) == ["b:0"], "what the other worker stored has the same key, and stays"


def test_a_later_upload_is_spared(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    film = service.write_film("a", Shot(0, 20), End(20))
    service.publish(upload(film))
    pair = Pair(service)

    def remove() -> None:
        service.publish(AssetRemoved(asset_id="a"), upload(film))
        pair.run_the_other()

    pair.stand_still(monkeypatch, remove)
    pair.waiting.run_once(0)
    assert pair.consumer.rebalances == []
    assert rows(service.index) == ["a:0"]


def test_a_worker_without_doubt_reads_nothing_when_a_partition_moves(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.publish(upload(service.write_film("a", Shot(0, 20), End(20))))
    pair = Pair(service)
    monkeypatch.setattr(service.bus, "read", lambda *_, **__: pytest.fail("the topic was read"))
    while pair.waiting.run_once(0):
        pass
    pair.consumer.rebalances = [REVOKED]
    pair.waiting.run_once(0)
    assert rows(service.index) == ["a:0"]


def test_doubt_ends(service: Service) -> None:
    clock: list[float] = [0.0]
    ownership = Ownership(lambda: clock[0])
    job: Any = service  # is only kept
    job.key, job.record = "default/a", type("Of", (), {"partition": 0})
    clock[0] = SILENCE_S + 1
    ownership.note_poll([])
    with ownership.storing([job]):
        pass
    clock[0] += DOUBT_S + 1
    ownership.note_poll([])
    assert ownership.release(0) == []
