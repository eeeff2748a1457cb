"""A defect of this program that one record triggers costs that record, and not the stream."""

from collections.abc import Sequence

import pytest

from services.contracts.events import AssetEnded
from services.contracts.segments import DescribedSegment
from services.runtime.defects import MAX_ATTEMPTS, MAX_IN_A_ROW
from tests.ingest.fakes import End, Shot
from tests.ingest.service import Service, upload


class Defect(Exception):
    """Nothing that the project knows, as an error of Milvus without a known code."""


def break_store(service: Service, monkeypatch: pytest.MonkeyPatch, *assets: str, times: int = 10**9) -> list[str]:
    """Make storing these assets raise. Returns the assets for which it did."""
    store, raised = service.index.store, list[str]()

    def store_or_raise(segments: Sequence[DescribedSegment]) -> int | None:
        for segment in segments:
            if segment.row.asset_id in assets and len(raised) < times:
                raised.append(segment.row.asset_id)
                raise Defect(f"{segment.row.asset_id} is too much")
        return store(segments)

    monkeypatch.setattr(service.index, "store", store_or_raise)
    return raised


def publish(service: Service, *assets: str) -> None:
    for asset in assets:
        service.publish(upload(service.write_film(f"{asset}.mp4", Shot(0, 3), End(3), content=asset), asset))


def endings(service: Service) -> dict[str, str]:
    return {event.asset_id: event.status for event in service.events() if isinstance(event, AssetEnded)}


def test_the_record_to_blame_is_a_dead_letter_and_the_others_are_described(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised = break_store(service, monkeypatch, "bad")
    publish(service, "one", "bad", "two")
    service.run()
    [dead] = service.dead_letters()
    assert dead.headers["dlq_stage"] == "defect"
    assert dead.headers["dlq_reason"] == f"gave up after {MAX_ATTEMPTS} attempts: Defect('bad is too much')"
    assert endings(service) == {"one": "complete", "bad": "failed", "two": "complete"}
    assert {segment.asset_id for segment in service.segments()} == {"one", "two"}
    assert MAX_ATTEMPTS <= len(raised) <= MAX_ATTEMPTS + 1  # together with another, then alone
    assert service.committed_offset() == 3


def test_a_defect_that_does_not_come_again_costs_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    break_store(service, monkeypatch, "bad", times=MAX_ATTEMPTS - 1)
    publish(service, "one", "bad", "two")
    service.run()
    assert service.dead_letters() == []
    assert endings(service) == dict.fromkeys(("one", "bad", "two"), "complete")
    assert service.committed_offset() == 3


def test_a_record_that_is_still_downloaded_is_no_suspect_and_does_not_delay_those(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_store(service, monkeypatch, "bad")
    service.fetches.held.add("slow.mp4")
    publish(service, "slow", "bad")
    for _ in range(20):
        service.worker.run_once(0)
    assert [dead.headers["dlq_reason"] for dead in service.dead_letters()] == [
        f"gave up after {MAX_ATTEMPTS} attempts: Defect('bad is too much')"
    ]
    publish(service, "two")
    service.fetches.held.clear()
    service.run()
    assert endings(service) == {"slow": "complete", "bad": "failed", "two": "complete"}
    assert service.committed_offset() == 3


def test_a_suspect_is_described_after_a_restart(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    break_store(service, monkeypatch, "bad", times=1)
    publish(service, "bad")
    while not service.worker._suspects:
        service.worker.run_once(0)
    service.restart()
    service.run()
    assert endings(service) == {"bad": "complete"}


def test_a_defect_that_every_record_triggers_ends_the_process(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = [f"a{number}" for number in range(2 * MAX_IN_A_ROW)]
    break_store(service, monkeypatch, *assets)
    publish(service, *assets)
    with pytest.raises(Defect):
        service.run()
    assert len(service.dead_letters()) == MAX_IN_A_ROW
    assert service.committed_offset() == MAX_IN_A_ROW
