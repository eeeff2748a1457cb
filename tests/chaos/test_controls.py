"""Each control takes one guarantee away, of one service, and has a scenario that shows it."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest
from pymilvus import MilvusClient

from services.backends.kafka.connection import KafkaConnection
from services.contracts.ports import Message, Record
from services.runtime.offsets import OffsetTracker
from tests.chaos.controls import CONTROLS, apply_control
from tests.chaos.fail_points import FailPoint
from tests.chaos.faults import FaultKind
from tests.chaos.fleet import SERVICES
from tests.chaos.scenarios import make_control_scenario, make_scenario
from tests.chaos.truth import find_truth


@pytest.fixture(autouse=True)
def restore(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # noqa: ARG001 - is undone after this, not before
    yield
    patch.stopall()


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_changes_its_own_service_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    applied: list[str] = []
    own = CONTROLS[name]
    monkeypatch.setitem(CONTROLS, name, own._replace(apply=lambda: applied.append(name)))
    for service in SERVICES:
        apply_control(name, service)
    assert applied == [name]


def test_with_auto_commit_the_client_commits() -> None:
    connection = KafkaConnection("localhost:1")
    assert not connection.consumer_arguments()["enable_auto_commit"]
    apply_control("auto-commit", "ingest")
    assert connection.consumer_arguments()["enable_auto_commit"]


def test_a_commit_ahead_passes_over_what_is_unfinished() -> None:
    records = [Record(Message("t", "k", b""), 0, offset) for offset in range(2)]
    tracker = OffsetTracker()
    for record in records:
        tracker.start(record)
    assert tracker.finish(records[1]) is None
    apply_control("commit-ahead", "ingest")
    tracker = OffsetTracker()
    for record in records:
        tracker.start(record)
    assert tracker.finish(records[1]) == records[1]


def test_a_bounded_search_waits_for_no_write(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(MilvusClient, "search", lambda *_, **arguments: asked.append(arguments))
    apply_control("bounded-search", "matcher")
    MilvusClient.search(None, "c", [], consistency_level="Customized", guarantee_timestamp=7)
    assert asked == [{"consistency_level": "Bounded"}]


@pytest.mark.parametrize("name", CONTROLS)
def test_each_control_has_a_scenario_with_a_truth(name: str) -> None:
    scenario = make_control_scenario(name)
    assert scenario.control == name
    assert find_truth(scenario.steps).assets
    assert [step.at_s for step in scenario.steps] == sorted(step.at_s for step in scenario.steps)
    for fault in scenario.faults:
        if fault.kind is FaultKind.FAIL_POINT:
            assert FailPoint.parse(fault.detail)


def test_the_seeded_scenario_takes_nothing_away() -> None:
    scenario = make_scenario(1, 3)
    assert scenario.control == ""
    assert scenario == make_scenario(1, 3)
    assert len(scenario.steps) >= 300
    assert len(scenario.faults) > 30
