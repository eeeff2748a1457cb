"""What matcher and alerter tell each other survives the wire, and fields of a newer release do no harm."""

import json
from dataclasses import replace

import pytest

from services.contracts.envelope import to_event, to_message
from services.contracts.events import AssetEvent, Role
from services.contracts.evidence import PairLinked, SegmentRange, SideReplaced
from tca_model.matching.calibration import Calibration, Curve
from tests.alerter.by_hand import AT, make_finding, pair_evidence, searched
from tests.newer_release import add_fields

CALIBRATED = Calibration(alert_threshold=0.9, basis="by hand", curve=Curve(slope=5, intercept=6))
EVENTS: list[AssetEvent] = [
    searched(3, make_finding(), make_finding(other="another", compared=[0, 4])),
    searched(3, calibration=CALIBRATED, content=None),
    pair_evidence(make_finding(), calibration=CALIBRATED),
    PairLinked(asset_id="a", query_id="q", alert_id="1", is_live=True, compared=make_finding().compared),
    SideReplaced(asset_id="a", reference_id="r", replaced=(SegmentRange(first=1, end=2, before=7),)),
]


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_survives_the_wire(event: AssetEvent) -> None:
    message = to_message("t", event, source="test")
    assert to_event(message) == event


@pytest.mark.parametrize("event", EVENTS)
def test_fields_of_a_newer_release_are_ignored(event: AssetEvent) -> None:
    message = to_message("t", event, source="test")
    newer = json.dumps(add_fields(json.loads(message.value))).encode()
    assert to_event(replace(message, value=newer)) == event


def test_evidence_goes_to_the_partition_of_the_query_side() -> None:
    event = pair_evidence(make_finding(other="query"))
    assert (event.key, event.finding.other.asset_id) == ("default/query", "query")


@pytest.mark.parametrize(
    ("mine", "other", "query"),
    [
        ({"uploaded_at": AT.replace(year=2027)}, {}, "mine"),
        ({}, {"uploaded_at": AT.replace(year=2027)}, "other"),
        ({}, {}, "other"),  # uploaded at the same moment: the id decides
        ({"asset_id": "z"}, {}, "z"),
        ({"role": Role.REFERENCE, "uploaded_at": AT.replace(year=2027)}, {}, "other"),
        ({"role": Role.REFERENCE}, {"uploaded_at": AT.replace(year=2027)}, "other"),
        ({}, {"role": Role.REFERENCE, "uploaded_at": AT.replace(year=2027)}, "mine"),
        ({"uploaded_at": AT.replace(year=2027)}, {"role": Role.REFERENCE}, "mine"),
        (
            {"role": Role.REFERENCE, "uploaded_at": AT.replace(year=2027)},
            {"role": Role.REFERENCE},
            "mine",
        ),
        ({"role": Role.PROBE}, {"role": Role.REFERENCE}, "mine"),
    ],
)
def test_a_reference_is_the_reference_side_and_otherwise_the_later_upload_is_the_query(
    mine: dict[str, object], other: dict[str, object], query: str
) -> None:
    one = make_finding(other="mine").other.model_copy(update=mine)
    two = make_finding(other="other").other.model_copy(update=other)
    assert max((one, two), key=lambda facts: facts.side_order).asset_id == query


def test_a_range_covers_older_generations_of_its_segments() -> None:
    some = SegmentRange(first=2, end=4, before=7)
    covered = [(index, generation) for index in range(6) for generation in (6, 7, 8) if some.covers(index, generation)]
    assert covered == [(2, 6), (3, 6)]
    assert SegmentRange(before=7).covers(10**6, 6)
