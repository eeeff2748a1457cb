"""Alerts say which side copied the other, under ids that never change."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from services.matcher.alert import Extent, alert_of
from services.matcher.state import AssetState, Pair, SegmentRecord

from services.contracts.events import AssetEnded, DuplicateAlert, Role, SegmentStatus
from tca_model.matching.evidence import PairEvidence, ReferenceEvidence, SegmentEvidence, join
from tca_model.types import Match

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DETECTED = AT + 5 * HOUR

# Seconds 10 to 30 of this asset are seconds 40 to 60 of the other.
COPY = Match(10, 30, 40, 60, 0.9)
EVIDENCE = SegmentEvidence(0, 32, 16.0, (ReferenceEvidence(1, 32, 24.0),), (COPY,))
JOINED = join([EVIDENCE])


def segment(*, at: datetime = AT, end_s: float = 80.0) -> SegmentRecord:
    return SegmentRecord(SegmentStatus.DESCRIBED, Role.UPLOAD, "stamp", "v1", None, 32, end_s, at)


def asset(asset_id: str = "mine", *, at: datetime = AT, role: Role = Role.UPLOAD, ended: bool = False) -> AssetState:
    return AssetState(
        "default",
        asset_id,
        role=role,
        segments={0: segment(at=at)},
        ended=AssetEnded(asset_id=asset_id, segment_count=1, duration_s=80, status="complete") if ended else None,
    )


def pair(
    other_id: str = "other", *, at: datetime = AT, role: Role = Role.UPLOAD, alert: DuplicateAlert | None = None
) -> Pair:
    return Pair(other_id, role, at.timestamp(), {0: EVIDENCE}, {0: 0.5}, alert)


def alert(
    state: AssetState,
    other: Pair,
    joined: PairEvidence = JOINED,
    *,
    duration_s: float = 200.0,
    now: datetime = DETECTED,
) -> DuplicateAlert | None:
    extent = Extent(other.other_uploaded_at, duration_s, 200)
    return alert_of(state, other, joined, joined.joined_score, other=extent, model_version="v1", now=now)


def publish(state: AssetState, other: Pair) -> DuplicateAlert:
    published = alert(state, other)
    assert published is not None
    return published


def sides(published: DuplicateAlert) -> tuple[str, str]:
    return published.query.asset_id, published.reference.asset_id


@pytest.mark.parametrize(
    ("mine", "other", "query"),
    [
        (asset(at=AT + HOUR), pair(), "mine"),
        (asset(), pair(at=AT + HOUR), "other"),
        (asset(), pair(), "other"),  # uploaded at the same moment: the id decides
        (asset("z"), pair(), "z"),
        (asset(role=Role.REFERENCE, at=AT + HOUR), pair(), "other"),
        (asset(role=Role.REFERENCE), pair(at=AT + HOUR), "other"),
        (asset(), pair(role=Role.REFERENCE, at=AT + HOUR), "mine"),
        (asset(at=AT + HOUR), pair(role=Role.REFERENCE), "mine"),
        (asset(role=Role.REFERENCE, at=AT + HOUR), pair(role=Role.REFERENCE), "mine"),
        (asset(role=Role.PROBE), pair(role=Role.REFERENCE), "mine"),
    ],
)
def test_a_reference_is_the_reference_side_and_otherwise_the_later_upload_is_the_query(
    mine: AssetState, other: Pair, query: str
) -> None:
    published = publish(mine, other)
    assert published.query.asset_id == query
    assert set(sides(published)) == {mine.asset_id, other.other_id}


def test_both_assets_report_the_same_sides() -> None:
    for early, late in ((AT, AT + HOUR), (AT, AT)):
        one_sees = publish(asset("one", at=early), pair("two", at=late))
        two_sees = publish(asset("two", at=late), pair("one", at=early))
        assert sides(one_sees) == sides(two_sees) == ("two", "one")
        assert (one_sees.query, one_sees.reference) == (two_sees.query, two_sees.reference)


def test_every_directed_figure_follows_the_sides() -> None:
    later = publish(asset(at=AT + HOUR), pair())
    earlier = publish(asset(), pair(at=AT + HOUR))
    [ahead], [back] = later.intervals, earlier.intervals
    assert (ahead.query_start_s, ahead.query_end_s, ahead.reference_start_s, ahead.reference_end_s) == (10, 30, 40, 60)
    assert (back.query_start_s, back.query_end_s, back.reference_start_s, back.reference_end_s) == (40, 60, 10, 30)
    assert (later.query_coverage, later.reference_coverage) == (20 / 80, 20 / 200)
    assert (earlier.query_coverage, earlier.reference_coverage) == (20 / 200, 20 / 80)
    assert later.similarity.chamfer_query_to_reference == JOINED.chamfer_query_to_reference == 0.5
    assert later.similarity.chamfer_reference_to_query == JOINED.chamfer_reference_to_query == 0.75
    assert earlier.similarity.chamfer_query_to_reference == 0.75
    assert earlier.similarity.chamfer_reference_to_query == 0.5
    assert later.score == earlier.score == JOINED.joined_score


def test_ids_are_hashes_of_the_tenant_and_both_assets() -> None:
    def digest(*parts: str) -> str:
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]

    one_finds, two_finds = publish(asset("one"), pair("two")), publish(asset("two"), pair("one"))
    assert one_finds.alert_id == digest("default", "one", "two")
    assert two_finds.alert_id == digest("default", "two", "one")
    assert one_finds.pair_id == two_finds.pair_id == digest("default", "one", "two")
    elsewhere = publish(replace(asset("one"), tenant="tenant"), pair("two"))
    assert elsewhere.alert_id != one_finds.alert_id
    assert elsewhere.pair_id != one_finds.pair_id
    assert publish(asset("a"), pair("bc")).pair_id != publish(asset("ab"), pair("c")).pair_id


def test_ids_do_not_depend_on_the_evidence_or_on_the_sides() -> None:
    later, earlier = publish(asset(at=AT + HOUR), pair()), publish(asset(), pair(at=AT + HOUR, role=Role.REFERENCE))
    assert (later.alert_id, later.pair_id) == (earlier.alert_id, earlier.pair_id)


def revise(**changes: object) -> DuplicateAlert | None:
    """The next revision about a pair with an alert, after these changes."""
    state = asset()
    before = publish(state, pair())
    joined = changes.pop("joined", JOINED)
    assert isinstance(joined, PairEvidence)
    arguments = {"now": DETECTED + HOUR, **changes}
    return alert(arguments.pop("state", state), pair(alert=before), joined, **arguments)  # type: ignore[arg-type]


def shift(by_s: float) -> PairEvidence:
    return replace(JOINED, intervals=(replace(COPY, query_end_s=30 + by_s),))


def test_an_alert_begins_with_revision_one_and_is_open() -> None:
    published = publish(asset(), pair())
    assert (published.revision, published.status) == (1, "open")
    assert published.first_detected_at == published.detected_at == DETECTED


def test_an_unchanged_pair_has_no_new_revision() -> None:
    assert revise() is None


def test_a_change_too_small_to_see_is_no_new_revision() -> None:
    nearly = replace(
        JOINED, joined_score=JOINED.joined_score + 0.004, intervals=(replace(COPY, similarity=0.904, query_end_s=30.4),)
    )
    assert revise(joined=nearly) is None
    published = revise(joined=nearly, state=asset(ended=True))
    assert published is not None, "a new status"
    assert (published.score, published.intervals[0].reference_end_s) == (nearly.joined_score, 30.4)


def test_an_upload_that_continues_is_no_new_revision() -> None:
    assert revise(duration_s=900.0) is None
    assert revise(state=replace(asset(), segments={0: segment(end_s=400.0)})) is None
    assert revise(joined=replace(JOINED, chamfer_query_to_reference=0.1)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"joined": shift(1)},
        {"joined": replace(JOINED, joined_score=JOINED.joined_score + 0.01)},
        {"joined": replace(JOINED, intervals=())},
        {"joined": replace(JOINED, intervals=(COPY, Match(50, 60, 0, 10, 0.5)))},
        {"state": asset(ended=True)},
        {"state": asset(role=Role.REFERENCE)},
        {"state": asset(at=AT + HOUR)},
    ],
    ids=["longer", "score", "gone", "second", "final", "reference", "sides"],
)
def test_a_change_is_the_next_revision_of_the_same_alert(changes: dict[str, object]) -> None:
    before = publish(asset(), pair())
    if changes == {"state": asset(role=Role.REFERENCE)}:
        assert revise(**changes) is None, "the sides did not change"
        return
    published = revise(**changes)
    assert published is not None
    assert (published.alert_id, published.pair_id) == (before.alert_id, before.pair_id)
    assert published.revision == 2
    assert (published.first_detected_at, published.detected_at) == (DETECTED, DETECTED + HOUR)


def test_the_alert_of_a_complete_asset_is_final() -> None:
    assert publish(asset(ended=True), pair()).status == "final"


def test_latency_counts_from_the_later_of_both_uploads() -> None:
    state = replace(asset(), segments={0: segment(), 1: segment(at=AT + HOUR)})
    assert publish(state, pair()).latency_s == 4 * 3600
    assert publish(state, pair(at=AT + 2 * HOUR)).latency_s == 3 * 3600
    assert publish(asset(role=Role.REFERENCE, at=AT + 2 * HOUR), pair()).latency_s == 3 * 3600


def test_coverage_never_exceeds_one() -> None:
    published = alert(replace(asset(), segments={0: segment(at=AT + HOUR, end_s=5.0)}), pair(), duration_s=0.0)
    assert published is not None
    assert (published.query_coverage, published.reference_coverage) == (1, 0)


def test_a_pair_whose_other_asset_was_deleted_still_alerts() -> None:
    published = alert_of(asset(), pair(at=AT - HOUR), JOINED, 0.9, other=None, model_version="v1", now=DETECTED)
    assert published is not None
    assert published.reference.uploaded_at == AT - HOUR
    assert published.reference_coverage == 0
