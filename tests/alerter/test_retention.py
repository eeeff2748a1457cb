"""Closed states are removed after the retention, as fast as new ones come, whatever clock wrote them."""

import pytest

from services.alerter.state_codec import get_asset_key
from services.contracts import topics
from services.contracts.envelope import to_message
from tests.alerter.by_hand import ended, searched
from tests.alerter.stages import (
    ALERT_RETENTION_S,
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
