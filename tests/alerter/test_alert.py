"""An alert says what the later upload copied from the other, under ids that never change."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.alerter.alert import build_alert
from services.alerter.announce import Announcer
from services.alerter.pair import Pair, Unit, UnitKey
from services.alerter.state import AssetState
from services.contracts.events import AssetVerdict, DuplicateAlert
from services.contracts.evidence import ComparedSegment, PairLinked
from services.contracts.generations import OFFSET_BITS
from tca_model.matching.evidence import JoinedEvidence, join
from tca_model.types import Match
from tests.alerter.by_hand import AT, after, ended, make_finding, pair_evidence, searched
from tests.alerter.stages import RULE

HOUR = timedelta(hours=1)
DETECTED = AT + 5 * HOUR

# Seconds 10 to 30 of the query are seconds 40 to 60 of the reference.
COPY = Match(10, 30, 40, 60, 0.9)
FINDING = make_finding(compared=[1], match=COPY, duration_s=200.0, frame_count=200)
JOINED = join([FINDING.evidence])


def asset(
    asset_id: str = "mine", *, at: datetime = AT + HOUR, is_ended: bool = False, end_s: float = 80.0
) -> AssetState:
    segment = searched(0, asset_id=asset_id, uploaded_at=at, end_s=end_s)
    ends = [ended(1, end_s, asset_id=asset_id)] if is_ended else []
    return after(segment, *ends, state=AssetState("default", asset_id))


def pair(other: str = "other", *, alert: DuplicateAlert | None = None, generation: int = 1) -> Pair:
    facts = FINDING.other.model_copy(update={"asset_id": other})
    unit = replace(Unit.of(1, FINDING), generation=generation)
    state = after(searched(0, FINDING))
    return replace(state.pairs["other"], other=facts, units={UnitKey("query", 0): unit}, alert=alert)


def revise(state: AssetState, before: Pair, joined: JoinedEvidence = JOINED, *, at: datetime) -> DuplicateAlert | None:
    return build_alert(state, before, joined, joined.joined_score, now=at)


def publish(state: AssetState, other: Pair, joined: JoinedEvidence = JOINED) -> DuplicateAlert:
    published = revise(state, other, joined, at=DETECTED)
    assert published is not None
    return published


def test_every_directed_figure_follows_the_sides() -> None:
    alert = publish(asset(), pair())
    assert (alert.query.asset_id, alert.reference.asset_id) == ("mine", "other")
    assert (alert.query.uploaded_at, alert.reference.uploaded_at) == (AT + HOUR, AT)
    [interval] = alert.intervals
    assert (interval.query_start_s, interval.query_end_s) == (10, 30)
    assert (interval.reference_start_s, interval.reference_end_s) == (40, 60)
    assert (alert.query_coverage, alert.reference_coverage) == (20 / 80, 20 / 200)
    assert alert.similarity.chamfer_query_to_reference == JOINED.chamfer_query_to_reference
    assert alert.similarity.chamfer_reference_to_query == JOINED.chamfer_reference_to_query
    assert alert.score == JOINED.joined_score
    assert alert.joined_score == pytest.approx(JOINED.joined_score, abs=1e-4)


def test_ids_are_hashes_of_the_tenant_and_both_assets() -> None:
    def digest(*parts: str) -> str:
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]

    one, turned = publish(asset("one"), pair("two")), publish(asset("two"), pair("one"))
    assert one.alert_id == digest("default", "one", "two")
    assert turned.alert_id == digest("default", "two", "one")
    assert one.pair_id == turned.pair_id == digest("default", "one", "two")
    assert one.key == one.alert_id, "a compacted topic is a table of alerts"
    elsewhere = publish(replace(asset("one"), tenant="tenant"), pair("two"))
    assert {elsewhere.alert_id, elsewhere.pair_id}.isdisjoint({one.alert_id, one.pair_id})
    assert publish(asset("a"), pair("bc")).pair_id != publish(asset("ab"), pair("c")).pair_id


def test_ids_do_not_depend_on_the_evidence() -> None:
    one, other = publish(asset(), pair()), publish(asset(is_ended=True), pair(generation=9), shift(5))
    assert (one.alert_id, one.pair_id) == (other.alert_id, other.pair_id)


def shift(by_s: float) -> JoinedEvidence:
    return replace(JOINED, intervals=(replace(COPY, query_end_s=30 + by_s),))


def test_an_alert_begins_open_and_its_first_revision_is_the_time() -> None:
    """So that revisions go on rising after the state was forgotten."""
    alert = publish(asset(), pair())
    assert (alert.revision, alert.status) == (int(DETECTED.timestamp()), "open")
    assert alert.first_detected_at == alert.detected_at == DETECTED
    assert alert.is_first


def test_an_unchanged_pair_has_no_new_revision() -> None:
    before = publish(asset(), pair())
    assert revise(asset(), pair(alert=before), at=DETECTED + HOUR) is None


def test_a_change_too_small_to_see_is_no_new_revision() -> None:
    before = publish(asset(), pair())
    nearly = replace(
        JOINED, joined_score=JOINED.joined_score + 0.004, intervals=(replace(COPY, similarity=0.904, query_end_s=30.4),)
    )
    assert revise(asset(), pair(alert=before), nearly, at=DETECTED + HOUR) is None
    published = revise(asset(is_ended=True), pair(alert=before), nearly, at=DETECTED + HOUR)
    assert published is not None, "a new status"
    assert (published.score, published.intervals[0].query_end_s) == (nearly.joined_score, 30.4)


def test_an_upload_that_continues_is_no_new_revision() -> None:
    before = publish(asset(), pair())
    longer = replace(pair(alert=before), other=FINDING.other.model_copy(update={"duration_s": 900.0}))
    assert revise(asset(), longer, at=DETECTED + HOUR) is None
    assert revise(asset(end_s=400.0), pair(alert=before), at=DETECTED + HOUR) is None
    diluted = replace(JOINED, chamfer_query_to_reference=0.1)
    assert revise(asset(), pair(alert=before), diluted, at=DETECTED + HOUR) is None


@pytest.mark.parametrize(
    ("state", "joined"),
    [
        (asset(), shift(1)),
        (asset(), replace(JOINED, joined_score=JOINED.joined_score + 0.01)),
        (asset(), replace(JOINED, intervals=())),
        (asset(), replace(JOINED, intervals=(COPY, Match(50, 60, 0, 10, 0.5)))),
        (asset(is_ended=True), JOINED),
        (asset(at=AT + 2 * HOUR), JOINED),
    ],
    ids=["longer", "score", "gone", "second", "final", "time of the query"],
)
def test_a_change_is_a_higher_revision_of_the_same_alert(state: AssetState, joined: JoinedEvidence) -> None:
    before = publish(asset(), pair())
    published = revise(state, pair(alert=before), joined, at=DETECTED + HOUR)
    assert published is not None
    assert (published.alert_id, published.pair_id) == (before.alert_id, before.pair_id)
    assert published.revision == before.revision + 3600
    assert (published.first_detected_at, published.detected_at) == (DETECTED, DETECTED + HOUR)
    assert not published.is_first


def test_revisions_rise_within_a_second_and_when_the_clock_is_set_back() -> None:
    before = publish(asset(), pair())
    for at in (DETECTED, DETECTED - HOUR):
        published = revise(asset(), pair(alert=before), shift(1), at=at)
        assert published is not None
        assert published.revision == before.revision + 1


def test_the_alert_of_a_complete_asset_is_final() -> None:
    assert publish(asset(is_ended=True), pair()).status == "final"


def test_latency_counts_from_the_later_record_by_the_clock_of_the_broker() -> None:
    for record_at in (AT + HOUR, AT + 2 * HOUR):
        generation = int(record_at.timestamp() * 1000) << OFFSET_BITS
        assert publish(asset(), pair(generation=generation)).latency_s == (DETECTED - record_at).total_seconds()
    ahead = int((DETECTED + HOUR).timestamp() * 1000) << OFFSET_BITS
    assert publish(asset(), pair(generation=ahead)).latency_s == 0


def test_coverage_never_exceeds_one() -> None:
    other = replace(pair(), other=FINDING.other.model_copy(update={"duration_s": 0.0}))
    alert = publish(asset(end_s=5.0), other)
    assert (alert.query_coverage, alert.reference_coverage) == (1, 0)


def test_each_revision_tells_the_reference_and_names_the_segments_that_it_rests_on() -> None:
    own = make_finding(compared=[0, 2], generation=4)
    reverse = pair_evidence(
        make_finding(other="mine", segment_index=5), reference=own.other, generation=6, asset_id="mine"
    )
    state = after(searched(0, own, asset_id="mine"), reverse, state=AssetState("default", "mine"))
    state, events = Announcer(RULE)(AssetState("default", "mine"), state, DETECTED)
    [alert, link] = events
    assert isinstance(alert, DuplicateAlert)
    assert isinstance(link, PairLinked)
    assert (link.asset_id, link.query_id, link.alert_id, link.is_live) == ("other", "mine", alert.alert_id, True)
    assert places(link.compared) == [(0, 4), (2, 4), (5, 6)]
    state, events = Announcer(RULE)(state, replace(state, pairs=without_units(state)), DETECTED + HOUR)
    [withdrawn, unlink] = events
    assert isinstance(withdrawn, DuplicateAlert)
    assert isinstance(unlink, PairLinked)
    assert (withdrawn.status, unlink.is_live, unlink.compared) == ("withdrawn", False, ())
    assert Announcer(RULE)(state, state, DETECTED + HOUR) == (state, []), "once"


def places(compared: Sequence[ComparedSegment]) -> list[tuple[int, int]]:
    return [(one.segment_index, one.generation) for one in compared]


def without_units(state: AssetState) -> dict[str, Pair]:
    return {other: replace(one, units={}) for other, one in state.pairs.items()}


def test_alerts_come_before_the_verdict_that_names_them() -> None:
    state = after(searched(0, FINDING), ended(1, 80.0))
    _, events = Announcer(RULE)(AssetState("default", "mine"), state, DETECTED)
    alert, link, verdict = events
    assert isinstance(alert, DuplicateAlert)
    assert isinstance(link, PairLinked)
    assert isinstance(verdict, AssetVerdict)
    assert verdict.alert_ids == (alert.alert_id,)


def test_evidence_without_any_known_segment_is_no_alert_until_its_segment_comes() -> None:
    """Evidence about segment 1 came before its own event, and an end cut off all that was known before."""
    announcer, start = Announcer(RULE), AssetState("default", "a")
    early = pair_evidence(make_finding(other="a", compared=[1], generation=30), generation=30)
    first = searched(0, is_whole_file=False, generation=10)
    open_state, events = announcer(start, after(first, early, state=start), DETECTED)
    assert [event.status for event in events if isinstance(event, DuplicateAlert)] == ["open"]

    cut, events = announcer(open_state, after(ended(0, generation=20), state=open_state), DETECTED)
    assert cut.uploaded_at is None
    withdrawn, verdict = [event for event in events if isinstance(event, DuplicateAlert | AssetVerdict)]
    assert isinstance(withdrawn, DuplicateAlert)
    assert isinstance(verdict, AssetVerdict)
    assert (withdrawn.status, verdict.verdict) == ("withdrawn", "undecidable")

    whole = after(searched(1, is_whole_file=False, generation=30), ended(2, generation=30), state=cut)
    again, events = announcer(cut, whole, DETECTED)
    assert [event.status for event in events if isinstance(event, DuplicateAlert)] == ["open"]
    assert not again.is_complete
