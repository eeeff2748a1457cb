"""Closed states are removed after the retention, as fast as new ones come, whatever clock wrote them."""

from services.alerter.state_codec import get_asset_key
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
