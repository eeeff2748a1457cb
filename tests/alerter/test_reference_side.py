"""Alerts of others that rest on content of a reference end with that content, whichever of both is known first."""

from collections.abc import Callable

import pytest

from services.contracts.evidence import PairLinked, SideReplaced
from tests.alerter.chain import chain, hold_back, later, middle, remove_middle, replace_middle, unlike
from tests.alerter.outcomes import assert_links_agree
from tests.alerter.stages import Stages, bounds, frames, original, upload
from tests.descriptors import UPLOADED_AT, cut, described, work

ENDINGS: dict[str, Callable[[Stages], None]] = {
    "replaced": lambda stages: replace_middle(stages, unlike()),
    "removed": remove_middle,
}


def status_of(stages: Stages, query: str = "later") -> list[str]:
    """The states of the alert about a query and the asset in the middle."""
    sides = (query, "middle")
    return [one.status for one in stages.alerts() if (one.query.asset_id, one.reference.asset_id) == sides]


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_alert_of_the_query_is_withdrawn_and_its_verdict_revised(ending: str, partitions: int) -> None:
    stages = chain(partitions)
    assert stages.verdicts()["default/later"].verdict == "copies"
    ENDINGS[ending](stages)
    assert status_of(stages) == ["final", "withdrawn"]
    verdict = stages.verdicts()["default/later"]
    assert (verdict.verdict, verdict.alert_ids) == ("unique", ())
    assert stages.state("default/middle").links == {}
    assert_links_agree(stages)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_link_that_comes_after_the_end_of_its_content_is_answered(ending: str) -> None:
    stages = chain()
    again = cut("again", work(2, 0, 20), uploaded_at=UPLOADED_AT + 180)
    stages.store(again)
    with hold_back(stages, PairLinked) as links:
        stages.process(*upload(again))
        ENDINGS[ending](stages)
        assert status_of(stages, "again") == ["final"]
    assert links
    assert status_of(stages, "again") == ["final", "withdrawn"]
    assert "again" not in stages.state("default/middle").links
    assert_links_agree(stages)


@pytest.mark.parametrize("ending", ENDINGS)
def test_evidence_that_a_delayed_matcher_sends_about_ended_content_leads_to_no_lasting_alert(ending: str) -> None:
    stages = chain()
    late = stages.search(*upload(middle()), *upload(later()), *upload(original()))
    ENDINGS[ending](stages)
    left = [(alert.query.asset_id, alert.reference.asset_id) for alert in stages.live()]
    assert left == []
    for message in late:
        stages.deliver([message])
    assert [(alert.query.asset_id, alert.reference.asset_id) for alert in stages.live()] == []
    assert stages.verdicts()["default/later"].verdict == "unique"
    assert stages.verdicts()["default/original"].copied_by == 0
    assert_links_agree(stages)


def test_news_of_an_ended_content_that_come_late_do_not_touch_evidence_about_what_replaced_it() -> None:
    stages = chain()
    shown = frames(work(9, 0, 40), work(2, 0, 20))
    again = cut("middle", shown, stamp="moved", generation=2, uploaded_at=UPLOADED_AT + 60)
    with hold_back(stages, SideReplaced):
        replace_middle(stages, again)
        stages.process(*upload(later()))  # searched again, so that it has evidence about the new content
    [alert] = [alert for alert in stages.live() if alert.query.asset_id == "later"]
    assert bounds(alert) == [(10, 30, 40, 60)]
    assert_links_agree(stages)


def test_only_the_part_about_a_mended_segment_file_of_the_reference_goes() -> None:
    """The interval of its neighbour, found by the same search, stays."""
    stages = Stages()
    live = [
        described("live", index, work(1, 32 * index, 32 * index + 32), is_whole_file=False, generation=1)
        for index in range(3)
    ]
    query = cut("query", frames(work(2, 0, 4), work(1, 20, 44), work(2, 4, 8)), uploaded_at=UPLOADED_AT + 99)
    stages.store(live, query)
    stages.process(*upload(live), *upload(query))
    assert bounds(stages.live()[0]) == [(4, 28, 20, 44)]
    mended = [described("live", 1, work(6), is_whole_file=False, generation=2, stamp="mended")]
    stages.store(mended)
    stages.index.delete("default", "live", before=2, from_index=1, to_index=2)
    stages.process(upload(mended)[0])
    [alert] = stages.live()
    assert bounds(alert) == [(4, 16, 20, 32)]
    assert stages.verdicts()["default/query"].verdict == "copies"


def test_a_query_without_an_alert_answers_news_with_no_link() -> None:
    """A link may outlive its alert if both sides changed at once."""
    stages = chain()
    with hold_back(stages, PairLinked):
        replace_middle(stages, unlike())
        other = cut("later", work(9, 0, 40), stamp="other", generation=2, uploaded_at=UPLOADED_AT + 120)
        stages.store(other)
        stages.index.delete("default", "later", before=2)
        stages.process(*upload(other))
    assert stages.state("default/middle").links == {}
    assert stages.verdicts()["default/middle"].copied_by == 0
