"""Events in any order and batch lead to the same alerts, and to one verdict per asset."""

from collections.abc import Iterable
from itertools import permutations
from random import Random
from typing import Any

import pytest

from services.contracts import topics
from services.contracts.envelope import to_event
from services.contracts.events import Event
from services.contracts.ports import Message
from tests.alerter.stages import (
    Stages,
    approximate_figures,
    bounds,
    copy,
    end_event,
    exact_fields,
    original,
    segment_events,
)

MOMENTS = {"detected_at", "first_detected_at", "latency_s", "decided_at"}


@pytest.mark.parametrize(("together", "orders"), [(1, slice(None)), (3, slice(None, None, 5))])
def test_every_order_and_batch_leads_to_the_same_final_alert(together: int, orders: slice) -> None:
    segments = copy()
    events: list[Event] = [*segment_events(segments), end_event(segments)]
    finals = []
    for order in list(permutations(events))[orders]:
        stages = Stages()
        stages.store(original(), segments)
        for start in range(0, len(order), together):
            stages.process(*order[start : start + together])
        [alert] = stages.latest().values()
        finals.append(alert)
        assert exact_fields(alert) == exact_fields(finals[0])
        assert approximate_figures(alert) == pytest.approx(approximate_figures(finals[0]), abs=1e-3)
        assert alert.status == "final"
        assert stages.verdicts()["default/copy"].alert_ids == (alert.alert_id,)


@pytest.mark.parametrize("seed", range(6))
def test_mixed_events_of_both_assets_lead_to_one_alert(seed: int) -> None:
    old, new = original(), copy()
    events: list[Event] = [*segment_events(old), *segment_events(new), end_event(old), end_event(new)]
    Random(seed).shuffle(events)
    stages = Stages()
    stages.store(old, new)
    for event in events:
        stages.process(event)
    [alert] = stages.latest().values()
    assert (alert.query.asset_id, alert.reference.asset_id, alert.status) == ("copy", "original", "final")
    assert bounds(alert) == [(22, 52, 20, 50)]
    assert (alert.query_coverage, alert.reference_coverage) == pytest.approx((30 / 90, 30 / 100))
    verdicts = stages.verdicts()
    assert (verdicts["default/copy"].verdict, verdicts["default/copy"].copied_by) == ("copies", 0)
    assert (verdicts["default/original"].verdict, verdicts["default/original"].copied_by) == ("unique", 1)


def contents(messages: Iterable[Message]) -> list[dict[str, Any]]:
    return [to_event(message).model_dump(exclude=MOMENTS) for message in messages]


def test_records_whose_messages_were_not_published_lead_to_the_same_messages_again() -> None:
    stages = Stages()
    segments = copy()
    stages.store(original(), segments)
    events = [*segment_events(segments), end_event(segments)]
    stages.alerter.run_once(0)  # restores the states
    stages.bus.publish(stages.search(*events))
    records = stages.bus.records(topics.MATCH_EVIDENCE)
    before, after = records[:1], records[1:]
    first = stages.pipeline(before)
    stages.pipeline.keep(first)
    failed = stages.pipeline(after)
    again = stages.pipeline(after)
    assert [one["status"] for one in contents(failed.messages) if "intervals" in one] == ["final"]
    assert contents(failed.messages) == contents(again.messages)
    stages.pipeline.keep(again)
    assert stages.pipeline(after).is_empty, "the events were published and their states kept"


@pytest.mark.parametrize("counts", [(2, 3), (3, 2)])
def test_the_end_with_the_larger_count_wins(counts: tuple[int, int]) -> None:
    """UploadEnded and the last segment may contradict each other, in any order."""
    stages = Stages()
    segments = copy()
    stages.store(original(), segments)
    first, second, third = segment_events(segments)
    stages.process(*(end_event(segments, count=count) for count in counts), first, second)
    assert stages.verdicts() == {}
    stages.process(third)
    assert stages.verdicts()["default/copy"].segments_described == 3


def test_a_larger_count_after_the_verdict_opens_the_asset_again() -> None:
    stages = Stages()
    segments = copy()
    stages.store(original(), segments)
    first, second, third = segment_events(segments)
    stages.process(first, end_event(segments, count=1))
    stages.process(second, end_event(segments, count=3))
    stages.process(third)
    assert [one.status for one in stages.alerts()] == ["final", "open", "final"]
    assert [one.segments_described for one in stages.all_verdicts()] == [1, 3]


def test_a_verdict_does_not_depend_on_what_else_is_in_its_batch() -> None:
    stages = Stages()
    segments = copy()
    stages.store(original(), segments)
    first, second, _ = segment_events(segments)
    stages.process(first, end_event(segments, count=1), second)
    assert [one.segments_described for one in stages.all_verdicts()] == [1, 2]
    assert [one.status for one in stages.alerts()] == ["final", "final"]
