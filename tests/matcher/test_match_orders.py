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
from tests.matcher.matcher import (
    Matcher,
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
        matcher = Matcher()
        matcher.store(original(), segments)
        for start in range(0, len(order), together):
            matcher.process(*order[start : start + together])
        [alert] = matcher.latest().values()
        finals.append(alert)
        assert exact_fields(alert) == exact_fields(finals[0])
        assert approximate_figures(alert) == pytest.approx(approximate_figures(finals[0]), abs=1e-3)
        assert alert.status == "final"
        assert matcher.verdicts()["default/copy"].alert_ids == (alert.alert_id,)


@pytest.mark.parametrize("seed", range(6))
def test_mixed_events_of_both_assets_lead_to_two_alerts_with_the_same_content(seed: int) -> None:
    old, new = original(), copy()
    events: list[Event] = [*segment_events(old), *segment_events(new), end_event(old), end_event(new)]
    Random(seed).shuffle(events)
    matcher = Matcher()
    matcher.store(old, new)
    for event in events:
        matcher.process(event)
    one, other = matcher.latest().values()
    assert one.alert_id != other.alert_id
    assert one.pair_id == other.pair_id
    assert (one.query, one.reference) == (other.query, other.reference)
    assert one.query.asset_id == "copy"
    assert bounds(one) == bounds(other) == [(22, 52, 20, 50)]
    assert one.query_coverage == pytest.approx(other.query_coverage)
    assert one.reference_coverage == pytest.approx(other.reference_coverage)
    assert one.status == other.status == "final"
    verdicts = matcher.verdicts()
    assert (verdicts["default/copy"].verdict, verdicts["default/copy"].copied_by) == ("copies", 0)
    assert (verdicts["default/original"].verdict, verdicts["default/original"].copied_by) == ("unique", 1)


def contents(messages: Iterable[Message]) -> list[dict[str, Any]]:
    return [to_event(message).model_dump(exclude=MOMENTS) for message in messages]


def test_records_whose_messages_were_not_published_lead_to_the_same_messages_again() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    events = [*segment_events(segments), end_event(segments)]
    matcher.worker.run_once(0)  # restores the states
    matcher.publish(*events)
    records = matcher.bus.records(topics.ENCODED_SEGMENTS)
    before, after = records[:1], records[1:]
    first = matcher.pipeline(before)
    matcher.pipeline.keep(first)
    failed = matcher.pipeline(after)
    again = matcher.pipeline(after)
    assert [one["revision"] for one in contents(failed.messages) if "revision" in one] == [2]
    for one, other in zip(contents(failed.messages), contents(again.messages), strict=True):
        # The second time, the descriptors come from the cache and are rounded.
        assert one.pop("similarity", {}) == pytest.approx(other.pop("similarity", {}), abs=1e-3)
        assert one == other
    matcher.pipeline.keep(again)
    assert matcher.pipeline(after).is_empty, "the events were published and their states kept"


@pytest.mark.parametrize("counts", [(2, 3), (3, 2)])
def test_the_end_with_the_larger_count_wins(counts: tuple[int, int]) -> None:
    """UploadEnded and the last segment may contradict each other, in any order."""
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    first, second, third = segment_events(segments)
    matcher.process(*(end_event(segments, count=count) for count in counts), first, second)
    assert matcher.verdicts() == {}
    matcher.process(third)
    assert matcher.verdicts()["default/copy"].segments_described == 3


def test_a_larger_count_after_the_verdict_does_not_reopen_the_asset() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    first, second, third = segment_events(segments)
    matcher.process(first, end_event(segments, count=1))
    matcher.process(second, end_event(segments, count=3))
    matcher.process(third)
    assert [(one.revision, one.status) for one in matcher.alerts()] == [(1, "final"), (2, "final")]
    assert matcher.verdicts()["default/copy"].segments_described == 1


def test_a_verdict_does_not_depend_on_what_else_is_in_its_batch() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    first, second, _ = segment_events(segments)
    matcher.process(first, end_event(segments, count=1), second)
    assert matcher.verdicts()["default/copy"].segments_described == 1
    assert [(one.revision, one.status) for one in matcher.alerts()] == [(1, "final"), (2, "final")]
