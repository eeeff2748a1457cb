"""Closed states are removed after the retention, as fast as new ones come, in transactions that a broker accepts."""

from typing import Any

import pytest

from services.alerter.state_codec import get_asset_key
from services.contracts import topics
from services.contracts.envelope import to_message
from tests.alerter.by_hand import ended, searched
from tests.alerter.stages import (
    ALERT_RETENTION_S,
    IDLE_S,
    RETENTION_S,
    Stages,
    copy,
    original,
    segment_events,
    upload,
)
from tests.descriptors import cut, work

HOUR_S = 3600.0


def kept(stages: Stages) -> set[str]:
    """The assets that the state topic holds."""
    return {get_asset_key(name) for name in stages.bus.states()}


def test_the_state_of_an_asset_without_alerts_is_removed_after_the_retention() -> None:
    stages, unique = Stages(), cut("unique", work(7, 0, 40))
    stages.store(unique)
    stages.process(*upload(unique))
    stages.wait(RETENTION_S / 2, step_s=HOUR_S)
    stages.process(segment_events(unique)[0])  # a late event restarts the retention
    stages.wait(RETENTION_S - 2 * HOUR_S, step_s=HOUR_S)
    assert kept(stages) == {"default/unique"}
    stages.wait(3 * HOUR_S, step_s=HOUR_S)
    assert stages.bus.states() == {}
    assert stages.states.asset_count == 0
    records, messages, states = stages.bus.commits[-1]
    assert (records, list(messages)) == ((), [])
    assert states == {0: {"default/unique": None, "default/unique#0": None, "default/unique#1": None}}


def test_the_states_of_assets_that_an_alert_names_are_kept_longer() -> None:
    """Revisions of the alert go on, and a removal of either side withdraws it."""
    stages = Stages()
    stages.store(original(), copy())
    stages.process(*upload(original()), *upload(copy()))
    stages.wait(ALERT_RETENTION_S - 2 * HOUR_S, step_s=HOUR_S)
    assert kept(stages) == {"default/copy", "default/original"}
    stages.wait(3 * HOUR_S, step_s=HOUR_S)
    assert stages.bus.states() == {}


def test_the_state_of_an_open_asset_is_never_removed() -> None:
    stages = Stages()
    stages.store(original(), copy())
    stages.process(*segment_events(copy())[:2])
    stages.consumer.hidden_lag = 1
    stages.wait(2 * ALERT_RETENTION_S, step_s=HOUR_S)
    assert kept(stages) == {"default/copy"}


def test_revisions_go_on_rising_after_the_state_was_forgotten() -> None:
    stages = Stages()
    stages.store(original(), copy())
    stages.process(*upload(copy()))
    stages.wait(ALERT_RETENTION_S + HOUR_S, step_s=HOUR_S)
    assert stages.bus.states() == {}
    stages.process(*upload(copy()))
    assert len(stages.latest()) == len(stages.verdicts()) == 1, "which assert that they rise"
    assert len(stages.alerts()) == len(stages.all_verdicts()) == 2


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages end and forget assets after a few seconds."""
    monkeypatch.setattr("tests.alerter.stages.RETENTION_S", 10.0)
    monkeypatch.setattr("tests.alerter.stages.IDLE_S", 20.0)


def upload_for(stages: Stages, seconds: int, *, per_s: int, is_ended: bool, steps: int = 1) -> int:
    """Upload so many unique assets a second, in which the alerter makes `steps`. Returns the most states kept."""
    most = 0
    for second in range(seconds):
        for number in range(per_s):
            asset_id = f"{second}-{number}"
            events = [searched(0, asset_id=asset_id), *([ended(1, asset_id=asset_id)] if is_ended else [])]
            stages.bus.publish([to_message(topics.MATCH_EVIDENCE, event, source="test") for event in events])
        stages.clock.at += 1
        for _ in range(steps):
            stages.alerter.run_once(0)
        most = max(most, stages.states.asset_count)
    return most


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("is_ended", "longest_s"), [(True, 10), (False, 30)], ids=["by uploaders", "for silence"])
def test_states_are_removed_as_fast_as_64_uploads_a_second_end(is_ended: bool, longest_s: int) -> None:
    stages = Stages()
    assert upload_for(stages, 45, per_s=64, is_ended=is_ended) <= 64 * (longest_s + 1)
    assert len(stages.all_verdicts()) >= 64 * (45 - 20 - 3)


@pytest.mark.usefixtures("hasty")
def test_no_partition_waits_until_another_has_nothing_left_to_end() -> None:
    # A step reads one partition. In the last one of a second none has lag, so that all of them are idle.
    assert upload_for(Stages(partitions=4), 60, per_s=16, is_ended=False, steps=5) <= 16 * (30 + 6)


MOST = 100  # records of a transaction


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a step tidies is so much."""
    monkeypatch.setattr("services.alerter.worker.TIDIED_RECORDS", MOST)


