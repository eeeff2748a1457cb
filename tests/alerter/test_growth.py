"""Ten minutes re-published with cuts, segment by segment: one alert with few revisions, each with more evidence."""

from itertools import pairwise
from random import Random

import numpy as np
import pytest

from services.contracts.events import DuplicateAlert
from services.contracts.segments import DescribedSegment
from services.runtime.rule import AlertRule
from tca_model.types import FloatArray
from tests.alerter.stages import (
    RULE,
    Stages,
    approximate_figures,
    bounds,
    end_event,
    exact_fields,
    frames,
    segment_events,
    similar_frames,
    upload,
)
from tests.descriptors import SEGMENT_S, UPLOADED_AT, cut, work

# The pieces of the original's ten minutes that the copy shows, one after the other.
PIECES = [(30, 200), (260, 420), (500, 590)]
FOUND = [(0, 170, 30, 200), (170, 330, 260, 420), (330, 420, 500, 590)]
LATER = UPLOADED_AT + 60


def ten_minutes() -> FloatArray:
    return frames(*(work(number, 0, 200) for number in (1, 2, 3)))


def original() -> list[DescribedSegment]:
    return cut("original", ten_minutes())


def copy() -> list[DescribedSegment]:
    return cut("copy", frames(*(ten_minutes()[start:end] for start, end in PIECES)), uploaded_at=LATER)


def stages_of(segments: list[DescribedSegment], rule: AlertRule = RULE) -> Stages:
    stages = Stages(rule=rule)
    stages.store(original(), segments)
    return stages


def copy_length_s(alert: DuplicateAlert) -> float:
    return sum(one.query_end_s - one.query_start_s for one in alert.intervals)


def test_each_segment_of_a_copy_with_cuts_adds_one_revision_with_more_evidence() -> None:
    stages = stages_of(copy())
    for event in segment_events(copy()):
        stages.process(event)
    alerts = stages.alerts()
    assert len(alerts) == len(copy()) == 14
    assert [copy_length_s(alert) for alert in alerts] == [min(420, SEGMENT_S * (n + 1)) for n in range(14)]
    assert [alert.query_coverage for alert in alerts] == [1] * 14
    for before, after in pairwise(alerts):
        assert after.reference_coverage > before.reference_coverage
        assert after.score >= before.score - 1e-3
        assert [one.query_start_s for one in after.intervals][: len(before.intervals)] == [
            one.query_start_s for one in before.intervals
        ]
    assert {alert.status for alert in alerts} == {"open"}
    stages.process(end_event(copy()))
    [final] = stages.latest().values()
    assert (len(stages.alerts()), final.status, bounds(final)) == (15, "final", FOUND)
    assert final.reference_coverage == pytest.approx(420 / 600)


def test_segments_that_show_no_copy_add_no_revision() -> None:
    shown = frames(work(4, 0, 200), work(1, 50, 130), work(5, 0, 200), work(6, 0, 120))
    segments = cut("copy", shown, uploaded_at=LATER)
    stages = stages_of(segments)
    for event in upload(segments):
        stages.process(event)
    assert len(segments) == 19
    assert [(alert.status, bounds(alert)) for alert in stages.alerts()] == [
        ("open", [(200, 224, 50, 74)]),
        ("open", [(200, 256, 50, 106)]),
        ("open", [(200, 280, 50, 130)]),
        ("final", [(200, 280, 50, 130)]),
    ]


@pytest.mark.parametrize(("seed", "together"), [(1, 1), (2, 5), (3, 64)])
def test_the_final_alert_is_the_same_for_any_order_and_batch_size(seed: int, together: int) -> None:
    in_order, mixed = stages_of(copy()), stages_of(copy())
    in_order.process(*upload(copy()))
    events = upload(copy())
    Random(seed).shuffle(events)
    for start in range(0, len(events), together):
        assert mixed.verdicts() == {}
        mixed.process(*events[start : start + together])
    [expected], [final] = in_order.latest().values(), mixed.latest().values()
    assert exact_fields(final) == exact_fields(expected)
    assert bounds(final) == FOUND
    assert approximate_figures(final) == pytest.approx(approximate_figures(expected), abs=1e-3)
    assert len(mixed.alerts()) <= len(events)
    assert mixed.verdicts()["default/copy"].alert_ids == (final.alert_id,)


def test_a_whole_asset_in_one_batch_as_in_a_scan_has_one_revision() -> None:
    stages = stages_of(copy())
    stages.process(*upload(copy()))
    [alert] = stages.alerts()
    assert (alert.status, bounds(alert)) == ("final", FOUND)


def test_segments_after_the_verdict_continue_the_revisions() -> None:
    stages = stages_of(copy())
    stages.process(*segment_events(copy())[:10], end_event(copy(), count=10))
    for event in segment_events(copy())[10:]:
        stages.process(event)
    assert [alert.status for alert in stages.alerts()] == ["final"] * 5
    [last] = stages.latest().values()
    assert bounds(last) == FOUND
    assert [verdict.segments_described for verdict in stages.all_verdicts()] == [10, 11, 12, 13, 14]


@pytest.mark.parametrize("before_s", [1, 2, 3])
def test_four_copied_seconds_across_a_segment_border_are_found_wherever_the_border_lies(before_s: int) -> None:
    """Each half alone may be too short to be a copy."""
    shown = frames(work(4, 0, 32 - before_s), similar_frames(1, 40, 44, 0.9), work(4, 36 - before_s, 64))
    segments = cut("copy", shown, uploaded_at=LATER)
    stages = stages_of(segments)
    first, second = segment_events(segments)
    stages.process(first)
    assert len(stages.alerts()) == (before_s == 3)
    stages.process(second, end_event(segments))
    [alert] = stages.latest().values()
    [(start, end, *_)] = bounds(alert)
    assert start == pytest.approx(32 - before_s, abs=1)
    assert end == pytest.approx(36 - before_s, abs=1)


def test_small_changes_of_the_score_are_published_only_at_the_end() -> None:
    """The copy shows its frames in a random order, so nothing aligns and chamfer similarity is the only evidence."""
    order = np.random.default_rng(0).permutation(32)
    shown = frames(*(similar_frames(1, 32 * n, 32 * n + 32, 0.9 - 0.002 * n)[order] for n in range(5)))
    segments = cut("copy", shown, uploaded_at=LATER)
    stages = stages_of(segments, rule=AlertRule(threshold=0.15))
    for event in upload(segments):
        stages.process(event)
    first, second, final = stages.alerts()
    assert (second.status, final.status) == ("open", "final")
    assert first.score + 0.005 <= second.score < final.score < second.score + 0.005
