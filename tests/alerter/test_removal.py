"""A removed asset is acknowledged once nothing names it, and what comes late about it does not bring it back."""

import pytest

from services.alerter.state_codec import get_asset_key
from services.contracts.evidence import PairLinked, SideReplaced
from tests.alerter.chain import chain, hold_back, later, middle, removal, remove_middle, replace_middle, unlike
from tests.alerter.outcomes import assert_links_agree, assert_same_outcome
from tests.alerter.stages import ALERT_RETENTION_S, Stages, original, upload

HOUR_S = 3600.0


def sides(stages: Stages) -> list[tuple[str, str]]:
    return [(alert.query.asset_id, alert.reference.asset_id) for alert in stages.live()]


@pytest.mark.parametrize("partitions", [1, 2, 3])
def test_the_alerts_on_both_sides_are_withdrawn(partitions: int) -> None:
    stages = chain(partitions)
    assert sides(stages) == [("later", "middle"), ("middle", "original")]
    remove_middle(stages)
    assert sides(stages) == []
    assert stages.verdicts()["default/original"].copied_by == 0
    assert stages.verdicts()["default/later"].verdict == "unique"
    [ack] = stages.acknowledgements()
    assert (ack.asset_id, ack.reason) == ("middle", "by court order")
    state = stages.state("default/middle")
    assert (dict(state.segments), state.ended, state.verdict) == ({}, None, None)
    assert_links_agree(stages)


def test_it_is_acknowledged_only_after_no_alert_names_it() -> None:
    stages = chain()
    with hold_back(stages, SideReplaced):
        remove_middle(stages)
        assert sides(stages) == [("later", "middle")]
        assert stages.acknowledgements() == []
    assert sides(stages) == []
    assert len(stages.acknowledgements()) == 1


def test_it_is_acknowledged_only_after_the_query_confirmed_the_withdrawal() -> None:
    stages = chain()
    with hold_back(stages, PairLinked):
        remove_middle(stages)
        assert sides(stages) == []
        assert stages.acknowledgements() == []
    assert len(stages.acknowledgements()) == 1


def test_an_asset_that_nothing_names_is_acknowledged_at_once() -> None:
    stages = Stages()
    stages.process(removal())
    assert [ack.asset_id for ack in stages.acknowledgements()] == ["middle"]
    assert stages.all_verdicts() == []


def test_a_repeated_removal_is_acknowledged_once_and_a_later_one_again() -> None:
    stages = chain()
    remove_middle(stages)
    stages.process(removal(), removal())
    stages.restart()
    stages.process(removal())
    assert len(stages.acknowledgements()) == 1
    stages.process(removal(6))
    assert len(stages.acknowledgements()) == 2


def test_nothing_of_a_removed_asset_comes_back_with_what_delayed_matchers_send() -> None:
    stages = chain()
    late = stages.search(*upload(original()), *upload(middle()), *upload(later()))
    remove_middle(stages)
    for message in [*late, *late]:
        stages.deliver([message])
    assert sides(stages) == []
    assert len(stages.acknowledgements()) == 1
    assert "default/middle" not in {verdict.key for verdict in stages.all_verdicts()[5:]}
    assert_links_agree(stages)


@pytest.mark.parametrize("generation", [6, 7])
def test_an_asset_can_be_uploaded_again(generation: int) -> None:
    stages = chain()
    remove_middle(stages)
    again = middle(generation=generation)
    replace_middle(stages, again)
    assert sides(stages) == [("later", "middle"), ("middle", "original")]
    assert stages.verdicts()["default/middle"].verdict == "copies", "with a higher revision, which it asserts"
    assert len(stages.acknowledgements()) == 1
    stages.process(removal())
    assert_same_outcome(stages, chain())


def test_an_upload_that_is_known_before_the_removal_stays() -> None:
    """Ingest announces both in order; a delayed matcher may not."""
    stages = chain()
    replace_middle(stages, unlike(generation=7))
    verdict = stages.verdicts()["default/middle"]
    stages.process(removal(5))
    assert stages.acknowledgements() == [], "the upload replaced what was to be removed"
    assert stages.verdicts()["default/middle"] == verdict
    assert stages.state("default/middle").segments.keys() == {0, 1}


def test_an_upload_of_which_nothing_older_was_known_stays_when_its_removal_comes_late() -> None:
    stages, again = Stages(), middle(generation=7)
    stages.store(original(), again)
    stages.process(*upload(again))
    stages.process(removal(5))
    assert sides(stages) == [("middle", "original")]
    assert stages.state("default/middle").segments.keys() == {0, 1, 2}
    assert stages.verdicts()["default/middle"].verdict == "copies"
    assert len(stages.acknowledgements()) == 1


def test_a_removal_is_acknowledged_even_if_alerts_name_what_was_uploaded_after_it() -> None:
    stages = chain()
    with hold_back(stages, SideReplaced):
        remove_middle(stages)
        replace_middle(stages, middle(generation=7))
        stages.process(*upload(later()))
    assert sides(stages) == [("later", "middle"), ("middle", "original")]
    assert len(stages.acknowledgements()) == 1


def test_a_link_whose_query_was_forgotten_does_not_keep_a_removal_from_being_acknowledged() -> None:
    stages = chain()
    stages.wait(ALERT_RETENTION_S - HOUR_S, step_s=HOUR_S)
    stages.process(upload(middle())[-1])  # so that only the others are forgotten
    stages.wait(2 * HOUR_S, step_s=HOUR_S)
    assert {get_asset_key(name) for name in stages.bus.states()} == {"default/middle"}
    assert stages.state("default/middle").links.keys() == {"later"}
    remove_middle(stages)
    assert len(stages.acknowledgements()) == 1