def upload_films(stages: Stages, count: int, segments: int) -> None:
    for number in range(count):
        asset_id = f"film-{number}"
        events = [*(searched(n, asset_id=asset_id) for n in range(segments)), ended(segments, asset_id=asset_id)]
        stages.evidence(*events)


def forget_all(stages: Stages) -> list[int]:
    """Wait until nothing is kept. Returns how many records each transaction had."""
    before = len(stages.bus.commits)
    stages.clock.at += RETENTION_S + HOUR_S
    stages.run()
    assert stages.bus.states() == {}
    assert stages.states.asset_count == 0
    return [len(states[0]) for _, _, states in stages.bus.commits[before:]]


@pytest.mark.usefixtures("limited")
def test_a_transaction_forgets_a_limited_number_of_records() -> None:
    stages = Stages()
    upload_films(stages, 30, 22)
    sizes = forget_all(stages)
    assert max(sizes) <= MOST + 1
    assert len(sizes) <= 2 * (30 * 23 // MOST + 1)


@pytest.mark.usefixtures("limited")
def test_an_asset_that_is_too_much_for_a_transaction_is_forgotten_in_parts_and_a_restart_goes_on() -> None:
    stages = Stages()
    upload_films(stages, 1, 2 * MOST + 10)
    stages.clock.at += RETENTION_S + HOUR_S
    assert stages.alerter.run_once(0)
    left = stages.bus.states()
    assert "default/film-0" in left, "the first record is the last one to go"
    assert len(left) == MOST + 11
    stages.restart()
    stages.run()
    assert stages.bus.states() == {}
    assert len(stages.all_verdicts()) == 1


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("restarts", [False, True])
def test_no_event_finds_a_part_of_an_asset(restarts: bool) -> None:
    stages = Stages()
    upload_films(stages, 1, 2 * MOST + 10)
    stages.clock.at += RETENTION_S + HOUR_S
    stages.alerter.run_once(0)
    if restarts:
        stages.restart()
    stages.evidence(searched(7, asset_id="film-0"))
    assert stages.state("default/film-0").segments.keys() == {7}
    assert stages.bus.states().keys() == {"default/film-0", "default/film-0#7"}
    assert len(stages.all_verdicts()) == 1, "no verdict on what is left of it"


@pytest.mark.usefixtures("limited")
def test_what_cannot_be_committed_is_tried_in_smaller_parts() -> None:
    stages = Stages()
    upload_films(stages, 30, 22)
    commit_all, most = stages.consumer.commit_all, MOST // 10

    def commit_little(records: Any, messages: Any, states: Any) -> None:
        stages.bus.fails = "before" if sum(map(len, states.values())) > most else None
        commit_all(records, messages, states)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stages.consumer, "commit_all", commit_little)
        stages.clock.at += RETENTION_S + HOUR_S
        for _ in range(400):
            stages.alerter.run_once(0)
    assert stages.bus.states() == {}


def test_the_end_of_idle_assets_is_limited_by_records_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.alerter.worker.TIDIED_RECORDS", 20)
    stages = Stages()
    stages.evidence(*(searched(0, asset_id=f"open-{number}") for number in range(50)))
    before = len(stages.bus.commits)
    stages.wait(IDLE_S + 600)
    sizes = [len(messages) + len(states[0]) for _, messages, states in stages.bus.commits[before:]]
    assert max(sizes) <= 20 + 1
    assert len(stages.all_verdicts()) == 50
